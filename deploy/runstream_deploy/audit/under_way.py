"""Rows that are not in the database, and are no gap: they wait in a spool, or Kafka has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from runstream_ingest import stretches
from runstream_ingest.stretches import Stretches
from runstream_storage.execution import statement

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

AT_ONCE = 5_000


class Stream(NamedTuple):
    """The sequence of one writer: of its rows (`metrics`) or of its events (`control`)."""

    project: str
    run_id: str
    writer: int
    name: str


class UnderWay:
    """Stretches of sequence numbers by stream."""

    def __init__(self) -> None:
        self._held: dict[Stream, Stretches] = {}
        self._uncovered: dict[Stream, Stretches] = {}

    def add(self, stream: Stream, start: int, end: int) -> None:
        """`start` to `end` - 1 wait."""
        stretches.add(self._held.setdefault(stream, []), start, end)

    def add_uncovered(self, stream: Stream, start: int, end: int) -> None:
        """`start` to `end` - 1 are of a message that ingest committed, and the database does not know them: a problem
        of its own, with another remedy than a gap."""
        stretches.add(self._uncovered.setdefault(stream, []), start, end)

    def without(self, stream: Stream, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The pieces of `start` to `end` - 1 that neither wait nor are in Kafka, each as start and end."""
        for piece in stretches.missing(self._held.get(stream, []), start, end):
            yield from stretches.missing(self._uncovered.get(stream, []), *piece)

    def __iter__(self) -> Iterator[tuple[Stream, Stretches]]:
        """What waits."""
        return iter(self._held.items())


def covered(client: Client, streams: Iterable[Stream]) -> Mapping[Stream, Stretches]:
    """What the database says is durable of the writers of `streams`."""
    found: dict[Stream, Stretches] = {}
    writers = sorted({(one.project, one.run_id, one.writer) for one in streams})
    for at in range(0, len(writers), AT_ONCE):
        part = [(project, UUID(run_id), writer) for project, run_id, writer in writers[at : at + AT_ONCE]]
        for project, run_id, writer, name, start, end in client.query(
            statement("audit_covered"), parameters={"writers": part}
        ).result_rows:
            stretches.add(found.setdefault(Stream(project, run_id, writer, name), []), start, end)
    return found
