"""rewind(), fork(), and a resume from a checkpoint: what is recorded, and where the counter goes on."""

from __future__ import annotations

import asyncio
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

import runstream
from producer.wire import MemoryObjects, MemoryTransport, settings
from runstream.agent import Agent
from runstream.identity import new_run_id, run_id_of
from runstream.spool import list_spools
from runstream.spool_reader import SpoolReader


def parts_of(run: runstream.Run, held: Any) -> list[tuple[int, Any]]:
    """Attempt and content of each writer of a run, by attempt."""
    found = []
    for directory in list_spools(run.settings.spool_dir):
        with SpoolReader(directory) as reader:
            header = reader.header
        if str(header.run_id) == run.id:
            found.append((header.attempt, held(directory)))
    return sorted(found, key=lambda part: part[0])


def kinds(held: Any) -> list[str]:
    return [event["type"] for event in held.events]


def test_a_rewind_closes_the_part_and_goes_on_as_the_next_attempt(held: Any) -> None:
    run = runstream.init(id="mine", config={"lr": 1})
    for _ in range(10):
        run.log({"a": 1})
    run.rewind(4)
    assert (run.attempt, run.step) == (1, 5)
    run.log({"a": 2})
    (first, before), (second, after) = parts_of(run, held)
    assert (first, second) == (0, 1)
    assert kinds(before) == ["RunStarted", "Params", "RunFinished"]
    end = before.of("RunFinished")[0]
    assert (end["state"], end["reason"], end["exit_code"], end["metric_seq"]) == ("finished", "rewound", 0, 10)
    assert before.closed
    assert kinds(after) == ["RunStarted", "RunRewound"]
    assert after.of("RunRewound")[0]["step"] == 4
    assert after.series("a") == [(5, 2)]
    assert [step for step, _ in before.series("a")] == list(range(10)), "nothing is destroyed"


def test_a_rewind_brings_back_no_tag_and_no_name_of_before(held: Any) -> None:
    run = runstream.init(name="first", tags=["draft", "kept"])
    run.tags.discard("draft")
    run.tags.add("new")
    run.name = "second"
    run.rewind(-1)
    (started,) = held(run).of("RunStarted")
    assert (started["tags"], started["name"]) == (["kept", "new"], "second")


def test_a_run_is_rewound_as_often_as_one_likes(held: Any) -> None:
    run = runstream.init()
    for attempt in range(5):
        run.log({"a": attempt, "b": attempt})
        runstream.rewind(-1)
        assert run.step == 0
    run.log({"a": 5, "b": 5})
    run.finish()
    parts = parts_of(run, held)
    assert [attempt for attempt, _ in parts] == list(range(6))
    assert all(part.rows == [(0, 0, {"a": attempt, "b": attempt})] for attempt, part in parts)
    assert all(part.closed for _, part in parts)


def test_a_rewind_of_no_use_changes_nothing(held: Any, caplog: pytest.LogCaptureFixture) -> None:
    run = runstream.init()
    run.log({"a": 1})
    run.rewind("back")  # type: ignore[arg-type]
    run.rewind(1.5)  # type: ignore[arg-type]
    assert (run.attempt, run.step) == (0, 1)
    assert caplog.text.count("nothing is rewound") == 2
    run.finish()
    run.rewind(0)
    assert "after the run was finished" in caplog.text
    assert run.attempt == 0
    runstream.finish()
    with pytest.raises(runstream.NoRunError):
        runstream.rewind(1)


def test_a_disabled_run_is_rewound_to_nothing(data_dir: Path) -> None:
    runstream.init(mode="disabled").rewind(3)
    assert not data_dir.exists()


