"""An HTTP server in a thread with its own loop, so that pages, queries and ingest do not wait for each other."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

from runstream_deploy.embedded.serving import Server


class ServerThread:
    """From `start()` to `stop()`. `ended` resolves when the thread does: with its exception, or None."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Server],
        listener: socket.socket,
        before_exit: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`make` runs in the thread; `before_exit` in its loop, when the server is about to close its connections."""
        self.name = name
        self.ended: Future[None] = Future()
        self._make, self._listener, self._before_exit = make, listener, before_exit
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    async def start(self) -> None:
        """Returns once the server accepts connections. Raises what it failed with."""
        self._thread.start()
        await asyncio.wrap_future(self._started)

    async def stop(self) -> None:
        """Finishes running requests, for a few seconds at most."""
        if self._loop is not None and self._stopping is not None and not self.ended.done():
            with contextlib.suppress(RuntimeError):  # its loop has closed in this very moment
                self._loop.call_soon_threadsafe(self._stopping.set)
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the thread
            if not self._started.done():
                self._started.set_exception(error)
            self.ended.set_exception(error)
        else:
            self.ended.set_result(None)

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = self._make()
        serving = asyncio.create_task(server.run_on(self._listener))
        stop = asyncio.create_task(self._stopping.wait())
        await server.ready.wait()
        if server.started:
            self._started.set_result(None)
        await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
        if stop.done() and self._before_exit is not None:
            await self._before_exit()
        server.should_exit = True
        stop.cancel()
        await serving
        if not self._started.done():
            raise RuntimeError(f"The {self.name} server did not start; its log tells why.")
