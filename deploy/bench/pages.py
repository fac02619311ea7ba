"""What a person waits for who opens the Runs page of 10,000 runs: until the first row of the table is drawn.

Each visit is to a project of its own, so that the pages have asked nothing about it before: as after a coffee break.
A browser that has been here has the scripts of the pages in its cache; a new one loads them all.

By hand, with another checkout's pages: `PYTHONPATH=<checkout>/ui python deploy/bench pages`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bars import at_most
from reads import METRICS, fill_runs, settle
from workers import cpu_seconds, database

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

RUNS = 10_000
VISITS = 7
BAR_S = 1.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SERVE = """
from runstream_ui.server import serve
from runstream_ui.settings import UiSettings
serve(UiSettings(), port=0, started=lambda url: print(url, flush=True))
"""
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"


@dataclass(frozen=True)
class Visit:
    """Seconds until the first row; until the browser drew anything at all; of a core in the process of the pages."""

    row: float
    paint: float
    busy: float


def measure(clickhouse_url: str) -> list[tuple[str, str, str]]:
    """Rows of what, value and note; the server keeps nothing of it."""
    projects = [f"bench{number}" for number in range(2 * VISITS + 2)]
    with database(clickhouse_url) as (client, url):
        for project in projects:
            fill_runs(client, project, RUNS, 1)
        settle(client)
        with pages(url) as (address, pid), browser() as new_context:
            links = [f"{address}/?project={project}" for project in projects]
            first = visit(new_context(), links[0], pid)
            known = new_context()
            visit(known, links[1], pid)
            returning, new = [], []
            for number in range(VISITS):
                returning.append(visit(known, links[2 + 2 * number], pid))
                new.append(visit(new_context(), links[3 + 2 * number], pid))
    what = f"Runs page, {RUNS:,} runs x {METRICS} metrics, until the first row is drawn"
    return [
        (f"{what}: a browser that has been here", *said(returning, BAR_S)),
        ("The same, a new browser", *said(new)),
        ("The same, a new browser, the first visitor since the pages were started", *said([first])),
    ]


def said(visits: list[Visit], bar_s: float = 0.0) -> tuple[str, str]:
    row, paint, busy = (statistics.median(getattr(one, name) for one in visits) for name in ("row", "paint", "busy"))
    parts = [
        at_most(row, bar_s, f"{bar_s:g} s") if bar_s else "",
        f"the browser drew something after {paint:.2f} s",
        f"{busy * 1e3:.0f} ms of a core in the pages",
        f"median of {len(visits)}" if len(visits) > 1 else "",
    ]
    return f"{row:.2f} s", "; ".join(part for part in parts if part)


def visit(context: BrowserContext, link: str, pid: int) -> Visit:
    page = context.new_page()
    before, began = cpu_seconds(pid), time.perf_counter()
    page.goto(link, wait_until="commit")
    page.locator("tbody tr").first.wait_for(timeout=60_000)
    row = time.perf_counter() - began
    found = Visit(row, page.evaluate(FIRST_PAINT) / 1e3, cpu_seconds(pid) - before)
    page.close()
    return found


@contextlib.contextmanager
def pages(clickhouse_url: str) -> Iterator[tuple[str, int]]:
    """Address and process id of pages over this database."""
    with tempfile.TemporaryDirectory(prefix="runstream-bench-pages-") as directory:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RUNSTREAM_")}
        environment |= {"RUNSTREAM_DIR": directory, "RUNSTREAM_CLICKHOUSE": clickhouse_url}
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE], env=environment, cwd=directory, stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                raise RuntimeError("The pages did not start; the output says why.")
            yield address, process.pid
        finally:
            process.terminate()
            process.wait(30)


@contextlib.contextmanager
def browser() -> Iterator[Callable[[], BrowserContext]]:
    """Makes browsers without anything in their caches."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        raise RuntimeError(f"No browser on PATH: none of {', '.join(BROWSERS)}.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, headless=True, args=ARGUMENTS)
        try:
            yield lambda: chromium.new_context(viewport={"width": 1440, "height": 900})
        finally:
            chromium.close()
