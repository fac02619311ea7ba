from __future__ import annotations

import math
from typing import Any

import pytest
from ingest_samples import NOW_US, RUN, control, uuid_number
from ingest_samples import rows_by_name as rows

from runstream import events
from runstream_ingest.control import NOT_ENDED, rows_of
from runstream_ingest.errors import MessageUnusable
from runstream_ingest.tables import TABLES
from runstream_ingest.versions import version

VER = version(0, NOW_US, 77)


def test_every_control_event_has_rows() -> None:
    smallest: dict[str, dict[str, Any]] = {
        "ArtifactLogged": {"name": "a", "type": "model", "digest": "d", "size": 0, "files": []},
        "ArtifactUsed": {"name": "a", "version": "v1"},
        "Attributes": {"values": {"notes": "n"}},
        "Heartbeat": {},
        "MetricDefined": {"pattern": "val/*"},
        "Params": {"values": [{"name": "lr", "kind": "float", "text": "0.1", "number": 0.1}]},
        "RunFinished": {"state": "finished"},
        "RunRewound": {"step": 1},
        "RunStarted": {"name": "r", "created_us": NOW_US},
        "Summary": {"values": [{"name": "best", "kind": "string", "text": "x"}]},
        "ArtifactEdited": {"name": "a", "digest": "d", "action": "tag", "value": "t"},
        "ModelEdited": {"model": "m", "action": "describe", "value": "text"},
        "DatasetLogged": {"name": "digits", "digest": "d", "kind": "table"},
        "TextLogged": {"name": "t", "step": 1, "text": "x"},
        "HistogramLogged": {"name": "h", "step": 1, "edges": [0.0, 1.0], "counts": [2.0]},
        "MediaLogged": {"name": "m", "step": 1, "kind": "image", "sha256": "ab" * 32, "size": 1},
        "MediaStored": {"stored": ["ab" * 32]},
        "EventAwaited": {"kind": "ArtifactLogged", "name": "a"},
        "ConsoleLines": {
            "first_line": 0,
            "times_us": [NOW_US],
            "changed_us": [NOW_US],
            "streams": [1],
            "texts": ["x"],
        },
        "SystemFrame": {
            "node": "n",
            "metrics": ["cpu.percent"],
            "devices": [""],
            "times_us": [NOW_US],
            "values": [1.0],
        },
    }
    assert set(smallest) == {*events.CONTROL_KINDS, *events.LOG_KINDS}
    for kind, fields in smallest.items():
        for table, row in rows(kind, **fields):
            assert row["project"] == "demo"
            assert table in TABLES
            assert row.get("ver", VER) == VER


def test_a_start_writes_the_run_its_writer_a_sign_of_life_and_tags() -> None:
    found = rows(
        "RunStarted",
        name="r",
        created_us=5,
        group="g",
        tags=["x", "x", "y"],
        command=["python", "-m"],
        git={"commit": "c"},
    )
    assert [table for table, _ in found] == ["runs", "writers", "liveness", "run_attrs", "run_attrs"]
    run, writer, alive, *tags = (row for _, row in found)
    assert (run["run_id"], run["name"], run["group"], run["created_us"]) == (uuid_number(RUN), "r", "g", 5)
    assert run["keep"] == 2**64 - 1 - VER
    assert (writer["command"], writer["git"], writer["started_us"]) == (["python", "-m"], {"commit": "c"}, 5)
    assert (alive["last_us"], alive["terminal"]) == (NOW_US, NOT_ENDED)
    assert [tag["key"] for tag in tags] == ["tag:x", "tag:y"]


@pytest.mark.parametrize(("arrived_ms", "expected"), [(5, 5000), (-1, NOW_US), (0, NOW_US), (2**62, NOW_US)])
def test_a_sign_of_life_arrives_at_the_brokers_time_where_there_is_one(arrived_ms: int, expected: int) -> None:
    kind, event = events.decode(control("Heartbeat", metric_seq=1))
    ((_, row),) = rows_of(kind, event, arrived_ms)
    assert row[[name for name, _ in TABLES["liveness"]].index("arrived_us")] == expected


def test_an_end_is_the_terminal_state_of_its_writer() -> None:
    ((table, row),) = rows("RunFinished", state="failed", exit_code=-9, reason="SIGKILL", metric_seq=12)
    assert table == "liveness"
    assert row["terminal"] == (VER, "failed", -9, "SIGKILL", 12)
    assert row["metric_seq"] == 12


