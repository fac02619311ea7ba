"""Through the composed services: log and upload from this machine, read it back in SQL as the read-only user."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

POINTS = 1000
TIMEOUT_S = 90.0


def sql(query: str) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{os.environ['CLICKHOUSE_HTTP_PORT']}/?database=runstream",
        data=query.encode(),
        headers={"X-ClickHouse-User": "reader", "X-ClickHouse-Key": os.environ["CLICKHOUSE_READER_PASSWORD"]},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        return str(answer.read().decode().strip())


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        os.environ["RUNSTREAM_DIR"] = directory
        os.environ["RUNSTREAM_KAFKA"] = f"127.0.0.1:{os.environ['KAFKA_PORT']}"
        minio = f"runstream:{os.environ['MINIO_PASSWORD']}@127.0.0.1:{os.environ['MINIO_PORT']}"
        os.environ["RUNSTREAM_S3"] = f"http://{minio}/runstream"
        import runstream

        artifact = Path(directory) / "weights.bin"
        artifact.write_bytes(os.urandom(100_000))
        with runstream.init(project="smoke", name="compose") as run:
            for step in range(POINTS):
                run.log({"loss": 1.0 / (step + 1)}, step=step)
            run.log_artifact(artifact, name="weights", type="model")
        deadline = time.monotonic() + TIMEOUT_S
        found = state = files = ""
        while time.monotonic() < deadline:
            found = sql("SELECT count() FROM v_points WHERE project = 'smoke'")
            state = sql("SELECT state FROM v_runs WHERE project = 'smoke'")
            files = sql("SELECT count() FROM v_artifacts WHERE project = 'smoke'")
            if (found, state, files) == (str(POINTS), "finished", "1"):
                break
            time.sleep(0.5)
        print(f"{found} of {POINTS} points, {files} of 1 artifacts, the run is {state or 'not there'}")
        with urllib.request.urlopen(f"http://127.0.0.1:{os.environ['UI_PORT']}/", timeout=20) as page:
            print(f"the UI answers {page.status}")
        return 0 if (found, state, files) == (str(POINTS), "finished", "1") else 1


if __name__ == "__main__":
    sys.exit(main())
