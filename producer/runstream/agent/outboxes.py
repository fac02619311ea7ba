"""What a companion recorded beside a writer, on its way out: console lines and samples of the machine."""

from __future__ import annotations

import json
import logging
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runstream import events
from runstream.agent.screen import Line, Screen
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
    OutboxReader,
    Record,
    remove_before,
)
from runstream.errors import EventNotEncodable, MessageRefused
from runstream.identity import lock_is_held
from runstream.transport import Sent

log = logging.getLogger("runstream.agent")
CURSOR = "outbox.cursor"
READ_BYTES = 512 * 1024
MESSAGE_BYTES = 640 * 1024
LINE_BYTES = 32
"""Of a line besides its text."""
MERGE_S = 0.2
SAVE_EVERY_S = 1.0
LOOK_EVERY_S = 0.25
_ASIDE = 3

Head = Callable[[int, int], dict[str, Any]]
"""(seq, time_us) to the fields that every event has."""
Publish = Callable[[str, bytes], Sent]
"""Sends (topic kind, value) under the writer's key."""


class Outboxes:
    """Reads a writer's outboxes, sends them, and keeps a cursor of its own in the writer's directory.

    One batch is under way at a time; the cursor holds the place behind the last one that was acknowledged, and the
    lines that can still change. Sending again what the cursor had not seen makes the same rows.
    """

    def __init__(self, directory: Path, publish: Publish, head: Head) -> None:
        self.failure: BaseException | None = None
        self.done = False
        """Nothing more comes, and all is acknowledged."""
        self._directory = directory
        self._publish = publish
        self._head = head
        kept = _load(directory)
        self._console = OutboxReader(str(directory), CONSOLE, _place(kept, CONSOLE))
        self._system = OutboxReader(str(directory), SYSTEM, _place(kept, SYSTEM))
        self._screen = Screen.from_dict(kept["screen"]) if "screen" in kept else Screen()
        self._keys: dict[str, Any] = kept.get("keys", {"node": "", "keys": []})
        self._under_way = 0
        self._moved = False
        self._save_at = self._look_at = self._read_at = 0.0
        self._ended = False

    def poll(self, now: float, *, writer_gone: bool) -> int:
        """Reads once and sends what is due; how many bytes there were. `now`: monotonic seconds.

        Nothing more is expected once the writer is gone and no companion holds its lock.
        """
        if self.failure is not None:
            raise self.failure
        if self.done or self._under_way or now < self._read_at:
            return 0
        if self._moved and now >= self._save_at:
            self.save()
        over = writer_gone and now >= self._look_at and self._is_over(now)
        size = self._read_console(now, over=over) + self._read_system()
        if size:
            self._moved = True
            self._read_at = now + (MERGE_S if size < READ_BYTES // 2 else 0.0)
        elif over and not (self._under_way or self._screen.waits):
            if self._moved:
                self.save()
            self.close()
            self.done = True
        return size

    def save(self) -> None:
        """Keeps the place, unless something is under way; a cursor that cannot be saved stays behind."""
        if self._under_way or not self._moved:
            return
        state = {
            CONSOLE: self._console.at,
            SYSTEM: self._system.at,
            "screen": self._screen.as_dict(),
            "keys": self._keys,
        }
        temporary = self._directory / f".{CURSOR}.{os.getpid()}"
        self._save_at = time.monotonic() + SAVE_EVERY_S
        try:
            temporary.write_text(json.dumps(state))
            temporary.replace(self._directory / CURSOR)
            for reader, name in ((self._console, CONSOLE), (self._system, SYSTEM)):
                remove_before(str(self._directory), name, reader.at[0])
        except OSError as error:
            log.warning("writer=%s outbox cursor: %s", self._directory, error)
        else:
            self._moved = False

    def close(self) -> None:
        self._console.close()
        self._system.close()

    def _is_over(self, now: float) -> bool:
        """Whether nobody adds anything. To be asked before reading on, for the last words come before the lock goes."""
        self._look_at = now + LOOK_EVERY_S
        return not lock_is_held(self._directory / LOCK)

    # -- console

    def _read_console(self, now: float, *, over: bool) -> int:
        records = self._console.read(READ_BYTES)
        for record in records:
            if record.kind == OUTPUT:
                time_us, _ = OUTPUT_HEAD.unpack_from(record.body)
                stream = 1 if record.argument == _ASIDE else record.argument
                self._screen.write(stream, time_us, bytes(record.body[OUTPUT_HEAD.size :]))
            elif record.kind == NOTE:
                text = bytes(record.body[TIME.size :]).decode(errors="replace")
                self._screen.say(min(record.argument, 2), TIME.unpack_from(record.body)[0], text)
        taken = self._screen.take(now, everything=over and not records)
        batch: list[tuple[Line, str, str]] = []
        size = 0
        for line, text in taken:
            if batch and (line.number != batch[-1][0].number + 1 or size > MESSAGE_BYTES):
                self._send_lines(batch)
                batch, size = [], 0
            batch.append((line, text, styles := line.styles(text)))
            size += (len(text) if text.isascii() else 4 * len(text)) + len(styles) + LINE_BYTES
        if batch:
            self._send_lines(batch)
        if taken:
            self._moved = True
        return _size(records)

    def _send_lines(self, batch: list[tuple[Line, str, str]]) -> None:
        lines = [line for line, _, _ in batch]
        styles = [styles for _, _, styles in batch]
        self._send(
            "ConsoleLines",
            max(line.changed_us for line in lines),
            {
                "first_line": lines[0].number,
                "times_us": [line.time_us for line in lines],
                "changed_us": [line.changed_us for line in lines],
                "streams": [line.stream for line in lines],
                "texts": [text for _, text, _ in batch],
                "styles": styles if any(styles) else [],
            },
        )

    # -- samples

    def _read_system(self) -> int:
        records = self._system.read(READ_BYTES)
        times: list[int] = []
        values: list[float] = []
        for record in records:
            if record.kind == KEYS:
                self._send_samples(times, values)
                times, values = [], []
                self._keys = json.loads(bytes(record.body))
            elif record.kind == SAMPLE and len(record.body) == 8 + 8 * len(self._keys["keys"]):
                times.append(TIME.unpack_from(record.body)[0])
                values += struct.unpack_from(f"<{len(self._keys['keys'])}d", record.body, TIME.size)
        self._send_samples(times, values)
        return _size(records)

    def _send_samples(self, times: list[int], values: list[float]) -> None:
        if not times:
            return
        keys = self._keys["keys"]
        fields = {
            "node": self._keys["node"],
            "metrics": [metric for metric, _ in keys],
            "devices": [device for _, device in keys],
            "times_us": times,
            "values": values,
        }
        self._send("SystemFrame", times[-1], fields)

    def _send(self, kind: str, time_us: int, fields: dict[str, Any]) -> None:
        try:
            value = events.encode(kind, {**self._head(-1, time_us), **fields})
        except EventNotEncodable:
            log.exception("writer=%s %s cannot be sent", self._directory, kind)
            return
        self._under_way += 1
        self._publish("logs", value).add_done_callback(self._acknowledged)

    def _acknowledged(self, sent: Sent) -> None:
        if sent.cancelled():
            return  # the agent stops; what was under way is sent again
        error = sent.exception()
        if error is not None and not isinstance(error, MessageRefused):
            self.failure = error
        self._under_way -= 1


def _size(records: list[Record]) -> int:
    return sum(len(record.body) + 16 for record in records)


def _place(kept: dict[str, Any], name: str) -> tuple[int, int]:
    number, offset = kept.get(name, (0, 0))
    return int(number), int(offset)


def _load(directory: Path) -> dict[str, Any]:
    """The cursor; empty when there is none that can be read: sending all again makes the same rows."""
    try:
        kept = json.loads((directory / CURSOR).read_bytes())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}
