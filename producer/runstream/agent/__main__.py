"""`python -m runstream.agent --dir DIR`: the agent as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import logging
import os
import signal
import sys
import time
from pathlib import Path

from runstream.agent.shipping import Agent
from runstream.errors import AgentRunning, SettingsError
from runstream.kafka import KafkaTransport
from runstream.kafka_options import PREFIX, KafkaOptions
from runstream.objects import StoreOpenedLater
from runstream.settings import Settings

log = logging.getLogger("runstream.agent")
OK, FAILED = 0, 1
REPEAT_AFTER_S = 30.0
VARIABLES = (
    "Reads RUNSTREAM_DIR, RUNSTREAM_KAFKA, RUNSTREAM_TOPIC_PREFIX, RUNSTREAM_S3, RUNSTREAM_KEEP, "
    "RUNSTREAM_INGEST_GROUP and "
    + ", ".join(PREFIX + field.name.upper() for field in dataclasses.fields(KafkaOptions) if field.name != "bootstrap")
    + "; docs/agent.md and docs/settings.md explain them."
)


class OncePerWhile(logging.Filter):
    """Lets a message pass once in REPEAT_AFTER_S: a broker that is down for a night must not fill the disk."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        what = (record.name, str(record.msg)[:80])
        if record.levelno < logging.WARNING:
            return True
        if now < self._seen.get(what, 0.0):
            return False
        self._seen[what] = now + REPEAT_AFTER_S
        return True


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 all is sent or it was told to stop, 1 it failed or (with --stay) another one runs, 2 usage."""
    parser = argparse.ArgumentParser(prog="runstream agent", description=__doc__, epilog=VARIABLES)
    parser.add_argument("--dir", type=Path, help="data directory; default RUNSTREAM_DIR")
    parser.add_argument("--stay", action="store_true", help="go on when no writer lives and all is sent")
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    given = parser.parse_args(arguments)
    _log_to_stderr(given.log_level)
    try:
        settings = Settings.from_env(os.environ)
        if given.dir is not None:
            s3 = settings.s3 if os.environ.get("RUNSTREAM_S3") else ""
            settings = dataclasses.replace(settings, dir=given.dir.expanduser().absolute(), s3=s3)
        return asyncio.run(_run(settings, stay=given.stay))
    except SettingsError as error:
        parser.error(str(error))
    except AgentRunning as error:
        log.info("%s", error)
        return FAILED if given.stay else OK
    except Exception:
        log.exception("the agent failed; what it has not sent stays in the spool")
        return FAILED


async def _run(settings: Settings, *, stay: bool) -> int:
    objects = StoreOpenedLater(settings.s3)
    agent = Agent(settings.dir, KafkaTransport(settings), objects, settings, stay=stay)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log.info("agent pid=%d dir=%s kafka=%s stay=%s", os.getpid(), settings.dir, settings.kafka, stay)
    try:
        await agent.run(stop)
    finally:
        objects.close()  # a process does not end before its threads
    counters = agent.counters
    log.info(
        "agent leaves: points=%d events=%d messages=%d bytes=%d refused=%d unreadable=%d",
        *(agent.points, agent.events, counters.messages, counters.bytes),
        *(counters.refused_messages, counters.unreadable_spools),
    )
    return OK


def _log_to_stderr(level: str) -> None:
    handler = logging.StreamHandler()
    handler.addFilter(OncePerWhile())
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)


if __name__ == "__main__":
    sys.exit(main())
