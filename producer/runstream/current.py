"""`runstream.init()` and the functions for the current run."""

from __future__ import annotations

import dataclasses
import operator
import os
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from runstream.artifacts import Artifact, LoggedArtifact
from runstream.capture import Captured, captured
from runstream.errors import NoRunError, SettingsError
from runstream.identity import new_run_id, run_id_of
from runstream.names import run_name
from runstream.notices import note, set_quiet
from runstream.recorder import MAX_STEP, MIN_STEP
from runstream.resume import parent_of, plan_attempt
from runstream.runs import DisabledRun, Run
from runstream.settings import Settings
from runstream.starts import Identity
from runstream.tagging import checked_tag
from runstream.values import as_mapping
from runstream.versions import ArtifactVersion, UsedArtifact

if TYPE_CHECKING:
    from runstream.datasets import Dataset

MAX_TEXT = 256

_current: Run | None = None


def init(
    project: str | None = None,
    name: str | None = None,
    config: Any = None,
    tags: Iterable[str] | None = None,
    notes: str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    id: str | None = None,
    resume: str | None = None,
    mode: str | None = None,
    dir: str | os.PathLike[str] | None = None,
    settings: Settings | Mapping[str, Any] | None = None,
    *,
    rewind_to: int | None = None,
    fork_from: str | None = None,
    fork_step: int | None = None,
    inherit_config: bool = True,
    save_code: bool | None = None,
) -> Run:
    """Begin a run, and make it the current one.

    What is not given comes from the environment (`RUNSTREAM_PROJECT`, …) or is made up. `config`: a mapping, an
    argparse namespace, a dataclass, attrs or pydantic object. `id`: your own id; the same id in the same project is
    the same run, and ranks of a job that share one write one run. `resume`: None or `allow` go on with a run of that id
    when there is one, `must` refuses a new run, `never` an existing one. `mode`: `online`; `offline` writes the spool
    and starts no agent; `disabled` does nothing. `settings`: a Settings object, or a mapping of fields to change.
    `rewind_to`: of a run that goes on, the last step that is kept, such as that of the checkpoint just loaded; see
    `Run.rewind`. `save_code`: keep a snapshot of the code, see `Run.log_code`. `fork_from`, `fork_step`,
    `inherit_config`: see `fork`.

    Starting a second run leaves the first open in a script, and finishes it in a notebook (RUNSTREAM_REINIT).

    Raises SettingsError for arguments and variables that cannot be used, RunExistsError and RunNotFoundError for
    `resume`. Trouble with disk, broker or database never raises.
    """
    chosen = _settings(settings, mode=mode, dir=dir)
    if save_code is not None:
        chosen = chosen.changed(save_code=bool(save_code))
    external_id = _text("id", id if id is not None else chosen.run_id)
    rewind_to = _whole("rewind_to", rewind_to)
    if rewind_to is not None and not external_id:
        raise SettingsError("rewind_to", rewind_to, "a run can only be resumed by its id=")
    given_project, project = project, _text("project", chosen.project if project is None else project, required=True)
    forked_from, fork_step = _text("fork_from", fork_from), _whole("fork_step", fork_step)
    if bool(forked_from) != (fork_step is not None):
        raise SettingsError("fork_step", fork_step, "fork_from= and fork_step= go together")
    if forked_from and chosen.mode != "disabled":
        forked_from, project = parent_of(chosen, forked_from, project, fixed=given_project is not None)
    if config is not None and as_mapping(config) is None:
        raise SettingsError("config", type(config).__name__, "a mapping or an object with named fields")
    identity = Identity(
        project=project,
        run_id=run_id_of(project, external_id) if external_id else new_run_id(),
        external_id=external_id,
        attempt=0,
        name=_text("name", name or chosen.name),
        group=_text("group", group or chosen.group),
        job_type=_text("job_type", job_type or chosen.job_type),
        notes=str(notes or chosen.notes or ""),
        tags=_tags(chosen.tags if tags is None else tags),
        parent_run=_text("parent_run", chosen.parent_run),
        forked_from=forked_from,
        fork_step=fork_step or 0,
    )
    if forked_from == str(identity.run_id):
        raise SettingsError("fork_from", fork_from, "a run cannot be forked from itself; leave id= out, or rewind it")
    if not identity.name:
        identity = dataclasses.replace(identity, name=external_id or run_name(identity.run_id))
    set_quiet(chosen.quiet or chosen.rank > 0)
    if chosen.mode == "disabled":
        run: Run = DisabledRun(chosen, identity, Captured({}))
    else:
        attempt = plan_attempt(
            chosen, project, identity.run_id, chosen=bool(external_id), resume=resume, rewind_to=rewind_to
        )
        first_step = attempt.first_step
        if rewind_to is not None:
            first_step = rewind_to + 1
        elif fork_step is not None:
            first_step = max(first_step, fork_step + 1)
        _finish_earlier(chosen)
        run = Run(
            chosen,
            dataclasses.replace(identity, attempt=attempt.number),
            captured(chosen, os.environ, code=chosen.rank == 0),
            first_step=first_step,
            rewind_to=rewind_to,
        )
        note(f"run {run.name} of project {project}: {run.url or run.spool}")
        if forked_from and inherit_config and not attempt.number:
            from runstream.inheritance import inherited_config  # reads spools: not for every import

            run.config.update(inherited_config(chosen, project, forked_from), config or {})
            config = None
    if config is not None:
        run.config.update(config)
    _make_current(run)
    return run


