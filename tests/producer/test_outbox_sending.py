"""What a companion recorded goes to the logs topic, once in effect, and is then removed."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from producer.wire import MemoryObjects, MemoryTransport, Spooled, running, settings, until
from runstream import events
from runstream.agent import Agent
from runstream.companion.outbox import (
    CONSOLE,
    KEYS,
    LOCK,
    NOTE,
    OUTPUT,
    OUTPUT_HEAD,
    SAMPLE,
    SYSTEM,
    TIME,
    OutboxWriter,
    numbers,
    pack,
)


class Lines:
    """Console lines as a database keeps them: the last word of each number."""

    def __init__(self, transport: MemoryTransport) -> None:
        self.texts: dict[int, str] = {}
        self.streams: dict[int, int] = {}
        changed: dict[int, int] = {}
        for message in transport.messages:
            kind, event = events.decode(message.value)
            if kind != "ConsoleLines":
                continue
            assert message.topic == "runstream.logs"
            assert event["seq"] == -1
            assert message.size < 768 * 1024
            for i, text in enumerate(event["texts"]):
                number = event["first_line"] + i
                if event["changed_us"][i] >= changed.get(number, 0):
                    changed[number] = event["changed_us"][i]
                    self.texts[number], self.streams[number] = text, event["streams"][i]

    @property
    def in_order(self) -> list[str]:
        assert sorted(self.texts) == list(range(len(self.texts)))
        return [self.texts[number] for number in sorted(self.texts)]


def printed(outbox: OutboxWriter, data: bytes, stream: int = 1, time_us: int = 1) -> None:
    outbox.append(pack(OUTPUT, stream, OUTPUT_HEAD.pack(time_us, 0), data))


def an_agent(data_dir: Path, transport: MemoryTransport) -> Agent:
    return Agent(data_dir, transport, MemoryObjects(), settings(data_dir))


async def test_lines_and_samples_arrive_and_the_spool_goes(data_dir: Path) -> None:
    spool = Spooled(data_dir)
    console = OutboxWriter(str(spool.directory), CONSOLE, file_bytes=200)
    for i in range(50):
        printed(console, b"line %d\n" % i, 1 + i % 2)
    printed(console, b"\r 10%", 2)
    console.append(pack(NOTE, 1, TIME.pack(5), b"7 bytes of output are left out here: full"))
    printed(console, b"\r100%", 2)
    printed(console, "ünï\xff last".encode("latin-1"), 3)
    console.close()
    system = OutboxWriter(str(spool.directory), SYSTEM)
    keys = [["cpu.percent", ""], ["gpu.power_w", "gpu0"]]
    system.append(pack(KEYS, 0, json.dumps({"node": "n1", "keys": keys}).encode()))
    for i in range(3):
        system.append(pack(SAMPLE, 0, TIME.pack(100 + i), struct.pack("<2d", i, float("nan"))))
    system.close()
    spool.finish()
    transport = MemoryTransport()
    async with running(an_agent(data_dir, transport)):
        await until(lambda: not spool.directory.exists())
    lines = Lines(transport)
    assert lines.in_order == [
        *(f"line {i}" for i in range(50)),
        "100%",
        "[runstream: 7 bytes of output are left out here: full]",
        "\ufffdn\ufffd\ufffd last",
    ]
    assert (lines.streams[0], lines.streams[1], lines.streams[52]) == (1, 2, 1)
    frames: list[dict[str, Any]] = [
        event for kind, event in (events.decode(m.value) for m in transport.messages) if kind == "SystemFrame"
    ]
    assert [time for frame in frames for time in frame["times_us"]] == [100, 101, 102]
    assert (frames[0]["node"], frames[0]["metrics"], frames[0]["devices"]) == (
        "n1",
        ["cpu.percent", "gpu.power_w"],
        ["", "gpu0"],
    )
    assert frames[0]["values"][0] == 0.0


async def test_a_later_agent_numbers_the_lines_the_same(data_dir: Path) -> None:
    spool = Spooled(data_dir)
    console = OutboxWriter(str(spool.directory), CONSOLE, file_bytes=300)
    transport = MemoryTransport()
    expected = []
    for part in range(4):
        for i in range(20):
            printed(console, b"part %d, %d\r" % (part, i), time_us=part * 100 + i + 1)
        printed(console, b"\nhalf ", time_us=part * 100 + 50)
        # What stood further right stays, as on a terminal: "half part 1, 0", then "part 1, 19" over it.
        expected.append(f"part {part}, 19" + (f"{part}, 0" if part else ""))
        transport.hold = part == 2  # these are sent and not acknowledged: they will be sent again
        seen = len(transport.messages)
        async with running(an_agent(data_dir, transport)):
            await until(lambda seen=seen: len(transport.messages) > seen)
        transport.hold = False
    console.close()
    spool.finish()
    async with running(an_agent(data_dir, transport)):
        await until(lambda: not spool.directory.exists())
    assert Lines(transport).in_order == [*expected, "half "]


async def test_files_that_are_sent_are_removed_while_the_run_goes_on(data_dir: Path) -> None:
    spool = Spooled(data_dir)
    console = OutboxWriter(str(spool.directory), CONSOLE, file_bytes=100)
    for i in range(100):
        printed(console, b"%d\n" % i)
    transport = MemoryTransport()
    async with running(an_agent(data_dir, transport)):
        await until(lambda: len(Lines(transport).texts) == 100)
        await until(lambda: len(numbers(spool.directory, CONSOLE)) == 1)
    assert spool.directory.exists()
    spool.writer.abandon()


async def test_a_spool_stays_while_its_companion_lives(data_dir: Path) -> None:
    spool = Spooled(data_dir)
    directory = spool.directory
    console = OutboxWriter(str(directory), CONSOLE)
    lock = directory / LOCK
    import fcntl

    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        spool.finish()
        transport = MemoryTransport()
        async with running(an_agent(data_dir, transport)):
            await until(lambda: "RunFinished" in transport.kinds())
            printed(console, b"last words")
            await until(lambda: Lines(transport).texts == {0: "last words"})
            assert directory.exists()
            fcntl.flock(held, fcntl.LOCK_UN)
            await until(lambda: not directory.exists())


async def test_a_cursor_that_cannot_be_read_sends_all_again(data_dir: Path) -> None:
    spool = Spooled(data_dir)
    printed(OutboxWriter(str(spool.directory), CONSOLE), b"a\nb\n")
    (spool.directory / "outbox.cursor").write_text("{torn")
    spool.finish()
    transport = MemoryTransport()
    async with running(an_agent(data_dir, transport)):
        await until(lambda: not spool.directory.exists())
    assert Lines(transport).in_order == ["a", "b"]
