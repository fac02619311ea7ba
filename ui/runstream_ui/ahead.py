"""The pages of the address bar, so that the first content comes sooner.

A browser that asks for a page loads a megabyte of scripts, starts them, and only then opens the connection over which
the page is drawn. Meanwhile the database is asked what the page is going to ask; the answers lie in the cache when the
page is drawn. And the scripts of what the page draws are named in its head: without that the browser learns of them
one after the other, when it is told to draw something.
"""

from __future__ import annotations

import contextlib
import html
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from runstream_storage.errors import StorageError
from runstream_ui import artifact_data, data
from runstream_ui.errors import UiError
from runstream_ui.listing import Listing

PAGES = ("runs", "run", "compare", "artifacts", "models", "sql", "health", "changes", "trash")
_FIRST = "runs"
# What the Runs page draws, and the others as well, as the manifest of Streamlit's scripts calls it.
_DRAWN = ("BidiComponent", "Selectbox", "TextInput", "Checkbox", "Html", "Button", "Pagination")
_ICONS = "MaterialSymbols-Rounded"

_asking = ThreadPoolExecutor(4, thread_name_prefix="runstream-ui-ahead")
# Of their own: what waits for them holds one of the others.
_asking_beside = ThreadPoolExecutor(4, thread_name_prefix="runstream-ui-beside")
# Whoever asks for pages faster than the database answers is not answered ahead.
_places = BoundedSemaphore(16)


def routes() -> list[Route]:
    pages = [Route(path, _page, methods=["GET"]) for path in ("/", *(f"/{name}" for name in PAGES if name != _FIRST))]
    return [*pages, Route(f"/{_FIRST}", _first, methods=["GET"])]


async def _first(request: Request) -> Response:
    """Streamlit knows its first page by no name, and tells who asks for it by name that there is no such page."""
    query = request.url.query
    return RedirectResponse(f"./?{query}" if query else "./")


async def _page(request: Request) -> Response:
    question = _QUESTIONS.get(request.url.path.rpartition("/")[2])
    if question and _places.acquire(blocking=False):
        _asking.submit(_quietly, question, dict(request.query_params))
    return HTMLResponse(_document(), headers={"Cache-Control": "no-cache"})


def _quietly(question: Callable[[Mapping[str, str]], None], link: Mapping[str, str]) -> None:
    """Whoever draws the page asks again, and tells what is wrong."""
    try:
        with contextlib.suppress(StorageError, UiError):
            question(link)
    finally:
        _places.release()


def ask_of_runs(link: Mapping[str, str]) -> None:
    """What the Runs page asks, in the order in which it can be known."""
    project = _project(link)
    if not project:
        return
    beside = [_asking_beside.submit(ask, project) for ask in (artifact_data.saved_views, data.definitions)]
    if link.get("by"):
        return
    page, _ = Listing.of_link(project, link).answer()
    data.gaps(project, tuple(run.run_id for run in page.rows))
    for asked in beside:
        asked.result()


def ask_of_run(link: Mapping[str, str]) -> None:
    """What the header of a run asks."""
    project = _project(link)
    if not project:
        return
    asked = link.get("run", "")
    run_id = data.find_run(project, asked) if asked else data.newest_run(project)
    if run_id:
        data.run(project, run_id)


def _project(link: Mapping[str, str]) -> str:
    known = [entry.name for entry in data.projects()]
    return link.get("project") or next(iter(known), "")


_QUESTIONS: dict[str, Callable[[Mapping[str, str]], None]] = {
    "": ask_of_runs,
    "run": ask_of_run,
}


@lru_cache(maxsize=1)
def _document() -> str:
    """Streamlit's only document, with the names of more scripts in its head."""
    import streamlit

    static = Path(streamlit.__file__).parent / "static"
    document = (static / "index.html").read_text(encoding="utf-8")
    with contextlib.suppress(OSError, ValueError, KeyError):  # another version may lay them out in another way
        manifest = json.loads((static / "manifest.json").read_text(encoding="utf-8"))
        document = document.replace("</head>", "".join(hints(manifest)) + "</head>", 1)
    return document


def hints(manifest: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A tag for each script that what every page draws needs and the document does not name, and for the icons."""
    named = set(_needed(manifest, "index.html", set()))
    for entry in manifest:
        if manifest[entry].get("name") in _DRAWN:
            for script in _needed(manifest, entry, named):
                yield f'<link rel="modulepreload" crossorigin href="./{html.escape(script)}">'
        elif _ICONS in entry:
            font = html.escape(str(manifest[entry]["file"]))
            yield f'<link rel="preload" as="font" type="font/woff2" crossorigin href="./{font}">'


def _needed(manifest: Mapping[str, Mapping[str, Any]], entry: str, known: set[str]) -> Iterator[str]:
    """The files of an entry and of all that it imports, each once; those `known` are left out."""
    file = str(manifest[entry]["file"])
    if file in known:
        return
    known.add(file)
    yield file
    for below in manifest[entry].get("imports", ()):
        yield from _needed(manifest, below, known)
