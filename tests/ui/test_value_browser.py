"""The tabs of rich values, console and machines in a real browser."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import TimeoutError, expect

from runstream.objects import open_store
from ui.project_data import fill
from ui.ui_pages import Visit
from ui.values_data import Values, fill_values, png

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.clickhouse]

_WAIT_MS = 60_000
_LATE = png(40, 30, lambda x, y: x * y)


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    """Another server, to which no page may lead a browser by itself."""

    visits: list[str]

    def do_GET(self) -> None:
        self.visits.append(self.path)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """(address, paths that were asked for)."""
    visits: list[str] = []
    handler = type("Handler", (_Elsewhere,), {"visits": visits})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", visits
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def run_ids(module_database: str, objects: Path, elsewhere: tuple[str, list[str]]) -> list[str]:
    """Two runs with something of everything, and one whose HTML tries to get out."""
    found = fill(module_database, runs=5, steps=60, running=0, names=["one", "two", "escape", "away", "late"]).run_ids
    store = open_store(objects.as_uri())
    fill_values(module_database, store, found[:2], steps=60)
    values = Values(module_database, store, steps=60)
    values.media(found[2], "escape", 1, _escape(elsewhere[0]), kind="html", mime="text/html")
    for place, state in enumerate(("pending", "lost")):
        values.media(found[3], "pictures", 1, b"%d" % place, kind="image", mime="image/png", index=place, state=state)
        values.media(found[3], f"{state} page", 1, state.encode(), kind="html", mime="text/html", state=state)
        values.media(found[3], f"{state} sound", 1, b"%d" % place, kind="audio", mime="audio/wav", state=state)
    cell = {"kind": "image", "sha256": hashlib.sha256(b"0").hexdigest(), "size": 1, "mime": "image/png", "metadata": {}}
    values.table(found[3], "table", 1, [("id", "integer"), ("picture", "media")], [[1, cell]])
    values.media(found[4], "late", 1, _LATE, kind="image", mime="image/png", state="pending")
    values.close()
    return found


def _escape(address: str) -> bytes:
    there = json.dumps(address)
    return f"""<p id=told>no script</p><button id=leave>Leave</button>
        <img src={there}/img><link rel=stylesheet href={there}/css>
        <iframe src={there}/frame></iframe><form id=f action={there}/form><input name=a></form>
        <script>
        const there = {there}, told = [];
        const tries = {{
          parent: () => {{ parent.parent.document.title = 'hacked'; }},
          storage: () => localStorage.setItem('hacked', '1'),
          cookie: () => {{ document.cookie = 'hacked=1'; }},
          open: () => {{ if (!window.open(there + '/open')) throw new Error('refused'); }},
          top: () => {{ top.location = there + '/top'; }},
          form: () => {{ document.getElementById('f').submit(); throw new Error('sent'); }},
        }};
        for (const [name, run] of Object.entries(tries)) try {{ run(); told.push(name); }} catch (e) {{ }}
        fetch(there + '/fetch').catch(() => undefined);
        navigator.sendBeacon && navigator.sendBeacon(there + '/beacon');
        document.getElementById('told').textContent = 'tried ' + told.join(',');
        document.getElementById('leave').onclick = () => {{ location = there + '/self'; }};
        </script>""".encode()


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(scope="module")
def url(serve_ui: Callable[..., str], module_database: str, objects: Path, run_ids: list[str]) -> str:
    assert run_ids
    return serve_ui(clickhouse=module_database, objects=objects)


@pytest.fixture
def visit(chromium: Browser, url: str) -> Visit:
    return Visit(chromium, url)


def test_every_tab_opens_without_an_error_in_the_dark(visit: Visit, run_ids: list[str]) -> None:
    visit.page.emulate_media(color_scheme="dark")
    for tab, drawn in (
        ("System", "canvas"),
        ("Media", ".rs-media figure"),
        ("Histograms", "canvas"),
        ("Tables", "tbody tr"),
        ("Text", ".rs-text"),
        ("Console", ".rs-console .line"),
    ):
        visit.go(f"/run?run={run_ids[0]}&tab={tab}")
        visit.page.locator(drawn).first.wait_for(timeout=_WAIT_MS)
        visit.fine()
        visit.readable()


def test_runs_are_compared_by_their_values_without_an_error(visit: Visit, run_ids: list[str]) -> None:
    for tab, drawn in (
        ("Media", ".rs-media figure"),
        ("Histograms", "canvas"),
        ("System", "canvas"),
        ("Tables", "tbody tr"),
    ):
        visit.go(f"/compare?runs={','.join(run_ids[:2])}&tab={tab}")
        visit.page.locator(drawn).first.wait_for(timeout=_WAIT_MS)
        visit.fine()
        visit.readable()


def test_a_slider_moves_all_pictures_and_a_class_can_be_hidden(visit: Visit, run_ids: list[str]) -> None:
    page = visit.go(f"/run?run={run_ids[0]}&tab=Media&media=val/")
    boxes = page.locator(".rs-media svg rect")
    expect(boxes).to_have_count(3, timeout=_WAIT_MS)
    page.get_by_role("button", name="truth: cat").click()
    expect(boxes).to_have_count(2)
    before = page.locator(".rs-media .picture img").first.get_attribute("src")
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    page.get_by_text("1 of 20").wait_for(timeout=_WAIT_MS)
    expect(page.locator(".rs-media .picture img").first).not_to_have_attribute("src", before or "", timeout=_WAIT_MS)
    assert "at=0" in page.url
    expect(boxes).to_have_count(2)
    visit.fine()


def test_what_is_on_its_way_is_told_from_what_is_lost(visit: Visit, run_ids: list[str]) -> None:
    page = visit.go(f"/run?run={run_ids[3]}&tab=Media")
    expect(page.get_by_text("on their way").filter(visible=True)).to_have_count(3, timeout=_WAIT_MS)
    expect(page.get_by_text("are lost").filter(visible=True)).to_have_count(3)
    visit.go(f"/run?run={run_ids[3]}&tab=Tables")
    expect(page.get_by_label("on their way")).to_be_visible(timeout=_WAIT_MS)


def test_bytes_that_come_to_a_run_that_is_over_are_shown_by_themselves(
    visit: Visit, run_ids: list[str], module_database: str, objects: Path
) -> None:
    page = visit.go(f"/run?run={run_ids[4]}&tab=Media")
    expect(page.get_by_text("on their way").filter(visible=True)).to_have_count(1, timeout=_WAIT_MS)
    values = Values(module_database, open_store(objects.as_uri()), steps=60)
    values.arrives(run_ids[4], _LATE)
    values.close()
    page.wait_for_function(
        "() => [...document.querySelectorAll('*')]"
        ".some(e => e.shadowRoot?.querySelector('.picture img')?.naturalWidth)",
        timeout=_WAIT_MS,
    )
    expect(page.get_by_text("on their way")).to_have_count(0)


def test_a_picture_is_looked_at_in_large_and_the_keys_lead_on(visit: Visit, run_ids: list[str]) -> None:
    page = visit.go(f"/run?run={run_ids[0]}&tab=Media&media=samples")
    page.locator(".stage.zoom").first.click(timeout=_WAIT_MS)
    dialog = page.locator("dialog[open]")
    dialog.locator("img").wait_for()
    expect(dialog.locator(".bar")).to_contain_text("label 0, predicted 0")
    page.keyboard.press("ArrowRight")
    expect(dialog.locator(".bar")).to_contain_text("label 1, predicted 3")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    visit.fine()


def test_logged_html_runs_its_scripts_and_reaches_nothing(
    visit: Visit, run_ids: list[str], elsewhere: tuple[str, list[str]]
) -> None:
    page = visit.go(f"/run?run={run_ids[2]}&tab=Media")
    inner = page.locator(".rs-media iframe").content_frame.locator("iframe").content_frame
    expect(inner.locator("#told")).to_contain_text("tried", timeout=_WAIT_MS)
    # Its frame may not lead itself away either: it is left empty instead.
    inner.locator("#leave").click()
    inner.locator("#told").wait_for(state="detached", timeout=_WAIT_MS)
    assert page.title() != "hacked"
    assert visit.url in page.url
    assert elsewhere[1] == []


def test_a_table_is_sorted_by_a_click_and_its_pictures_are_shown(visit: Visit, run_ids: list[str]) -> None:
    page = visit.go(f"/run?run={run_ids[0]}&tab=Tables&table=val/predictions")
    page.get_by_role("button", name="score").click(timeout=_WAIT_MS)
    page.locator('th[aria-sort="ascending"]').wait_for(timeout=_WAIT_MS)
    page.get_by_role("button", name="score").click()
    page.locator('th[aria-sort="descending"]').wait_for(timeout=_WAIT_MS)
    scores = [float(text) for text in page.locator("tbody tr td:nth-child(4)").all_inner_texts()]
    assert scores == sorted(scores, reverse=True)
    page.wait_for_function(
        "[...document.querySelectorAll('*')].some(e => [...(e.shadowRoot?.querySelectorAll('.thumb') ?? [])]"
        ".some(i => i.complete && i.naturalWidth === 28))",
        timeout=_WAIT_MS,
    )
    visit.fine()


def test_a_line_leads_to_its_moment_on_the_charts_and_back(visit: Visit, run_ids: list[str]) -> None:
    page = visit.go(f"/run?run={run_ids[0]}&tab=Console&find=RuntimeError")
    page.locator(".rs-console").first.locator(".when").first.click(timeout=_WAIT_MS)
    here = page.locator(".line.at")
    expect(here).to_contain_text("CUDA out of memory", timeout=_WAIT_MS)
    here.locator(".when").click()
    page.get_by_text("22s after the start").first.wait_for(timeout=_WAIT_MS)
    page.locator("canvas").first.wait_for(timeout=_WAIT_MS)
    page.get_by_role("link", name="console lines").first.click()
    expect(page.locator(".line.at")).to_contain_text("CUDA out of memory", timeout=_WAIT_MS)
    visit.fine()


def test_older_lines_come_while_one_scrolls_and_the_place_is_kept(visit: Visit, run_ids: list[str]) -> None:
    page = visit.go(f"/run?run={run_ids[0]}&tab=Console&rank=0")
    page.get_by_text("step 2999 ").wait_for(timeout=_WAIT_MS)
    console = page.locator(".rs-console")
    expect(console.locator(".a-green").last).to_have_text("loss", timeout=_WAIT_MS)
    first = console.locator(".line").first.get_attribute("data-id")
    # Scrolling is heard of once the lines are laid out.
    page.wait_for_function(
        "() => [...document.querySelectorAll('*')].some(e => e.shadowRoot?.querySelector('.rs-console')?.onscroll)"
    )
    console.evaluate("(element) => { element.scrollTop = 0; }")
    expect(console.locator(".line").first).not_to_have_attribute("data-id", first or "", timeout=_WAIT_MS)
    expect(console.locator(f'.line[data-id="{first}"]')).to_be_in_viewport(timeout=_WAIT_MS)
    visit.fine()


def test_a_console_is_downloaded_as_text(visit: Visit, run_ids: list[str]) -> None:
    page = visit.go(f"/run?run={run_ids[0]}&tab=Console")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click(timeout=_WAIT_MS)
    text = Path(download.value.path()).read_text()
    assert text.count("\n") == 3_120
    assert "\x1b" not in text
    assert "r0 Starting training with <b>8</b> workers" in text


def test_a_zoom_in_one_machine_chart_is_a_zoom_in_all(visit: Visit, run_ids: list[str]) -> None:
    page = visit.go(f"/run?run={run_ids[0]}&tab=System")
    canvas = page.locator("canvas").first
    canvas.wait_for(timeout=_WAIT_MS)
    box = canvas.bounding_box()
    assert box is not None

    def drag() -> None:
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] * 0.4, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.5, middle)
        page.mouse.move(box["x"] + box["width"] * 0.6, middle)
        page.mouse.up()

    whole = page.get_by_role("button", name="Whole run")
    # A chart that is not armed yet lets the drag pass.
    for _ in range(20):
        drag()
        try:
            whole.wait_for(timeout=5_000)
            break
        except TimeoutError:
            continue
    # A drag that was slow to arrive may zoom again behind the click.
    for _ in range(20):
        visit.settled()
        if whole.count() == 0:
            break
        whole.click()
        page.wait_for_timeout(500)
    expect(whole).to_have_count(0, timeout=_WAIT_MS)
    visit.fine()
