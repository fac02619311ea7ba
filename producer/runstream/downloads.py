"""Fetching the files of a version: in parallel, checked, and going on where an earlier attempt was cut off."""

from __future__ import annotations

import contextlib
import fcntl
import fnmatch
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from runstream import references
from runstream.errors import ArtifactError
from runstream.objects import ObjectStore, object_key
from runstream.paths import FOLDS_CASE, clashes, refusal_here

if TYPE_CHECKING:
    from hashlib import _Hash

AT_ONCE = 8
PIECE_BYTES = 1 << 20
Only = str | Iterable[str] | Callable[[str], bool] | None


class File(NamedTuple):
    """One file of a version. `sha256`: of the content; of a reference (`ref` is its address) of what is known of it,
    or empty when it is unchecked."""

    path: str
    sha256: str
    size: int
    mime: str = ""
    ref: str = ""


def chosen(files: Sequence[File], only: Only) -> list[File]:
    """The files whose path matches a pattern of `only` (`*.json`, matched against the whole path and the name), or for
    which it answers True; all for None. Raises ArtifactError when none does."""
    if only is None:
        return list(files)
    if callable(only):
        found = [file for file in files if only(file.path)]
    else:
        patterns = [only] if isinstance(only, str) else list(only)
        found = [file for file in files if any(_matches(file.path, pattern) for pattern in patterns)]
    if not found and files:
        raise ArtifactError(f"None of the {len(files)} files matches only={only!r}; .files lists them.")
    return found


def check_paths(files: Sequence[File]) -> None:
    """Raises ArtifactError for a path that leads out of its directory, or that this system cannot write."""
    for file in files:
        if why := refusal_here(file.path):
            raise ArtifactError(
                f"The artifact has a file {file.path!r} that is not written: {why}, or leads outside its directory. "
                "Choose others with only=, or read this one with open()."
            )
    if clash := clashes((file.path for file in files), folds_case=FOLDS_CASE):
        raise ArtifactError(
            f"The files {clash[0][0]!r} and {clash[0][1]!r} cannot lie side by side here. "
            "Choose one of them with only=."
        )


def fetch(
    files: Sequence[File],
    target: Path,
    store: ObjectStore,
    *,
    follow: bool = False,
    progress: Callable[[int], object] | None = None,
) -> None:
    """Bring `files` into the directory `target`; those already there with the right content stay.

    A file gets its name when its sha256 is right. What was fetched of one before stays in a hidden file beside it, and
    is gone on with. References are left out unless `follow` is set. `progress` is called with the bytes that came, from
    several threads.
    Raises ArtifactError; files that are complete stay.
    """
    from concurrent.futures import ThreadPoolExecutor

    check_paths(files)
    wanted = [file for file in files if follow or not file.ref]
    for file in wanted:
        _check_place(target, file.path)
    target.mkdir(parents=True, exist_ok=True)
    if not wanted:
        return
    with ThreadPoolExecutor(min(AT_ONCE, len(wanted))) as pool:
        tasks = [pool.submit(_fetch, file, target / file.path, store, progress) for file in wanted]
        try:
            for task in tasks:
                task.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def differences(files: Sequence[File], target: Path, store: ObjectStore | None) -> dict[str, str]:
    """Path to what is wrong with the file in `target`: `missing` or `changed`. References are compared where they lie,
    when `store` is given; unchecked ones are left out."""
    check_paths(files)
    found = {}
    for file in files:
        if file.ref:
            if store is not None and file.sha256 and references.known(file.ref, store).digest != file.sha256:
                found[file.path] = "changed"
            continue
        path = target / file.path
        if not path.is_file() or path.is_symlink():
            found[file.path] = "missing"
        elif path.stat().st_size != file.size or sha256_of(path) != file.sha256:
            found[file.path] = "changed"
    return found


