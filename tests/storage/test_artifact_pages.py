"""Artifacts as people look for them, deleted runs, and saved views."""

from __future__ import annotations

from pathlib import Path

import pytest

from runstream.objects import open_store
from runstream_storage import queries
from runstream_storage.connection import connect
from ui.project_data import fill
from ui.registry_data import NIL, Registry

pytestmark = pytest.mark.clickhouse


def test_artifacts_are_paged_sorted_and_counted(database: str, tmp_path: Path) -> None:
    filled = fill(database, runs=2, steps=2)
    registry = Registry(database, filled, open_store(tmp_path.as_uri()))
    registry.many_artifacts(120)
    registry.version("Report", {"r.md": b"x" * 500}, run=filled.run_ids[0], kind="report", tags=["final"])
    registry.close()
    client = connect(database)
    page = queries.artifact_page(client, "digits", sort="size", limit=2)
    assert (page.matched, [row.name for row in page.rows]) == (121, ["Report", "many-00119"])
    page = queries.artifact_page(client, "digits", sort="name", descending=False, search="MANY-0001", limit=50)
    assert (page.matched, page.rows[0].name) == (10, "many-00010")
    assert [row.name for row in queries.artifact_page(client, "digits", tag="final").rows] == ["Report"]
    assert [row.name for row in queries.artifact_page(client, "digits", type="report").rows] == ["Report"]
    assert [(kind.name, kind.runs) for kind in queries.artifact_types(client, "digits")] == [
        ("model", 120),
        ("report", 1),
    ]
    assert queries.artifact_page(client, "digits", sort="'; DROP TABLE artifacts", search="'%").rows == []
    client.close()


def test_deleted_runs_and_saved_views_are_found(database: str, tmp_path: Path) -> None:
    filled = fill(database, runs=3, steps=2)
    registry = Registry(database, filled, open_store(tmp_path.as_uri()))
    registry.attribute(filled.run_ids[0], "name", "renamed")
    registry.attribute(filled.run_ids[0], "deleted", actor="eve")
    registry.attribute(NIL, "view:best", "sort=-last(acc)", actor="bob")
    registry.close()
    client = connect(database)
    found = queries.trash(client, "digits")
    assert [(run.name, run.deleted_by, run.run_id) for run in found.runs] == [("renamed", "eve", filled.run_ids[0])]
    assert queries.trash(client, "digits", search="nothing").runs == []
    (view,) = queries.saved_views(client, "digits")
    assert (view.name, view.query, view.actor) == ("best", "sort=-last(acc)", "bob")
    client.close()
