"""Which attempt of a run this is: what this host knows, and what the database knows when there is one."""

from __future__ import annotations

import dataclasses
import json
import time
import uuid
from pathlib import Path

from runstream.errors import LookupFailed, RunExistsError, RunNotFoundError, SettingsError, SpoolError
from runstream.identity import run_id_of
from runstream.lookup import ask, database_url
from runstream.notices import warn
from runstream.settings import Settings
from runstream.spool import Position, SegmentHeader, is_closed, read_header, segment_numbers, segment_path, writer_lives
from runstream.spool_tracking import is_editor

RESUMES = (None, "allow", "must", "never")
LOOKUP_TIMEOUT_S = 2.0
_RUN = "SELECT attempts, state FROM v_runs WHERE run_id = {run:UUID}"
_STEP = "SELECT max(last_step) AS step FROM v_summary WHERE run_id = {run:UUID} HAVING count() > 0"
_PROJECT = "SELECT project FROM v_runs WHERE run_id = {run:UUID}"


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    number: int
    first_step: int
    """Where the step counter starts: behind the last step known, 0 for a new run."""


@dataclasses.dataclass(slots=True)
class _Known:
    where: str = ""
    attempt: int = -1
    step: int = -1
    lives: bool = False
    same_rank_pid: int = 0
    """A living process of this host that writes the newest attempt under this very rank."""


def plan_attempt(
    settings: Settings,
    project: str,
    run_id: uuid.UUID,
    *,
    chosen: bool,
    resume: str | None,
    rewind_to: int | None = None,
) -> Attempt:
    """The attempt that a start of `run_id` is.

    A run that nobody chose an id for is new. Else: one more than the newest attempt known, or that very attempt when
    one of its writers lives (another rank of the same job), or what the settings force. Waits for the database at most
    LOOKUP_TIMEOUT_S. Raises RunExistsError for resume="never" and RunNotFoundError for resume="must".
    """
    if resume not in RESUMES:
        raise SettingsError("resume", resume, "None, 'allow', 'must' or 'never'")
    if resume == "never" and rewind_to is not None:
        raise SettingsError("rewind_to", rewind_to, "a run that must be new has nothing to rewind")
    if not chosen:
        if resume == "must":
            raise SettingsError("resume", resume, "a run can only be resumed by its id=")
        return Attempt(settings.attempt or 0, 0)
    here = _known_here(settings, run_id)
    there, unreachable = _known_there(settings, run_id)
    known = there if there.attempt > here.attempt else here
    if there.attempt == here.attempt:
        known.step = max(here.step, there.step)
    lives = here.lives or (there.lives and settings.rank > 0 and there.attempt >= here.attempt)
    if resume == "never" and known.attempt >= 0 and not (lives and settings.rank > 0):
        raise RunExistsError(str(run_id), known.where)
    if known.attempt < 0 and resume == "must" and not unreachable:
        raise RunNotFoundError(str(run_id), project)
    if known.attempt < 0 and unreachable and (resume == "must" or rewind_to is not None):
        asked = "resume='must'" if resume == "must" else f"rewind_to={rewind_to}"
        number = 1 if settings.attempt is None else settings.attempt
        warn(f"{asked}: {unreachable} Going on as attempt {number} of the run; set RUNSTREAM_ATTEMPT when it had more.")
        return Attempt(number, 0)
    if here.same_rank_pid and known is here:
        warn(
            f"process {here.same_rank_pid} writes rank {settings.rank} of this run too: where both log a metric at one "
            "step, the later value is shown. Give each process its own RUNSTREAM_RANK, or another id="
        )
    if settings.attempt is not None:
        return Attempt(settings.attempt, known.step + 1)
    # A rewind hides what earlier attempts logged, so it begins one, even beside a process that should be gone.
    joins = lives and not (rewind_to is not None and here.same_rank_pid)
    return Attempt(known.attempt if joins else known.attempt + 1, known.step + 1)


