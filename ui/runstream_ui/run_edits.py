"""What people change of runs, as attributes of the contract, each with the way back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runstream_storage.queries.results import RunRow
from runstream_ui import edits, formats
from runstream_ui.edits import Attributes, Change

_WORDS = {"name": "the name", "group": "the group", "job_type": "the job type", "notes": "the notes"}


def set_values(runs: Sequence[RunRow], values: Attributes, said: str) -> None:
    """The same values for all of `runs`; those that a run has already are not written again."""
    changes = {run.run_id: changed for run in runs if (changed := _differing(run, values))}
    _apply(runs, changes, said)


def edit_many(runs: Sequence[RunRow], *, add: Iterable[str], remove: Iterable[str], group: str) -> None:
    """Add tags to the runs that lack them, take others from those that have them; an empty `group` leaves it alone."""
    added, removed = list(add), list(remove)
    values: dict[str, str | bool | None] = {f"tag:{tag}": None for tag in removed}
    values |= {f"tag:{tag}": True for tag in added}
    values |= {"group": group} if group else {}
    words = [
        f"tagged {_list(added)}" if added else "",
        f"no longer tagged {_list(removed)}" if removed else "",
        f"in the group {formats.middle_cut(group, 24)}" if group else "",
    ]
    set_values(runs, values, f"{_named(runs)}: {', '.join(filter(None, words))}.")


def edit_one(run: RunRow, *, texts: Mapping[str, str], tags: Sequence[str], now: RunRow | None = None) -> None:
    """A run as a form left it: its texts and all its tags. `run` is what the form showed, `now` what the run has become
    since: only what the form changed is written, and a text of somebody else that it replaces is told and is what an
    undo brings back."""
    values: dict[str, str | bool | None] = dict(texts)
    values |= {f"tag:{tag}": True for tag in tags if tag not in run.tags}
    values |= {f"tag:{tag}": None for tag in run.tags if tag not in tags}
    now = now or run
    changed = _differing(run, values)
    replaced = [
        f"{_WORDS[key]} “{formats.middle_cut(str(getattr(now, key)), 40)}”"
        for key in texts
        if key in changed and getattr(now, key) not in (getattr(run, key), changed[key])
    ]
    said = f"{_named([run])} changed."
    if replaced:
        said += (
            f" Somebody had changed it while the form was open: replaced {', '.join(replaced)}; Undo brings it back."
        )
    _apply([now], {run.run_id: changed} if changed else {}, said)


def archive(runs: Sequence[RunRow], *, archived: bool) -> None:
    word = "put into the archive" if archived else "taken out of the archive"
    set_values(runs, {"archived": archived or None}, f"{_named(runs)} {word}.")


def star(runs: Sequence[RunRow], *, starred: bool) -> None:
    set_values(runs, {"starred": starred or None}, f"{_named(runs)} {'starred' if starred else 'no longer starred'}.")


def delete(runs: Sequence[RunRow]) -> None:
    """Hide them from pages and views until they are restored."""
    project = runs[0].project
    edits.apply(
        Change(project, {run.run_id: {"deleted": True} for run in runs}),
        f"{_named(runs)} deleted.",
        undo=Change(project, {run.run_id: {"deleted": None} for run in runs}),
    )


def restore(project: str, runs: Sequence[tuple[str, str]]) -> None:
    """`runs`: (run id, name) of deleted ones."""
    what = runs[0][1] if len(runs) == 1 else formats.plural(len(runs), "run")
    edits.apply(
        Change(project, {run_id: {"deleted": None} for run_id, _ in runs}),
        f"{formats.middle_cut(what, 40)} restored.",
        undo=Change(project, {run_id: {"deleted": True} for run_id, _ in runs}),
    )


def _apply(runs: Sequence[RunRow], changes: Mapping[str, Attributes], said: str) -> None:
    if not changes:
        return
    before = {run.run_id: run for run in runs}
    back = {run_id: {key: _now(before[run_id], key) for key in values} for run_id, values in changes.items()}
    project = runs[0].project
    edits.apply(Change(project, changes), said, undo=Change(project, back))


def _differing(run: RunRow, values: Attributes) -> dict[str, str | bool | None]:
    return {key: value for key, value in values.items() if value != _now(run, key)}


def _now(run: RunRow, key: str) -> str | bool | None:
    """The value that a run has, as an editor would set it: a text, or True or None of what is or is not set."""
    if key.startswith("tag:"):
        return key.removeprefix("tag:") in run.tags or None
    value: str | bool = getattr(run, key)
    return value if isinstance(value, str) else value or None


def _named(runs: Sequence[RunRow]) -> str:
    return formats.middle_cut(runs[0].name, 40) if len(runs) == 1 else formats.plural(len(runs), "run")


def _list(tags: Sequence[str]) -> str:
    return ", ".join(formats.middle_cut(tag, 24) for tag in tags)
