"""The agent as a thread of the training process, where child processes are forbidden."""

from __future__ import annotations

import asyncio
import logging
import threading

from runstream.agent.shipping import Agent
from runstream.errors import AgentRunning
from runstream.objects import StoreOpenedLater
from runstream.settings import Settings

log = logging.getLogger("runstream.agent")


def start_thread(settings: Settings) -> threading.Thread:
    """Starts a daemon thread that ships the spools of `settings.dir` until the process ends.

    It competes with training for the interpreter; what it has not sent by the end stays in the spool. Raises
    SettingsError when no broker is configured.
    """
    from runstream.kafka import KafkaTransport

    transport = KafkaTransport(settings)
    agent = Agent(settings.dir, transport, StoreOpenedLater(settings.s3), settings)
    thread = threading.Thread(target=_run, args=(agent,), name="runstream-agent", daemon=True)
    thread.start()
    return thread


def _run(agent: Agent) -> None:
    try:
        asyncio.run(agent.run(asyncio.Event()))
    except AgentRunning as error:
        log.info("%s", error)
    except Exception:
        log.exception("the agent's thread ended; what it has not sent stays in the spool, see `runstream sync`")
