"""log(): what is kept, under which step, and what becomes of everything that is not a number."""

from __future__ import annotations

import collections
import decimal
import fractions
import json
import logging
import math
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runstream


def test_the_counter_goes_up_with_every_call(held: Any) -> None:
    run = runstream.init()
    for loss in (0.5, 0.25, 0.125):
        run.log({"loss": loss})
    assert held(run).series("loss") == [(0, 0.5), (1, 0.25), (2, 0.125)]
    assert run.step == 3


def test_an_explicit_step_sets_the_counter_and_stays(held: Any) -> None:
    run = runstream.init()
    run.log({"a": 1}, step=10)
    run.log({"b": 2})
    run.log({"a": 3})
    run.log({"a": 4}, step=5)
    run.log({"a": 5}, step=7, commit=True)
    run.log({"a": 6})
    assert held(run).series("a") == [(10, 1), (11, 3), (5, 4), (7, 5), (8, 6)]
    assert held(run).series("b") == [(10, 2)]


def test_commit_false_stays_at_the_step(held: Any) -> None:
    run = runstream.init()
    run.log({"a": 1}, commit=False)
    run.log({"b": 2}, commit=False)
    run.log({"c": 3})
    run.log({"a": 4})
    assert [(step, sorted(values)) for _, step, values in held(run).rows] == [
        (0, ["a"]),
        (0, ["b"]),
        (0, ["c"]),
        (1, ["a"]),
    ]


def test_every_row_is_on_disk_when_the_call_returns(held: Any) -> None:
    run = runstream.init()
    for step in range(20):
        run.log({"a": step}, commit=step % 3 == 0)
        assert len(held(run).rows) == step + 1


def test_nested_mappings_are_named_with_slashes(held: Any) -> None:
    run = runstream.init()
    run.log({"train": {"loss": 1, "acc": {"top1": 0.5}}, "lr": 0.1, "empty": {}})
    assert held(run).rows == [(0, 0, {"train/loss": 1, "train/acc/top1": 0.5, "lr": 0.1})]


def test_two_spellings_of_one_name_are_one_metric_and_the_last_value_wins(held: Any) -> None:
    run = runstream.init()
    run.log({"a": {"b": 1}, "a/b": 2, 3: 3, "3": 4})
    assert held(run).rows == [(0, 0, {"a/b": 2, "3": 4})]


