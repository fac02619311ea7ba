"""The pages of artifacts, models, changes and deleted runs, in Streamlit's harness, over real data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from runstream.objects import open_store
from runstream_ui import context
from runstream_ui.settings import UiSettings
from ui.project_data import HOSTILE, Filled, add_artifact, fill
from ui.registry_data import Registry
from ui.ui_pages import Pages, texts
from ui.values_data import png

pytestmark = pytest.mark.clickhouse
Open = Callable[[str], Pages]
EDITS = ("Edit", "Restore", "Promote…", "Approve…")


@pytest.fixture(scope="module")
def world(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Filled, Path]:
    """A dataset, two versions of a model made from it, an evaluation, a registered model, and a deleted run."""
    objects = tmp_path_factory.mktemp("objects")
    filled = fill(module_database, runs=8, steps=20, names=["newest", HOSTILE])
    registry = Registry(module_database, filled, open_store(objects.as_uri()))
    data_run, train, again, evaluate, gone = filled.run_ids[2:7]
    data = registry.version(
        "digits", {"train.csv": b"a,b\n1,2\n", "README.md": b"# Digits\n"}, run=data_run, kind="dataset"
    )
    old = registry.version(
        "classifier", {"w.bin": b"\0old", "notes.txt": b"one\ntwo\n"}, run=train, metadata='{"acc": 0.8}'
    )
    new = registry.version(
        "classifier",
        {"w.bin": b"\0new", "notes.txt": b"one\n2\n", "dir/more.json": b'{"x": [1]}'},
        run=again,
        metadata='{"acc": 0.9}',
        tags=["reviewed"],
        aliases=["best"],
    )
    for run in (train, again):
        registry.read(run, "digits", data)
    registry.read(evaluate, "classifier", new)
    registry.version(HOSTILE, {"x.txt": b"x"}, run=filled.run_ids[1])
    registry.model("reader", "register", "classifier", old, note="the first")
    registry.model("reader", "register", "classifier", new)
    registry.model("reader", "stage", "classifier", new, value="production", note="better on all scanners")
    registry.model("reader", "approve", "classifier", new, note="error below 2 %", actor="bob")
    registry.model("reader", "describe", value=f"Reads {HOSTILE}")
    registry.awaits(filled.run_ids[1], f"late {HOSTILE}")
    registry.awaits(filled.run_ids[1], "never", lost="files/1/w.bin is gone before it was uploaded")
    for number in range(30):
        registry.awaits(filled.run_ids[2], f"waits {number}")
    registry.awaits(filled.run_ids[2], "never", lost="gone")
    registry.attribute(gone, "deleted", actor="eve")
    registry.attribute(train, "name", "renamed by ada")
    registry.close()
    return module_database, filled, objects


@pytest.fixture
def opened(world: tuple[str, Filled, Path], pages: Open, tmp_path: Path) -> Pages:
    database, _, objects = world
    shown = pages(database)
    context.configure(UiSettings(clickhouse=database, s3=objects.as_uri(), dir=tmp_path))  # type: ignore[arg-type]
    return shown


def _rows(app: AppTest, key: str) -> list[list[str]]:
    """The texts of the cells of a table, chips joined."""
    for element in app.get("bidi_component"):
        if key in str(element.proto.id):
            data = json.loads(element.proto.json)
            return [[_cell(cell) for cell in row["cells"]] for row in data["rows"]]
    raise AssertionError(f"no table {key}")


def _html(app: AppTest) -> str:
    return "\n".join(str(element.proto.body) for element in app.get("html"))


def _cell(cell: dict[str, object]) -> str:
    chips = cell.get("chips")
    return " ".join(chip["text"] for chip in chips) if isinstance(chips, list) else str(cell.get("text", ""))


def test_artifacts_are_listed_sorted_by_the_database(opened: Pages) -> None:
    app = opened.open("artifacts", project="digits", sort="-versions")
    assert not app.exception
    assert "3 artifacts" in texts(app)
    assert _rows(app, "artifacts")[0][:4] == ["classifier", "model", "v1", "2"]


def test_artifacts_are_found_by_type_and_by_tag(opened: Pages) -> None:
    assert "1 artifact<" in texts(opened.open("artifacts", project="digits", type="dataset"))
    assert "1 artifact<" in texts(opened.open("artifacts", project="digits", tag="reviewed"))
    assert "No artifact" in texts(opened.open("artifacts", project="digits", find="nothing like it"))


def test_a_version_says_who_made_it_and_who_read_it(opened: Pages) -> None:
    app = opened.open("artifacts", project="digits", artifact="classifier", version="best")
    assert not app.exception
    shown = texts(app)
    assert "Made by" in shown
    assert "Read by (1)" in shown
    assert ["dir/", "10 B", "1 file"] in _rows(app, "files-")


def test_a_directory_and_a_file_are_in_the_link(opened: Pages) -> None:
    state = {"project": "digits", "artifact": "classifier", "in": "dir", "file": "notes.txt"}
    app = opened.open("artifacts", **state)
    assert not app.exception
    assert _rows(app, "files-")[0][0] == "more.json"
    assert "one\n2" in texts(app)


@pytest.mark.parametrize("file", ["w.bin", "dir/more.json", "gone.txt"])
def test_whatever_file_is_chosen_the_page_stands(opened: Pages, file: str) -> None:
    assert not opened.open("artifacts", project="digits", artifact="classifier", file=file).exception


def test_a_picture_that_cannot_be_drawn_says_so(database: str, pages: Open, tmp_path: Path) -> None:
    whole = png(20, 20, lambda x, y: x * y)
    files = {"torn.png": whole[: len(whole) // 2], "text.png": b"no picture at all", "whole.png": whole}
    add_artifact(database, fill(database, runs=1), open_store((tmp_path / "objects").as_uri()), files)
    opened = pages(database)
    for name, why in (("torn.png", "it ends before the picture does"), ("text.png", "no picture that browsers show")):
        app = opened.open("artifacts", project="digits", artifact="classifier", file=name)
        assert not app.exception
        shown = texts(app)
        assert why in shown
        assert "Download it to look at it" in shown
        assert "<img" not in shown
    assert "<img" in texts(opened.open("artifacts", project="digits", artifact="classifier", file="whole.png"))


def test_two_versions_differ_by_files_and_metadata(opened: Pages) -> None:
    app = opened.open("artifacts", project="digits", artifact="classifier", tab="Changes", **{"diff-file": "notes.txt"})
    assert not app.exception
    shown = texts(app)
    assert "1 added · 2 changed" in shown
    assert ["≠ changed", "acc", "0.8", "0.9"] in _rows(app, "metadata-diff")
    assert "rs-diff" in shown


@pytest.mark.parametrize("tab", ["Files", "Lineage", "Metadata", "Versions", "Changes", "History"])
def test_every_tab_of_an_artifact_opens(opened: Pages, tab: str) -> None:
    app = opened.open("artifacts", project="digits", artifact=HOSTILE, tab=tab)
    assert not app.exception
    assert "<img src=x" not in _html(app)


def test_lineage_leads_from_the_data_to_the_evaluation(opened: Pages) -> None:
    app = opened.open("artifacts", project="digits", artifact="digits", tab="Lineage")
    assert not app.exception
    found = {(row[0], row[1]) for row in _rows(app, "lineage-table")}
    assert {("classifier:v1", "artifact"), ("reader:v2", "model"), ("digits:v0", "artifact")} <= found


def test_a_run_shows_what_waits_for_the_object_store_and_what_is_lost(
    opened: Pages, world: tuple[str, Filled, Path]
) -> None:
    app = opened.open("run", project="digits", run=world[1].run_ids[1], tab="Artifacts")
    assert not app.exception
    shown = _html(app)
    assert shown.index(">never<") < shown.index(">lost<") < shown.index("late &lt;") < shown.index(">pending<")
    assert "its files are on their way to the object store" in shown
    assert "5.00 GiB" in shown or "5.0 GiB" in shown or "5 GiB" in shown
    assert "files/1/w.bin is gone before it was uploaded" in shown


def test_of_many_artifacts_that_are_not_there_the_lost_ones_are_told_first(
    opened: Pages, world: tuple[str, Filled, Path]
) -> None:
    shown = texts(opened.open("run", project="digits", run=world[1].run_ids[2], tab="Artifacts"))
    assert shown.index(">never<") < shown.index("waits 0")
    assert "waits 18" in shown
    assert "waits 19" not in shown
    assert "The first 20 of 31 that are not there: 1 lost, 30 on their way." in shown


def test_an_artifact_that_is_not_there_is_told(opened: Pages) -> None:
    assert "No such artifact" in texts(opened.open("artifacts", project="digits", artifact="nope"))
    assert "No such artifact" in texts(opened.open("artifacts", project="digits", artifact="digits", version="v99"))


def test_a_model_shows_its_stages_and_the_note_of_approval(opened: Pages) -> None:
    assert _rows(opened.open("models", project="digits"), "models")[0][:2] == ["reader", "v2"]
    app = opened.open("models", project="digits", model="reader")
    assert not app.exception
    shown = texts(app)
    assert "production <b>v2</b>" in shown
    assert "error below 2 %" in shown
    assert "val/acc" in shown
    assert "<img src=x" not in _html(app)


@pytest.mark.parametrize("tab", ["Versions", "History", "Lineage"])
def test_every_tab_of_a_model_opens(opened: Pages, tab: str) -> None:
    assert not opened.open("models", project="digits", model="reader", tab=tab).exception


def test_the_history_says_who_changed_what(opened: Pages) -> None:
    app = opened.open("changes", project="digits")
    assert not app.exception
    rows = _rows(app, "changes-project")
    assert rows[0][1:] == ["ada", "renamed by ada", "run", "set name", "renamed by ada"]
    assert len(_rows(opened.open("changes", project="digits", by="bob"), "changes-project")) == 1


def test_a_run_has_a_history_of_its_own(opened: Pages, world: tuple[str, Filled, Path]) -> None:
    app = opened.open("run", project="digits", run=world[1].run_ids[3], tab="History")
    assert not app.exception
    assert [row[3:] for row in _rows(app, "changes-run")] == [["run", "set name", "renamed by ada"]]


def test_a_deleted_run_is_in_the_trash_with_who_deleted_it(opened: Pages, world: tuple[str, Filled, Path]) -> None:
    app = opened.open("trash", project="digits")
    assert not app.exception
    (row,) = _rows(app, "trash-table")
    assert row[4] == "eve"
    assert world[1].run_ids[6].startswith(row[5])


def test_two_runs_differ_by_what_they_ran_in(opened: Pages, world: tuple[str, Filled, Path]) -> None:
    run_ids = world[1].run_ids
    app = opened.open("compare", project="digits", runs=f"{run_ids[3]},{run_ids[2]}", tab="Environment")
    assert not app.exception
    assert ["≠", "seed", "3", "2"] in _rows(app, "environment-Config")
    assert [row[:2] for row in _rows(app, "environment-Data")] == [["−", "digits"]]


def test_the_environment_of_a_run_says_how_to_do_it_again(opened: Pages, world: tuple[str, Filled, Path]) -> None:
    run_id = world[1].run_ids[0]
    app = opened.open("run", project="digits", run=run_id, tab="Environment")
    assert not app.exception
    assert f"runstream reproduce {run_id}" in texts(app)


def test_read_only_pages_offer_no_edit(world: tuple[str, Filled, Path], opened: Pages, tmp_path: Path) -> None:
    database, filled, objects = world
    context.configure(UiSettings(clickhouse=database, s3=objects.as_uri(), dir=tmp_path, ui_read_only=True))  # type: ignore[arg-type]
    offered = []
    for page, state in (
        ("run", {"run": filled.run_ids[0]}),
        ("artifacts", {"artifact": "classifier"}),
        ("models", {"model": "reader"}),
        ("trash", {}),
    ):
        app = opened.open(page, project="digits", **state)
        assert not app.exception
        offered += [
            button.label for button in app.button if button.label in ("Edit", "Restore", "Promote…", "Approve…")
        ]
    assert offered == []
