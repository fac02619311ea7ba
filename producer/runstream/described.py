"""What a run is called, what it was given, and what else it records beside points."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runstream import endings, labels
from runstream.artifacts import GOALS, Artifact, LoggedArtifact, of_path
from runstream.errors import EditRefused, RunstreamError
from runstream.identity import actor
from runstream.lookup import database_url, up_state
from runstream.notices import warn
from runstream.parameters import Changes, Config, Parameters, Summary
from runstream.registration import registration
from runstream.settings import Settings
from runstream.spool_writer import SpoolWriter
from runstream.starts import Identity
from runstream.tagging import Tags
from runstream.valued import ValueRecorder
from runstream.values import MAX_TEXT_BYTES, cut
from runstream.versions import LATEST, ArtifactVersion, UsedArtifact, elsewhere

SUMMARIES = ("min", "max", "last", "first", "mean", "best", "none")
PARAMS_PER_EVENT_BYTES = 256 * 1024
USE_LOOKUP_S = 2.0


class DescribedRun(ValueRecorder):
    """A run's identity, attributes, parameters and artifacts; `Run` adds its life."""

    def __init__(
        self,
        settings: Settings,
        identity: Identity,
        *,
        open_writer: Callable[[], SpoolWriter] | None,
        first_step: int,
    ) -> None:
        self.settings = settings
        self._identity = identity
        self._attributes = {"name": identity.name, "notes": identity.notes}
        self._attributes.update(group=identity.group, job_type=identity.job_type)
        self._artifacts = 0
        super().__init__(
            open_writer=open_writer, actor=actor(), first_step=first_step, max_metrics=settings.max_metrics
        )
        self._config = Config(Parameters(lambda changes: self._send_values("Params", changes)))
        self._summary = Summary(lambda changes: self._send_values("Summary", changes))
        self._tags = Tags(identity.tags, self._send_attributes)

    # -- what it is

    @property
    def id(self) -> str:
        """The run id, a UUID as text."""
        return str(self._identity.run_id)

    @property
    def project(self) -> str:
        return self._identity.project

    @property
    def attempt(self) -> int:
        """0 for the first start of the run, one more for each resume."""
        return self._identity.attempt

    @property
    def rank(self) -> int:
        return self.settings.rank

    @property
    def mode(self) -> str:
        """online, offline or disabled."""
        return self.settings.mode

    @property
    def finished(self) -> bool:
        return self._ended

    @property
    def spool(self) -> Path | None:
        """The directory that holds this process's part until it is sent; None before anything was written."""
        return self._writer.directory if self._writer is not None else None

    @property
    def url(self) -> str | None:
        """The run's page, when RUNSTREAM_UI_URL is set or `runstream up` runs on this data directory; else None."""
        page = self.settings.ui_url or up_state(self.settings.up_file).get("ui_url")
        if not page or self.mode == "disabled":
            return None
        return f"{str(page).rstrip('/')}/run?project={quote(self.project, safe='')}&run={self.id}"

    @property
    def name(self) -> str:
        return self._attributes["name"]

    @name.setter
    def name(self, text: str) -> None:
        self._set_attribute("name", text)

    @property
    def notes(self) -> str:
        return self._attributes["notes"]

    @notes.setter
    def notes(self, text: str) -> None:
        self._set_attribute("notes", text)

    @property
    def group(self) -> str:
        return self._attributes["group"]

    @group.setter
    def group(self, text: str) -> None:
        self._set_attribute("group", text)

    @property
    def job_type(self) -> str:
        return self._attributes["job_type"]

    @job_type.setter
    def job_type(self, text: str) -> None:
        self._set_attribute("job_type", text)

    @property
    def tags(self) -> Tags:
        """A set; `run.tags.add("baseline")` and `run.tags = [...]` are recorded at once."""
        return self._tags

    @tags.setter
    def tags(self, tags: Iterable[str]) -> None:
        self._tags.replace(tags)

    @property
    def config(self) -> Config:
        """The parameters of the run; see Config."""
        return self._config

    @config.setter
    def config(self, values: Any) -> None:
        self._config.update(values)

    @property
    def summary(self) -> Summary:
        """Results of the run as a whole; see Summary."""
        return self._summary

    def __repr__(self) -> str:
        return f"<Run {self.name} ({self.id}) of {self.project}{', finished' if self._ended else ''}>"

    # -- what it records

    def define_metric(
        self,
        pattern: str,
        *,
        step_metric: str | None = None,
        summary: str | Iterable[str] | None = None,
        goal: str | None = None,
        hidden: bool = False,
        unit: str | None = None,
    ) -> None:
        """Say how a metric, or all that match a glob such as `val/*`, are summarised and drawn.

        `step_metric`: the metric to draw against instead of step. `summary`: of min, max, last, first, mean, best,
        none. `goal`: minimize or maximize. What cannot be used is left out with a warning.
        """
        wanted = [summary] if isinstance(summary, str) else list(summary or ())
        parts = [part.strip() for text in wanted for part in str(text).split(",")]
        for part in [part for part in parts if part not in SUMMARIES]:
            warn(f"define_metric({pattern!r}): summary {part!r} is left out; it is one of {', '.join(SUMMARIES)}")
        if goal and goal not in GOALS:
            warn(f"define_metric({pattern!r}): goal {goal!r} is left out; it is minimize or maximize")
        self._emit(
            {
                "type": "MetricDefined",
                "pattern": str(pattern),
                "x_axis": str(step_metric or ""),
                "summary": [part for part in parts if part in SUMMARIES],
                "goal": GOALS.get(goal or "", ""),
                "hidden": bool(hidden),
                "unit": str(unit or ""),
            }
        )

    def log_artifact(
        self,
        path: Artifact | str | os.PathLike[str],
        name: str | None = None,
        type: str | None = None,
        aliases: Iterable[str] = (),
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        description: str | None = None,
        ttl: Any = None,
        keep_best: int | None = None,
        score: float | None = None,
        goal: str | None = None,
        policy: str = "copy",
    ) -> LoggedArtifact | None:
        """Keep a file, a directory or an `Artifact` as a version of the artifact `name`, by default its file name.

        Files are copied beside the spool now, so that the originals may change or go, and uploaded by the agent.
        `policy="link"` links them where that can be done: quicker, for files that are not changed in place. `ttl`: how
        long the version is kept, in seconds or as `30d`. `keep_best`: of this artifact, only so many versions are kept,
        those with the best `score` (`goal`: `minimize`, the default, or `maximize`), beside the newest and those that
        have an alias; `runstream gc` removes the others. Never raises: None, with a warning, when there is nothing at
        `path`, a value cannot be used, or there is no room.
        """
        if self.mode == "disabled":
            return None
        try:
            artifact = path.copy() if isinstance(path, Artifact) else of_path(path, policy)
            artifact.name = name or artifact.name
            artifact.type = type or artifact.type
            artifact.metadata = {**artifact.metadata, **(metadata or {})}
            artifact.description = artifact.description if description is None else description
            with self._lock:
                writer = self._ready("log_artifact()")
                if writer is None:
                    return None
                self._artifacts += 1
                stage = f"files/{self._artifacts}"
            said = {"aliases": aliases, "tags": tags, "ttl": ttl, "keep_best": keep_best, "score": score, "goal": goal}
            logged, body = artifact.event(writer.directory, stage, self.settings.spool_dir, **said)
            self._emit(body)
        except Exception as error:
            if endings.raised_by_signal_handler(error):
                raise
            self._dropped += 1
            warn(f"log_artifact({str(path)!r}) is left out: {error}")
            return None
        return logged

    def use_artifact(self, name: str, project: str | None = None) -> UsedArtifact:
        """Record that this run reads an artifact: `name`, `name:v3`, `name:alias` or `name:digest` (`latest` if none).

        `other-project/name:v3` is an artifact of another project, where this one has none of that whole name;
        `project=` leaves all slashes to the name. Waits for the database at most 2 s; `download()` on the answer asks
        again when that was not enough. Never raises: a name that cannot be is a warning, and nothing is recorded.
        """
        base, _, asked = str(name).partition(":")
        asked = asked or LATEST
        seen: list[tuple[str, str, str]] = []

        def record(of: ArtifactVersion, digest: str | None = None) -> None:
            found = (of.project, of.name, of.digest if digest is None else digest)
            if found not in seen:
                seen.append(found)
                holder = "" if of.project == self.project else of.project
                named = {"name": of.name, "version": asked, "digest": found[2], "artifact_project": holder}
                self._emit({"type": "ArtifactUsed", **named})

        otherwise = elsewhere(base) if project is None else None
        used = UsedArtifact(self.settings, project or self.project, base, asked, record, otherwise=otherwise)
        if self.mode == "disabled":
            return used
        try:
            labels.name(base)
            labels.version(asked)
            if project is not None:
                labels.project(project)
        except EditRefused as error:
            warn(f"use_artifact({str(name)[:200]!r}) is not recorded: {error}")
            return used
        try:
            if database_url(self.settings) is not None:
                used.resolve(USE_LOOKUP_S)
        except RunstreamError as error:
            warn(f"use_artifact({name!r}): {error}")
        if not seen:
            record(used, "")
        return used

    def register_model(
        self,
        artifact: LoggedArtifact | ArtifactVersion | str | None,
        model: str,
        aliases: Iterable[str] = (),
        stage: str | None = None,
        note: str = "",
    ) -> None:
        """Enter a version of an artifact into the registry, as the next version of `model`.

        `artifact`: what `log_artifact` or `use_artifact` gave, or `name:version`, as in `use_artifact`. Never
        raises: a value that cannot be used is a warning, and nothing is registered then.
        """
        if self.mode == "disabled":
            return
        try:
            with self._lock:
                writer = self._ready("register_model()")
            if writer is None:
                return
            named = (self.settings, self.project, artifact, model, aliases, stage, note, writer.directory.name)
            for body in registration(*named):
                self._emit(body)
        except Exception as error:
            if endings.raised_by_signal_handler(error):
                raise
            self._dropped += 1
            warn(f"register_model({model!r}) is left out: {error}")

    # -- inside

    def _send_values(self, kind: str, changes: Changes) -> None:
        part: Changes = []
        size = 0
        for value in changes:
            size += len(json.dumps(value))
            if part and size > PARAMS_PER_EVENT_BYTES:
                self._emit({"type": kind, "values": part})
                part, size = [], 0
            part.append(value)
        self._emit({"type": kind, "values": part})

    def _set_attribute(self, key: str, text: str) -> None:
        text = cut("" if text is None else str(text), MAX_TEXT_BYTES)[0]
        if self._attributes[key] != text:
            self._attributes[key] = text
            self._send_attributes({key: text})

    def _send_attributes(self, values: dict[str, str | None]) -> None:
        self._emit({"type": "Attributes", "values": values})