class Scalar:
    """As a torch tensor of no dimensions: a number through __float__ alone."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __float__(self) -> float:
        return self.value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, 1.0),
        (False, 0.0),
        (2**53 + 1, float(2**53)),
        (2**62, float(2**62)),
        (2**70, float(2**70)),
        (-(2**70), -float(2**70)),
        (decimal.Decimal("0.1"), 0.1),
        (fractions.Fraction(1, 4), 0.25),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.int64(-3), -3.0),
        (np.uint8(200), 200.0),
        (np.bool_(True), 1.0),
        (np.array(1.5), 1.5),
        (Scalar(0.75), 0.75),
        (5e-324, 5e-324),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
    ],
)
def test_numbers_of_every_kind_are_kept(held: Any, value: Any, expected: float) -> None:
    run = runstream.init()
    for _ in range(2):  # once as new names, once on the fast path
        run.log({"x": value})
    assert held(run).series("x") == [(0, expected), (1, expected)]
    assert run.refused == 0


def test_an_array_of_one_element_counts_as_a_number(held: Any) -> None:
    run = runstream.init()
    run.log({"x": np.array([[2.5]])})
    assert held(run).series("x") == [(0, 2.5)]


def test_nan_and_minus_zero_survive_bit_for_bit(held: Any) -> None:
    (odd_nan,) = struct.unpack("<d", b"\x01\x00\x00\x00\x00\x00\xf8\x7f")
    run = runstream.init()
    run.log({"nan": odd_nan, "zero": -0.0})
    (_, _, values) = held(run).rows[0]
    assert struct.pack("<d", values["nan"]) == b"\x01\x00\x00\x00\x00\x00\xf8\x7f"
    assert math.copysign(1, values["zero"]) == -1


@pytest.mark.parametrize(
    "value",
    [
        b"1",
        None,
        [1.0],
        (1,),
        {1},
        object(),
        1j,
        10**400,
        np.array([1.0, 2.0]),
        np.array("x"),
        ValueError,
    ],
    ids=repr,
)
def test_what_is_not_a_number_is_refused_once_without_losing_the_rest(
    held: Any, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    run = runstream.init()
    for _ in range(3):
        run.log({"loss": 0.5, "odd": value})
    assert held(run).series("loss") == [(0, 0.5), (1, 0.5), (2, 0.5)]
    assert held(run).series("odd") == []
    assert run.refused == 3
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "'odd' is left out" in warnings[0]


class Hostile:
    def __float__(self) -> float:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


def test_an_object_that_fails_when_read_costs_only_itself(held: Any) -> None:
    run = runstream.init()
    run.log({"a": 1, "b": Hostile()})
    assert held(run).rows == [(0, 0, {"a": 1})]


@pytest.mark.parametrize("name", ["ünïcode/損失/📉", "with\0nul", "a b\tc\n", "/", "x" * 1024, '"quoted\\"'])
def test_any_name_that_utf8_can_hold_is_kept(held: Any, name: str) -> None:
    run = runstream.init()
    run.log({name: 1})
    run.log({name: 2})
    assert held(run).series(name) == [(0, 1), (1, 2)]


def test_a_lone_surrogate_in_a_name_is_replaced(held: Any) -> None:
    run = runstream.init()
    run.log({"a\ud800b": 1})
    assert held(run).rows == [(0, 0, {"a?b": 1})]


@pytest.mark.parametrize("name", ["", "x" * 1025, "é" * 513])
def test_a_name_of_no_use_is_refused(held: Any, name: str, caplog: pytest.LogCaptureFixture) -> None:
    run = runstream.init()
    run.log({name: 1, "loss": 2})
    assert held(run).rows == [(0, 0, {"loss": 2})]
    assert run.refused == 1
    assert "name" in caplog.text


def test_names_beyond_the_limit_are_refused_and_the_known_go_on(held: Any, caplog: pytest.LogCaptureFixture) -> None:
    run = runstream.init(settings={"max_metrics": 10})
    for i in range(20):
        run.log({f"loss_{i}": i, "loss": i})
    rows = held(run).rows
    assert len({name for _, _, values in rows for name in values}) == 10
    assert held(run).series("loss") == [(i, i) for i in range(20)]
    assert run.refused == 11
    assert caplog.text.count("RUNSTREAM_MAX_METRICS") == 1


def test_fifty_thousand_metrics_in_one_call_become_rows_that_fit_a_message(held: Any) -> None:
    run = runstream.init()
    data = {f"layer/{i}/grad_norm": float(i) for i in range(50_000)}
    run.log(data)
    run.log({"one more": 1.0})
    rows = held(run).rows
    merged = {name: value for _, _, values in rows for name, value in values.items()}
    assert merged == data
    assert {step for _, step, _ in rows} == {0}
    assert max(len(values) for _, _, values in rows) <= 4096
    assert max(sum(len(name) for name in values) for _, _, values in rows) <= 256 * 1024
    assert run.refused == 1


def test_an_empty_dict_moves_the_counter_and_writes_nothing(held: Any) -> None:
    run = runstream.init()
    run.log({})
    run.log({"a": 1})
    assert held(run).rows == [(0, 1, {"a": 1})]


@pytest.mark.parametrize("data", [None, 3.0, "loss", ["loss"], [("loss", 1)], np.zeros(3)])
def test_what_is_no_dict_is_refused(held: Any, data: Any, caplog: pytest.LogCaptureFixture) -> None:
    run = runstream.init()
    run.log({"loss": 1})
    run.log(data)
    run.log({"loss": 2})
    assert held(run).series("loss") == [(0, 1), (2, 2)]
    assert "takes a dict" in caplog.text


def test_other_mappings_are_as_good_as_a_dict(held: Any) -> None:
    run = runstream.init()
    run.log(collections.OrderedDict(a=1))
    run.log(collections.ChainMap({"a": 2}))
    assert held(run).series("a") == [(0, 1), (1, 2)]


def test_a_mapping_nested_in_itself_ends(held: Any) -> None:
    run = runstream.init()
    data: dict[str, Any] = {"a": 1}
    data["self"] = data
    run.log(data)
    assert run.refused == 1
    assert len(held(run).rows[0][2]) > 1


@pytest.mark.parametrize(
    ("step", "used"),
    [
        (0, 0),
        (-5, -5),
        (2**62, 2**62),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (np.int32(7), 7),
        (np.uint8(255), 255),
        (8.0, 8),
        (np.float64(9.0), 9),
        (True, 1),
    ],
)
def test_whole_numbers_of_any_type_are_steps(held: Any, step: Any, used: int, caplog: pytest.LogCaptureFixture) -> None:
    run = runstream.init()
    run.log({"a": 1}, step=step)
    assert held(run).series("a") == [(used, 1)]
    assert type(run.step) is int
    assert caplog.text == ""


@pytest.mark.parametrize("step", [1.5, "3", math.nan, math.inf, [1], object(), np.array([1, 2])], ids=repr)
def test_a_step_of_no_use_keeps_the_row_at_the_counter(held: Any, step: Any, caplog: pytest.LogCaptureFixture) -> None:
    run = runstream.init()
    run.log({"a": 1}, step=4)
    run.log({"a": 2}, step=step)
    run.log({"a": 3}, step=step)
    assert held(run).series("a") == [(4, 1), (4, 2), (4, 3)]
    assert caplog.text.count("not a whole number") == 1


@pytest.mark.parametrize("step", [2**63, 2**200, -(2**63) - 1])
def test_a_step_beyond_64_bits_is_clipped(held: Any, step: int, caplog: pytest.LogCaptureFixture) -> None:
    run = runstream.init()
    run.log({"a": 1}, step=step)
    run.log({"a": 2}, commit=True)
    run.log({"a": 3})
    steps = [at for at, _ in held(run).series("a")]
    assert steps[0] == max(-(2**63), min(step, 2**63 - 1))
    assert all(-(2**63) <= at < 2**63 for at in steps)
    assert "64 bits" in caplog.text


def test_threads_share_a_run_and_lose_nothing(held: Any) -> None:
    run = runstream.init()
    each, threads = 2000, 8

    def work(number: int) -> None:
        for i in range(each):
            run.log({f"thread/{number}": i})

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    read = held(run)
    for number in range(threads):
        assert [value for _, value in read.series(f"thread/{number}")] == list(range(each))
    assert sorted(step for _, step, _ in read.rows) == list(range(each * threads))
    assert [seq for seq, _, _ in read.rows] == list(range(each * threads))
    assert read.times_us == sorted(set(read.times_us))


def test_many_key_sets_do_not_pile_up_in_memory(held: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runstream.rows.MAX_KEY_SETS", 50)
    run = runstream.init()
    for i in range(400):
        run.log({f"a{i % 100}": i, f"b{i % 90}": i})
    assert len(run._known) <= 51
    assert sum(len(values) for _, _, values in held(run).rows) == 800


def test_two_runs_of_one_process_keep_apart(held: Any) -> None:
    first, second = runstream.init(project="a"), runstream.init(project="b")
    first.log({"x": 1})
    second.log({"x": 2})
    runstream.log({"x": 3})
    assert held(first).series("x") == [(0, 1)]
    assert held(second).series("x") == [(0, 2), (1, 3)]
    first.finish()


def test_after_finish_a_call_is_left_out_with_one_warning(held: Any, caplog: pytest.LogCaptureFixture) -> None:
    run = runstream.init()
    run.log({"a": 1})
    directory = run.spool
    run.finish()
    run.log({"a": 2})
    run.log({"a": 3})
    run.config.x = 1
    assert held(directory).series("a") == [(0, 1)]
    assert caplog.text.count("after the run was finished") == 1


# -- no room


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A disk with `disk["free"]` bytes for new segments."""
    import os

    state = {"free": 1 << 40}

    def allocate(fd: int, size: int) -> None:
        if size > state["free"]:
            raise OSError(28, "No space left on device")
        state["free"] -= size
        os.truncate(fd, size)

    monkeypatch.setattr("runstream.spool_writer.reserve", allocate)
    return state


