"""What the SDK raises. After `init()` nothing here escapes into a training loop.

RunstreamError
├── SettingsError      a setting or an argument of init() that cannot be used
├── NoRunError         a module-level call without a run
├── RunExistsError     resume="never" and the run is there
├── RunNotFoundError   resume="must", or a fork, and the run is not there
├── ArtifactError      use_artifact(...).download() could not do it
├── ModelNotFound      no such model or version in the registry
├── EditRefused        a name, alias, stage or value that cannot be used
├── EditNotWritten     an edit for which there was no room
├── PointsDropped      told to on_error callbacks, never raised
├── LookupFailed       the database gave no answer (retriable)
├── EventError         a message or an event that cannot be read or written
│   ├── NotAnEvent         no single-object header
│   ├── UnknownSchema      a schema this release does not know
│   ├── EventTruncated     the message ends inside the event
│   ├── EventUnreadable    the body is not of its schema
│   └── EventNotEncodable  the fields do not fit the schema
├── AgentRunning       another process serves this data directory
├── StagedFileLost     a file of a logged artifact is gone before its upload
├── MessageRefused     a message that the broker will never take
├── ObjectStoreUnknown no installed store serves this kind of URL
└── SpoolError         a spool file that cannot be read
    └── SpoolVersionError
"""

from __future__ import annotations

from pathlib import Path


class RunstreamError(Exception):
    """Base of every error of this library."""

    retriable = False


class SettingsError(RunstreamError, ValueError):
    """`name` was given `value`, which cannot be used."""

    def __init__(self, name: str, value: object, expected: str) -> None:
        super().__init__(f"{name}={value!r} cannot be used: {expected}")
        self.name = name
        self.value = value


class NoRunError(RunstreamError, AttributeError):
    """A module-level function was called while no run is active in this process."""

    def __init__(self, call: str) -> None:
        super().__init__(f"runstream.{call} needs a run. Call runstream.init(project=...) first.")


class RunExistsError(RunstreamError):
    """`resume="never"` and a run with this id exists; nothing was written."""

    def __init__(self, run_id: str, where: str) -> None:
        super().__init__(
            f"Run {run_id} already exists ({where}) and resume='never'. "
            "Choose another id=, or resume='allow' to go on with it."
        )
        self.run_id = run_id


class RunNotFoundError(RunstreamError):
    """`resume="must"`, or a fork, and no such run is known; nothing was written."""

    def __init__(self, run_id: str, project: str, wanted: str = "resume") -> None:
        remedy = "and resume='must'. Check id= and project=, or use resume='allow' to start it."
        if wanted == "fork":
            remedy = "and cannot be forked. Check the run id and project=; a run is known once its start is queryable."
        super().__init__(f"Run {run_id} does not exist in project {project!r} {remedy}")
        self.run_id = run_id


class ArtifactError(RunstreamError):
    """An artifact could not be found or fetched; no file was written under its final name."""


class ModelNotFound(RunstreamError):
    """There is no such model, or no such version of it, in the project."""

    def __init__(self, model: str, project: str, *, no_database: bool = False) -> None:
        if no_database:
            text = "Models cannot be looked up: no database. Set RUNSTREAM_CLICKHOUSE, or start `runstream up`."
        else:
            text = (
                f"There is no model {model!r} in project {project!r}. `runstream models ls` lists them; write "
                "name:v2, name:alias or name@stage for one version."
            )
        super().__init__(text)
        self.model = model


class EditRefused(RunstreamError, ValueError):
    """`what` was given `value`, which cannot be used; nothing was changed."""

    def __init__(self, what: str, value: object, expected: str) -> None:
        shown = repr(value)
        super().__init__(f"{what} {shown if len(shown) <= 100 else shown[:99] + '…'} cannot be used: {expected}")
        self.what = what
        self.value = value


class EditNotWritten(RunstreamError):
    """The edit could not be put down in `directory`, and is not made."""

    retriable = True

    def __init__(self, directory: Path, reason: str) -> None:
        super().__init__(f"The edit could not be written to {directory}: {reason}. Free space, or set RUNSTREAM_DIR.")
        self.directory = directory


