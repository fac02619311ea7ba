"""The console of a run as a text file: `/console/<project>/<run id>.txt`, streamed, without colours."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from runstream_storage.errors import StorageError
from runstream_storage.queries.console import ConsoleFilter, ConsoleLine, ConsolePage, console
from runstream_ui import data
from runstream_ui.downloads import attachment
from runstream_ui.errors import UiError

_LINES = 20_000


def routes() -> list[Route]:
    return [Route("/console/{project}/{run_id}.txt", _text, methods=["GET"])]


async def _text(request: Request) -> Response:
    project, run_id = request.path_params["project"], request.path_params["run_id"]
    asked = request.query_params.get("rank", "")
    which = ConsoleFilter(rank=int(asked) if asked.isdigit() and len(asked) < 10 else None)
    try:
        first = await run_in_threadpool(_page, project, run_id, which, None)
    except ValueError:
        return PlainTextResponse("Not the id of a run.", status_code=404)
    except (StorageError, UiError) as error:
        return PlainTextResponse(str(error), status_code=502)
    if not first.lines:
        return PlainTextResponse("No console lines of this run.", status_code=404)
    headers = {"Content-Disposition": attachment(f"console-{run_id[:13]}.txt"), "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(
        _stream(project, run_id, which, first), headers=headers, media_type="text/plain; charset=utf-8"
    )


def _page(project: str, run_id: str, which: ConsoleFilter, before: ConsolePage | None) -> ConsolePage:
    after = before.lines[-1].place if before else None
    return console(data.client(), project, run_id, filter=which, after=after, first=after is None, limit=_LINES)


def _stream(project: str, run_id: str, which: ConsoleFilter, page: ConsolePage) -> Iterator[str]:
    while True:
        yield "".join(_told(line, ranks=which.rank is None) for line in page.lines)
        if not page.more:
            return
        page = _page(project, run_id, which, page)


def _told(line: ConsoleLine, *, ranks: bool) -> str:
    rank = f"r{line.rank} " if ranks else ""
    return f"{line.at:%Y-%m-%d %H:%M:%S.%f}Z {rank}{line.text}\n"
