"""Dead letters: what could not be read, where it lies, and what has been done about it."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

REPLAYED, DROPPED = "replayed", "dropped"
FACTS = "runstream_"
AT_ONCE = 200
AT_ONCE_BYTES = 32 << 20
REPLAY_HEADER = "replay"
"""Set on a message that was sent again; its value says which letter it was."""


@dataclasses.dataclass(frozen=True, slots=True)
class Letter:
    """One message that could not be read. `topic`, `partition` and `offset` are where it was first."""

    topic: str
    partition: int
    offset: int
    reason: str
    error: str
    ts_ms: int
    """The broker's time of the original message."""
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    """Its own, without those that say why it is here."""
    kept_at: str
    """Where its bytes are now: `topic/partition@offset`, or a file."""
    release: str = ""
    """Of the worker that could not read it."""
    shortened_from: int = 0
    """How many bytes it had when the dead-letter topic did not take all; 0: it is whole."""
    status: str = ""
    """`replayed`, `dropped`, or empty while nobody dealt with it."""

    @property
    def id(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"

    @property
    def bytes(self) -> int:
        return self.shortened_from or len(self.value)


@dataclasses.dataclass(frozen=True, slots=True)
class Selection:
    """Which letters a command means; an empty field means all."""

    ids: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    offsets: tuple[int, int] | None = None
    """First and last original offset, both included."""
    since_ms: int | None = None
    until_ms: int | None = None
    handled: bool = False
    """Also those that were replayed or dropped."""

    def holds(self, letter: Letter) -> bool:
        return (
            (self.handled or not letter.status)
            and (not self.ids or letter.id in self.ids)
            and (not self.reasons or letter.reason in self.reasons)
            and (not self.topics or letter.topic in self.topics)
            and (self.offsets is None or self.offsets[0] <= letter.offset <= self.offsets[1])
            and (self.since_ms is None or letter.ts_ms >= self.since_ms)
            and (self.until_ms is None or letter.ts_ms <= self.until_ms)
        )


class LetterBox(Protocol):
    """Where letters are kept, and the way back for them."""

    def letters(self) -> AsyncIterator[Letter]:
        """All that are kept, one at a time; the same one twice when a worker died between keeping it and going on."""

    async def send_again(self, letters: Iterable[Letter]) -> dict[str, str]:
        """Brings them back to where they were read first; empty, or why one could not be, by id."""

    def remove(self, letter: Letter) -> None:
        """Frees its bytes where that is possible."""


async def chosen(box: LetterBox, selection: Selection, handled: dict[str, str]) -> AsyncIterator[Letter]:
    """The letters that `selection` means, each once. `handled` has the status of those that were dealt with, by id."""
    seen: set[str] = set()
    async for letter in box.letters():
        if letter.id in seen:
            continue
        seen.add(letter.id)
        marked = dataclasses.replace(letter, status=handled.get(letter.id, ""))
        if selection.holds(marked):
            yield marked


def not_waiting(selection: Selection, found: Iterable[str]) -> dict[str, str]:
    """Of the letters that `selection` names, why those that are not `found` are not."""
    missing = selection.ids.difference(found)
    return dict.fromkeys(sorted(missing), "no such letter waits; `runstream dlq ls --all` lists them")


def handled(client: Client) -> dict[str, str]:
    """The status of each letter that was dealt with, by id."""
    rows = client.query(
        "SELECT topic, partition, offset, status FROM dead_letters FINAL WHERE status != ''"
    ).result_rows
    return {f"{topic}:{partition}:{offset}": str(status) for topic, partition, offset, status in rows}


def mark(client: Client, letters: Iterable[Letter], status: str, actor: str) -> None:
    """Notes in the index that `actor` dealt with `letters`."""
    now_us = time.time_ns() // 1000
    rows: list[list[Any]] = [
        [
            one.topic,
            one.partition,
            one.offset,
            one.reason,
            one.error,
            one.bytes,
            one.ts_ms * 1000,
            status,
            now_us,
            actor,
        ]
        for one in letters
    ]
    if rows:
        client.insert(
            "dead_letters",
            rows,
            column_names=[
                "topic", "partition", "offset", "reason", "error", "bytes", "ts_us", "status", "handled_us", "actor",
            ],
        )  # fmt: skip


async def sent_again(
    box: LetterBox, client: Client, selection: Selection, *, dry_run: bool = False
) -> tuple[Counter[str], dict[str, str]]:
    """Sends the letters that `selection` means and marks them: how many of each reason, and why others were not, by id.

    An interrupted call has marked all but the last AT_ONCE of those it sent; to send them twice does no harm.
    """
    from runstream.identity import actor

    count: Counter[str] = Counter()
    failed: dict[str, str] = {}
    held: list[Letter] = []
    met: set[str] = set()

    async def send() -> None:
        problems = await box.send_again(held)
        failed.update(problems)
        done = [letter for letter in held if letter.id not in problems]
        mark(client, done, REPLAYED, actor())
        for letter in done:
            box.remove(letter)
        count.update(letter.reason for letter in done)
        held.clear()

    async for letter in chosen(box, selection, handled(client)):
        if selection.ids:
            met.add(letter.id)
        if letter.shortened_from:
            failed[letter.id] = f"only {len(letter.value):,} of its {letter.shortened_from:,} bytes were kept"
        elif dry_run:
            count[letter.reason] += 1
        else:
            held.append(letter)
            if len(held) >= AT_ONCE or sum(one.bytes for one in held) >= AT_ONCE_BYTES:
                await send()
    if held:
        await send()
    return count, failed | not_waiting(selection, met)
