"""Edits of runs as the pages write them, read back from the spool that an agent would send."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import streamlit

from runstream.spool import list_spools
from runstream.spool_reader import EventRecord, SpoolReader
from runstream_storage.queries.results import RunRow
from runstream_ui import context, edits, run_edits
from runstream_ui.settings import UiSettings

RUN, OTHER = "0199b5e7-0000-7000-8000-000000000001", "0199b5e7-0000-7000-8000-000000000002"
AT = datetime(2026, 11, 23, tzinfo=UTC)


def _run(run_id: str = RUN, **fields: Any) -> RunRow:
    texts = {"project": "digits", "name": "mlp-1", "group": "", "job_type": "", "user": "ada", "host": "n", "notes": ""}
    times = {"created_at": AT, "ended_at": AT, "last_at": AT, "duration_s": 1.0}
    return RunRow(**{"run_id": run_id, "state": "finished", "tags": (), "archived": False, **texts, **times, **fields})


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Any]:
    """Reads (run id, values, actor) of every edit in the data directory, in order of time."""

    def read() -> list[tuple[str, dict[str, Any], str]]:
        found = []
        for directory in list_spools(tmp_path / "spool"):
            with SpoolReader(directory) as reader:
                for record in reader.read():
                    assert isinstance(record, EventRecord)
                    found.append((record.time_us, directory.parent.name, record.body["values"], record.body["actor"]))
        return [entry[1:] for entry in sorted(found, key=lambda entry: entry[0])]

    streamlit.session_state.clear()
    context.configure(UiSettings(dir=tmp_path, ui_actor="grace"))
    yield read
    streamlit.session_state.clear()


def test_an_edit_is_kept_under_the_name_that_the_settings_say(written: Any) -> None:
    run_edits.star([_run()], starred=True)
    assert written() == [(RUN, {"starred": "true"}, "grace")]


def test_a_form_writes_only_what_it_changed(written: Any) -> None:
    run = _run(tags=("old", "kept"), notes="as it was")
    run_edits.edit_one(run, texts={"name": "better", "notes": "as it was"}, tags=["kept", "new"])
    assert written() == [(RUN, {"name": "better", "tag:new": "true", "tag:old": None}, "grace")]


def test_a_form_that_changed_nothing_writes_nothing(written: Any) -> None:
    run = _run(tags=("kept",))
    run_edits.edit_one(run, texts={"name": run.name, "group": ""}, tags=["kept"])
    assert written() == []
    assert edits.note() is None


def test_a_text_that_somebody_changed_while_a_form_was_open_is_told_and_kept_for_undo(written: Any) -> None:
    opened, now = _run(), _run(name="of somebody else", notes="theirs")
    run_edits.edit_one(opened, texts={"name": "mine", "notes": ""}, tags=[], now=now)
    assert written() == [(RUN, {"name": "mine"}, "grace")]
    note = edits.note()
    assert note is not None
    assert "replaced the name “of somebody else”" in note.text
    edits.undo()
    assert written()[1] == (RUN, {"name": "of somebody else"}, "grace")


def test_what_several_runs_have_already_is_not_written_again(written: Any) -> None:
    run_edits.edit_many([_run(tags=("a",)), _run(OTHER)], add=["a"], remove=[], group="")
    assert written() == [(OTHER, {"tag:a": "true"}, "grace")]


def test_undo_gives_each_run_what_it_had(written: Any) -> None:
    run_edits.edit_many([_run(group="one"), _run(OTHER)], add=[], remove=[], group="two")
    edits.undo()
    before = {run_id: values for run_id, values, _ in written()[2:]}
    assert before == {RUN: {"group": "one"}, OTHER: {"group": ""}}


def test_a_deleted_run_can_be_restored(written: Any) -> None:
    run_edits.delete([_run()])
    run_edits.restore("digits", [(RUN, "mlp-1")])
    assert [values for _, values, _ in written()] == [{"deleted": "true"}, {"deleted": None}]


def test_where_nobody_sends_it_an_edit_is_told_to_be_kept_and_the_page_does_not_wait(written: Any) -> None:
    run_edits.archive([_run()], archived=True)
    note = edits.note()
    assert note is not None
    assert not note.failed
    assert note.waiting
    assert not edits.has_arrived(note)


def test_a_name_that_cannot_be_used_is_refused_with_the_reason(written: Any) -> None:
    run_edits.edit_many([_run()], add=["two\nlines"], remove=[], group="")
    note = edits.note()
    assert note is not None
    assert note.failed
    assert "control character" in note.text
    assert written() == []


def test_read_only_pages_refuse_every_edit(tmp_path: Path, written: Any) -> None:
    context.configure(UiSettings(dir=tmp_path, ui_read_only=True))
    run_edits.delete([_run()])
    note = edits.note()
    assert note is not None
    assert note.failed
    assert written() == []


def test_without_the_header_of_the_proxy_nobody_edits(tmp_path: Path, written: Any) -> None:
    context.configure(UiSettings(dir=tmp_path, ui_actor_header="X-Forwarded-User"))
    run_edits.delete([_run()])
    note = edits.note()
    assert note is not None
    assert "X-Forwarded-User" in note.text
    assert written() == []
