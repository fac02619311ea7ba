"""From a training process that was killed to the object store: the values that it had logged are all there."""

import hashlib
import signal
from pathlib import Path
from typing import Any

import pytest

from producer.wire import MemoryTransport, settings
from runstream.objects import object_key, open_store
from runstream.sync import sync

PROGRAM = """
from pathlib import Path
run = runstream.init(project="p", mode="offline")
large = Path("large.bin")
large.write_bytes(os.urandom(20 << 20))
run.log({"weights": runstream.File(large), "texts": "small", "spread": runstream.Histogram([1, 2])})
large.write_bytes(b"gone")
for step in range(20):
    run.log({"picture": runstream.Image([[step, 255], [0, 1]]), "loss": step})
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.s3
@pytest.mark.parametrize("place", ["directory", "s3"])
async def test_sync_finishes_what_a_killed_process_has_logged(
    python: Any, data_dir: Path, tmp_path: Path, request: pytest.FixtureRequest, place: str
) -> None:
    url = (tmp_path / "objects").as_uri() if place == "directory" else request.getfixturevalue("bucket")
    assert python(PROGRAM).returncode == -signal.SIGKILL
    store, transport = open_store(url), MemoryTransport()
    report = await sync(data_dir, transport, store, settings=settings(data_dir))
    assert (report.left, report.files) == ({}, 21)
    logged = [event for kind, event in transport.control() if kind == "MediaLogged"]
    assert len(logged) == 21
    for event in logged:
        with store.open(object_key(event["sha256"])) as stream:
            content = stream.read()
        assert hashlib.sha256(content).hexdigest() == event["sha256"]
        assert len(content) == event["size"]
    assert max(event["size"] for event in logged) == 20 << 20
    assert {"TextLogged", "HistogramLogged", "RunFinished"} <= set(transport.kinds())
    assert not list((data_dir / "spool").glob("*/*"))
