"""The ingest service: a worker of the consumer group, its probes, its signals."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from functools import partial

import structlog

from runstream_ingest import pipeline
from runstream_ingest.clickhouse import ClickHouseInserter, Retrying
from runstream_ingest.consumer import Worker
from runstream_ingest.errors import TaskEnded
from runstream_ingest.health import Health
from runstream_ingest.kafka_dead_letters import KafkaDeadLetters
from runstream_ingest.metrics import Metrics
from runstream_ingest.probes import ProbeServer
from runstream_ingest.settings import IngestSettings

log = structlog.get_logger("runstream.ingest")


def run(settings: IngestSettings) -> int:
    """Serves until SIGTERM or SIGINT and returns the exit code: 0, or 1 after an error, which is logged.

    The first signal stops reading, writes and commits what is in flight and leaves the group; a second one ends the
    process at once.
    """
    log_as_json()
    try:
        asyncio.run(serve(settings))
    except Exception:
        log.exception("ingest ended by an error")
        return 1
    return 0


async def serve(settings: IngestSettings) -> None:
    """The service in the running loop; returns after a signal. Raises ExceptionGroup when one of its tasks fails."""
    metrics, health = Metrics(), Health()
    clickhouse = ClickHouseInserter(settings.clickhouse, timeout_s=settings.ingest_insert_timeout_s)
    dead_letters = KafkaDeadLetters(settings.kafka_options, metrics=metrics, health=health)
    inserter = Retrying(clickhouse, metrics=metrics, health=health)
    worker = Worker(
        settings,
        lambda commit: pipeline.build(settings.pipeline, inserter, commit, dead_letters, metrics),
        metrics=metrics,
        health=health,
    )
    server = ProbeServer(metrics, health)
    listener = socket.create_server((settings.ingest_host, settings.ingest_port))
    log.info("probes", url=f"http://{settings.ingest_host}:{listener.getsockname()[1]}/metrics")
    loop = asyncio.get_running_loop()
    stops = _Stops(worker)
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, partial(stops.signalled, name))
    try:
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(_serve_probes(server, listener), name="probes")
            checking = tasks.create_task(inserter.await_ready(), name="check")
            await tasks.create_task(worker.run(), name="worker")
            if not stops.called:
                raise TaskEnded("worker")
            checking.cancel()
            server.should_exit = True
            await serving
    finally:
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(name)
        await dead_letters.close()
        clickhouse.close()
    log.info("stopped")


class _Stops:
    """Counts the signals that ask to stop."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.called = False

    def signalled(self, name: signal.Signals) -> None:
        if self.called:
            log.warning("second signal: leaving at once", signal=name.name)
            os._exit(128 + name)
        self.called = True
        log.info("stopping", signal=name.name)
        self._worker.stop()


async def _serve_probes(server: ProbeServer, listener: socket.socket) -> None:
    await server.serve([listener])
    if not server.should_exit:
        raise TaskEnded("probes")


def log_as_json() -> None:
    """One JSON object a line on standard error, ours and that of the libraries."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("runstream").setLevel(logging.INFO)
