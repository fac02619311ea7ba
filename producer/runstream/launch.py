"""Starting the agent of a data directory on demand, as a process that outlives the training job."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib import import_module

from runstream.identity import lock_is_held
from runstream.notices import Once, warn
from runstream.settings import VARIABLES, Settings
from runstream.spool import VERSION

HANDED_OVER = ("kafka", "topic_prefix", "clickhouse", "s3", "keep", "ingest_group")
_once = Once()


def agent_wanted(settings: Settings) -> bool:
    return settings.mode == "online" and settings.kafka is not None and settings.agent != "off"


def ensure_agent(settings: Settings, env: Mapping[str, str]) -> None:
    """Start the agent when this job is to have one and none runs. Never raises; the spool is safe without it."""
    if not agent_wanted(settings):
        return
    if lock_is_held(settings.agent_lock):
        _warn_of_an_older_agent(settings)
        return
    if settings.agent == "external":
        return
    try:
        if settings.agent == "thread":
            import_module("runstream.agent").start_thread(settings)
        else:
            _start_process(settings, env)
    except Exception as error:  # noqa: BLE001 - a job must train without its agent
        warn(
            f"the agent could not be started ({type(error).__name__}: {error}); points stay in {settings.spool_dir}. "
            "Run `runstream agent` on this host, or send them later with `runstream sync`."
        )


def _warn_of_an_older_agent(settings: Settings) -> None:
    """One that serves the directory and cannot read what this library writes leaves it lying there."""
    try:
        pid, _, version = settings.agent_lock.read_text().partition("\nspool version ")
        pid, reads = str(int(pid)), int(version or 1)
    except (OSError, ValueError):
        return  # it has just got the lock
    if reads < VERSION:
        _once.warn(
            f"agent {pid}",
            f"the agent (pid {pid}) of {settings.dir} is older than this library: it reads spools of version {reads}, "
            f"and this process writes version {VERSION}. Points stay in {settings.spool_dir}, none lost, until a newer "
            "agent runs. Restart the agent's service after an upgrade; one started on demand leaves by itself.",
        )


def handed_over(settings: Settings) -> dict[str, str]:
    """The variables by which a process of ours learns where this one sends to."""
    said = {VARIABLES[name][0]: str(getattr(settings, name) or "") for name in HANDED_OVER}
    return {name: text for name, text in said.items() if text}


def _start_process(settings: Settings, env: Mapping[str, str]) -> None:
    import subprocess

    settings.logs_dir.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "runstream.agent", "--dir", str(settings.dir)]
    log = os.open(settings.logs_dir / "agent.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o644)
    try:
        # The shell leaves at once, so that the agent has no parent here: no zombie, nothing to wait for.
        subprocess.run(  # noqa: S603 - our own interpreter and module
            ["/bin/sh", "-c", '"$@" &', "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=settings.dir,
            env={**env, **handed_over(settings)},
            check=True,
            timeout=10,
        )
    finally:
        os.close(log)
