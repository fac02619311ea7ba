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

from runstream_ingest import faults, pipeline
from runstream_ingest.assignment import Steps
from runstream_ingest.clickhouse import ClickHouseInserter, Retrying
from runstream_ingest.commit import Offsets
from runstream_ingest.consumer import Worker
from runstream_ingest.corrections import Corrections
from runstream_ingest.errors import PortTaken, TaskEnded
from runstream_ingest.health import Health
from runstream_ingest.kafka_dead_letters import KafkaDeadLetters
from runstream_ingest.ledger import DatabaseLedger
from runstream_ingest.metrics import Metrics
from runstream_ingest.pipeline import PipelineSettings
from runstream_ingest.probes import ProbeServer
from runstream_ingest.recovery import Recovery
from runstream_ingest.settings import IngestSettings
from runstream_ingest.stall import StallWatch

log = structlog.get_logger("runstream.ingest")


def run(settings: IngestSettings) -> int:
    """Serves until SIGTERM or SIGINT. The exit code: 0, 1 after an error, which is logged, 4 when the port is taken.

    The first signal stops reading, writes and commits what is in flight and leaves the group; a second one ends the
    process at once.
    """
    log_as_json()
    try:
        asyncio.run(_until_signalled(settings))
    except PortTaken as error:
        log.error(str(error))  # noqa: TRY400 - the message says it all
        return 4
    except Exception:
        log.exception("ingest ended by an error")
        return 1
    return 0


async def serve(settings: IngestSettings, stop: asyncio.Event | None = None) -> None:
    """The service in the running loop, until `stop` is set or it is cancelled; both let it finish what is in flight.

    Raises PortTaken before anything is read, and ExceptionGroup when one of its tasks fails.
    """
    if settings.unsafe:
        log.warning(
            "layers of delivery are switched off: rows will be doubled or lost; for tests only",
            layers=sorted(settings.unsafe),
        )
    faults.arm(settings.ingest_faults, settings.ingest_faults_seed)
    listener = _listener(settings.ingest_host, settings.ingest_port)
    metrics, health = Metrics(), Health()
    clickhouse = ClickHouseInserter(settings.clickhouse, timeout_s=settings.ingest_insert_timeout_s)
    dead_letters = KafkaDeadLetters(settings.kafka_options, metrics=metrics, health=health)
    inserter = Retrying(clickhouse, metrics=metrics, health=health)
    ledger = DatabaseLedger(inserter)
    # A connection of its own: computing must not keep inserts waiting.
    correcting_client = ClickHouseInserter(settings.clickhouse, timeout_s=settings.ingest_insert_timeout_s)
    corrections = Corrections(correcting_client, metrics)

    def build(offsets: Offsets, cut: PipelineSettings = settings.pipeline) -> Steps:
        return pipeline.build(cut, inserter, ledger, offsets, dead_letters, metrics, corrections.came)

    recovery = Recovery(
        settings.kafka_options,
        settings.ingest_group,
        ledger,
        lambda offsets: build(offsets, settings.pipeline.whole()),
        unsafe=settings.unsafe,
        metrics=metrics,
    )
    worker = Worker(settings, build, recovery, ledger, metrics=metrics, health=health)
    server = ProbeServer(metrics, health)
    watch = StallWatch(health, metrics, asyncio.get_running_loop(), stall_s=settings.ingest_stall_s)
    with listener, watch:
        log.info("probes", url=f"http://{settings.ingest_host}:{listener.getsockname()[1]}/metrics")
        try:
            async with asyncio.TaskGroup() as tasks:
                serving = tasks.create_task(_serve_probes(server, listener), name="probes")
                checking = tasks.create_task(inserter.await_ready(), name="check")
                correcting = tasks.create_task(corrections.run(), name="corrections")
                await worker.run(stop or asyncio.Event())
                checking.cancel()
                correcting.cancel()
                server.should_exit = True
                await serving
        finally:
            await dead_letters.close()
            clickhouse.close()
            correcting_client.close()
    log.info("stopped")


def _listener(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise PortTaken(host=host, port=port, reason=error.strerror or str(error)) from None


async def _until_signalled(settings: IngestSettings) -> None:
    stop = asyncio.Event()

    def signalled(name: signal.Signals) -> None:
        if stop.is_set():
            log.warning("second signal: leaving at once", signal=name.name)
            os._exit(128 + name)
        log.info("stopping", signal=name.name)
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, partial(signalled, name))
    await serve(settings, stop)


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
    # Each failed attempt is in our own log already, in one line.
    for name in ("clickhouse_connect", "stamina", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