def parent_of(settings: Settings, asked: str, project: str, *, fixed: bool) -> tuple[str, str]:
    """The run id of the run to fork, and the new one's project: `project`, or, unless that is `fixed`, the parent's.

    `asked` is a run id, or an id of the user's own in `project`. Raises RunNotFoundError when the database answers and
    does not know it, nor does this host; SettingsError when the parent is in another project than the fixed one.
    """
    run_id = run_id_of(project, asked)
    found = _project_here(settings, run_id)
    if found is None:
        url = database_url(settings)
        try:
            rows = ask(url, _PROJECT, {"run": str(run_id)}, LOOKUP_TIMEOUT_S) if url is not None else None
        except LookupFailed as error:
            warn(f"fork: the parent could not be looked up: {error}")
            rows = None
        if rows == [] and not _notebook(settings, run_id).exists():
            raise RunNotFoundError(str(run_id), project, wanted="fork")
        found = str(rows[0]["project"]) if rows else project
    if fixed and found != project:
        raise SettingsError("project", project, f"the parent {run_id} is in {found!r}; a fork stays in its project")
    return str(run_id), found


def note_attempt(settings: Settings, run_id: uuid.UUID, attempt: int, step: int) -> None:
    """Keep what this host knows of a run with a chosen id, for when its spool has been sent and removed."""
    path = _notebook(settings, run_id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{uuid.uuid4().hex}")
        temporary.write_text(json.dumps({"attempt": attempt, "step": step}))
        temporary.replace(path)
    except OSError:
        return  # the database still knows


def _notebook(settings: Settings, run_id: uuid.UUID) -> Path:
    return settings.dir / "runs" / f"{run_id}.json"


def _known_here(settings: Settings, run_id: uuid.UUID) -> _Known:
    known = _Known(f"in {settings.dir}")
    try:
        noted = json.loads(_notebook(settings, run_id).read_bytes())
        known.attempt, known.step = int(noted["attempt"]), int(noted["step"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    for writer, header in _writers_here(settings, run_id):
        if header.attempt < known.attempt:
            continue
        if header.attempt > known.attempt:
            known.attempt, known.lives, known.same_rank_pid = header.attempt, False, 0
        lives = not is_closed(writer) and writer_lives(writer, header)
        known.lives = known.lives or lives
        if lives and header.rank == settings.rank:
            known.same_rank_pid = header.pid
        if not lives:  # a killed process left no note
            known.step = _last_step(writer, known.step)
    return known


def _writers_here(settings: Settings, run_id: uuid.UUID) -> list[tuple[Path, SegmentHeader]]:
    """The writers' directories of a run on this host that can be read, oldest attempt first."""
    directory = settings.spool_dir / str(run_id)
    found = []
    for writer in directory.iterdir() if directory.is_dir() else ():
        if is_editor(writer):
            continue  # somebody changes the run's name, and writes no part of it
        numbers = segment_numbers(writer)
        try:
            found.append((writer, read_header(segment_path(writer, numbers[-1]))[0]))
        except (OSError, SpoolError, IndexError):
            continue
    return sorted(found, key=lambda one: one[1].attempt)


def _last_step(writer: Path, before: int) -> int:
    """The last step of a writer: the highest in its last segment, or where it was rewound to, or `before`."""
    from runstream.spool_reader import EventRecord, SpoolReader

    numbers = segment_numbers(writer)
    step = before
    try:
        for number in sorted({numbers[0], numbers[-1]}):
            with SpoolReader(writer, Position(number)) as reader:
                while reader.position.segment == number and (records := reader.read()):
                    for record in records:
                        if isinstance(record, EventRecord):
                            step = record.body["step"] if record.body.get("type") == "RunRewound" else step
                        else:
                            step = max(step, *record.steps)
    except (OSError, SpoolError, IndexError, KeyError):
        pass
    return step


def _project_here(settings: Settings, run_id: uuid.UUID) -> str | None:
    for _, header in _writers_here(settings, run_id):
        return header.project
    return None


def _known_there(settings: Settings, run_id: uuid.UUID) -> tuple[_Known, str]:
    """What the database knows, and why it was not asked or did not answer (empty: it answered)."""
    known = _Known("in the database")
    url = database_url(settings)
    if url is None:
        return known, "no database is configured to look the run up."
    try:
        deadline = time.monotonic() + LOOKUP_TIMEOUT_S
        runs = ask(url, _RUN, {"run": str(run_id)}, LOOKUP_TIMEOUT_S)
        left_s = max(0.1, deadline - time.monotonic())
        steps = ask(url, _STEP, {"run": str(run_id)}, left_s) if runs else []
    except LookupFailed as error:
        warn(f"this run's earlier attempts could not be looked up: {error}")
        return known, str(error)
    if runs:
        known.attempt, known.lives = int(runs[0]["attempts"]) - 1, runs[0]["state"] == "running"
    if steps:
        known.step = int(steps[0]["step"])
    return known, ""
