"""The pages in a real browser, over a project that is really in the database."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from runstream.objects import open_store
from ui.project_data import HOSTILE, Filled, add_artifact, fill, lose_rows
from ui.ui_pages import Visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.clickhouse]

WEIGHTS = bytes(range(256)) * 4000


def _png() -> bytes:
    """A picture of 2 by 2 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" + b"\xff\0\0" * 2 + b"\0" + b"\0\xff\0" * 2)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def project(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Filled, Path]:
    objects = tmp_path_factory.mktemp("objects")
    filled = fill(module_database, runs=120, steps=3000, with_points=4, extra_metrics=20, names=["newest", HOSTILE])
    lose_rows(module_database, filled, filled.run_ids[3], (0, 700), (800, 3000), rows=3000)
    store = open_store(objects.as_uri())
    add_artifact(module_database, filled, store, {"model.pt": WEIGHTS, "plots/confusion.png": _png()})
    return filled, objects


@pytest.fixture(scope="module")
def url(serve_ui: Callable[..., str], module_database: str, project: tuple[Filled, Path]) -> str:
    return serve_ui(clickhouse=module_database, objects=project[1])


@pytest.fixture
def visit(chromium: Browser, url: str) -> Visit:
    return Visit(chromium, url)


def _names(visit: Visit) -> list[str]:
    return visit.page.locator("tbody td.pin a").all_inner_texts()


def test_every_page_opens_without_an_error(visit: Visit, project: tuple[Filled, Path]) -> None:
    runs = ",".join(project[0].run_ids[:3])
    for path in (
        "/",
        "/run",
        f"/compare?runs={runs}",
        "/artifacts?artifact=classifier",
        "/sql?q=SELECT+1+AS+n",
        "/health",
    ):
        visit.go(path)
        visit.page.locator("canvas, table").first.wait_for()
        visit.fine()


@pytest.mark.parametrize("tab", ["Params", "Metrics", "Artifacts", "Starts", "Environment"])
def test_every_tab_of_a_run_opens_without_an_error(visit: Visit, tab: str) -> None:
    visit.go("/run")
    visit.page.get_by_role("tab", name=tab).click()
    visit.page.locator("table").first.wait_for()
    visit.fine()
    assert f"tab={tab}" in visit.page.url


def test_a_wrong_filter_gets_a_caret_and_a_right_one_narrows_the_table(visit: Visit) -> None:
    page = visit.go("/")
    box = page.get_by_label("Filter runs")
    box.fill("config.lr <")
    page.locator(".rs-wrong").wait_for()
    assert "^" in page.locator(".rs-wrong").inner_text()
    assert len(_names(visit)) == 50
    box.fill('state = "failed"')
    page.locator(".rs-wrong").wait_for(state="detached")
    page.get_by_text("of 120 runs").wait_for()
    states = page.locator("tbody tr td:nth-child(4)")
    expect(states.filter(has_not_text="failed")).to_have_count(0, timeout=30_000)
    assert set(states.all_inner_texts()) == {"failed"}
    visit.fine()


def test_names_are_offered_while_a_filter_is_typed_and_finish_it(visit: Visit) -> None:
    page = visit.go("/")
    page.get_by_label("Filter runs").fill("last(val/l")
    page.locator(".st-key-completions").get_by_role("button").first.click()
    expect(page.get_by_label("Filter runs")).to_have_value(re.compile(r"^last\(val/loss\)"), timeout=30_000)


def test_a_click_on_a_metric_puts_the_largest_first_and_the_link_brings_that_back(visit: Visit) -> None:
    page = visit.go("/")
    page.get_by_role("button", name="val/acc").click()
    page.locator('th[aria-sort="descending"]', has_text="val/acc").wait_for()
    visit.settled()
    largest_first = _names(visit)
    page.get_by_role("button", name="val/acc").click()
    page.locator('th[aria-sort="ascending"]', has_text="val/acc").wait_for()
    visit.settled()
    assert _names(visit) != largest_first
    page.go_back()
    again = Visit(page.context.browser, visit.url)  # type: ignore[arg-type]
    again.go("/?project=digits&sort=-last(val/acc)")
    again.page.locator("tbody tr").first.wait_for()
    assert _names(again) == largest_first
    again.fine()


