"""Edits from outside a run: checked, put down whole, and sent as what they are."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from runstream import labels
from runstream.edits import NO_RUN, ArtifactEdit, Editor, ModelEdit
from runstream.errors import EditNotWritten, EditRefused, SettingsError
from runstream.identity import new_run_id
from runstream.settings import Settings
from runstream.spool import is_closed, list_spools, read_header, segment_path
from runstream.spool_tracking import is_editor, is_tracked

DIGEST = "a" * 64


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    return Settings(dir=data_dir)


def spools(settings: Settings) -> list[Path]:
    return list(list_spools(settings.spool_dir))


def test_an_edit_of_runs_is_a_closed_spool_of_each_run(settings: Settings, held: Any) -> None:
    runs = [str(new_run_id()) for _ in range(3)]
    Editor(settings, "ann").edit_runs("p", [*runs, runs[0]], {"name": "new", "tag:good": True, "archived": None})
    found = spools(settings)
    assert sorted(directory.parent.name for directory in found) == sorted(runs)
    for directory in found:
        assert is_closed(directory)
        assert is_editor(directory)
        assert is_tracked(directory)
        (event,) = held(directory).events
        values = {"name": "new", "tag:good": "true", "archived": None}
        assert event == {"type": "Attributes", "values": values, "actor": "ann"}
        assert read_header(segment_path(directory, 1))[0].project == "p"
        assert segment_path(directory, 1).stat().st_size < 1024


def test_edits_of_artifacts_and_models_belong_to_no_run(settings: Settings, held: Any) -> None:
    editor = Editor(settings)
    editor.edit_artifacts(
        "p", [ArtifactEdit("a", DIGEST, "alias", "best"), ArtifactEdit("a", DIGEST, "metadata", {"x": float("nan")})]
    )
    editor.edit_models("p", [ModelEdit("m", "stage", "a", DIGEST, "Production", "it holds")])
    by_kind = {held(directory).events[0]["type"]: held(directory).events for directory in spools(settings)}
    assert {directory.parent.name for directory in spools(settings)} == {str(NO_RUN)}
    assert [event["value"] for event in by_kind["ArtifactEdited"]] == ["best", '{"x": "NaN"}']
    (event,) = by_kind["ModelEdited"]
    assert (event["value"], event["note"], event["artifact"]) == ("production", "it holds", "a")


def test_times_of_one_editor_rise_from_edit_to_edit(settings: Settings, held: Any) -> None:
    editor = Editor(settings)

    def tag(number: int) -> None:
        for part in range(10):
            editor.edit_artifacts("p", [ArtifactEdit("a", DIGEST, "tag", f"{number}-{part}")])

    threads = [threading.Thread(target=tag, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [held(directory) for directory in spools(settings)]
    assert len(found) == 80
    assert len({one.times_us[0] for one in found}) == 80
    assert len({event["value"] for one in found for event in one.events}) == 80


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (ArtifactEdit("a", DIGEST, "alias", "latest"), "always the newest"),
        (ArtifactEdit("a", DIGEST, "alias", "v3"), "names a version"),
        (ArtifactEdit("a", DIGEST, "alias", "b" * 64), "digest"),
        (ArtifactEdit("a", DIGEST, "alias", "a/b"), "slash"),
        (ArtifactEdit("a", DIGEST, "alias", "x" * 129), "129 bytes"),
        (ArtifactEdit("a", DIGEST, "tag", ""), "empty"),
        (ArtifactEdit("a", DIGEST, "tag", "a\0b"), "control character"),
        (ArtifactEdit("a", DIGEST, "tag", "a\ud800"), "control character"),
        (ArtifactEdit("a:b", DIGEST, "tag", "t"), "colon"),
        (ArtifactEdit("a", "abc", "delete"), "64 hex"),
        (ArtifactEdit("a", DIGEST, "explode"), "one of alias"),
        (ArtifactEdit("a", DIGEST, "expires", "soon"), "microseconds"),
        (ArtifactEdit("a", DIGEST, "expires", -1), "microseconds"),
        (ArtifactEdit("a", DIGEST, "metadata", "[1]"), "mapping"),
        (ArtifactEdit("a", DIGEST, "metadata", "{"), "not JSON"),
        (ArtifactEdit("a", DIGEST, "metadata", {"a": "x" * 70_000}), "limit"),
        (ArtifactEdit("a", DIGEST, "description", "x" * 70_000), "limit"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_and_nothing_is_written(
    settings: Settings, edit: ArtifactEdit, words: str
) -> None:
    with pytest.raises(EditRefused, match=words):
        Editor(settings).edit_artifacts("p", [ArtifactEdit("a", DIGEST, "tag", "good"), edit])
    assert spools(settings) == []


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (ModelEdit("m", "stage", "a", DIGEST, "in production!"), "word of a-z"),
        (ModelEdit("m", "promote", "a", DIGEST), "one of register"),
        (ModelEdit("m", "approve"), "which version"),
        (ModelEdit("m:1", "register", "a", DIGEST), "colon"),
        (ModelEdit("", "describe", value="x"), "empty"),
        (ModelEdit("m", "alias", "a", DIGEST, "latest"), "always the newest"),
    ],
)
def test_an_edit_of_a_model_that_cannot_be_used_is_refused(settings: Settings, edit: ModelEdit, words: str) -> None:
    with pytest.raises(EditRefused, match=words):
        Editor(settings).edit_models("p", [edit])
    assert spools(settings) == []


@pytest.mark.parametrize(
    ("runs", "values", "words"),
    [
        (["baseline"], {"name": "x"}, "UUID"),
        ([str(uuid.uuid4())], {"colour": "red"}, "one of name"),
        ([str(uuid.uuid4())], {"tag:": "true"}, "empty"),
        ([str(uuid.uuid4())], {}, "one attribute"),
        ([str(uuid.uuid4())], {"notes": "x" * 70_000}, "limit"),
    ],
)
def test_an_edit_of_runs_that_cannot_be_used_is_refused(
    settings: Settings, runs: list[str], values: dict[str, Any], words: str
) -> None:
    with pytest.raises(EditRefused, match=words):
        Editor(settings).edit_runs("p", runs, values)
    assert spools(settings) == []


def test_stages_are_lower_case_and_none_is_no_stage() -> None:
    assert [labels.stage(text) for text in ("Staging", "none", "", "canary_2")] == ["staging", "", "", "canary_2"]


def test_without_room_the_edit_is_not_written_and_leaves_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(EditNotWritten, match="No space left"):
        Editor(settings).edit_artifacts("p", [ArtifactEdit("a", DIGEST, "tag", "t")])
    assert [path for path in settings.spool_dir.rglob("*") if path.is_file()] == []


def test_a_directory_that_cannot_be_made_is_told(settings: Settings) -> None:
    settings.dir.write_text("a file")
    with pytest.raises(EditNotWritten, match="RUNSTREAM_DIR"):
        Editor(settings).edit_artifacts("p", [ArtifactEdit("a", DIGEST, "tag", "t")])


def test_a_closed_editor_refuses(settings: Settings) -> None:
    with Editor(settings) as editor:
        pass
    with pytest.raises(EditRefused, match="closed"):
        editor.edit_artifacts("p", [ArtifactEdit("a", DIGEST, "tag", "t")])


def test_a_disabled_library_does_not_edit(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="disabled"):
        Editor(settings.changed(mode="disabled"))


def test_nobody_who_sends_ends_the_wait_early(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    edited = Editor(settings).edit_artifacts("p", [ArtifactEdit("a", DIGEST, "tag", "t")])
    assert not edited.wait(timeout=0)
    assert not edited.wait(timeout=60)
    assert "runstream up" in caplog.text


def test_an_editor_killed_in_the_middle_leaves_what_the_agent_can_read(data_dir: Path, held: Any) -> None:
    program = (
        "import os, signal\n"
        "from runstream.edits import Editor, ArtifactEdit\n"
        "from runstream.spool_writer import SpoolWriter\n"
        "SpoolWriter.close = lambda self: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"Editor().edit_artifacts('p', [ArtifactEdit('a', '{DIGEST}', 'tag', 't')])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, env=os.environ)
    assert done.returncode < 0
    (directory,) = list_spools(data_dir / "spool")
    assert is_editor(directory)
    assert not is_closed(directory)
    assert held(directory).events[0]["value"] == "t"


def test_ten_thousand_edits_of_one_artifact_are_one_spool(settings: Settings, held: Any) -> None:
    began = time.time_ns() // 1000
    Editor(settings).edit_artifacts("p", [ArtifactEdit("a", DIGEST, "tag", f"t{n}") for n in range(10_000)])
    (directory,) = spools(settings)
    found = held(directory)
    assert [event["value"] for event in found.events] == [f"t{n}" for n in range(10_000)]
    assert began <= found.times_us[0] < found.times_us[-1]