def test_a_null_attribute_removes_its_key() -> None:
    found = {
        row["key"]: (row["value"], row["is_deleted"], row["actor"])
        for table, row in rows("Attributes", values={"name": "n", "tag:x": None})
        if table == "run_attrs"
    }
    assert found == {"name": ("n", 0, "ada@lab"), "tag:x": ("", 1, "ada@lab")}


def test_params_keep_their_kind_and_number() -> None:
    values = [
        {"name": "lr", "kind": "float", "text": "0.1", "number": 0.1},
        {"name": "opt", "kind": "string", "text": "adam", "number": None},
        {"name": "old", "kind": "deleted", "text": "", "number": None},
        {"name": "inf", "kind": "float", "text": "inf", "number": math.inf},
    ]
    found = {row["name"]: row for table, row in rows("Params", values=values) if table == "params"}
    assert (found["lr"]["number"], found["lr"]["kind"], found["lr"]["is_deleted"]) == (0.1, "float", 0)
    assert math.isnan(found["opt"]["number"])
    assert found["old"]["is_deleted"] == 1
    assert found["inf"]["number"] == math.inf


def test_an_artifact_writes_its_version_its_link_and_its_aliases() -> None:
    file = {"path": "m.pt", "sha256": "ab", "size": 3, "mime": "x/y"}
    found = rows("ArtifactLogged", name="m", type="model", digest="d", size=3, files=[file], aliases=["best", "best"])
    tables = ["artifacts", "artifact_links", "artifact_aliases", "artifact_attrs", "artifact_attrs", "audit"]
    assert [table for table, _ in found] == tables
    # Logged anew without a time to live, an earlier one counts no more, nor does a deletion.
    said = {row["key"]: (row["value"], row["is_deleted"]) for _, row in found[3:5]}
    assert said == {"expires_us": ("0", 0), "deleted": ("", 1)}
    assert found[0][1]["files"] == [("m.pt", "ab", 3, "x/y", "")]
    assert (found[1][1]["role"], found[1][1]["digest"]) == ("out", "d")
    ((_, used),) = rows("ArtifactUsed", name="m", version="latest", digest="d")
    assert (used["role"], used["version"], used["artifact_project"]) == ("in", "latest", used["project"])
    ((_, used),) = rows("ArtifactUsed", name="m", version="latest", digest="d", artifact_project="other")
    assert used["artifact_project"] == "other"
    audit = found[5][1]
    assert (audit["kind"], audit["subject"], audit["action"], audit["value"]) == (
        "ArtifactLogged",
        "m",
        "log",
        "best · d",
    )


def test_what_was_awaited_has_arrived_with_its_event() -> None:
    said = {"kind": "ArtifactLogged", "name": "m", "type": "model", "files": 2, "size": 3}
    ((_, pending),) = rows("EventAwaited", **said)
    ((_, lost),) = rows("EventAwaited", seq=-1, lost="gone", **said)
    logged = rows("ArtifactLogged", seq=-1, name="m", type="model", digest="d", size=3, files=[])
    edited = rows("ModelEdited", seq=-1, model="m", action="register", artifact="a", digest="ab" * 32)
    arrived, registered = ([row for table, row in found if table == "awaited"] for found in (logged, edited))
    key = ("project", "run_id", "writer", "ts_us")
    assert len({tuple(row[name] for name in key) for row in (pending, lost, *arrived, *registered)}) == 1
    assert [(row["state"], row["turn"]) for row in (pending, lost, *arrived, *registered)] == [
        ("pending", 0),
        ("lost", 1),
        ("arrived", 2),
        ("arrived", 2),
    ]
    assert (lost["reason"], registered[0]["kind"], registered[0]["type"]) == ("gone", "ModelEdited", "register")


@pytest.mark.parametrize(
    ("kind", "fields", "what"),
    [
        ("EventAwaited", {"kind": "Params", "name": "x"}, "the kind of an event"),
        ("Heartbeat", {"attempt": 70_000}, "attempt is 70000"),
        ("Heartbeat", {"project": "p" * 300}, "300 bytes"),
        ("ArtifactLogged", {"name": "a", "type": "t", "digest": "d", "size": -1, "files": []}, "size is -1"),
        ("Params", {"values": [{"name": "n" * 2000, "kind": "int", "text": "1"}]}, "2000 bytes"),
        ("Attributes", {"values": {"k" * 1025: "v"}}, "1025 bytes"),
    ],
)
def test_a_field_that_does_not_fit_its_column_is_refused(kind: str, fields: dict[str, Any], what: str) -> None:
    with pytest.raises(MessageUnusable, match=what):
        rows(kind, **fields)