def test_pages_of_the_table_follow_each_other_and_are_in_the_link(visit: Visit) -> None:
    page = visit.go("/")
    first = _names(visit)
    page.locator(".st-key-paging-row").get_by_text("2", exact=True).click()
    page.get_by_text("51–100 of 120").wait_for()
    visit.settled()
    assert not set(first) & set(_names(visit))
    assert "page=2" in page.url
    visit.fine()


def test_chosen_runs_are_drawn_together_and_compared(visit: Visit) -> None:
    page = visit.go("/")
    for row in (0, 2):
        page.locator("tbody input[type=checkbox]").nth(row).click()
        visit.settled()
    page.get_by_role("button", name="Compare 2").wait_for()
    page.locator("canvas").first.wait_for()
    page.locator(".rs-legend span[title]").nth(1).wait_for()
    assert page.locator(".rs-legend span[title]").count() == 2
    page.get_by_role("button", name="Compare 2").click()
    page.get_by_role("tab", name="Params").click()
    page.locator("td.differs").first.wait_for()
    rows = page.locator("tbody tr").count()
    page.get_by_text("that differ").click()
    page.locator("td", has_text="dataset").wait_for(state="detached")
    assert page.locator("tbody tr").count() < rows
    assert "/compare" in page.url
    visit.fine()


def test_runs_are_grouped_drawn_as_bands_and_a_group_leads_to_its_runs(visit: Visit) -> None:
    page = visit.go("/?by=config.optimizer")
    page.locator("canvas").first.wait_for()
    page.locator(".rs-legend", has_text="adam").wait_for()
    page.get_by_role("link", name="adam").click()
    page.get_by_text("of 120 runs").wait_for()
    expect(page.get_by_label("Filter runs")).to_have_value('config.optimizer = "adam"')
    visit.fine()


@pytest.mark.parametrize("tab", ["Parallel", "Scatter"])
def test_params_and_metrics_are_drawn_against_each_other(visit: Visit, project: tuple[Filled, Path], tab: str) -> None:
    page = visit.go(f"/compare?runs={','.join(project[0].run_ids[:4])}&tab={tab}")
    page.locator("canvas").first.wait_for()
    page.locator("canvas").first.hover()
    visit.fine()


def test_a_gap_is_told_in_the_table_and_on_the_page_of_the_run(visit: Visit, project: tuple[Filled, Path]) -> None:
    page = visit.go("/")
    page.get_by_role("img", name="100 rows missing").wait_for()
    page.goto(f"{visit.url}/run?run={project[0].run_ids[3]}")
    page.get_by_text("100 rows are missing").wait_for()
    page.get_by_role("tab", name="Starts").click()
    page.locator("td.differs", has_text="100").wait_for()
    visit.fine()


def test_dragging_across_a_chart_asks_for_that_stretch_and_a_double_click_goes_back(visit: Visit) -> None:
    page = visit.go("/run?metric=val/loss")
    canvas = page.locator("canvas").first
    canvas.wait_for()
    page.wait_for_timeout(500)
    before = canvas.screenshot()
    box = canvas.bounding_box()
    assert box is not None
    x, y = box["x"], box["y"] + box["height"] / 2
    page.mouse.move(x + box["width"] * 0.4, y)
    page.mouse.down()
    page.mouse.move(x + box["width"] * 0.6, y, steps=6)
    page.mouse.up()
    page.locator(".rs-zoomed").wait_for()
    visit.settled()
    page.mouse.move(5, 5)
    assert page.locator("canvas").first.screenshot() != before
    page.mouse.dblclick(x + box["width"] * 0.5, y)
    page.locator(".rs-zoomed").wait_for(state="detached")
    visit.fine()


