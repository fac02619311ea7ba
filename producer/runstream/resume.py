"""Which attempt of a run this is: what this host knows, and what the database knows when there is one."""

from __future__ import annotations

import dataclasses
import json
import time
import uuid
from pathlib import Path

from runstream.errors import LookupFailed, RunExistsError, RunNotFoundError, SettingsError, SpoolError
from runstream.lookup import ask, database_url
from runstream.notices import warn
from runstream.settings import Settings
from runstream.spool import is_closed, read_header, segment_numbers, segment_path, writer_lives

RESUMES = (None, "allow", "must", "never")
LOOKUP_TIMEOUT_S = 2.0
_RUN = "SELECT attempts, state FROM v_runs WHERE run_id = {run:UUID}"
_STEP = "SELECT max(last_step) AS step FROM v_summary WHERE run_id = {run:UUID} HAVING count() > 0"


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


def plan_attempt(settings: Settings, project: str, run_id: uuid.UUID, *, chosen: bool, resume: str | None) -> Attempt:
    """The attempt that a start of `run_id` is.

    A run that nobody chose an id for is new. Else: one more than the newest attempt known, or that very attempt when
    one of its writers lives (another rank of the same job), or what the settings force. Waits for the database at most
    LOOKUP_TIMEOUT_S. Raises RunExistsError for resume="never" and RunNotFoundError for resume="must".
    """
    if resume not in RESUMES:
        raise SettingsError("resume", resume, "None, 'allow', 'must' or 'never'")
    if not chosen:
        if resume == "must":
            raise SettingsError("resume", resume, "a run can only be resumed by its id=")
        return Attempt(settings.attempt or 0, 0)
    here = _known_here(settings, run_id)
    there, unreachable = _known_there(settings, run_id)
    known = there if there.attempt > here.attempt else here
    lives = here.lives or (there.lives and settings.rank > 0 and there.attempt >= here.attempt)
    if resume == "never" and known.attempt >= 0 and not (lives and settings.rank > 0):
        raise RunExistsError(str(run_id), known.where)
    if resume == "must" and known.attempt < 0:
        if not unreachable:
            raise RunNotFoundError(str(run_id), project)
        warn(f"resume='must': {unreachable} Going on as a resumed run.")
        return Attempt(settings.attempt or 1, 0)
    if settings.attempt is not None:
        return Attempt(settings.attempt, known.step + 1)
    return Attempt(known.attempt if lives else known.attempt + 1, known.step + 1)


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
    directory = settings.spool_dir / str(run_id)
    for writer in directory.iterdir() if directory.is_dir() else ():
        numbers = segment_numbers(writer)
        if not numbers:
            continue
        try:
            header, _ = read_header(segment_path(writer, numbers[-1]))
        except (OSError, SpoolError):
            continue
        lives = not is_closed(writer) and writer_lives(writer, header)
        if header.attempt > known.attempt:
            known.attempt, known.lives = header.attempt, lives
        elif header.attempt == known.attempt:
            known.lives = known.lives or lives
    return known


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
