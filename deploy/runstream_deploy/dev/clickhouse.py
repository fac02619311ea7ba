"""A real ClickHouse server (HTTP and native TCP) out of libchdb.so, in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from . import probes
from .installs import install_clickhouse
from .service import Service

_SERVER = Path(__file__).with_name("clickhouse_server.py")

OWNER = "runstream"
READER = "reader"

# The server's own session is that of `default`, without a password; all it may do is open the listeners.
_USERS = """\
<clickhouse>
  <profiles>
    <default/>
    <reader>
      <readonly>2</readonly>
      <max_execution_time>30</max_execution_time>
      <max_memory_usage>2000000000</max_memory_usage>
      <max_result_rows>1000000</max_result_rows>
      <constraints>
        <max_execution_time><max>30</max></max_execution_time>
        <max_memory_usage><max>2000000000</max></max_memory_usage>
        <max_result_rows><max>1000000</max></max_result_rows>
      </constraints>
    </reader>
  </profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <no_password/><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
      <grants><query>GRANT SYSTEM LISTEN ON *.*</query></grants>
    </default>
    <{owner}>
      <password>{secret}</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile>
      <quota>default</quota><access_management>1</access_management>
    </{owner}>
    <{reader}>
      <password>{secret}</password><networks><ip>127.0.0.1</ip></networks><profile>reader</profile>
      <quota>default</quota>
      <grants><query>GRANT SELECT, SHOW ON *.*</query></grants>
    </{reader}>
  </users>
</clickhouse>
"""

_CONFIG = """\
<clickhouse>
  <user_directories><users_xml><path>users.xml</path></users_xml></user_directories>
  <max_server_memory_usage>6000000000</max_server_memory_usage>
  <background_pool_size>4</background_pool_size>
  <os_threads_nice_value_merge_mutate>10</os_threads_nice_value_merge_mutate>
  <mark_cache_size>268435456</mark_cache_size>
  <remote_servers><runstream>{shards}</runstream></remote_servers>
  <macros><shard>{shard:02d}</shard><replica>{name}</replica></macros>
</clickhouse>
"""

_SHARD = (
    "<shard><internal_replication>true</internal_replication><replica><host>127.0.0.1</host><port>{port}</port>"
    "<user>{owner}</user><password>{secret}</password></replica></shard>"
)


class ClickHouseService(Service):
    """Users `runstream` (owner) and `reader` (read-only with limits), both with this server's own password.

    `shards` lists all servers of the cluster called `runstream`, this one included; without it, it is the only one.
    """

    kind: ClassVar[str] = "clickhouse"
    port_count: ClassVar[int] = 2
    shards: Sequence[ClickHouseService] = ()

    @property
    def url(self) -> str:
        """HTTP, as the owner."""
        return f"http://{OWNER}:{self.secret}@127.0.0.1:{self.ports[0]}"

    @property
    def reader_url(self) -> str:
        """HTTP, as the read-only user."""
        return f"http://{READER}:{self.secret}@127.0.0.1:{self.ports[0]}"

    @property
    def tcp_port(self) -> int:
        """The native protocol's port."""
        return self.ports[1]

    def install(self) -> None:
        self._library = install_clickhouse(self._report)

    def command(self) -> list[str]:
        users, config = self.directory / "users.xml", self._config_file
        users.touch(0o600)
        config.touch(0o600)
        users.write_text(_USERS.format(owner=OWNER, reader=READER, secret=self.secret))
        config.write_text(self._config())
        http, tcp = self.ports
        options = [
            f"--path={self.directory / 'data'}",
            f"--http_port={http}",
            f"--tcp_port={tcp}",
            "--listen_host=127.0.0.1",
            f"--config-file={config}",
        ]
        return [sys.executable, "-I", str(_SERVER), str(self._library), *options]

    @property
    def knows_its_cluster(self) -> bool:
        """Whether it was started with the shards and ports that the cluster has now."""
        return self._config_file.exists() and self._config_file.read_text() == self._config()

    @property
    def _config_file(self) -> Path:
        return self.directory / "config.xml"

    def _config(self) -> str:
        shards = self.shards or (self,)
        rendered = (_SHARD.format(port=shard.tcp_port, owner=OWNER, secret=shard.secret) for shard in shards)
        number = list(shards).index(self) + 1
        return _CONFIG.format(shards="".join(rendered), shard=number, name=self.name)

    def probe(self) -> None:
        probes.clickhouse_http(self.ports[0], OWNER, self.secret, "SELECT 1")
        probes.clickhouse_tcp(self.ports[1], OWNER, self.secret)