def test_a_query_is_answered_and_downloaded(visit: Visit, tmp_path: Path) -> None:
    page = visit.go("/sql")
    box = page.get_by_label("SQL")
    box.fill("SELECT run_name, state FROM v_runs WHERE project = 'digits' ORDER BY created_at DESC LIMIT 7")
    box.press("Control+Enter")
    page.get_by_text("7 rows").wait_for()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV", exact=True).click()
    rows = list(csv.reader(io.StringIO(Path(waiting.value.path()).read_text())))
    assert rows[0] == ["run_name", "state"]
    assert rows[1] == ["newest", "running"]
    assert rows[2][0] == HOSTILE
    assert len(rows) == 8
    visit.fine()


def test_an_answer_is_drawn_as_a_chart(visit: Visit) -> None:
    page = visit.go("/sql?q=SELECT+number+AS+n,+sqrt(number)+AS+root+FROM+numbers(50)")
    page.get_by_role("tab", name="Chart").click()
    page.locator("canvas").first.wait_for()
    page.get_by_text("Across").wait_for()
    visit.fine()


def test_an_artifact_comes_back_as_it_was_and_its_picture_is_shown(visit: Visit) -> None:
    page = visit.go("/run?tab=Artifacts")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="model.pt").click()
    assert waiting.value.suggested_filename == "model.pt"
    content = Path(waiting.value.path()).read_bytes()
    assert hashlib.sha256(content).hexdigest() == hashlib.sha256(WEIGHTS).hexdigest()
    page.wait_for_function(
        "[...document.images].some((image) => image.alt.includes('confusion') && image.naturalWidth === 2)"
    )
    visit.fine()


def test_nothing_that_a_run_is_called_runs_as_a_script(visit: Visit, project: tuple[Filled, Path]) -> None:
    hostile = project[0].run_ids[1]
    for path in ("/", f"/?sel={hostile}", f"/run?run={hostile}", f"/compare?runs={hostile},{project[0].run_ids[0]}"):
        page = visit.go(path)
        page.get_by_text("<img src=x").first.wait_for()
        if page.locator("canvas").count():
            page.locator("canvas").first.hover()
        page.wait_for_timeout(300)
        assert page.evaluate("window.hacked") is None
        assert page.locator('img[src="x"]').count() == 0
    visit.fine()


def test_one_click_on_a_run_leads_to_it_and_back_leads_back(visit: Visit) -> None:
    page = visit.go("/")
    page.get_by_role("link", name="newest").click()
    page.locator("h1", has_text="newest").wait_for()
    assert "/run?" in page.url
    page.go_back()
    page.get_by_text("1–50 of 120").wait_for()
    visit.fine()


def test_ten_thousand_runs_with_fifty_metrics_are_sorted_and_filtered(
    chromium: Browser, module_database: str, url: str
) -> None:
    fill(module_database, "large", runs=10_000, extra_metrics=44, steps=20, with_points=2)
    visit = Visit(chromium, url, width=1024, height=768)
    page = visit.go("/?project=large&sort=-last(val/acc)")
    page.get_by_text("10,000").first.wait_for()
    assert len(_names(visit)) == 50
    page.get_by_label("Filter runs").fill("config.lr < 1e-3 and last(val/loss) < 0.1")
    page.get_by_text("of 10,000 runs").wait_for()
    visit.settled()
    visit.fine()


def test_without_a_server_the_page_says_which_command_starts_one(
    chromium: Browser, serve_ui: Callable[..., str], tmp_path: Path
) -> None:
    visit = Visit(chromium, serve_ui(directory=tmp_path))
    page = visit.go("/")
    page.get_by_text("Nothing to read from").wait_for()
    page.get_by_text(f"runstream up --dir {tmp_path}").wait_for()
    visit.fine()
