from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette

from runstream_ui import ahead, data
from runstream_ui.listing import Listing
from ui.project_data import fill

if TYPE_CHECKING:
    from ui.ui_pages import Pages

_MANIFEST = {
    "index.html": {"file": "js/index.js", "isEntry": True, "imports": ["_react.js"]},
    "_react.js": {"file": "js/react.js"},
    "_arrow.js": {"file": "js/arrow.js", "imports": ["_react.js"]},
    "BidiComponent.tsx": {"file": "js/Bidi.js", "name": "BidiComponent", "imports": ["_react.js", "_arrow.js"]},
    "Html.tsx": {"file": "js/Html.js", "name": "Html", "imports": ["_arrow.js"]},
    "Mermaid.tsx": {"file": "js/Mermaid.js", "name": "MermaidChart"},
    "src/MaterialSymbols-Rounded.woff2": {"file": "media/icons.woff2"},
}


def test_each_script_that_pages_draw_with_is_named_once_and_those_of_the_document_are_not() -> None:
    named = [tag.split('"')[-2].removeprefix("./") for tag in ahead.hints(_MANIFEST)]
    assert named == ["js/Bidi.js", "js/arrow.js", "js/Html.js", "media/icons.woff2"]


@pytest.mark.parametrize("path", ["/", *(f"/{page}" for page in ahead.PAGES if page != "runs")])
async def test_every_page_is_streamlits_document_with_the_scripts_it_needs(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "_QUESTIONS", {})
    transport = httpx.ASGITransport(app=Starlette(routes=ahead.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://ui") as client:
        found = await client.get(path)
    assert found.status_code == 200
    assert found.headers["cache-control"] == "no-cache"
    assert found.text.count("</head>") == 1
    assert 'rel="modulepreload" crossorigin href="./static/js/BidiComponent.' in found.text
    assert 'as="font" type="font/woff2" crossorigin href="./static/media/MaterialSymbols' in found.text


@pytest.mark.parametrize(
    ("asked", "leads_to"), [("/runs", "./"), ("/runs?project=a%20b&size=25", "./?project=a%20b&size=25")]
)
async def test_the_first_page_is_found_by_its_name_too(asked: str, leads_to: str) -> None:
    transport = httpx.ASGITransport(app=Starlette(routes=ahead.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://ui") as client:
        found = await client.get(asked)
    assert (found.status_code, found.headers["location"]) == (307, leads_to)


async def test_a_database_that_does_not_answer_holds_no_page_and_gathers_no_questions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, released = [], threading.Event()

    def question(link: Mapping[str, str]) -> None:
        asked.append(link["number"])
        released.wait(30)

    monkeypatch.setattr(ahead, "_QUESTIONS", {"": question})
    transport = httpx.ASGITransport(app=Starlette(routes=ahead.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://ui") as client:
        found = [await client.get("/", params={"number": number}) for number in range(100)]
        assert {one.status_code for one in found} == {200}
        released.set()
        for _ in range(300):
            await client.get("/", params={"number": "last"})
            if "last" in asked:
                break
            await asyncio.sleep(0.1)
    assert "last" in asked
    assert len([number for number in asked if number != "last"]) == 16


def test_the_pages_of_the_address_bar_are_those_of_the_application() -> None:
    application = Path(ahead.__file__).with_name("app.py").read_text(encoding="utf-8")
    assert application.count("url_path=") == len(ahead.PAGES)
    assert all(f'url_path="{page}"' in application for page in ahead.PAGES)


@pytest.mark.clickhouse
def test_an_address_says_which_runs_are_asked_for(database: str, pages: Callable[[str], Pages]) -> None:
    filled = fill(database, runs=40, with_points=1)
    pages(database)
    link = {"sort": "-config.lr", "size": "25", "page": "2", "filter": " config.lr > 0 ", "cols": "config.lr"}
    asked = Listing.of_link(filled.project, link)
    assert (asked.where, asked.columns, asked.archived) == ("config.lr > 0", ("config.lr",), False)
    page, best = asked.answer()
    assert (len(page.rows), page.matched, best) == (15, 40, None)
    everything = Listing.of_link(filled.project, {"size": "many", "page": "-3"})
    assert (everything.size, everything.number) == (50, 1)
    page, best = everything.answer()
    assert [run.run_id for run in page.rows] == filled.run_ids
    assert everything.goal is not None
    assert best is not None


@pytest.mark.clickhouse
def test_a_database_without_runs_and_a_link_that_means_nothing_are_no_error(
    database: str, pages: Callable[[str], Pages]
) -> None:
    pages(database)
    ahead.ask_of_runs({})
    ahead.ask_of_run({"run": "x"})
    fill(database, runs=1, with_points=1)
    data.projects.clear()
    ahead.ask_of_run({"run": "nobody"})
    ahead.ask_of_runs({"page": "x", "sort": "", "project": "nobody"})
    assert [project.name for project in data.projects()] == ["digits"]
