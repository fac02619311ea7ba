from __future__ import annotations

from typing import Any

import pytest
from ingest_samples import NOW_US
from ingest_samples import rows_by_name as rows

from runstream_ingest.errors import MessageUnusable
from runstream_ingest.versions import version


def test_the_last_edit_in_time_wins_over_a_later_attempt() -> None:
    (_, early), _ = rows("Attributes", values={"name": "by the run"}, attempt=3, time_us=NOW_US, writer_id=64)
    (_, late), _ = rows("Attributes", values={"name": "by a person"}, attempt=0, time_us=NOW_US + 1, writer_id=64)
    assert early["ver"] < late["ver"] == version(0, NOW_US + 1, 64)


def test_each_change_of_an_attribute_is_a_line_of_the_audit() -> None:
    found = rows("Attributes", values={"name": "n", "tag:x": None, "gap:01:5": "{}"}, seq=4)
    audit = [(row["actor"], row["seq"], row["action"], row["value"]) for table, row in found if table == "audit"]
    assert audit == [("ada@lab", 4, "set name", "n"), ("ada@lab", 4, "remove tag:x", "")]


@pytest.mark.parametrize(
    ("action", "value", "table", "expected"),
    [
        ("alias", "best", "artifact_aliases", {"alias": "best", "digest": "d", "is_deleted": 0}),
        ("unalias", "best", "artifact_aliases", {"alias": "best", "digest": "d", "is_deleted": 1}),
        ("tag", "frozen", "artifact_attrs", {"key": "tag:frozen", "value": "", "is_deleted": 0}),
        ("untag", "frozen", "artifact_attrs", {"key": "tag:frozen", "value": "", "is_deleted": 1}),
        ("metadata", '{"a": 1}', "artifact_attrs", {"key": "metadata", "value": '{"a": 1}', "is_deleted": 0}),
        ("description", "text", "artifact_attrs", {"key": "description", "value": "text", "is_deleted": 0}),
        ("expires", "1790000000000000", "artifact_attrs", {"key": "expires_us", "value": "1790000000000000"}),
        ("delete", "", "artifact_attrs", {"key": "deleted", "value": "true", "is_deleted": 0}),
        ("restore", "", "artifact_attrs", {"key": "deleted", "is_deleted": 1}),
    ],
)
def test_an_edit_of_an_artifact_is_a_row_and_a_line_of_the_audit(
    action: str, value: str, table: str, expected: dict[str, Any]
) -> None:
    (found, row), (audit, line) = rows("ArtifactEdited", name="a", digest="d", action=action, value=value)
    assert (found, audit) == (table, "audit")
    assert {name: row[name] for name in expected} == expected
    assert (line["kind"], line["subject"], line["action"]) == ("ArtifactEdited", "a", action)


def test_an_edit_of_a_model_is_kept_as_it_was_made() -> None:
    what = {"model": "m", "action": "approve", "artifact": "a", "digest": "d" * 64, "value": "", "note": "fine"}
    (table, row), (_, line) = rows("ModelEdited", **what)
    assert table == "model_events"
    assert {name: row[name] for name in what} == what
    assert row["artifact_project"] == row["project"]
    assert (line["subject"], line["action"], line["value"]) == ("m", "approve", "a@dddddddddddd · fine")
    (_, row), (_, line) = rows("ModelEdited", **what, artifact_project="research")
    assert row["artifact_project"] == "research"
    assert line["value"] == "research/a@dddddddddddd · fine"


def test_logging_a_version_again_brings_it_back_and_renews_its_expiry() -> None:
    artifact = {"name": "a", "type": "t", "digest": "d", "size": 0, "files": [], "tags": ["x"], "expires_us": 7}
    said = {
        row["key"]: (row["value"], row["is_deleted"])
        for table, row in rows("ArtifactLogged", **artifact)
        if table == "artifact_attrs"
    }
    assert said == {"tag:x": ("", 0), "expires_us": ("7", 0), "deleted": ("", 1)}


@pytest.mark.parametrize(
    ("kind", "fields", "what"),
    [
        ("ArtifactEdited", {"name": "a", "digest": "d", "action": "drop"}, "action is 'drop'"),
        ("ArtifactEdited", {"name": "a", "digest": "d", "action": "expires", "value": "soon"}, "expires is 'soon'"),
        ("ArtifactEdited", {"name": "a", "digest": "d", "action": "tag", "value": "t" * 2000}, "2000 bytes"),
        ("ModelEdited", {"model": "m", "action": "burn"}, "action is 'burn'"),
        ("ModelEdited", {"model": "m" * 2000, "action": "register"}, "2000 bytes"),
    ],
)
def test_an_edit_that_cannot_be_is_refused(kind: str, fields: dict[str, Any], what: str) -> None:
    with pytest.raises(MessageUnusable, match=what):
        rows(kind, **fields)
