"""Which attempt a start is, from what this host and the database know."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstream
from runstream.identity import new_run_id, run_id_of
from runstream.spool import delete_spool


def test_a_run_that_goes_on_is_the_next_attempt_and_counts_on(held: Any) -> None:
    first = runstream.init(project="p", id="mine")
    first.log({"a": 1}, step=41, commit=True)
    first.finish()
    second = runstream.init(project="p", id="mine")
    second.log({"a": 2})
    assert (first.attempt, second.attempt) == (0, 1)
    assert held(second).series("a") == [(42, 2)]
    assert held(second).of("RunStarted")[0]["external_id"] == "mine"


def test_what_was_sent_and_removed_is_still_known(data_dir: Path) -> None:
    first = runstream.init(id="mine")
    directory = first.spool
    first.log({"a": 1})
    first.finish()
    assert directory is not None
    delete_spool(directory)
    assert runstream.init(id="mine", resume="must").attempt == 1


def test_a_killed_run_is_known_by_its_spool(python: Any, data_dir: Path) -> None:
    python("runstream.init(id='mine').log({'a': 1})\nos.kill(os.getpid(), 9)")
    (data_dir / "runs" / f"{run_id_of('default', 'mine')}.json").unlink()
    assert runstream.init(id="mine").attempt == 1


def test_runs_without_an_id_are_always_new(data_dir: Path) -> None:
    assert {runstream.init().attempt for _ in range(2)} == {0}
    assert not (data_dir / "runs").exists()


@pytest.fixture
def living_rank(data_dir: Path) -> Iterator[None]:
    """Another process that writes the run `mine` at this moment."""
    program = (
        "import sys, runstream; runstream.init(id='mine').log({'a': 1}); print('there', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ)
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    yield
    process.stdin.close()
    process.wait(30)
    process.stdout.close()


@pytest.mark.usefixtures("living_rank")
def test_a_rank_joins_the_attempt_that_is_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    run = runstream.init(id="mine")
    assert (run.attempt, run.rank) == (0, 1)
    assert runstream.init(id="mine", resume="never").attempt == 0


def test_never_refuses_a_run_that_is_there(data_dir: Path) -> None:
    runstream.init(id="mine", resume="never").finish()
    with pytest.raises(runstream.RunExistsError, match="resume='never'"):
        runstream.init(id="mine", resume="never")
    assert runstream.init(id="mine", resume="allow").attempt == 1


def test_must_goes_on_with_a_warning_where_nobody_can_be_asked(caplog: pytest.LogCaptureFixture) -> None:
    run = runstream.init(id="mine", resume="must")
    assert run.attempt == 1
    assert "no database is configured" in caplog.text


def test_a_database_that_does_not_answer_delays_and_does_not_stop_a_start(caplog: pytest.LogCaptureFixture) -> None:
    run = runstream.init(id="mine", settings={"clickhouse": "http://127.0.0.1:9/x"})
    assert run.attempt == 0
    assert "could not be looked up" in caplog.text


def test_the_attempt_can_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTREAM_ATTEMPT", "7")
    assert runstream.init(id="mine").attempt == 7


@pytest.mark.clickhouse
def test_the_database_knows_what_other_hosts_wrote(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from runstream_storage.connection import connect

    with pytest.raises(runstream.RunNotFoundError, match="resume='must'"):
        runstream.init(project="p", id="mine", resume="must", settings={"clickhouse": database})
    run_id = run_id_of("p", "mine")
    client = connect(database)
    client.command(
        "INSERT INTO runs (project, run_id, external_id, created_us, name, ver, keep) "
        f"VALUES ('p', '{run_id}', 'mine', 1700000000000000, 'n', 1, 1)"
    )
    client.command(
        "INSERT INTO liveness (project, run_id, writer, attempt, last_us, metric_seq, terminal) "
        f"VALUES ('p', '{run_id}', 5, 3, 1700000000000000, 1, (7, 'killed', 1, '', 1))"
    )
    client.command(
        "INSERT INTO metric_summary (project, metric, run_id, rank, writer, min, max, first, last, first_us, last_us) "
        f"VALUES ('p', 'a', '{run_id}', 0, 5, 1, 1, (0, 1, 1), (3, 99, 1, 1), 1, 2)"
    )
    client.close()
    run = runstream.init(project="p", id="mine", resume="must", settings={"clickhouse": database})
    assert (run.attempt, run.step) == (4, 100)
    with pytest.raises(runstream.RunExistsError):
        runstream.init(project="p", id="mine", resume="never", settings={"clickhouse": database})


def known_in(database: str, run_id: object, project: str, *, attempt: int = 0, state: str = "killed") -> None:
    """A run of another host."""
    from runstream_storage.connection import connect

    client = connect(database)
    client.command(
        "INSERT INTO runs (project, run_id, external_id, created_us, name, ver, keep) "
        f"VALUES ('{project}', '{run_id}', 'mine', 1700000000000000, 'n', 1, 1)"
    )
    ended = f"(7, '{state}', 1, '', 1)" if state else "(0, '', 0, '', -1)"
    client.command(
        "INSERT INTO liveness (project, run_id, writer, attempt, last_us, metric_seq, terminal) "
        f"VALUES ('{project}', '{run_id}', 5, {attempt}, toUnixTimestamp64Micro(now64(6)), 1, {ended})"
    )
    client.close()


@pytest.mark.clickhouse
def test_a_fork_is_looked_up_in_the_database(database: str) -> None:
    parent, settings = new_run_id(), {"clickhouse": database}
    with pytest.raises(runstream.RunNotFoundError, match="cannot be forked"):
        runstream.fork(str(parent), 3, settings=settings)
    known_in(database, parent, "theirs")
    child = runstream.fork(str(parent), 3, settings=settings)
    assert (child.project, child.step) == ("theirs", 4)
    with pytest.raises(runstream.SettingsError, match="'theirs'"):
        runstream.fork(str(parent), 3, project="mine", settings=settings)


@pytest.mark.clickhouse
def test_a_fork_inherits_the_config_that_the_database_knows(database: str) -> None:
    from runstream_storage.connection import connect

    parent = new_run_id()
    known_in(database, parent, "theirs")
    client = connect(database)
    client.command(
        "INSERT INTO params (project, name, run_id, kind, text, number, ver, is_deleted) VALUES "
        f"('theirs', 'lr', '{parent}', 'float', '0.001', 0.001, 1, 0), "
        f"('theirs', 'model/sizes', '{parent}', 'json', '[1, 2]', nan, 1, 0), "
        f"('theirs', 'since', '{parent}', 'datetime', '2026-11-23T10:00:00', nan, 1, 0)"
    )
    client.close()
    child = runstream.fork(str(parent), 3, settings={"clickhouse": database})
    since = datetime.datetime.fromisoformat("2026-11-23T10:00:00")
    assert child.config.as_dict() == {"lr": 0.001, "model": {"sizes": [1, 2]}, "since": since}


@pytest.mark.clickhouse
def test_a_resume_from_a_checkpoint_asks_the_database(database: str) -> None:
    run_id, settings = new_run_id(), {"clickhouse": database}
    known_in(database, run_id, "default", attempt=4)
    run = runstream.init(id=str(run_id), rewind_to=10, settings=settings)
    assert (run.attempt, run.step) == (5, 11)
    fresh = runstream.init(id="fresh", rewind_to=10, settings=settings)
    assert (fresh.attempt, fresh.step) == (0, 11), "the database says that there was none"


@pytest.mark.clickhouse
def test_ranks_join_what_the_database_says_is_running_and_rank_0_begins_anew(database: str) -> None:
    run_id, settings = new_run_id(), {"clickhouse": database}
    known_in(database, run_id, "default", attempt=2, state="")
    for rank, attempt in ((1, 2), (0, 3)):
        run = runstream.init(id=str(run_id), resume="must", settings={**settings, "rank": rank})
        assert (run.rank, run.attempt) == (rank, attempt)
        run.finish()


@pytest.mark.clickhouse
@pytest.mark.parametrize("resume", [None, "allow", "never"])
def test_what_nobody_knows_is_new(database: str, resume: str | None) -> None:
    run = runstream.init(id="new", resume=resume, settings={"clickhouse": database})
    assert (run.attempt, run.step) == (0, 0)


@pytest.mark.parametrize("resume", [None, "allow", "never"])
def test_what_nobody_can_be_asked_about_is_new(resume: str | None) -> None:
    run = runstream.init(id="new", resume=resume, settings={"clickhouse": "http://127.0.0.1:9/x"})
    assert (run.attempt, run.step) == (0, 0)


@pytest.mark.parametrize("resume", ["allow", "must", None])
def test_what_this_host_knows_stands_in_for_a_database_that_is_away(resume: str | None) -> None:
    first = runstream.init(id="mine")
    for _ in range(5):
        first.log({"a": 1})
    first.finish()
    run = runstream.init(id="mine", resume=resume, settings={"clickhouse": "http://127.0.0.1:9/x"})
    assert (run.attempt, run.step) == (1, 5)