def fork(run_id: str, step: int, **arguments: Any) -> Run:
    """Begin a new run that goes on from step `step` of another one, and make it the current one.

    `run_id`: id of the parent, or the id= that it was given. The new run shows the parent's points up to and with
    `step`, of every rank, as its own, and its counter begins at `step + 1`; the parent stays as it is. Its config is a
    copy of the parent's with what `config=` changes; `inherit_config=False`: only that. `arguments` are as in `init`;
    without `project` the new run is in the parent's. Raises what `init` raises, and RunNotFoundError when the parent is
    known neither on this host nor in the database; where there is none, it is taken on trust.
    """
    return init(fork_from=str(run_id), fork_step=step, **arguments)


def join(settings: Settings, identity: Identity, step: int) -> Run:
    """The run of that identity in this process: how a pickled Run arrives."""
    if _current is not None and _current.id == str(identity.run_id) and not _current.finished:
        return _current
    kind = DisabledRun if settings.mode == "disabled" else Run
    found = captured(settings, os.environ, code=False) if kind is Run else Captured({})
    run = kind(settings, identity, found, first_step=step)
    if _current is None or _current.finished:
        _make_current(run)
    return run


def current_run(call: str = "run") -> Run:
    """The current run. Raises NoRunError when there is none."""
    if _current is None:
        raise NoRunError(call)
    return _current