class PointsDropped(RunstreamError):
    """`dropped` rows and events of this process are lost so far; training goes on. Given to `on_error` callbacks."""

    def __init__(self, dropped: int, reason: str) -> None:
        super().__init__(
            f"{dropped} rows or events are lost so far ({reason}). Free space, raise RUNSTREAM_SPOOL_MAX_BYTES, "
            "or point RUNSTREAM_DIR to another disk."
        )
        self.dropped = dropped
        self.reason = reason


class LookupFailed(RunstreamError):
    """The database at `where` gave no usable answer."""

    retriable = True

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"No answer from {where}: {reason}. Check RUNSTREAM_CLICKHOUSE, or start `runstream up`.")


class EventError(RunstreamError):
    """A message or an event that cannot be read or written; deterministic, so trying again is of no use."""


class NotAnEvent(EventError):
    """The message does not begin with the Avro single-object header."""

    def __init__(self, *, first_bytes: bytes) -> None:
        super().__init__(f"no Avro single-object header: it begins with {first_bytes[:10].hex(' ') or 'nothing'}")
        self.first_bytes = first_bytes


class UnknownSchema(EventError):
    """The fingerprint names no schema of this release: keep the message, a newer release can read it."""

    def __init__(self, *, fingerprint: bytes) -> None:
        super().__init__(
            f"no schema with fingerprint {fingerprint.hex()} in this release; keep the message and upgrade runstream"
        )
        self.fingerprint = fingerprint


class EventTruncated(EventError):
    """The message of `size` bytes ends before the event does."""

    def __init__(self, *, kind: str, size: int) -> None:
        super().__init__(f"{kind} ends early: its {size} bytes do not hold the whole event")
        self.kind = kind
        self.size = size


class EventUnreadable(EventError):
    """The body is not of the schema that its header names."""

    def __init__(self, *, kind: str, reason: str) -> None:
        super().__init__(f"{kind} cannot be read: {reason}")
        self.kind = kind
        self.reason = reason


class EventNotEncodable(EventError):
    """The fields do not fit the newest schema of `kind`; nothing was written."""

    def __init__(self, *, kind: str, reason: str) -> None:
        super().__init__(f"{kind} cannot be encoded: {reason}")
        self.kind = kind
        self.reason = reason


class MessageRefused(RunstreamError):
    """The broker will never take this message; a copy is at `kept_at`, and the rest goes on."""

    def __init__(self, *, topic: str, size: int, reason: str, kept_at: Path) -> None:
        super().__init__(
            f"{topic} refused a message of {size} bytes ({reason}); it is kept at {kept_at}. "
            "Raise max.message.bytes of the topic and message.max.bytes of the brokers."
        )
        self.topic = topic
        self.size = size
        self.kept_at = kept_at


class AgentRunning(RunstreamError):
    """Another process, `pid` (0: unknown), holds the lock at `path`; this one changed nothing."""

    def __init__(self, *, path: Path, pid: int) -> None:
        super().__init__(
            f"An agent or `runstream up` (pid {pid or 'unknown'}) already serves {path.parent}; "
            "stop it first, or leave the work to it."
        )
        self.path = path
        self.pid = pid


class StagedFileLost(RunstreamError):
    """Somebody removed the staged file at `path`; its artifact cannot be logged."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(f"{path} is gone before it was uploaded; log the artifact again.")
        self.path = path


class ObjectStoreUnknown(RunstreamError):
    """No installed package serves URLs of `scheme`."""

    def __init__(self, *, scheme: str, known: list[str]) -> None:
        super().__init__(
            f"no object store for {scheme!r} URLs is installed (found: {', '.join(known) or 'none'}); set RUNSTREAM_S3 "
            "to file:///dir or http(s)://access:secret@host:port/bucket, and pip install 'runstream[storage]'"
        )
        self.scheme = scheme


class SpoolError(RunstreamError):
    """`path` is not a spool that this version can read."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


class SpoolVersionError(SpoolError):
    """The segment was written by a newer version of the format."""

    def __init__(self, path: Path, version: int, supported: int) -> None:
        super().__init__(
            path,
            f"format version {version} is newer than {supported}: upgrade with `pip install -U runstream`",
        )
        self.version = version
