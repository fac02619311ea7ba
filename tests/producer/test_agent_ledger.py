from __future__ import annotations

from runstream.agent.ledger import COMPACT_EVERY, Entry, Ledger
from runstream.frames import Frame
from runstream.spool import Position


def frame(first_seq: int, rows: int = 1, metrics: tuple[str, ...] = ("loss",)) -> Frame:
    end = Position(1, 100 * (first_seq + rows), first_seq + rows, 0)
    not_finite = {"loss": (1, 0)} if first_seq == 0 else {}
    return Frame(b"", first_seq, rows, rows * len(metrics), {metrics: (rows, not_finite)}, end)


def test_the_place_moves_only_over_what_is_acknowledged() -> None:
    ledger = Ledger(Position(), {})
    entries = [ledger.add_frame(frame(seq)) for seq in range(3)]
    ledger.done(entries[1])
    assert ledger.position == Position()
    ledger.done(entries[0])
    assert ledger.position.row_seq == 2
    assert ledger.counts == {"loss": (2, 1, 0)}
    ledger.done(entries[2])
    assert (ledger.position.row_seq, bool(ledger)) == (3, False)


def test_what_passes_a_waiting_event_is_folded_together() -> None:
    ledger = Ledger(Position(), {"loss": (5, 0, 0)})
    waiting = ledger.add_event(Position(1, 1, 0, 1))
    for seq in range(10 * COMPACT_EVERY):
        ledger.done(ledger.add_frame(frame(seq, metrics=("loss",) if seq % 2 else ("acc",))))
    assert len(ledger) <= COMPACT_EVERY + 2
    assert ledger.position == Position()
    ledger.done(waiting)
    assert ledger.position.row_seq == 10 * COMPACT_EVERY
    assert ledger.counts["acc"] == (5 * COMPACT_EVERY, 0, 0)
    assert ledger.counts["loss"][0] == 5 + 5 * COMPACT_EVERY


def test_folding_spares_what_is_not_acknowledged() -> None:
    ledger = Ledger(Position(), {})
    entries: list[Entry] = [ledger.add_frame(frame(seq)) for seq in range(3 * COMPACT_EVERY)]
    for entry in entries[1::2]:
        ledger.done(entry)
    more = [ledger.add_frame(frame(seq)) for seq in range(3 * COMPACT_EVERY, 4 * COMPACT_EVERY)]
    for entry in entries[::2] + more:
        ledger.done(entry)
    assert (ledger.position.row_seq, bool(ledger)) == (4 * COMPACT_EVERY, False)


def test_an_idle_ledger_follows_the_reader() -> None:
    ledger = Ledger(Position(), {})
    ledger.read_up_to(Position(2, 50, 3, 1))
    assert ledger.position == Position(2, 50, 3, 1)
    entry = ledger.add_event(Position(2, 60, 3, 2))
    ledger.read_up_to(Position(2, 70, 3, 2))
    assert ledger.position == Position(2, 50, 3, 1)
    ledger.done(entry)
    assert ledger.position == Position(2, 60, 3, 2)
