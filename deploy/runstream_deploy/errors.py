"""What the command line and the embedded stack raise.

DeployError
├── NoDatabase         neither a named ClickHouse nor a running `runstream up`
├── NoKafka            a command that reads topics, and no broker is configured
├── KafkaUnreachable   the brokers do not answer, or refuse
├── TopicMissing       a topic is not there
├── PartitionMissing   no topic has a partition of this number
├── NotWritten         the database does not take rows
├── ReadOnlyUser       the user of the database may only read, and the command writes
├── WrongTime          a text that is neither a time nor an age
│   └── WrongPeriod    a time after the one that it should lie before
└── WrongOffsets       a text that is no range of offsets
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class DeployError(Exception):
    """Base of everything this package raises on purpose."""


class NoDatabase(DeployError):
    """No ClickHouse is named and no `runstream up` serves `directory`."""

    def __init__(self, *, directory: Path) -> None:
        super().__init__(
            f"There is no database: RUNSTREAM_CLICKHOUSE is not set and no `runstream up` serves {directory}. "
            "Start `runstream up`, or set RUNSTREAM_CLICKHOUSE=http://user:password@host:port/runstream."
        )
        self.directory = directory


class NoKafka(DeployError):
    """`command` reads topics, and RUNSTREAM_KAFKA is not set."""

    def __init__(self, command: str) -> None:
        super().__init__(
            f"RUNSTREAM_KAFKA is not set, and `runstream {command}` reads topics. Set RUNSTREAM_KAFKA=host:port; "
            "without a broker there are no topics: `runstream verify` compares spools and database."
        )
        self.command = command


class KafkaUnreachable(DeployError):
    """The brokers at `bootstrap` do not answer, or refuse."""

    def __init__(self, *, bootstrap: str, reason: str) -> None:
        super().__init__(
            f"Kafka at {bootstrap} does not answer: {reason}. Start the broker, correct RUNSTREAM_KAFKA and "
            "RUNSTREAM_KAFKA_* (protocol, user, password), or see `runstream doctor`; training goes on and spools "
            "meanwhile."
        )
        self.bootstrap = bootstrap
        self.reason = reason


class TopicMissing(DeployError):
    """`topics` are not in the cluster."""

    def __init__(self, *, topics: Sequence[str]) -> None:
        super().__init__(
            f"Not in this Kafka: {', '.join(topics)}. The first agent or ingest worker makes the topics of its "
            "RUNSTREAM_TOPIC_PREFIX; check that the prefix is the one they use."
        )
        self.topics = tuple(topics)


class PartitionMissing(DeployError):
    """None of `topics` has the partition `partition`."""

    def __init__(self, *, partition: int, topics: Sequence[str], last: int) -> None:
        super().__init__(
            f"There is no partition {partition} of {', '.join(topics)}: they go from 0 to {last}. `runstream lag` "
            "lists them."
        )
        self.partition = partition


class NotWritten(DeployError):
    """The database did not take rows for as long as a person may be kept waiting; nothing is half done."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(f"The database does not take the rows: {reason} Mend that and repeat the command.")
        self.reason = reason


class ReadOnlyUser(DeployError):
    """`user` may only read; nothing was changed."""

    def __init__(self, *, user: str) -> None:
        super().__init__(
            f"ClickHouse refuses: the user {user} may only read, and this command writes. Name one who may write in "
            "RUNSTREAM_CLICKHOUSE, or look with --dry-run; nothing was changed."
        )
        self.user = user


class WrongTime(DeployError):
    """`text` is neither a time nor an age."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text!r} is no time: write an age such as 90s, 30m, 2h or 3d, or ISO 8601 such as 2026-11-23T08:00Z "
            "(local time unless it names a zone)."
        )
        self.text = text


class WrongPeriod(WrongTime):
    """`since` lies after `until`."""

    def __init__(self, since: str, until: str) -> None:
        DeployError.__init__(
            self,
            f"--since {since} is later than --until {until}, so nothing lies between them. An age counts back from "
            "now: the larger one is the earlier.",
        )
        self.text = f"{since}..{until}"


class WrongOffsets(DeployError):
    """`text` is no range of offsets."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text!r} is no range of offsets; write A..B with two whole numbers, A not above B, such as 100..200."
        )
        self.text = text