def no_waiting(run: runstream.Run) -> None:
    assert run._writer is not None
    run._writer._room.retry_now()


def test_a_full_disk_drops_counts_and_recovers(
    held: Any, disk: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    run = runstream.init(settings={"segment_bytes": 1 << 16})
    disk["free"] = 0
    for i in range(5000):
        run.log({"a": i})
    lost = run.dropped
    assert lost > 0
    assert caplog.text.count("no room") == 1
    run.config.late = 1
    disk["free"] = 1 << 40
    no_waiting(run)
    run.log({"a": -1})
    assert run.dropped == lost
    read = held(run)
    assert len(read.rows) == 5001 - lost
    assert read.rows[-1][1:] == (5000, {"a": -1})
    kept = 5000 - lost
    assert [seq for seq, _, _ in read.rows] == [*range(kept), 5000], "what was dropped leaves a gap"
    (gap,) = [event["values"] for event in read.of("Attributes")]
    ((name, why),) = gap.items()
    assert name == f"gap:{run.spool.name}:{kept}"
    assert json.loads(why) == {"end": 5000, "reason": "No space left on device"}
    assert read.of("Params")[0]["values"][0]["name"] == "late"
    assert read.damaged == []


def test_a_disk_full_from_the_start_still_gives_a_run_that_recovers(
    held: Any, disk: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    disk["free"] = 0
    run = runstream.init(config={"lr": 1})
    run.log({"a": 1})
    assert run.dropped == 1
    disk["free"] = 1 << 40
    no_waiting(run)
    run.log({"a": 2})
    read = held(run)
    assert [event["type"] for event in read.events] == ["RunStarted", "Params", "Attributes"]
    assert read.series("a") == [(1, 2)]
    assert [seq for seq, _, _ in read.rows] == [1]
    assert "training goes on" in caplog.text


def test_finishing_on_a_full_disk_says_what_is_lost(
    held: Any, disk: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    run = runstream.init(settings={"segment_bytes": 1 << 16})
    disk["free"] = 0
    for i in range(3000):
        run.log({"a": i})
    directory, lost = run.spool, run.dropped
    run.finish()
    assert f"{lost:,} rows or events are lost" in caplog.text
    read = held(directory)
    assert len(read.rows) == 3000 - lost
    assert read.events[-1]["type"] == "RunFinished"
    assert read.events[-1]["metric_seq"] == 3000, "so that the rows at the end are known to be missing"
    assert [event["type"] for event in read.events] == ["RunStarted", "Attributes", "RunFinished"]
    assert read.closed


def test_a_directory_that_cannot_be_made_never_stops_a_run(data_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    data_dir.write_text("a file where the directory should be")
    run = runstream.init()
    for i in range(10):
        run.log({"a": i})
    run.log_artifact(__file__)
    run.summary["best"] = 1
    run.finish()
    assert run.dropped > 0
    assert "training goes on" in caplog.text


def test_a_removed_directory_is_noticed_and_made_anew(
    held: Any, data_dir: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setattr("runstream.spool_writer.CHECK_EVERY_US", 0)
    run = runstream.init()
    run.log({"a": 1})
    run.log({"a": 2})
    shutil.rmtree(data_dir)
    run.log({"a": 3})
    assert run.dropped == 2
    read = held(run)
    assert [(seq, values) for seq, _, values in read.rows] == [(2, {"a": 3})]
    assert "removed" in caplog.text


def test_running_out_of_memory_is_counted(
    held: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = runstream.init()
    run.log({"a": 1})

    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("runstream.spool_writer.crc32", fail)
        run.log({"a": 2})
    run.log({"a": 3})
    assert held(run).series("a") == [(0, 1), (2, 3)]
    assert run.dropped == 1
    assert "MemoryError" in caplog.text


def test_disabled_leaves_no_trace(data_dir: Path, tmp_path: Path) -> None:
    run = runstream.init(mode="disabled", config={"lr": 1})
    run.log({"a": 1, "b": "x"})
    run.config.x = 1
    run.summary["y"] = 2
    run.tags.add("t")
    run.name = "other"
    run.define_metric("a", summary="min")
    assert run.log_artifact(__file__) is None
    run.finish()
    assert (run.config.lr, run.config.x, run.name) == (1, 1, "other")
    assert list(tmp_path.iterdir()) == []


Reader = Callable[[], list[Any]]


def test_a_signal_handler_may_log_in_the_middle_of_a_log(held: Any) -> None:
    run = runstream.init()

    class Interrupting:
        """Its __float__ runs in the middle of log(), as a signal handler would."""

        def __float__(self) -> float:
            run.log({"from handler": 1})
            run.summary["signalled"] = True
            return 2.0

    run.log({"a": Interrupting()})
    run.log({"a": 3})
    read = held(run)
    assert [value for _, value in read.series("a")] == [2.0, 3]
    assert [value for _, value in read.series("from handler")] == [1]
    assert read.of("Summary")[0]["values"][0]["name"] == "signalled"
