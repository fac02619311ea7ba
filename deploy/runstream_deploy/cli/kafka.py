"""What the commands that read topics share: their options, and how they run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from runstream_deploy.errors import NoKafka

if TYPE_CHECKING:
    from runstream.kafka_options import KafkaOptions
    from runstream.settings import Settings

T = TypeVar("T")

Group = Annotated[
    str,
    typer.Option(
        "--group", envvar="RUNSTREAM_INGEST_GROUP", help="Consumer group of the ingest workers.", show_envvar=True
    ),
]
DEFAULT_GROUP = "runstream-ingest"


def kafka_options(settings: Settings, command: str) -> KafkaOptions:
    """How to reach the brokers. Raises NoKafka or SettingsError."""
    from runstream.kafka_options import KafkaOptions

    if not settings.kafka:
        raise NoKafka(command)
    return KafkaOptions.from_settings(settings)


def topics_of(settings: Settings) -> tuple[str, str, str]:
    """Of control events, metrics and logs."""
    from runstream.kafka_topics import source_topics

    return source_topics(settings.topic_prefix)


def topic_of(settings: Settings, name: str) -> str:
    """The topic that `control`, `metrics` or `logs` is short for; any other name as it is."""
    return next((topic for topic in topics_of(settings) if topic.rpartition(".")[2] == name), name)


def running(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, with the log of the Kafka client and of ingest silent: errors come as one message."""
    with silent():
        return asyncio.run(work)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    import structlog

    log = logging.getLogger("aiokafka")
    level, structured = log.level, structlog.get_config()
    log.setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        log.setLevel(level)
        structlog.configure(**structured)
