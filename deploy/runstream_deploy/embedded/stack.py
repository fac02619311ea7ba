"""`runstream up`: every part of Runstream in one process, each replaced where a real server is configured.

The parts, started in this order and stopped in the opposite one:

* the engine and its SQL endpoint, in a thread with its own loop; with RUNSTREAM_CLICKHOUSE neither is started;
* migrations;
* the agent, which hands the spools to ingest in memory; with RUNSTREAM_KAFKA, ingest reads Kafka instead;
* the pages, in a thread with its own loop.

A part that ends by itself ends the process with an error: nothing dies silently.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import fcntl
import os
import secrets
import shutil
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog

from runstream.identity import process_start
from runstream.settings import Settings
from runstream_deploy.embedded.access import Accounts
from runstream_deploy.embedded.endpoint import application
from runstream_deploy.embedded.engine import Engine
from runstream_deploy.embedded.errors import AlreadyUp, DirectoryUnusable, PartEnded
from runstream_deploy.embedded.serving import HOST, Server, bind, server
from runstream_deploy.embedded.threads import ServerThread
from runstream_storage.connection import DEFAULT_DATABASE
from runstream_storage.discovery import UpInfo, find_up, remove_up, write_up

OWNER = "runstream"
LOCK = "up.lock"
LOW_DISK_BYTES = 1 << 30
ANSWERS_WITHIN_S = 60.0

logger = structlog.get_logger("runstream.up")


@dataclasses.dataclass(frozen=True, slots=True)
class Ports:
    ui: int
    sql: int


async def run(settings: Settings, ports: Ports, log: Path, announce: Callable[[UpInfo], None]) -> None:
    """Serves until SIGTERM, SIGINT or SIGHUP. `announce` is called once pages and SQL answer.

    Raises EmbeddedError, and what a real server that is configured instead of a part raises when it is away.
    """
    with owned(settings.dir):
        async with AsyncExitStack() as parts:
            stop = asyncio.Event()
            _stop_on_signals(stop)
            stack = Stack(settings, log, parts, stop)
            info = await stack.start(ports)
            write_up(settings.dir, info)
            parts.callback(remove_up, settings.dir, info.pid)
            logger.info("up", ui=info.ui_url, dir=info.directory, pid=info.pid)
            if not stop.is_set():
                announce(info)
            await stack.watch()
            logger.info("stopping")
    logger.info("stopped")


@contextlib.contextmanager
def owned(directory: Path) -> Iterator[None]:
    """Holds `directory` for this `runstream up`. Raises AlreadyUp or DirectoryUnusable."""
    remedy = "Make it writable, free space, or choose another with --dir."
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / LOCK).open("a+", encoding="ascii")
    except OSError as error:
        raise DirectoryUnusable(directory=directory, reason=error.strerror or str(error), remedy=remedy) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise _already_up(directory, lock.name) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        free = shutil.disk_usage(directory).free
        if free < LOW_DISK_BYTES:
            logger.warning(
                "little space is left on the disk of the data directory", free_mib=free >> 20, dir=str(directory)
            )
        yield
        lock.truncate(0)


def _stop_on_signals(stop: asyncio.Event) -> None:
    """The first signal sets `stop`; a second one ends the process at once."""

    def signalled(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, signalled, number)


def _already_up(directory: Path, lock: str) -> AlreadyUp:
    found = find_up(directory)
    if found is not None:
        return AlreadyUp(directory=directory, pid=found.pid, ui_url=found.ui_url, sql_url=found.sql_url)
    pid = Path(lock).read_text(encoding="ascii").strip()
    return AlreadyUp(directory=directory, pid=int(pid) if pid.isdigit() else None)


class Stack:
    """The running parts. `parts` stops them; `watch` waits for the first that should not have ended."""

    def __init__(self, settings: Settings, log: Path, parts: AsyncExitStack, stop: asyncio.Event) -> None:
        self._settings, self._log, self._parts, self._stop = settings, log, parts, stop
        self._watched: dict[asyncio.Future[Any], str] = {}

    async def start(self, ports: Ports) -> UpInfo:
        ui_listener = self._parts.enter_context(bind(ports.ui, "--ui-port"))
        sql_url, database_url = await self._start_database(ports.sql)
        await asyncio.to_thread(_migrate, database_url, self._log)
        await self._start_ingest(database_url)
        ui_url = f"http://{HOST}:{ui_listener.getsockname()[1]}"
        await self._serve("pages", lambda: _pages(self._settings, sql_url, ui_listener), ui_listener)
        await self._until_it_answers(ui_url + "/_stcore/health")
        return UpInfo(
            pid=os.getpid(),
            process_start=process_start(os.getpid()),
            directory=str(self._settings.dir),
            ui_url=ui_url,
            sql_url=sql_url,
            database_url=database_url,
            objects_url=self._settings.s3,
        )

    async def watch(self) -> None:
        """Returns when the process shall stop. Raises PartEnded when a part ends before."""
        stopping = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait({stopping, *self._watched}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for ended in done - {stopping}:
            if not self._stop.is_set():
                raise self._ended(ended)

    def _ended(self, part: asyncio.Future[Any]) -> PartEnded:
        error = None if part.cancelled() else part.exception()
        logger.error("a part ended", part=self._watched[part], exc_info=error)
        reason = f"{type(error).__name__}: {error}" if error else "it returned without an error"
        return PartEnded(name=self._watched[part], reason=reason, log=self._log)

    # -- the parts

    async def _start_database(self, port: int) -> tuple[str, str]:
        """The addresses for reading and for writing."""
        if self._settings.clickhouse:
            logger.info("ClickHouse is configured: the embedded engine stays off")
            return self._settings.clickhouse, self._settings.clickhouse
        listener = self._parts.enter_context(bind(port, "--sql-port"))
        accounts = Accounts(OWNER, secrets.token_urlsafe(24))
        engine = self._parts.enter_context(await asyncio.to_thread(Engine, self._settings.dir / "clickhouse"))
        app, endpoint = application(engine, accounts)
        await self._serve("SQL endpoint", lambda: server(app), listener, endpoint.stop)
        address = f"{HOST}:{listener.getsockname()[1]}"
        await self._until_it_answers(f"http://{address}/ping")
        database = f"{address}/{DEFAULT_DATABASE}"
        return f"http://reader@{database}", f"http://{OWNER}:{quote(accounts.password, safe='')}@{database}"

    async def _start_ingest(self, database_url: str) -> None:
        if self._settings.kafka:
            self._parts.push_async_callback(_cancelled, self.supervise("ingest", self._read_kafka(database_url)))
            return
        from runstream.agent import Agent
        from runstream.objects import StoreOpenedLater
        from runstream_ingest.embedded import EmbeddedIngest

        ingest = EmbeddedIngest(database_url, self._settings.dir)
        agent = Agent(self._settings.dir, ingest, StoreOpenedLater(self._settings.s3), self._settings, stay=True)
        stop = asyncio.Event()
        shipping = self.supervise("agent", agent.run(stop))

        async def settle() -> None:
            stop.set()
            with contextlib.suppress(Exception):  # what it failed with is told by `watch`
                await shipping

        self._parts.push_async_callback(settle)

    async def _read_kafka(self, database_url: str) -> None:
        """The ingest service as it is; it takes SIGTERM and SIGINT over, so its end is ours."""
        from runstream_ingest.service import serve
        from runstream_ingest.settings import IngestSettings

        await serve(IngestSettings.model_validate({"kafka": self._settings.kafka, "clickhouse": database_url}))
        self._stop.set()

    def supervise(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Runs `work`, which shall end only when the process stops."""
        task = asyncio.create_task(work, name=name)
        self._watched[task] = name
        return task

    async def _serve(
        self,
        name: str,
        make: Callable[[], Server],
        listener: socket.socket,
        before_exit: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        thread = ServerThread(name, make, listener, before_exit)
        self._parts.push_async_callback(thread.stop)
        await thread.start()
        self._watched[asyncio.wrap_future(thread.ended)] = name

    async def _until_it_answers(self, url: str) -> None:
        give_up = time.monotonic() + ANSWERS_WITHIN_S
        while not await asyncio.to_thread(_answers, url):
            for part in self._watched:
                if part.done():
                    raise self._ended(part)
            if time.monotonic() > give_up:
                raise PartEnded(name="start", reason=f"{url} did not answer in {ANSWERS_WITHIN_S:.0f} s", log=self._log)
            await asyncio.sleep(0.05)


def _migrate(database_url: str, log: Path) -> None:
    from clickhouse_connect.driver.exceptions import DatabaseError

    from runstream_storage.migrate import migrate

    try:
        applied = migrate(database_url)
    except DatabaseError as error:
        raise PartEnded(name="migration", reason=str(error).strip(), log=log) from error
    for one in applied:
        logger.info("migrated", migration=one.name)


def _pages(settings: Settings, sql_url: str, listener: socket.socket) -> Server:
    import uvicorn
    from pydantic import SecretStr

    from runstream_ui.server import asgi_app, uvicorn_options
    from runstream_ui.settings import UiSettings

    ui_settings = UiSettings(clickhouse=SecretStr(sql_url), s3=SecretStr(settings.s3), dir=settings.dir)
    pages = asgi_app(ui_settings, host=HOST, port=listener.getsockname()[1])
    options = {**uvicorn_options(), "log_config": None, "timeout_graceful_shutdown": 2}
    return Server(uvicorn.Config(pages, **options))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own http address
            return bool(answer.status == 200)
    except OSError:
        return False


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):  # what it failed with is told by `watch`
        await task
