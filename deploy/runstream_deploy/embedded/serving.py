"""Uvicorn on loopback: a socket bound first, so that a port in use is known before anything starts."""

from __future__ import annotations

import asyncio
import errno
import socket

import uvicorn
from starlette.types import ASGIApp

from runstream_deploy.embedded.errors import PortTaken

HOST = "127.0.0.1"


def bind(port: int, option: str) -> socket.socket:
    """A listening loopback socket on `port` (0: a free one). Raises PortTaken, naming `option` as the remedy."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise PortTaken(host=HOST, port=port, option=option) from error
        raise
    listener.listen(128)
    return listener


class Server(uvicorn.Server):
    """Leaves signals to its process; `ready` is set once it answers, or when it has failed to start."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.ready.set()

    async def run_on(self, listener: socket.socket) -> None:
        """Serves `listener` until `should_exit`."""
        await self._serve(sockets=[listener])


def server(application: ASGIApp, *, lifespan: str = "off") -> Server:
    """A server that leaves signals and logging to its process."""
    configuration = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        lifespan=lifespan,  # type: ignore[arg-type]
        timeout_graceful_shutdown=5,
        timeout_keep_alive=30,
        server_header=False,
    )
    return Server(configuration)