def opened(file: File, store: ObjectStore) -> BinaryIO:
    """A stream of the file's content, which the caller closes."""
    if not file.ref:
        return store.open(object_key(file.sha256))
    return references.opened(file.ref, store)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _matches(path: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(path.rpartition("/")[2], pattern)


def _check_place(target: Path, path: str) -> None:
    """Nothing on the way there may be a link, and what is there must be a file."""
    place = target
    parts = path.split("/")
    for number, part in enumerate(parts):
        place = place / part
        try:
            mode = place.lstat().st_mode
        except FileNotFoundError:
            return
        except NotADirectoryError:
            mode = stat.S_IFREG
        last = number == len(parts) - 1
        if not (stat.S_ISREG(mode) if last else stat.S_ISDIR(mode)):
            what = "a link" if stat.S_ISLNK(mode) else "no file" if last else "no directory"
            raise ArtifactError(f"{place} is {what}; nothing is written through it. Choose an empty directory.")


def _fetch(file: File, target: Path, store: ObjectStore, progress: Callable[[int], object] | None) -> None:
    told = progress or (lambda _: None)
    if file.ref:
        _fetch_reference(file, target, store, told)
        return
    if target.is_file() and target.stat().st_size == file.size and sha256_of(target) == file.sha256:
        told(file.size)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with _partial(target, file.sha256) as part:
        digest = hashlib.sha256()
        have = _resumed(part, file.size, digest)
        told(have)
        if have < file.size:
            try:
                with store.open(object_key(file.sha256), have) as source:
                    _copy(source, part, digest, told)
            except FileNotFoundError as error:
                raise ArtifactError(f"{file.path} is not in the object store any more: {error}") from error
        if digest.hexdigest() != file.sha256:
            part.truncate(0)
            raise ArtifactError(
                f"{file.path} arrived damaged: its sha256 is not {file.sha256}. "
                "Fetch it again; if that is of no use, the object in the store is damaged."
            )
        part.flush()
        Path(part.name).replace(target)


def _fetch_reference(file: File, target: Path, store: ObjectStore, told: Callable[[int], object]) -> None:
    """The content as it is now; refused when it is known to have changed since."""
    if file.sha256 and references.known(file.ref, store).digest != file.sha256:
        raise ArtifactError(f"{file.ref} has changed since it was logged as {file.path}; its ETag or size differs.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with _partial(target, hashlib.sha256(file.ref.encode()).hexdigest()) as part:
        part.truncate(0)
        try:
            with references.opened(file.ref, store) as source:
                _copy(source, part, hashlib.sha256(), told)
        except OSError as error:
            raise ArtifactError(f"{file.ref} cannot be fetched: {error}") from error
        part.flush()
        Path(part.name).replace(target)


@contextlib.contextmanager
def _partial(target: Path, sha256: str) -> Iterator[Any]:
    """A file beside `target` that no other process writes; left there, with what it holds, when the block fails."""
    stem = f".{sha256[:16]}-{hashlib.sha256(target.name.encode()).hexdigest()[:8]}"
    path = target.with_name(f"{stem}.part")
    while True:
        part = path.open("a+b")
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another process fetches the same file: each its own
            part.close()
            path = target.with_name(f"{stem}.{os.getpid()}.part")
            continue
        if _is_at(part, path):
            break
        part.close()  # it has just been given its name
    try:
        yield part
    finally:
        with contextlib.suppress(OSError):  # a full disk was told already
            part.flush()
        if not os.fstat(part.fileno()).st_size and _is_at(part, path):
            path.unlink(missing_ok=True)
        part.close()


def _is_at(file: Any, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _resumed(part: Any, size: int, digest: _Hash) -> int:
    part.seek(0, os.SEEK_END)
    if part.tell() > size:
        part.truncate(0)
    part.seek(0)
    have = 0
    while piece := part.read(PIECE_BYTES):
        digest.update(piece)
        have += len(piece)
    return have


def _copy(source: BinaryIO, part: Any, digest: _Hash, told: Callable[[int], object]) -> None:
    while piece := source.read(PIECE_BYTES):
        digest.update(piece)
        part.write(piece)
        told(len(piece))
