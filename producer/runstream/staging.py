"""Files of an artifact, kept beside the spool until the agent has brought them into the object store.

`<writer directory>/files/<n>/…` holds the files, `files/<n>.json` the list of them where an event cannot, and
`files/<n>.known` what the agent found out of them: that stays, so that a version that is sent again is the same one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from runstream.errors import StagedFileLost
from runstream.notices import warn
from runstream.paths import clashes, refusal

MAX_FILES = 100_000
MAX_MANIFEST_BYTES = 7 << 20
"""Of a version's list of files as a message: topics take 8 MiB."""
INLINE_BYTES = 256 * 1024
_ENTRY_BYTES = 120
"""Of a file in that list, besides path and address."""


class Source(NamedTuple):
    """One file to keep under `path`: the file at `file`, or the reference `ref`."""

    path: str
    file: Path | None = None
    ref: str = ""
    policy: str = "copy"


def walk(source: Path, prefix: str, spool: Path, policy: str) -> list[Source]:
    """The file or the tree `source`, in order of path; what lies in `spool` is left out, and what is no file.

    A file of a tree whose path cannot be kept is left out with a warning. Raises FileNotFoundError.
    """
    if source.is_file():
        return [Source(prefix or source.name, source, policy=policy)]
    if not source.is_dir():
        raise FileNotFoundError(f"there is no file or directory {source}")
    found = {f"{prefix}/{path}" if prefix else path: Path(source, path) for path in _tree(source, spool)}
    refused = {path: why for path in found if (why := refusal(path))}
    refused |= {
        path: f"it clashes with {other!r}"
        for path, other in clashes((path for path in found if path not in refused), folds_case=False)
    }
    if refused:
        first, why = next(iter(refused.items()))
        warn(
            f"{len(refused)} of {len(found)} files of {source} are left out, the first is {first!r}: {why}. Rename "
            "them, or keep them in an archive"
        )
    return [Source(path, file, policy=policy) for path, file in found.items() if path not in refused]


def _tree(source: Path, spool: Path) -> Iterator[str]:
    for root, directories, names in os.walk(source):
        here = Path(root).resolve()
        directories[:] = sorted(name for name in directories if here / name != spool)
        for name in sorted(names):
            path = Path(root, name)
            if path.is_file():  # not a socket, a device or a link to nowhere
                yield path.relative_to(source).as_posix()


def stage(sources: list[Source], directory: Path) -> list[dict[str, Any]]:
    """Bring `sources` into `directory`; `{"path", "size"}` or `{"path", "ref"}` of each, in their order.

    A copy, not a hard link, unless the policy is `link`: checkpoints are often overwritten in place, and a link would
    change with them. Where the file system can (XFS, Btrfs), the copy shares its blocks with the original. Raises
    OSError or ValueError, and then leaves nothing.
    """
    _check(sources)
    files: list[dict[str, Any]] = []
    try:
        for path, file, ref, policy in sources:
            if file is None:
                files.append({"path": path, "ref": ref})
                continue
            target = directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            size = _link(file, target) if policy == "link" else -1
            files.append({"path": path, "size": _copy(file, target) if size < 0 else size})
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return files


def listed(directory: Path, stage: str, files: list[dict[str, Any]]) -> dict[str, Any]:
    """The fields `stage` and `files` of an ArtifactStaged; a long list is in a file of its own. Raises OSError."""
    text = json.dumps(files)
    if len(text) <= INLINE_BYTES:
        return {"stage": stage, "files": files}
    path = directory / f"{stage}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return {"stage": stage, "files": [], "manifest": f"{stage}.json"}


def files_of(directory: Path, staged: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The files and the references of an ArtifactStaged in the writer's `directory`. Raises StagedFileLost."""
    files = staged["files"]
    if manifest := staged.get("manifest"):
        try:
            files = json.loads((directory / manifest).read_bytes())
        except (OSError, ValueError):
            raise StagedFileLost(path=directory / manifest) from None
    return [file for file in files if not file.get("ref")], [file for file in files if file.get("ref")]


def known_of(directory: Path, stage: str) -> dict[str, Any]:
    """What was noted of the stage: `digest`, and of its references what was known; empty when nothing was."""
    try:
        found = json.loads((directory / f"{stage}.known").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def note_known(directory: Path, stage: str, known: Mapping[str, Any]) -> None:
    """Raises OSError."""
    path = directory / f"{stage}.known"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(dict(known)))
    temporary.replace(path)


def with_digest(directory: Path, body: Mapping[str, Any]) -> dict[str, Any]:
    """The event's fields; one that means the version staged before it (`stage`) gets that version's digest.

    Raises StagedFileLost when there is none.
    """
    fields = dict(body)
    if fields.get("type") == "ModelEdited" and (stage := fields.pop("stage", "")):
        digest = known_of(directory, stage).get("digest")
        if not digest:
            raise StagedFileLost(path=directory / stage)
        fields["digest"] = digest
    return fields


def _check(sources: list[Source]) -> None:
    if not 0 < len(sources) <= MAX_FILES:
        raise ValueError(f"{len(sources)} files in it; 1 to {MAX_FILES} can be kept, more as an archive")
    for source in sources:
        if why := refusal(source.path):
            raise ValueError(f"the path {source.path!r} cannot be kept: {why}; give it another with name=")
    if clash := clashes((source.path for source in sources), folds_case=False):
        path, other = clash[0]
        raise ValueError(f"{path!r} and {other!r} cannot lie side by side; rename one of them")
    size = sum(len(source.path.encode()) + len(source.ref.encode()) + _ENTRY_BYTES for source in sources)
    if size > MAX_MANIFEST_BYTES:
        raise ValueError(
            f"the list of its {len(sources)} files has {size} bytes, the limit is {MAX_MANIFEST_BYTES}; keep them as "
            "an archive or as several artifacts"
        )


def _link(source: Path, target: Path) -> int:
    """Link the file, when that can be done; its size, or -1."""
    with contextlib.suppress(OSError):
        os.link(source.resolve(), target)
        return target.stat().st_size
    return -1


def _copy(source: Path, target: Path) -> int:
    with source.open("rb") as reader, target.open("xb") as writer:
        if hasattr(os, "copy_file_range"):
            try:
                while os.copy_file_range(reader.fileno(), writer.fileno(), 1 << 30):
                    pass
                return os.fstat(writer.fileno()).st_size
            except OSError:  # across file systems, or not supported: copy what is left by hand
                reader.seek(0)
                writer.seek(0)
                writer.truncate()
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        return os.fstat(writer.fileno()).st_size
