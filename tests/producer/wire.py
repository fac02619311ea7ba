"""What the agent's tests share: a spool to fill, a transport in memory, and a look into real topics."""

from __future__ import annotations

import asyncio
import hashlib
import random
import subprocess
import sys
import uuid
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from runstream import events
from runstream.agent import Agent
from runstream.errors import MessageRefused
from runstream.messages import Message
from runstream.objects import FileState
from runstream.settings import Settings
from runstream.spool_records import KeySet
from runstream.spool_writer import SpoolWriter

FILES = {"model.pt": b"weights" * 1000, "sub/config.json": b"{}"}
DYING = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from producer.wire import Spooled
spool = Spooled(Path({data_dir!r}))
for step in range(1000):
    spool.log(step, loss=step / 10)
print(spool.run_id, spool.directory, flush=True)
{end}
"""


class Spooled:
    """A writer in this process with ready key sets."""

    def __init__(self, data_dir: Path, *, attempt: int = 0, segment_bytes: int = 1 << 16) -> None:
        self.run_id = uuid.uuid4()
        self.writer = SpoolWriter(
            data_dir / "spool",
            run_id=self.run_id,
            writer_id=random.getrandbits(62) + 1,
            project="tests",
            attempt=attempt,
            rank=0,
            segment_bytes=segment_bytes,
            segment_max_bytes=1 << 20,
        )
        self._keys: dict[tuple[str, ...], KeySet] = {}
        self.event("RunStarted", name="x", created_us=1)

    @property
    def directory(self) -> Path:
        return self.writer.directory

    def log(self, step: int, **values: float) -> None:
        names = tuple(values)
        keys = self._keys.setdefault(names, KeySet(len(self._keys) + 1, names))
        self.writer.append_row(keys, step, values.values())

    def event(self, kind: str, /, **fields: Any) -> None:
        self.writer.append_event({"type": kind, "actor": "me@here", **fields})

    def finish(self, state: str = "finished") -> None:
        self.event("RunFinished", state=state, metric_seq=self.writer.row_seq)
        self.writer.close()

    def stage(self, name: str, files: dict[str, bytes], number: int = 1) -> Path:
        stage = self.directory / "files" / str(number)
        listed = []
        for path, data in files.items():
            (stage / path).parent.mkdir(parents=True, exist_ok=True)
            (stage / path).write_bytes(data)
            listed.append({"path": path, "size": len(data)})
        described = {"artifact_type": "model", "aliases": ["best"], "metadata": "{}", "description": ""}
        self.event("ArtifactStaged", name=name, stage=f"files/{number}", files=listed, **described)
        return stage

    def media(self, name: str, data: bytes, number: int = 1, **fields: Any) -> Path:
        stage = self.directory / "files" / f"m{number}"
        stage.mkdir(parents=True)
        (stage / "image.png").write_bytes(data)
        described = {"step": number, "index": 0, "kind": "image", "mime": "image/png", "caption": "", "metadata": "{}"}
        self.event("MediaStaged", name=name, stage=f"files/m{number}", file="image.png", **(described | fields))
        return stage


class MemoryTransport:
    """Takes messages; `hold` keeps them unacknowledged, `refuse` says which can never be taken."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.held: list[asyncio.Future[None]] = []
        self.hold = False
        self.refuse: Callable[[Message], bool] = lambda message: False

    async def start(self) -> None:
        """Nothing to connect."""

    def send(self, message: Message) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.messages.append(message)
        if self.refuse(message):
            future.set_exception(MessageRefused(topic=message.topic, size=1, reason="test", kept_at=Path("x")))
        elif self.hold:
            self.held.append(future)
        else:
            future.set_result(None)
        return future

    def release(self) -> None:
        """Acknowledges what is held, the latest first."""
        self.hold = False
        for future in reversed(self.held):
            if not future.done():
                future.set_result(None)
        self.held.clear()

    async def flush(self) -> None:
        if self.held:
            await asyncio.wait(self.held)

    async def close(self) -> None:
        """What is held stays pending."""

    def control(self) -> list[tuple[str, dict[str, Any]]]:
        return [events.decode(message.value) for message in self.messages if message.topic.endswith(".control")]

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.control()]

    def rows(self) -> list[tuple[int, int, dict[str, float]]]:
        """(seq, step, values) of every row, in the order of sending."""
        return rows_of([message.value for message in self.messages if message.topic.endswith(".metrics")])


def rows_of(values: list[bytes]) -> list[tuple[int, int, dict[str, float]]]:
    out = []
    for value in values:
        kind, frame = events.decode(value)
        assert kind == "MetricFrame"
        found = {}
        for block in frame["blocks"]:
            width = len(block["metrics"])
            doubles = array("d", block["values"])
            for i, (at, step) in enumerate(zip(block["at"] or range(frame["rows"]), block["steps"], strict=True)):
                row = dict(zip(block["metrics"], doubles[i * width : (i + 1) * width], strict=True))
                found[at] = (frame["first_seq"] + at, step, row)
        assert sorted(found) == list(range(frame["rows"]))
        out += [found[at] for at in sorted(found)]
    return out


class MemoryObjects:
    """An object store in memory that can be down."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.down = False
        self.puts = 0

    def renew(self, key: str, size: int) -> bool:
        if self.down:
            raise ConnectionError("the store is down")
        return key in self.objects and len(self.objects[key]) == size

    def put_file(self, key: str, path: Path, sha256: str, seen: FileState | None = None) -> None:
        self.puts += 1
        data = path.read_bytes()
        assert hashlib.sha256(data).hexdigest() == sha256
        self.objects[key] = data


def dead_writer(data_dir: Path, end: str = "os.kill(os.getpid(), signal.SIGKILL)") -> tuple[str, Path]:
    program = DYING.format(tests=str(Path(__file__).parents[1]), data_dir=str(data_dir), end=end)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    run_id, directory = done.stdout.split()
    return run_id, Path(directory)


def settings(data_dir: Path, **changes: Any) -> Settings:
    return Settings(dir=data_dir, **changes)


@asynccontextmanager
async def running(agent: Agent) -> AsyncIterator[asyncio.Task[None]]:
    """`agent` at work; stopped at the end, and its failure is the test's."""
    stop = asyncio.Event()
    task = asyncio.create_task(agent.run(stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait_for(task, 30)


async def until(condition: Callable[[], Any], within_s: float = 30.0) -> None:
    """Returns once `condition()` is true; fails after `within_s`, which is far more than it should take."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + within_s
    while not condition():
        assert loop.time() < give_up_at, "did not happen"
        await asyncio.sleep(0.02)


async def stored(bootstrap: str, topic: str) -> list[tuple[bytes, bytes]]:
    """Key and value of every message of `topic`, each partition in order."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
        consumer.unsubscribe()
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        out = []
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            batches = await consumer.getmany(timeout_ms=500)
            out += [(record.key, record.value) for records in batches.values() for record in records]
        return out
    finally:
        await consumer.stop()
