"""Edits in a real browser, of runs that `runstream up` really has: from the click to what the next page shows."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from runstream_deploy.cli.connection import open_client
from ui.ui_pages import Visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser]

_RUNS = """
import runstream
for number in range(3):
    with runstream.init(project="digits", name=f"mlp-{number}") as run:
        run.log({"loss": 1.0 / (number + 1)})
        with open("model.txt", "w") as file:
            file.write(f"weights {number}")
        run.log_artifact("model.txt", name="classifier", type="model", aliases=["best"])
        run.log_artifact("model.txt", name="copy", type="model")
"""

_THERE = "SELECT (SELECT count() FROM v_runs WHERE state = 'finished'), (SELECT count() FROM v_artifacts)"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of a `runstream up` that holds three runs."""
    folder = tmp_path_factory.mktemp("up")
    env = {key: value for key, value in os.environ.items() if not key.startswith("RUNSTREAM_")}
    env |= {"RUNSTREAM_DIR": str(folder), "RUNSTREAM_CONSOLE": "0", "RUNSTREAM_SYSTEM": "0", "RUNSTREAM_CAPTURE": "0"}
    command = [sys.executable, "-m", "runstream_deploy.cli", "up", "--ui-port", "0", "--sql-port", "0", "--json"]
    with (folder / "up.log").open("w") as log:
        up = subprocess.Popen(command, env=env, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert up.stdout is not None
        assert json.loads(up.stdout.readline())["ui_url"], (folder / "up.log").read_text()
        subprocess.run([sys.executable, "-c", _RUNS], env=env, cwd=folder, check=True, timeout=120)
        wait_for_all(env)
        yield folder
    finally:
        up.terminate()
        up.wait(60)
        if up.stdout is not None:
            up.stdout.close()


def wait_for_all(env: dict[str, str]) -> None:
    """Returns once the runs have ended and their artifacts are listed."""
    deadline = time.monotonic() + 60
    with contextlib.closing(open_client(env)) as client:
        while client.query(_THERE).result_rows != [(3, 6)]:
            assert time.monotonic() < deadline, "the runs are not there within 60 s"
            time.sleep(0.2)


@pytest.fixture
def visit(chromium: Browser, serve_ui: Callable[..., str], served: Path) -> Visit:
    found = Visit(chromium, serve_ui(directory=served), width=1280)
    found.page.set_default_timeout(60_000)
    return found


def test_a_run_is_renamed_deleted_and_restored(visit: Visit) -> None:
    page = visit.go("/")
    page.get_by_role("link", name="mlp-0").click()
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Name", exact=True).fill("the good one")
    page.get_by_label("Name", exact=True).press("Tab")
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator("h1", has_text="the good one").wait_for()
    page.get_by_text("mlp-0 changed").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.locator("h1", has_text=re.compile("^mlp-0$")).wait_for()
    visit.settled()
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_text("Delete…").click()
    page.get_by_role("dialog").get_by_text("mlp-0").wait_for()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("No such run").wait_for()
    page.get_by_role("button", name="Trash").click()
    page.get_by_label("Select mlp-0").click()
    page.get_by_role("button", name="Restore 1").click()
    page.get_by_text("The trash is empty").wait_for()
    page.goto(f"{visit.url}/changes")
    page.get_by_text("set deleted").first.wait_for()
    visit.fine()


def test_several_runs_are_tagged_at_once_and_archived(visit: Visit) -> None:
    page = visit.go("/")
    for name in ("mlp-1", "mlp-2"):
        page.get_by_label(f"Select {name}").click()
        visit.settled()
    page.get_by_role("button", name="Edit 2").click()
    page.get_by_text("Tags and group…").click()
    box = page.get_by_role("dialog").get_by_role("combobox").first
    box.fill("sweep-7")
    box.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_enabled()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("td .chip", has_text="sweep-7")).to_have_count(2)
    page.get_by_role("button", name="Edit 2").click()
    page.get_by_text("Archive", exact=True).click()
    page.get_by_label("Select mlp-1").wait_for(state="detached")
    page.get_by_text("Archived", exact=True).click()
    page.get_by_label("Select mlp-1").wait_for()
    visit.fine()


def test_a_star_is_clicked_in_the_table_and_found_by_the_filter(visit: Visit) -> None:
    page = visit.go("/?archived=true")
    page.get_by_role("button", name="Star mlp-1").click()
    page.get_by_text("mlp-1 starred").wait_for()
    page.get_by_label("Filter runs").fill("starred")
    expect(page.get_by_role("button", name="Remove the star of mlp-1")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Select mlp-2").wait_for(state="detached")
    page.get_by_role("button", name="Starred", exact=True).press("Enter")
    page.wait_for_url("**sort=-starred**")
    page.get_by_role("button", name="Remove the star of mlp-1").press("Enter")
    page.get_by_text("No run matches the filter").wait_for()
    visit.fine()


def test_two_people_who_edit_one_run_keep_what_the_other_changed(visit: Visit, served: Path) -> None:
    page = visit.go("/run?run=mlp-2")
    other = page.context.new_page()
    other.goto(page.url)
    for tab in (page, other):
        tab.locator("h1", has_text="mlp-2").wait_for()
        tab.get_by_role("button", name="Edit").click()
    for tab, field, text in ((page, "Group", "theirs"), (other, "Job type", "ours")):
        tab.get_by_label(field, exact=True).fill(text)
        tab.get_by_label(field, exact=True).press("Tab")
        tab.get_by_role("button", name="Save", exact=True).click()
        tab.get_by_text("mlp-2 changed").wait_for()
    for tab in (page, other):
        for text in ("theirs", "ours"):
            tab.locator("dd", has_text=text).first.wait_for()
    visit.fine()


def test_a_version_becomes_a_model_that_is_promoted_and_drawn(visit: Visit) -> None:
    page = visit.go("/artifacts?artifact=classifier&version=best")
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_text("Register as a model…").click()
    page.get_by_label("Name", exact=True).fill("reader")
    page.get_by_label("Name", exact=True).press("Tab")
    expect(page.get_by_role("button", name="Register", exact=True)).to_be_enabled()
    page.get_by_role("button", name="Register", exact=True).click()
    page.get_by_text("registered as reader").wait_for()
    page.goto(f"{visit.url}/models?model=reader")
    page.get_by_role("button", name="Promote…").click()
    page.get_by_label("Note").fill("it holds")
    page.get_by_label("Note").press("Tab")
    page.get_by_role("button", name="Promote", exact=True).click()
    page.locator(".rs-stage", has_text="staging").first.wait_for()
    page.get_by_role("tab", name="Lineage").click()
    page.locator("canvas").first.wait_for()
    visit.fine()