def test_what_is_counted_and_awaited_includes_the_parts_before(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    run = runstream.init()
    for _ in range(3):
        run.log({"a": 1})
    run.rewind(0)
    run.log({"a": 1})
    run.finish()
    assert "is over: 4 rows" in caplog.text


def test_threads_that_log_beside_a_rewind_lose_nothing(held: Any) -> None:
    run = runstream.init()
    stop = threading.Event()
    logged = {"a": 0, "b": 0}

    def work(name: str) -> None:
        while not stop.is_set():
            run.log({name: logged[name]}, step=logged[name])
            logged[name] += 1

    threads = [threading.Thread(target=work, args=(name,)) for name in logged]
    for thread in threads:
        thread.start()
    for _ in range(5):
        before = dict(logged)
        run.rewind(100)
        while any(logged[name] == before[name] for name in logged):
            stop.wait(0.001)
    stop.set()
    for thread in threads:
        thread.join()
    run.finish()
    parts = parts_of(run, held)
    assert len(parts) == 6
    for name, count in logged.items():
        assert [value for _, part in parts for _, value in part.series(name)] == list(range(count))


def test_a_signal_handler_may_rewind_in_the_middle_of_a_log(python: Any, all_held: Any) -> None:
    done = python(
        """
        run = runstream.init()
        def handler(number, frame):
            run.rewind(5)
        signal.signal(signal.SIGALRM, handler)
        for i in range(30_000):
            if i % 3_000 == 0:
                signal.setitimer(signal.ITIMER_REAL, 0.002)
            run.log({"a": i}, step=i)
        while not run.attempt:
            run.log({"late": 1}, step=i)
        signal.setitimer(signal.ITIMER_REAL, 0)
        run.finish()
        print(run.attempt)
        """
    )
    assert done.returncode == 0, done.stderr
    parts = all_held()
    assert len(parts) == int(done.stdout) + 1 > 1
    assert sorted(value for part in parts for _, value in part.series("a")) == list(range(30_000))
    assert all(part.closed for part in parts)


def test_a_rewound_run_travels_to_other_processes(python: Any, all_held: Any) -> None:
    done = python(
        """
        import multiprocessing
        def work(run):
            run.log({"spawned": run.attempt})
        if __name__ == "__main__":
            run = runstream.init()
            run.log({"a": 0})
            run.rewind(7)
            worker = multiprocessing.get_context("spawn").Process(target=work, args=(run,))
            worker.start()
            worker.join()
            pid = os.fork()
            if pid == 0:
                run.log({"forked": run.attempt})
                sys.exit(0)
            os.waitpid(pid, 0)
            run.log({"a": 1})
            run.finish()
        """
    )
    assert done.returncode == 0, done.stderr
    parts = all_held()
    assert sorted(kinds(part).count("RunRewound") for part in parts) == [0, 0, 0, 1], "workers did not rewind"
    assert [part.series("spawned") for part in parts if part.series("spawned")] == [[(8, 1)]]
    assert [part.series("forked") for part in parts if part.series("forked")] == [[(8, 1)]]


def test_a_pickled_rewound_run_is_still_the_same_run() -> None:
    run = runstream.init()
    run.rewind(3)
    assert pickle.loads(pickle.dumps(run)) is run


async def test_a_rewind_reaches_the_topic_in_order(data_dir: Path) -> None:
    run = runstream.init(settings={"rank": 2})
    run.log({"a": 1})
    run.rewind(0)
    run.log({"a": 2})
    run.finish()
    transport = MemoryTransport()
    await Agent(data_dir, transport, MemoryObjects(), settings(data_dir), stay=False, leave_after_s=0).run(
        asyncio.Event()
    )
    control = sorted(transport.control(), key=lambda one: (one[1]["attempt"], one[1]["seq"]))
    assert [(kind, event["attempt"], event["rank"], event["seq"]) for kind, event in control] == [
        ("RunStarted", 0, 2, 0),
        ("RunFinished", 0, 2, 1),
        ("RunStarted", 1, 2, 0),
        ("RunRewound", 1, 2, 1),
        ("RunFinished", 1, 2, 2),
    ]


def test_a_rewind_on_a_full_disk_is_recorded_once_there_is_room(held: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = runstream.init(settings={"segment_bytes": 1 << 16})
    run.log({"a": 1})
    with monkeypatch.context() as full:

        def no_room(fd: int, size: int) -> None:
            raise OSError(28, "No space left on device")

        full.setattr("runstream.spool_writer.reserve", no_room)
        run.rewind(0)
        run.log({"a": 2})
        assert run._writer is not None
        run._writer._allocate = os.truncate  # type: ignore[assignment]
    run._writer._room.retry_now()
    run.log({"a": 3})
    (_, before), (_, after) = parts_of(run, held)
    assert before.closed
    assert kinds(after) == ["RunStarted", "RunRewound", "Attributes"]
    assert after.series("a") == [(2, 3)]


# -- resume from a checkpoint


def test_a_resume_from_a_checkpoint_begins_behind_it(held: Any) -> None:
    first = runstream.init(id="mine")
    for _ in range(100):
        first.log({"a": 1})
    first.finish()
    second = runstream.init(id="mine", resume="must", rewind_to=59)
    assert (second.attempt, second.step) == (1, 60)
    assert kinds(held(second)) == ["RunStarted", "RunRewound"]
    second.log({"a": 2})
    second.finish()
    third = runstream.init(id="mine")
    assert (third.attempt, third.step) == (2, 61), "the counter goes on where the rewound attempt ended"


def test_the_counter_after_a_killed_rewind_is_that_of_the_spool(python: Any, data_dir: Path) -> None:
    python(
        """
        run = runstream.init(id="mine")
        for i in range(100): run.log({"a": i})
        run.rewind(9)
        for i in range(3): run.log({"a": i})
        os.kill(os.getpid(), 9)
        """
    )
    run = runstream.init(id="mine")
    assert (run.attempt, run.step) == (2, 13)
    run.finish()
    (data_dir / "runs" / f"{run_id_of('default', 'mine')}.json").unlink()
    run = runstream.init(id="mine")
    assert (run.attempt, run.step) == (3, 13), "also without the note of the run"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rewind_to": 3}, "id="),
        ({"rewind_to": "x", "id": "mine"}, "whole number"),
        ({"rewind_to": 3, "id": "mine", "resume": "never"}, "nothing to rewind"),
        ({"fork_from": "x"}, "together"),
        ({"fork_step": 5}, "together"),
        ({"fork_from": "x", "fork_step": 1.5}, "whole number"),
        ({"fork_from": "mine", "fork_step": 1, "id": "mine"}, "from itself"),
        ({"fork_from": "x", "fork_step": 2**63}, "64 bits"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: dict[str, Any], words: str, data_dir: Path) -> None:
    with pytest.raises(runstream.SettingsError, match=words):
        runstream.init(**arguments)
    assert not data_dir.exists()


def test_a_checkpoint_without_a_known_run_is_resumed_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    run = runstream.init(id="mine", rewind_to=41)
    assert (run.attempt, run.step) == (1, 42)
    assert "RUNSTREAM_ATTEMPT" in caplog.text


# -- fork


def test_a_fork_says_where_it_comes_from_and_counts_on(held: Any) -> None:
    parent = runstream.init(project="p", id="parent")
    for _ in range(10):
        parent.log({"a": 1})
    child = runstream.fork("parent", 4, project="p", name="child", config={"lr": 2})
    assert child.id != parent.id
    assert (child.attempt, child.step, child.project) == (0, 5, "p")
    (started,) = held(child).of("RunStarted")
    assert (started["forked_from"], started["fork_step"], started["name"]) == (parent.id, 4, "child")
    assert runstream.run is child
    assert not parent.finished
    assert held(parent).of("RunStarted")[0]["forked_from"] == ""


def test_a_fork_stays_in_the_project_of_its_parent() -> None:
    parent = runstream.init(project="theirs")
    assert runstream.fork(parent.id, 0).project == "theirs"
    with pytest.raises(runstream.SettingsError, match="'theirs'"):
        runstream.fork(parent.id, 0, project="mine")


CONFIG = {
    "lr": 1e-3,
    "model": {"layers": 4, "name": "ü", "dropout": None, "deep": {"on": True}},
    "sizes": [1, 2.5],
    "limit": float("inf"),
    "empty": {},
}


def test_a_fork_has_a_copy_of_its_parents_config(held: Any) -> None:
    parent = runstream.init(config=CONFIG | {"gone": 1})
    parent.config.lr = 3e-4
    del parent.config["gone"]
    child = runstream.fork(parent.id, 4, config={"model": {"layers": 8}, "seed": 7})
    changed = {**CONFIG, "lr": 3e-4, "seed": 7, "model": {**CONFIG["model"], "layers": 8}}  # type: ignore[dict-item]
    assert child.config.as_dict() == changed
    recorded = {one["name"]: one for event in held(child).of("Params") for one in event["values"]}
    assert (recorded["model/layers"]["kind"], recorded["model/layers"]["text"]) == ("int", "8")
    assert (recorded["model/dropout"]["kind"], recorded["model/deep/on"]["kind"]) == ("null", "bool")
    parent.config.lr = 0.5
    assert child.config.lr == 3e-4
    assert runstream.fork(child.id, 5).config.as_dict() == changed


def test_a_fork_may_begin_without_its_parents_config() -> None:
    parent = runstream.init(config=CONFIG)
    assert runstream.fork(parent.id, 4, config={"seed": 7}, inherit_config=False).config.as_dict() == {"seed": 7}


def test_a_fork_that_goes_on_inherits_nothing_again() -> None:
    parent = runstream.init(config={"lr": 1})
    child = runstream.fork(parent.id, 4, id="child")
    del child.config["lr"]
    child.finish()
    assert runstream.fork(parent.id, 4, id="child").config.as_dict() == {}


def test_a_parent_that_nobody_here_knows_leaves_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert runstream.fork("01890a5d-ac96-774b-bcce-b302099a8057", 4, config={"a": 1}).config.as_dict() == {"a": 1}
    assert "config=" in caplog.text


def test_a_fork_that_goes_on_is_still_a_fork(held: Any) -> None:
    parent = runstream.init()
    first = runstream.fork(parent.id, 100, id="child")
    first.finish()
    second = runstream.fork(parent.id, 100, id="child")
    assert (second.id, second.attempt, second.step) == (first.id, 1, 101)


def test_workers_of_a_fork_know_it_too() -> None:
    parent = runstream.init()
    child = runstream.fork(parent.id, 7)
    _, (_, identity, step) = child.__reduce__()
    assert (identity.forked_from, identity.fork_step, step) == (parent.id, 7, 8)


def test_a_rewind_before_the_fork_says_what_stays(caplog: pytest.LogCaptureFixture) -> None:
    parent = runstream.init()
    child = runstream.fork(parent.id, 7)
    child.rewind(7)
    assert "before the fork" not in caplog.text
    child.rewind(3)
    assert "fork the parent at 3 instead" in caplog.text
    assert child.step == 4


def test_a_parent_that_nobody_can_be_asked_about_is_taken_on_trust(held: Any) -> None:
    parent = str(new_run_id())
    assert held(runstream.fork(parent, 3)).of("RunStarted")[0]["forked_from"] == parent
    run = runstream.fork(parent, 3, settings={"clickhouse": "http://127.0.0.1:9/x"})
    assert held(run).of("RunStarted")[0]["forked_from"] == parent


def test_a_disabled_fork_touches_nothing(data_dir: Path) -> None:
    assert runstream.fork("parent", 3, mode="disabled").mode == "disabled"
    assert not data_dir.exists()
