"""init(), the run's attributes, define_metric, and the public face of the package."""

from __future__ import annotations

import json
import os
import pickle
import uuid
from pathlib import Path
from typing import Any

import pytest

import runstream
from runstream.identity import process_start
from runstream.spool_cursor import Cursor
from runstream.spool_reader import SpoolReader


def test_the_public_names_are_sorted_and_there() -> None:
    assert runstream.__all__ == sorted(runstream.__all__)
    assert all(hasattr(runstream, name) for name in runstream.__all__)


def test_import_loads_the_standard_library_only(python: Any) -> None:
    done = python(
        """
        loaded = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names
        print(sorted(name for name in loaded if not name.startswith("_") and name != "sitecustomize"))
        """
    )
    assert done.stdout == "['runstream']\n"


def test_a_run_loads_the_standard_library_only_and_has_no_thread_and_no_socket(python: Any) -> None:
    done = python(
        """
        before = set(sys.modules)
        run = runstream.init(project="p", config={"a": 1}, settings={"capture": True})
        run.log({"a": 1, "b": "x"})
        run.log_artifact(__file__)
        run.finish()
        loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
        loaded -= {"runstream", *sys.stdlib_module_names}
        import threading
        sockets = [fd for fd in os.listdir("/proc/self/fd") if "socket" in os.path.realpath(f"/proc/self/fd/{fd}")]
        print(sorted(loaded), threading.active_count(), sockets, "asyncio" in sys.modules, "ssl" in sys.modules)
        """
    )
    assert done.stdout == "[] 1 [] False False\n"


def test_without_a_run_the_module_says_what_to_do() -> None:
    for call in (
        lambda: runstream.log({"a": 1}),
        lambda: runstream.config,
        lambda: runstream.run,
        runstream.current_run,
    ):
        with pytest.raises(runstream.NoRunError, match=r"runstream\.init"):
            call()
    with pytest.raises(runstream.NoRunError):
        runstream.log_artifact("x")
    assert not any(hasattr(runstream, name) for name in ("config", "run", "summary", "tags", "nonsense"))
    assert {"config", "run", "summary", "tags"} < set(dir(runstream))
    runstream.finish()


def test_the_module_speaks_for_the_current_run(held: Any) -> None:
    run = runstream.init(config={"lr": 1})
    runstream.log({"loss": 1})
    runstream.config.lr = 2
    runstream.summary["best"] = 3
    runstream.tags.add("t")
    runstream.define_metric("loss", summary="min", goal="min", step_metric="epoch", unit="nats", hidden=True)
    assert runstream.run is run is runstream.current_run()
    kinds = [event["type"] for event in held(run).events]
    assert kinds == ["RunStarted", "Params", "Params", "Summary", "Attributes", "MetricDefined"]


def test_every_event_is_one_that_the_schemas_can_hold(held: Any, tmp_path: Path) -> None:
    from runstream import events

    (tmp_path / "m.bin").write_bytes(b"x")
    run = runstream.init(
        project="p",
        name="n",
        config={"a": 1, "nan": float("inf")},
        tags=["t"],
        notes="hé",
        group="g",
        job_type="j",
        id="mine",
        settings={"capture": True, "capture_diff": False},
    )
    run.summary["x"] = float("nan")
    run.tags.discard("t")
    run.define_metric("val/*", summary=["min", "last"])
    run.use_artifact("data:v1")
    directory = run.spool
    run.finish()
    header = {"project": "p", "run_id": run.id, "writer_id": 1, "attempt": 0, "rank": 0, "seq": 0, "time_us": 1}
    numbers = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
    for event in held(directory).events:
        if event["type"] == "ArtifactStaged":  # uncommitted changes; the agent makes ArtifactLogged of it
            continue
        fields = {**header, **{name: value for name, value in event.items() if name != "type"}}
        for value in fields["values"] if isinstance(fields.get("values"), list) else ():
            value["number"] = numbers.get(value["number"], value["number"])
        kind, back = events.decode(events.encode(event["type"], fields))
        assert kind == event["type"]
        assert back["actor"]


def test_the_start_says_what_the_run_is(held: Any) -> None:
    run = runstream.init(project="p", name="n", tags=["b", "a"], notes="x", group="g", job_type="train")
    (event,) = held(run).of("RunStarted")
    assert {name: event[name] for name in ("name", "notes", "group", "job_type", "tags", "external_id")} == {
        "name": "n",
        "notes": "x",
        "group": "g",
        "job_type": "train",
        "tags": ["a", "b"],
        "external_id": "",
    }
    header = SpoolReader(run.spool).header  # type: ignore[arg-type]
    assert (header.project, str(header.run_id), header.attempt) == ("p", run.id, 0)
    assert uuid.UUID(run.id).version == 7


