"""The oracle's own parts: what a journal says when its writer died at any moment."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from storm.expected import expected_runs, summaries
from storm.journal import Journal, Story, bits, read

RUN = "01890000-0000-7000-8000-000000000001"
KEYS = [["loss", "acc"], ["loss"]]


def story(path: Path, *lines: tuple[object, ...], attempt: int = 0, rank: int = 0) -> Story:
    journal = Journal(path)
    for line in lines:
        journal.put(*line)
    return read(path, RUN, rank, attempt)


def logged(step: int, *values: float, key_set: int = 0) -> list[tuple[object, ...]]:
    return [("log", step, key_set, list(values)), ("done",)]


def test_a_call_that_was_cut_off_counts_only_if_the_database_covers_its_row(tmp_path: Path) -> None:
    lines = [("writer", RUN, 0, 0, 5, KEYS), *logged(0, 1.0, 2.0), ("log", 1, 0, [3.0, 4.0])]
    for rows, n in ((1, 2), (2, 4)):
        found = expected_runs([story(tmp_path / f"{rows}", *lines)], {5: rows}, set())[RUN]
        assert (found.logged, len(found.visible)) == (n, n)
        assert found.states == {"killed"}


@pytest.mark.parametrize("kept", range(1, 30))
def test_a_line_that_was_cut_off_counts_as_not_written(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "journal"
    story(path, ("writer", RUN, 0, 0, 5, KEYS), *logged(0, 1.0, 2.0))
    whole = path.stat().st_size
    story(path, ("log", 1, 0, [math.nan, -0.0]))
    path.write_bytes(path.read_bytes()[: whole + kept])
    found = read(path, RUN, 0, 0).writers[0]
    assert [call.step for call in found.calls] == [0]
    assert found.maybe is None or found.maybe.values["acc"] == bits(-0.0)


def test_the_last_value_of_the_newest_attempt_is_visible_and_what_was_rewound_is_not(tmp_path: Path) -> None:
    first = story(
        tmp_path / "a",
        ("writer", RUN, 0, 0, 5, KEYS),
        *[line for step in range(6) for line in logged(step, 0.0, 0.0)],
        ("rewind", 3),
        ("writer", RUN, 0, 1, 6, KEYS),
        *logged(4, 1.0, key_set=1),
    )
    second = story(tmp_path / "b", ("writer", RUN, 0, 2, 7, KEYS), *logged(2, 2.0, key_set=1), attempt=2)
    found = expected_runs([second, first], {}, set())[RUN]
    assert sorted(step for metric, _, step in found.visible if metric == "loss") == [0, 1, 2, 3, 4]
    assert sorted(step for metric, _, step in found.visible if metric == "acc") == [0, 1, 2, 3]
    assert found.visible["loss", 0, 2] == bits(2.0)
    assert found.visible["loss", 0, 4] == bits(1.0)
    assert summaries(found)["loss"].as_row() == (5, 0, 0, 0.0, 2.0)
