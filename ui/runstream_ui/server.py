"""The pages as an ASGI application, and a server for them."""

from __future__ import annotations

import contextlib
import importlib
import logging
import socket
import threading
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from runstream_ui import context
from runstream_ui.settings import UiSettings

_HERE = Path(__file__).parent
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def asgi_app(settings: UiSettings, *, host: str = "127.0.0.1", port: int = 0) -> Any:
    """The UI as one ASGI application with its own lifespan; also serves files (`/files/…`, `/archive`).

    One a process: Streamlit keeps its settings and its runtime in the process. `host` and `port` are where it is going
    to be reached; on loopback only loopback host names are accepted, so that no page elsewhere can rebind its name.
    """
    import streamlit as st
    from streamlit.logger import get_logger

    # A cache that is made outside of a page says so in a line for each function, which is no news for anybody. Not by
    # a level: Streamlit sets the levels of its loggers again whenever it reads its options.
    get_logger("streamlit.runtime.caching.cache_data_api").addFilter(_no_news)
    from runstream_ui import ahead, archives, console_text, downloads

    _apply_options(host=host, port=port)
    context.configure(settings)
    routes = [*ahead.routes(), *downloads.routes(), *archives.routes(), *console_text.routes()]
    return st.App(_HERE / "app.py", routes=routes, lifespan=_warmed_up)


def _no_news(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("No runtime found")


def uvicorn_options() -> dict[str, Any]:
    """Keyword arguments for `uvicorn.Config` with which Streamlit's websocket works as it does under its own server."""
    return {
        "ws": "websockets-sansio",
        "ws_ping_interval": 20,
        "ws_ping_timeout": 20,
        "ws_max_size": 200 * 1024 * 1024,
        "ws_per_message_deflate": False,
        "access_log": False,
        "log_level": "warning",
    }


def serve(
    settings: UiSettings,
    *,
    host: str = "127.0.0.1",
    port: int = 8501,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM. `port` 0 takes a free one; `started` is told the URL once the socket listens.

    Raises OSError when the address is taken.
    """
    import uvicorn

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        bound = int(listener.getsockname()[1])
        app = asgi_app(settings, host=host, port=bound)
        if started is not None:
            started(f"http://{'[' + host + ']' if ':' in host else host}:{bound}")
        uvicorn.Server(uvicorn.Config(app, **uvicorn_options())).run(sockets=[listener])


def streamlit_options(host: str, port: int) -> dict[str, Any]:
    """Dotted Streamlit options: those shipped in `.streamlit/config.toml`, and those that follow from the address."""
    with (_HERE / ".streamlit" / "config.toml").open("rb") as file:
        options = dict(_dotted(tomllib.load(file)))
    options["server.address"] = host
    options["browser.serverAddress"] = host
    if port:
        options["server.port"] = port
        options["browser.serverPort"] = port
    if host in _LOOPBACK:
        options["server.allowedHosts"] = list(_LOOPBACK)
    return options


def _apply_options(*, host: str, port: int) -> None:
    from streamlit import config

    config.get_config_options(force_reparse=True, options_from_flags=streamlit_options(host, port))


@contextlib.asynccontextmanager
async def _warmed_up(_app: object) -> AsyncIterator[None]:
    """Once Streamlit's runtime lives: the components of the pages are made for it when they are imported."""
    threading.Thread(target=_warm_up, name="runstream-ui-warm-up", daemon=True).start()
    yield


def _warm_up() -> None:
    """What the first page would import and ask, while nobody waits for it."""
    from runstream_ui import ahead

    with contextlib.suppress(Exception):  # the first visitor is told what is wrong
        for module in ("pandas", "pyarrow", *(f"runstream_ui.views.{page}" for page in ahead.PAGES)):
            importlib.import_module(module)
        ahead.ask_of_runs({})


def _dotted(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            pairs.extend(_dotted(value, f"{prefix}{key}."))
        else:
            pairs.append((f"{prefix}{key}", value))
    return pairs
