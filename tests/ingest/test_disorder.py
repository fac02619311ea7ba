from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_samples import frame, record

from runstream_ingest.disorder import StepOrder
from runstream_ingest.frames import Frame, FrameReader


class Logged:
    """A writer's calls of log(), as frames."""

    def __init__(self, logged: dict[bytes, int] | None = None) -> None:
        self.order, self.reader, self.seq = StepOrder(logged), FrameReader(), 0

    def log(self, steps: Sequence[int], metrics: str = "ab") -> set[tuple[int, int]]:
        """The ranges in disorder."""
        value = frame(rows=len(steps), metrics=sorted(metrics), first_seq=self.seq, steps=list(steps))
        self.seq += len(steps)
        return set(self.order.check(self.reader.read(value, record(value))).values())

    def check(self, read: Frame) -> dict[Any, tuple[int, int]]:
        return self.order.check(read)


def test_rising_steps_are_in_order() -> None:
    logged = Logged()
    assert not logged.log([-5, 0, 1])
    assert not logged.log([2])
    assert not logged.log([4, 9])


def test_a_step_logged_again_is_found_within_a_frame_and_across() -> None:
    assert Logged().log([1, 2, 2, 3]) == {(2, 2)}
    logged = Logged()
    logged.log([1, 2, 3])
    assert logged.log([3, 4]) == {(3, 3)}
    assert logged.log([2, 5, 6, 4]) == {(2, 4)}
    assert not logged.log([7])


def test_metrics_that_never_meet_have_orders_of_their_own() -> None:
    logged = Logged()
    logged.log([100], "a")
    assert not logged.log([100], "b")
    assert not logged.log([1, 2], "c")


def test_key_sets_that_share_a_metric_are_one_order() -> None:
    logged = Logged()
    logged.log([1, 3], "ab")
    assert logged.log([2], "bc") == {(2, 2)}
    assert not logged.log([4], "bc")
    assert logged.log([4], "ab") == {(4, 4)}


def test_a_key_set_can_join_two_others() -> None:
    logged = Logged()
    logged.log([5], "ab")
    logged.log([9], "cd")
    assert logged.log([7], "bc") == {(7, 7)}
    assert logged.log([8], "ab") == {(8, 8)}


def test_a_writer_met_before_goes_on_from_what_is_durable() -> None:
    assert Logged({b"a": 10, b"b": 4}).log([10], "ab") == {(10, 10)}
    assert not Logged({b"a": 10}).log([3], "bc")


def test_a_writer_with_very_many_key_sets_has_one_order() -> None:
    logged = Logged({b"z": 3})
    for i in range(300):
        logged.log([i + 4], chr(1000 + i))
    assert logged.log([5], "z")
    assert not logged.log([1000], chr(5000))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "ab", "bc", "cd", "abcd"]), st.lists(st.integers(-3, 12), min_size=1, max_size=4)
        ),
        max_size=12,
    )
)
def test_none_is_missed(calls: list[tuple[str, list[int]]]) -> None:
    logged, highest = Logged(), dict[str, int]()
    for metrics, steps in calls:
        wrong = set()
        for step in steps:
            wrong |= {step for metric in metrics if step <= highest.get(metric, -(10**9))}
            highest |= {metric: max(step, highest.get(metric, step)) for metric in metrics}
        found = logged.log(steps, metrics)
        assert all(any(lo <= step <= hi for lo, hi in found) for step in wrong)


@pytest.mark.parametrize("second", [[2, 4], [1, 4]])
def test_key_sets_that_alternate_within_a_frame_are_looked_at_in_the_order_of_their_rows(second: list[int]) -> None:
    logged = Logged()
    first = frame(rows=2, metrics=["a", "b"], first_seq=0, steps=[1, 3])
    other = frame(rows=2, metrics=["b", "c"], first_seq=0, steps=second)
    one, two = (logged.reader.read(value, record(value)) for value in (first, other))
    blocks = (placed(one, [0, 2]), placed(two, [1, 3]))
    together = Frame(one.record, one.origin, 0, 4, blocks)
    assert bool(logged.check(together)) == (second[0] == 1)


def placed(read: Frame, at: list[int]) -> Any:
    import dataclasses

    import numpy as np

    return dataclasses.replace(read.blocks[0], at=np.array(at))