def test_the_environment_fills_what_init_is_not_given(monkeypatch: pytest.MonkeyPatch, held: Any) -> None:
    for name, text in {
        "PROJECT": "q",
        "NAME": "m",
        "GROUP": "h",
        "TAGS": "x,y",
        "NOTES": "z",
        "RUN_ID": "mine",
    }.items():
        monkeypatch.setenv(f"RUNSTREAM_{name}", text)
    run = runstream.init()
    (event,) = held(run).of("RunStarted")
    assert (run.project, event["name"], event["group"], event["tags"], event["external_id"]) == (
        "q",
        "m",
        "h",
        ["x", "y"],
        "mine",
    )


def test_a_run_without_a_name_gets_one_made_from_its_id() -> None:
    run = runstream.init()
    assert len(run.name.split("-")) == 3
    assert run.name.endswith(run.id[-4:])


def test_an_id_of_ones_own_is_always_the_same_run() -> None:
    namespace = uuid.uuid5(uuid.NAMESPACE_URL, "https://runstream.dev/run")
    assert runstream.init(project="p", id="mine").id == str(uuid.uuid5(namespace, "p/mine"))
    known = "0190b7c8-1234-7abc-8def-0123456789ab"
    assert runstream.init(project="p", id=known.upper()).id == known


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"project": ""}, "project"),
        ({"project": "a\nb"}, "printable"),
        ({"project": "x" * 300}, "256"),
        ({"project": "\ud800"}, "printable|UTF-8"),
        ({"mode": "on"}, "online, offline, disabled"),
        ({"resume": "yes"}, "allow"),
        ({"resume": "must"}, "id="),
        ({"id": "a\tb"}, "printable"),
        ({"tags": ["ok", ""]}, "tag"),
        ({"tags": ["x" * 300]}, "tag"),
        ({"settings": {"colour": 1}}, "colour"),
        ({"settings": {"agent": "perhaps"}}, "external"),
    ],
)
def test_what_init_cannot_use_it_names(arguments: dict[str, Any], words: str, data_dir: Path) -> None:
    with pytest.raises(runstream.SettingsError, match=words):
        runstream.init(**arguments)
    assert not data_dir.exists()


def test_attributes_are_sent_when_they_change(held: Any) -> None:
    run = runstream.init(name="a", tags=["x"])
    run.name = "b"
    run.name = "b"
    run.notes = "why"
    run.group = "g"
    run.job_type = "eval"
    run.tags.add("y")
    run.tags.add("y")
    run.tags.discard("x")
    run.tags = ["z"]
    assert [event["values"] for event in held(run).of("Attributes")] == [
        {"name": "b"},
        {"notes": "why"},
        {"group": "g"},
        {"job_type": "eval"},
        {"tag:y": "true"},
        {"tag:x": None},
        {"tag:z": "true", "tag:y": None},
    ]
    assert (run.name, run.notes, set(run.tags)) == ("b", "why", {"z"})


def test_a_tag_of_no_use_is_left_out_with_a_warning(held: Any, caplog: pytest.LogCaptureFixture) -> None:
    run = runstream.init()
    run.tags.add("")
    run.tags.add("a\nb")
    run.tags = "one"  # type: ignore[assignment]
    assert set(run.tags) == {"one"}
    assert caplog.text.count("a tag is printable text") == 2


def test_define_metric_keeps_what_it_can_use(held: Any, caplog: pytest.LogCaptureFixture) -> None:
    run = runstream.init()
    run.define_metric("val/*", summary="min, median", goal="up")
    (event,) = held(run).of("MetricDefined")
    assert (event["pattern"], event["summary"], event["goal"]) == ("val/*", ["min"], "")
    assert "median" in caplog.text
    assert "minimize" in caplog.text


def test_a_disabled_run_takes_every_call(data_dir: Path) -> None:
    run = runstream.init(mode="disabled")
    run.use_artifact("x")
    run.finish()
    assert run.url is None
    assert not data_dir.exists()


def test_a_pickled_run_is_the_same_run_in_this_process() -> None:
    run = runstream.init()
    assert pickle.loads(pickle.dumps(run)) is run


def test_the_page_of_a_run_is_known_where_a_ui_is(data_dir: Path) -> None:
    run = runstream.init(project="a b")
    assert run.url is None
    up = {"pid": os.getpid(), "process_start": process_start(os.getpid()), "ui_url": "http://127.0.0.1:1/"}
    (data_dir / "up.json").write_text(json.dumps(up))
    assert run.url == f"http://127.0.0.1:1/run?project=a%20b&run={run.id}"
    (data_dir / "up.json").write_text(json.dumps({**up, "process_start": 1}))
    assert run.url is None, "one that was killed leaves its file behind"


# -- delivery


