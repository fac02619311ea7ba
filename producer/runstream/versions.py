"""Versions of artifacts as the database knows them."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from runstream.errors import ArtifactError
from runstream.lookup import ask, database_url, up_state
from runstream.settings import Settings

if TYPE_CHECKING:
    from runstream.downloads import File, Only
    from runstream.edits import Edited, Editor

LOOKUP_S = 30.0
LATEST = "latest"
_VERSION = """
SELECT version, digest, type, size, metadata, description, aliases, tags, deleted,
       toString(run_id) AS run_id, run_name, toUnixTimestamp64Micro(created_at) AS created_us,
       arrayMap(f -> (f.path, f.sha256, f.size, f.mime, f.ref), files) AS listed
FROM v_artifacts
WHERE project = {project:String} AND name = {name:String}
  AND (version = {version:String} OR digest = {version:String} OR has(aliases, {version:String})
       OR (length({version:String}) >= 8 AND startsWith(digest, {version:String})))
ORDER BY deleted, version = {version:String} DESC, has(aliases, {version:String}) DESC, created_us DESC
LIMIT 1
"""
_RUNS = """
SELECT l.project AS project, toString(l.run_id) AS id, any(r.run_name) AS name, min(l.ts_us) AS at_us,
       any(l.version) AS asked
FROM (SELECT project, run_id, ts_us, version FROM artifact_links FINAL
      WHERE artifact_project = {project:String} AND name = {name:String} AND digest = {digest:String}
        AND role = {role:String} AND run_id != toUUID('00000000-0000-0000-0000-000000000000')
      SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1) AS l