def log(data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
    """`Run.log` of the current run. Raises NoRunError without one."""
    if _current is None:
        raise NoRunError("log()")
    _current.log(data, step, commit)


def log_histograms(values: Any, step: int | None = None, *, prefix: str = "", bins: int = 64) -> None:
    """`Run.log_histograms` of the current run. Raises NoRunError without one."""
    current_run("log_histograms()").log_histograms(values, step, prefix=prefix, bins=bins)


def watch(model: Any, log: str | None = "gradients", log_freq: int = 1000, *, name: str = "", bins: int = 64) -> None:
    """`Run.watch` of the current run. Raises NoRunError without one."""
    current_run("watch()").watch(model, log, log_freq, name=name, bins=bins)


def unwatch(model: Any = None) -> None:
    """`Run.unwatch` of the current run. Raises NoRunError without one."""
    current_run("unwatch()").unwatch(model)


def rewind(step: int) -> None:
    """`Run.rewind` of the current run. Raises NoRunError without one."""
    current_run("rewind()").rewind(step)


def wait(durability: str = "kafka", timeout: float | None = None) -> bool:
    """`Run.wait` of the current run. Raises NoRunError without one."""
    return current_run("wait()").wait(durability, timeout)


def define_metric(
    pattern: str,
    *,
    step_metric: str | None = None,
    summary: str | Iterable[str] | None = None,
    goal: str | None = None,
    hidden: bool = False,
    unit: str | None = None,
) -> None:
    """`Run.define_metric` of the current run. Raises NoRunError without one."""
    current_run("define_metric()").define_metric(
        pattern, step_metric=step_metric, summary=summary, goal=goal, hidden=hidden, unit=unit
    )


def log_artifact(
    path: Artifact | str | os.PathLike[str], name: str | None = None, type: str | None = None, **said: Any
) -> LoggedArtifact | None:
    """`Run.log_artifact` of the current run; `said`: its other arguments. Raises NoRunError without one."""
    return current_run("log_artifact()").log_artifact(path, name, type, **said)


def use_artifact(name: str) -> UsedArtifact:
    """`Run.use_artifact` of the current run. Raises NoRunError without one."""
    return current_run("use_artifact()").use_artifact(name)


def register_model(artifact: LoggedArtifact | ArtifactVersion | str | None, model: str, **said: Any) -> None:
    """`Run.register_model` of the current run; `said`: its other arguments. Raises NoRunError without one."""
    current_run("register_model()").register_model(artifact, model, **said)


def log_code(
    root: str | os.PathLike[str] | None = None,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    name: str = "code-snapshot",
) -> LoggedArtifact | None:
    """`Run.log_code` of the current run. Raises NoRunError without one."""
    return current_run("log_code()").log_code(root, include, exclude, name)


def log_dataset(
    data: Any,
    name: str | None = None,
    context: str = "",
    source: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Dataset | None:
    """`Run.log_dataset` of the current run. Raises NoRunError without one."""
    return current_run("log_dataset()").log_dataset(data, name, context, source, metadata)


def finish(exit_code: int = 0) -> None:
    """`Run.finish` of the current run; does nothing without one."""
    global _current
    run, _current = _current, None
    if run is not None:
        run.finish(exit_code)


def _make_current(run: Run) -> None:
    global _current
    _current = run


def _finish_earlier(settings: Settings) -> None:
    earlier = _current
    in_notebook = "ipykernel" in sys.modules
    wanted = settings.reinit == "finish_previous" or (settings.reinit == "auto" and in_notebook)
    if wanted and earlier is not None and not earlier.finished:
        earlier.finish()


def _settings(
    given: Settings | Mapping[str, Any] | None,
    *,
    mode: str | None,
    dir: str | os.PathLike[str] | None,
) -> Settings:
    settings = given if isinstance(given, Settings) else Settings.from_env(os.environ)
    changes: dict[str, Any] = dict(given) if isinstance(given, Mapping) else {}
    if mode is not None:
        changes["mode"] = mode
    if dir is not None:
        changes["dir"] = dir
    return settings.changed(**changes)


def _text(name: str, value: object, *, required: bool = False) -> str:
    text = "" if value is None else value.strip() if isinstance(value, str) else str(value)
    if required and not text:
        raise SettingsError(name, value, "it must not be empty")
    if len(text) > MAX_TEXT or not text.isprintable():
        raise SettingsError(name, value, f"printable text of at most {MAX_TEXT} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SettingsError(name, value, "text that UTF-8 can hold") from None
    return text


def _whole(name: str, value: object) -> int | None:
    if value is None:
        return None
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # any object may come
    except TypeError:
        raise SettingsError(name, value, "a whole number") from None
    if not MIN_STEP <= number < MAX_STEP:
        raise SettingsError(name, value, "a step of 64 bits")
    return number


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({checked_tag(tag) for tag in ([tags] if isinstance(tags, str) else tags)}))