def test_finish_waits_for_the_cursor_only_with_a_broker_and_says_what_is_left(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSTREAM_KAFKA", "127.0.0.1:1")
    run = runstream.init(settings={"agent": "external", "finish_timeout_s": 0.1})
    run.log({"a": 1})
    run.finish()
    assert "1 of 1 rows wait in" in caplog.text
    assert "runstream sync" in caplog.text


def test_finish_returns_as_soon_as_all_is_acknowledged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setenv("RUNSTREAM_KAFKA", "127.0.0.1:1")
    run = runstream.init(settings={"agent": "external", "finish_timeout_s": 60.0})
    run.log({"a": 1})
    writer = run._writer
    assert writer is not None
    end = writer.position
    Cursor(end._replace(event_seq=end.event_seq + 1)).save(writer.directory)
    run.finish()
    assert "1 rows, all sent" in caplog.text


def test_finish_takes_a_removed_spool_for_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from runstream.delivery import Part, wait_until_sent
    from runstream.spool import Position

    assert wait_until_sent([Part(tmp_path / "gone", Position(1, 100, 5, 2), 5)], 60.0) is None


def test_an_offline_run_says_how_to_send_it(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level("INFO")
    monkeypatch.setenv("RUNSTREAM_KAFKA", "127.0.0.1:1")
    run = runstream.init(mode="offline")
    run.finish()
    assert "runstream sync" in caplog.text


# -- the agent


def agent_stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An interpreter that writes down how it was called."""
    stub = tmp_path / "python"
    stub.write_text(f"#!/bin/sh\necho \"$@ $RUNSTREAM_KAFKA $(ps -o sid= -p $$ | tr -d ' ')\" >> {tmp_path}/calls\n")
    stub.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(stub))
    return tmp_path / "calls"


def calls_of(path: Path, wanted: int) -> list[str]:
    import time

    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) >= wanted:
            return lines
        time.sleep(0.02)
    return []


def test_init_starts_an_agent_of_its_own_session(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    calls = agent_stub(tmp_path, monkeypatch)
    runstream.init(settings={"kafka": "127.0.0.1:1", "finish_timeout_s": 0.0})
    (line,) = calls_of(calls, 1)
    assert line.startswith(f"-m runstream.agent --dir {data_dir} 127.0.0.1:1 ")
    assert line.split()[-1] != str(os.getsid(0))


def test_an_agent_that_died_is_started_again_while_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = agent_stub(tmp_path, monkeypatch)
    monkeypatch.setattr("runstream.spool_writer.CHECK_EVERY_US", 0)
    monkeypatch.setattr("runstream.spool_writer.LOOK_AFTER_EVERY", 5)
    run = runstream.init(settings={"kafka": "127.0.0.1:1", "finish_timeout_s": 0.0})
    assert len(calls_of(calls, 1)) == 1
    for i in range(9):
        run.log({"a": i})
    assert len(calls_of(calls, 2)) == 2


def test_no_second_agent_is_started_beside_a_living_one(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runstream.agent.lock import AgentLock

    calls = agent_stub(tmp_path, monkeypatch)
    with AgentLock(data_dir / "agent.lock"):
        runstream.init(settings={"kafka": "127.0.0.1:1", "finish_timeout_s": 0.0})
        runstream.finish()
    assert not calls.exists()


@pytest.mark.parametrize("changes", [{"agent": "off"}, {"agent": "external"}, {"mode": "offline"}, {"kafka": None}])
def test_no_agent_is_started_where_none_is_wanted(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = agent_stub(tmp_path, monkeypatch)
    runstream.init(settings={"kafka": "127.0.0.1:1", "finish_timeout_s": 0.0, **changes})
    runstream.finish()
    assert not calls.exists()


def test_an_agent_that_cannot_start_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PermissionError("no child processes here")

    monkeypatch.setattr("subprocess.run", fail)
    run = runstream.init(settings={"kafka": "127.0.0.1:1", "finish_timeout_s": 0.0})
    run.log({"a": 1})
    assert "the agent could not be started (PermissionError" in caplog.text


def test_an_agent_of_an_older_version_is_named_to_who_writes_a_newer_one(
    data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from runstream.agent.lock import AgentLock
    from runstream.spool import VERSION

    with AgentLock(data_dir / "agent.lock"):
        runstream.init(settings={"kafka": "127.0.0.1:1", "finish_timeout_s": 0.0}).finish()
        assert "older than this library" not in caplog.text
        (data_dir / "agent.lock").write_text(f"4711\nspool version {VERSION - 1}\n")
        for _ in range(2):
            runstream.init(settings={"kafka": "127.0.0.1:1", "finish_timeout_s": 0.0}).finish()
    assert caplog.text.count("the agent (pid 4711)") == 1
    assert f"reads spools of version {VERSION - 1}" in caplog.text
