"""Configure what CLICKHOUSE_USER and CLICKHOUSE_PASSWORD ask for, as the official image does, and serve."""

import os
from pathlib import Path
from xml.sax.saxutils import escape

USERS = """<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <no_password/><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
      <grants><query>GRANT SYSTEM LISTEN ON *.*</query></grants>
    </default>
    <{user}>
      <password>{password}</password><networks><ip>::/0</ip></networks><profile>default</profile>
      <quota>default</quota><access_management>1</access_management>
    </{user}>
  </users>
</clickhouse>
"""
CONFIG = """<clickhouse>
  <user_directories><users_xml><path>users.xml</path></users_xml></user_directories>
  <max_server_memory_usage>6000000000</max_server_memory_usage>
  <background_pool_size>4</background_pool_size>
</clickhouse>
"""


def main() -> None:
    place = Path("/etc/clickhouse-server")
    user, password = os.environ["CLICKHOUSE_USER"], os.environ["CLICKHOUSE_PASSWORD"]
    (place / "users.xml").write_text(USERS.format(user=user, password=escape(password)))
    (place / "config.xml").write_text(CONFIG)
    options = ["--path=/var/lib/clickhouse", "--http_port=8123", "--tcp_port=9000", "--listen_host=0.0.0.0"]
    server = ["python3", "-I", "/clickhouse_server.py", "/usr/lib/libchdb.so"]
    os.execvp(server[0], [*server, *options, f"--config-file={place / 'config.xml'}"])  # noqa: S606


if __name__ == "__main__":
    main()
