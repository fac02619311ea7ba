"""What storage raises.

StorageError
├── Unreachable            the server did not answer
├── MigrationError
│   ├── MigrationEdited    an applied migration's file is not what was applied
│   └── SchemaTooNew       the database was migrated by a newer release
├── QueryError             the database refused or stopped a query
├── FilterError            a filter text cannot be used; points at the column
└── ObjectError
    ├── ObjectStoreUnavailable
    ├── ObjectStoreRefused
    ├── ObjectNotFound     also a FileNotFoundError
    ├── InvalidKey
    └── ChecksumMismatch
"""

from __future__ import annotations

import re


def sentence_of(error: BaseException) -> str:
    """What the server said, in one line: without the numbers, version and address that its drivers put around it."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    said = re.search(r"DB::Exception: (.*)", first)
    return re.sub(r"( \(version [^()]*(\([^()]*\))?\))?( \(for url [^)]*\))?$", "", said[1] if said else first)[:500]


def cause_of(error: BaseException) -> str:
    """Why nobody answered, by the operating system where it said so: the text of a driver is mostly its own address."""
    text = sentence_of(error)
    met: BaseException | None = error
    while met is not None:
        if isinstance(met, OSError) and met.strerror:
            text = met.strerror
        inner = getattr(met, "reason", None)
        met = inner if isinstance(inner, BaseException) else met.__cause__ or met.__context__
    return text[:200]


class StorageError(Exception):
    """Base of everything this package raises on purpose."""

    retriable = False


class Unreachable(StorageError):
    """The server at `url` did not answer."""

    retriable = True

    def __init__(self, *, url: str, reason: str) -> None:
        # Drivers quote the whole address, with all settings of the question.
        reason = re.sub(r"(with url: [^\s?]*)\?\S*", r"\1", reason)
        super().__init__(
            f"ClickHouse at {url} does not answer: {reason}. "
            "Start it, or set RUNSTREAM_CLICKHOUSE=http://user:password@host:port/database."
        )
        self.url = url
        self.reason = reason


class MigrationError(StorageError):
    """The database's schema and this release do not fit."""


class MigrationEdited(MigrationError):
    """Migration `name` was applied with another content than its file has now."""

    def __init__(self, *, name: str, applied: str, found: str) -> None:
        super().__init__(
            f"Migration {name} was applied as sha256 {applied[:12]}, its file is now {found[:12]}. "
            "Restore the file and put the change into a new migration; a development database can be dropped instead."
        )
        self.name = name
        self.applied = applied
        self.found = found


class SchemaTooNew(MigrationError):
    """The database has migrations that this release does not know."""

    def __init__(self, *, unknown: list[str], newest: str) -> None:
        super().__init__(
            f"The database has the migrations {', '.join(unknown)}; this release ends at {newest}. "
            "Upgrade with: pip install -U 'runstream[storage]'."
        )
        self.unknown = unknown
        self.newest = newest


class QueryError(StorageError):
    """The database refused or stopped a query; nothing was changed.

    `code` is ClickHouse's error number (0: unknown), `position` the 1-based character of the text that it points at
    (0: none).
    """

    def __init__(self, message: str, *, code: int = 0, position: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.position = position


class FilterError(StorageError):
    """A filter text cannot be used.

    `column` is 1-based, `hint` may be empty. The text of the error shows the line with a caret under the column.
    """

    def __init__(self, problem: str, *, text: str = "", column: int = 1, hint: str = "") -> None:
        start = text.rfind("\n", 0, column - 1) + 1
        line = text[start:].split("\n", 1)[0]
        offset = column - 1 - start
        left = max(0, offset - 60)
        shown = line[left : left + 100]
        caret = " " * (offset - left) + "^"
        parts = [f"column {column}: {problem}", f"  {shown}", f"  {caret}"] if text else [problem]
        if hint:
            parts.append(hint)
        super().__init__("\n".join(parts))
        self.problem = problem
        self.text = text
        self.column = column
        self.hint = hint


class ObjectError(StorageError):
    """The object store could not do what was asked."""


class ObjectStoreUnavailable(ObjectError):
    """The store did not answer, or failed for a time; the object is as it was."""

    retriable = True

    def __init__(self, *, store: str, reason: str) -> None:
        super().__init__(f"The object store {store} is not available: {reason}. Check RUNSTREAM_S3 and try again.")
        self.store = store
        self.reason = reason


class ObjectStoreRefused(ObjectError):
    """The store understood and refused: wrong keys, no permission, or the like; `code` is S3's."""

    def __init__(self, *, store: str, code: str, reason: str) -> None:
        super().__init__(
            f"The object store {store} refuses: {reason} ({code}). Check the keys and rights in RUNSTREAM_S3."
        )
        self.store = store
        self.code = code


class ObjectNotFound(ObjectError, FileNotFoundError):
    """There is no object `key`."""

    def __init__(self, *, key: str, store: str) -> None:
        super().__init__(f"There is no object {key} in {store}. It was never uploaded, or it was deleted.")
        self.key = key


class InvalidKey(ObjectError):
    """`key` is not a name that an object may have."""

    def __init__(self, *, key: str) -> None:
        super().__init__(
            f"{key!r} is no object key: parts of letters, digits, '.', '_', '-' joined by '/', "
            "no empty part, no '.' or '..', at most 1,024 characters."
        )
        self.key = key


class ChecksumMismatch(ObjectError):
    """The bytes of `key` are not those its checksum promises; nothing was kept."""

    retriable = True

    def __init__(self, *, key: str, expected: str, found: str) -> None:
        super().__init__(
            f"The bytes of {key} have sha256 {found[:12]}, expected {expected[:12]}. "
            "The file changed while it was read, or it was damaged on the way; try again."
        )
        self.key = key
        self.expected = expected
        self.found = found
