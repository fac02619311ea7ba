"""What ingest raises.

IngestError
├── MessageUnusable       one message that no retry can save: it goes to the dead letters with its `reason`
├── InsertError           ClickHouse did not take a block
│   ├── InsertUnavailable     it may later: network, overload, read-only replica, too many parts (retriable)
│   ├── InsertMisconfigured   it may after an operator's work: schema, rights, an unknown error (retriable, slowly)
│   └── InsertRefused         never, for these very rows
├── CommitRefused         the group gave our partitions to others: what is in flight is theirs now
├── MarksLost             the database lost rows that it had: the worker goes back to where it stands
├── InjectedFault         RUNSTREAM_INGEST_FAULTS asked for it
├── TooManyDeadLetters    the cap was reached: consumption stops before the topic is drained into the dead letters
├── TaskEnded             a background task that must run for ever ended
└── PortTaken             the port of the probes cannot be listened on
"""

from __future__ import annotations


class IngestError(Exception):
    """Base of everything this package raises on purpose."""

    retriable = False


class MessageUnusable(IngestError):
    """One message cannot become rows; deterministic. `reason` is one of REASONS, `detail` is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class InsertError(IngestError):
    """ClickHouse did not take a block for `table`; `code` is its error number, 0 when it did not answer.

    What is no insert is named by an article and a noun, such as `a question`.
    """

    def __init__(self, table: str, *, code: int, error: str) -> None:
        what = table if table.startswith("a ") else f"insert into {table}"
        super().__init__(f"{what} failed with code {code}: {error}. {self.remedy}")
        self.table = table
        self.code = code
        self.error = error

    remedy = ""


class InsertUnavailable(InsertError):
    """ClickHouse is away or overloaded; the same block with the same token may pass later."""

    retriable = True
    remedy = "It is tried again until it succeeds; Kafka keeps what follows."


class InsertMisconfigured(InsertError):
    """The schema, the rights or the settings do not fit; the same block may pass once they do."""

    retriable = True
    remedy = (
        "Run `runstream migrate`, grant INSERT to the user of RUNSTREAM_CLICKHOUSE, or correct its password; nothing "
        "is lost meanwhile."
    )


class InsertRefused(InsertError):
    """ClickHouse will never take these rows."""

    remedy = "The message that causes it is looked for and goes to the dead letters."


class CommitRefused(IngestError):
    """The group refused a commit; nothing more of this assignment may be written, its partitions have other owners."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"the group refused a commit, its partitions have moved: {error!r}")


class MarksLost(IngestError):
    """The marks of the database are behind what this worker wrote: it was restored or made anew."""

    def __init__(self, sources: list[str]) -> None:
        super().__init__(
            f"the database lost rows of {', '.join(sources)}: its marks are behind what was written. The worker goes "
            "back to the marks and reads again from there; nothing is to do while Kafka still has those messages."
        )


class InjectedFault(IngestError):
    """`point` was told to fail."""

    def __init__(self, point: str) -> None:
        super().__init__(f"a fault on purpose at {point}, by RUNSTREAM_INGEST_FAULTS")
        self.point = point


class TooManyDeadLetters(IngestError):
    """Too many of the last messages cannot be used; none of those over the cap was moved or committed."""

    def __init__(self, *, topic: str, bad: int, of: int, reason: str) -> None:
        super().__init__(
            f"{bad} of the last {of} messages of {topic} cannot be used (the last: {reason}). Consumption has "
            "stopped so that the topic is not drained into its dead letters. Deploy a release that reads them, or let "
            "them pass with RUNSTREAM_INGEST_DEAD_LETTER_MAX_CONSECUTIVE and RUNSTREAM_INGEST_DEAD_LETTER_MAX_RATIO; "
            "then restart."
        )
        self.topic = topic
        self.bad = bad
        self.of = of


class TaskEnded(IngestError):
    """The background task `name` ended without being asked to."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the task {name!r} ended on its own; the process leaves so that its supervisor restarts it")
        self.name = name


class PortTaken(IngestError):
    """`host`:`port` of the probes cannot be listened on; nothing was started."""

    def __init__(self, *, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"cannot serve /metrics and /healthz on {host}:{port} ({reason}). "
            "Set RUNSTREAM_INGEST_PORT to a port for each worker of this host, or to 0 for free ones."
        )
        self.host = host
        self.port = port
