"""/metrics, /healthz and /readyz."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runstream_ingest.health import Health
from runstream_ingest.metrics import Metrics


def application(metrics: Metrics, health: Health) -> Starlette:
    async def show_metrics(request: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def healthz(request: Request) -> Response:
        return JSONResponse({"idle_s": round(health.idle_s, 3)}, 200 if health.is_alive else 503)

    async def readyz(request: Request) -> Response:
        return JSONResponse({"problems": health.problems}, 200 if health.is_ready else 503)

    return Starlette(routes=[Route("/metrics", show_metrics), Route("/healthz", healthz), Route("/readyz", readyz)])


class ProbeServer(uvicorn.Server):
    """Serves the application on a listening socket, without uvicorn's signal handlers: the service has its own."""

    def __init__(self, metrics: Metrics, health: Health) -> None:
        app = application(metrics, health)
        super().__init__(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