INNER JOIN run_names AS r ON r.project = l.project AND r.run_id = l.run_id
WHERE r.deleted = 0
GROUP BY l.project, l.run_id
ORDER BY at_us, id
"""


@dataclasses.dataclass(frozen=True, slots=True)
class RunLink:
    """A run that logged or used a version, and when (microseconds since 1970)."""

    id: str
    name: str
    at_us: int
    asked: str = ""
    """As it asked for the version: `latest`, `v3`, an alias or a digest; empty for one that logged it."""
    project: str = ""
    """Of the run: another one may read the artifacts of this."""


class ArtifactVersion:
    """One version of an artifact. `asked`: the version, alias or digest that it was asked for by.

    `otherwise`: the project and the name to look for when the first project has no such version; `project` and `name`
    are then those. The database is asked at the first property that needs it, and not again. Every such access may
    raise LookupFailed (no answer) and ArtifactError (there is no such version, or no database).
    """

    def __init__(
        self,
        settings: Settings,
        project: str,
        name: str,
        asked: str = LATEST,
        resolved: Callable[[ArtifactVersion], None] | None = None,
        *,
        otherwise: tuple[str, str] | None = None,
    ) -> None:
        self.project = project
        self.name = name
        self.asked = asked
        self._settings = settings
        self._resolved = resolved
        self._otherwise = otherwise
        self._found: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}:{self.asked})"

    # -- what it is

    @property
    def version(self) -> str:
        """`v0`, `v1`, …"""
        return str(self.resolve()["version"])

    @property
    def digest(self) -> str:
        """The identity of the content."""
        return str(self.resolve()["digest"])

    @property
    def type(self) -> str:
        return str(self.resolve()["type"])

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return int(self.resolve()["size"])

    @property
    def description(self) -> str:
        return str(self.resolve()["description"])

    @property
    def metadata(self) -> dict[str, Any]:
        """What was given to `log_artifact(metadata=)`, as last edited."""
        found = json.loads(self.resolve()["metadata"] or "{}")
        return found if isinstance(found, dict) else {}

    @property
    def aliases(self) -> tuple[str, ...]:
        """Names that point here, sorted; the newest version has `latest`."""
        return tuple(self.resolve()["aliases"])

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(self.resolve()["tags"])

    @property
    def files(self) -> tuple[File, ...]:
        """Path, sha256, size, mime and address (of references) of each."""
        from runstream.downloads import File

        return tuple(File(path, sha256, int(size), mime, ref) for path, sha256, size, mime, ref in self._listed())

    def logged_by(self) -> list[RunLink]:
        """The runs that logged this content, the first one first; empty for one that was put from outside a run."""
        return self._runs("out")

    def used_by(self) -> list[RunLink]:
        """The runs that used it, in order of time."""
        return self._runs("in")

    def resolve(self, timeout_s: float = LOOKUP_S, *, deleted: bool = False) -> dict[str, Any]:
        """Find the version, with `deleted` also one that was deleted.

        Raises LookupFailed (no answer) and ArtifactError (no such artifact, or no database).
        """
        if self._found is None:
            until = time.monotonic() + timeout_s
            rows = self._ask(_VERSION, {"version": self.asked}, timeout_s)
            if not rows and self._otherwise is not None:
                project, name = self._otherwise
                there = {"project": project, "name": name, "version": self.asked}
                rows = self._ask(_VERSION, there, max(until - time.monotonic(), 0.1))
                if rows:
                    self.project, self.name = project, name
            if not rows:
                raise ArtifactError(
                    f"There is no artifact {self.name}:{self.asked} in project {self.project!r}{self._nor()}. "
                    "A version just logged is visible once the agent has uploaded it."
                )
            if rows[0]["deleted"] and not deleted:
                of = f"{self.name}:{self.asked}"
                raise ArtifactError(
                    f"{of} was deleted; restore(), or `runstream artifacts restore {of}`, brings it back while its "
                    "files are there."
                )
            self._found = rows[0]
            if self._resolved is not None:
                self._resolved(self)
        return self._found

    # -- its files

    def download(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        only: Only = None,
        references: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> Path:
        """Fetch the files into `directory` (default: `artifacts/<name>-<version>` here) and return it.

        `only`: a pattern such as `*.json`, several, or a function of the path. Files come side by side, each is checked
        against its sha256 and only then gets its name; those already there with the right content are kept, and one
        that was cut off is gone on with. References are fetched only with `references=True`, those in S3 with the keys
        of RUNSTREAM_S3. `progress` is called with the bytes that came. Raises ArtifactError and what `resolve` raises.
        """
        from runstream import downloads

        wanted = downloads.chosen(self.files, only)
        safe = self.name.replace("/", "-")
        target = Path(directory) if directory is not None else Path("artifacts", f"{safe}-{self.version}")
        downloads.fetch(wanted, target, self._store(), follow=references, progress=progress)
        return target

    def open(self, path: str) -> BinaryIO:
        """A stream of one file, read from the store as it goes and not checked; the caller closes it."""
        from runstream import downloads

        for file in self.files:
            if file.path == path:
                return downloads.opened(file, self._store())
        raise ArtifactError(f"{self.name}:{self.version} has no file {path!r}; .files lists them.")

    def verify(self, directory: str | os.PathLike[str], *, only: Only = None, references: bool = False) -> None:
        """Check that `directory` holds the files as they were logged; others may lie there too.

        `only` chooses files as in `download`. References are checked where they lie, with `references=True`. Raises
        ArtifactError that names what is missing or changed.
        """
        from runstream import downloads

        files = downloads.chosen(self.files, only)
        wrong = downloads.differences(files, Path(directory), self._store() if references else None)
        if wrong:
            named = ", ".join(f"{path!r} is {what}" for path, what in list(wrong.items())[:5])
            more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            raise ArtifactError(f"{directory} is not {self.name}:{self.version}: {named}{more}. Download it again.")

    # -- edits, as events with an actor

    def add_alias(self, *aliases: str) -> Edited:
        """Point aliases at this version; each moves away from where it pointed. Raises EditRefused."""
        return self._edit("alias", aliases)

    def remove_alias(self, *aliases: str) -> Edited:
        return self._edit("unalias", aliases)

    def add_tag(self, *tags: str) -> Edited:
        return self._edit("tag", tags)

    def remove_tag(self, *tags: str) -> Edited:
        return self._edit("untag", tags)

    def set_metadata(self, metadata: Mapping[str, Any]) -> Edited:
        """Replace the metadata."""
        return self._edit("metadata", [metadata])

    def set_description(self, text: str) -> Edited:
        return self._edit("description", [text])

    def set_ttl(self, ttl: Any) -> Edited:
        """Let it expire after `ttl` from now (seconds, a timedelta, or text such as `30d`); None: never."""
        from runstream.artifacts import retention

        return self._edit("expires", [retention(ttl, None, None, None).expires_us])

    def delete(self, reason: str = "") -> Edited:
        """Hide this version; its files go with the next `runstream gc` after the grace time, unless it is restored."""
        return self._edit("delete", [reason])

    def restore(self) -> Edited:
        """Take a deletion back. Raises ArtifactError when a file of it is gone from the object store already."""
        self.check_restorable()
        return self._edit("restore", [""])

    def check_restorable(self) -> None:
        """Raises ArtifactError when a file of it is gone from the object store."""
        from runstream.objects import object_key

        self.resolve(deleted=True)
        store = self._store()
        for file in self.files:
            if not file.ref and not store.exists(object_key(file.sha256)):
                raise ArtifactError(
                    f"{self.name}:{self.version} cannot be restored: {file.path} is gone from the object store."
                )

    # -- inside

    def _nor(self) -> str:
        return f", nor {self._otherwise[1]} in project {self._otherwise[0]!r}" if self._otherwise is not None else ""

    def _edit(self, action: str, values: Iterable[Any]) -> Edited:
        from runstream.edits import ArtifactEdit

        edits = [ArtifactEdit(self.name, self.digest, action, value) for value in values]
        self._found = None
        return self._editor().edit_artifacts(self.project, edits)

    def _editor(self) -> Editor:
        from runstream.edits import Editor

        return Editor(self._settings)

    def _listed(self) -> list[Any]:
        return list(self.resolve()["listed"])

    def _runs(self, role: str) -> list[RunLink]:
        return [
            RunLink(str(row["id"]), str(row["name"]), int(row["at_us"]), str(row["asked"]), str(row["project"]))
            for row in self._ask(_RUNS, {"digest": self.digest, "role": role}, LOOKUP_S)
        ]

    def _ask(self, sql: str, parameters: dict[str, str], timeout_s: float) -> list[dict[str, Any]]:
        url = database_url(self._settings)
        if url is None:
            raise ArtifactError(
                f"Artifact {self.name}:{self.asked} cannot be looked up: no database. "
                "Set RUNSTREAM_CLICKHOUSE, or start `runstream up`."
            )
        return ask(url, sql, {"project": self.project, "name": self.name, **parameters}, timeout_s)

    def _store(self) -> Any:
        from runstream.objects import open_store

        running = up_state(self._settings.up_file) if not self._settings.clickhouse else {}
        return open_store(str(running.get("objects_url") or self._settings.s3))


class UsedArtifact(ArtifactVersion):
    """A version that the run reads; that it does is recorded with the run."""


def artifact(
    name: str, *, project: str | None = None, settings: Settings | Mapping[str, Any] | None = None
) -> ArtifactVersion:
    """A version of an artifact, without a run: `project/name:version`, or `name:version` with `project=`.

    `version` is `v3`, an alias, or a digest or at least 8 characters of one; without, `latest`. The project is what
    stands before the first slash, or, when it has no such artifact, that of the environment; `project=` leaves all
    slashes to the name. Nothing is recorded. Raises ArtifactError for a text that names nothing.
    """
    from_env = settings if isinstance(settings, Settings) else Settings.from_env(os.environ).changed(**(settings or {}))
    whole, _, asked = str(name).partition(":")
    own = None
    if project is None:
        project, slash, rest = whole.partition("/")
        own = (from_env.project, whole) if slash else None
        project, whole = (project, rest) if slash else (from_env.project, whole)
    if not project or not whole:
        raise ArtifactError(f"{name!r} names no artifact; write project/name:version, such as digits/model:best.")
    return ArtifactVersion(from_env, project, whole, asked or LATEST, otherwise=own)


def elsewhere(name: str) -> tuple[str, str] | None:
    """The project and the artifact that `other-project/name` means; None where there is no slash."""
    project, slash, rest = name.partition("/")
    return (project, rest) if slash and project and rest else None
