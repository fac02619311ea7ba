"""`make demo`: start the stack, train a sweep, prove that every point arrived, show where to look.

`STACK=full` takes real Kafka, ClickHouse and MinIO in place of the embedded engine; `DEMO_EXIT=1` ends after the
proof instead of serving until Ctrl-C. Exit codes: 0 all points found, 1 a point is missing or a part failed.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from runstream_deploy.demo import stacks
from runstream_deploy.demo.training import Outcome, one_thread, sweep, train

PROJECT = "digits"
WORKERS = 2
ARRIVES_WITHIN_S = 120.0

LEADERBOARD = """
SELECT r.run_name AS run, s.max AS best, l.last AS loss, p.value AS rate,
       dateDiff('second', r.created_at, r.ended_at) AS seconds, r.state
FROM v_runs AS r
JOIN v_summary AS s ON s.project = r.project AND s.run_id = r.run_id AND s.metric = 'val/accuracy'
JOIN v_summary AS l ON l.project = r.project AND l.run_id = r.run_id AND l.metric = 'val/loss'
JOIN v_params AS p ON p.project = r.project AND p.run_id = r.run_id AND p.name = 'learning_rate'
WHERE r.project = {project:String}
ORDER BY best DESC, loss
LIMIT 8
"""
COUNTS = "SELECT count() AS points, uniqExact(run_id) AS runs FROM v_points WHERE project = {project:String}"
ENDED = "SELECT countIf(state = 'finished') FROM v_runs WHERE project = {project:String}"
ARTIFACTS = "SELECT count(), uniqExact(run_id) FROM v_artifacts WHERE project = {project:String}"


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was started is stopped
    console = Console(stderr=False)
    stack = os.environ.get("STACK", "embedded")
    if stack not in ("embedded", "full"):
        console.print(f"[red]STACK={stack} is unknown: use STACK=embedded or STACK=full.")
        return 1
    with data_directory() as directory:
        try:
            return demonstrate(console, stack, directory)
        except stacks.DemoFailed as error:
            console.print(f"[red]The demo failed:[/] {error}", markup=True, highlight=False)
            return 1
        except KeyboardInterrupt:
            console.print("\nStopped.")
            return 0


def demonstrate(console: Console, stack: str, directory: Path) -> int:
    started_at = time.monotonic()
    parts = (
        "Kafka, ClickHouse and MinIO" if stack == "full" else "the embedded stack (one process, no server to install)"
    )
    console.print(f"Starting {parts} …")
    start = stacks.full if stack == "full" else stacks.embedded
    with start(directory) as running:
        console.print(f"  ready after {time.monotonic() - started_at:.1f} s, page at {running.ui_url}")
        outcomes = train_all(console, running)
        arrived = wait_for_points(console, running, outcomes)
        show_leaderboard(console, running)
        show_counts(console, outcomes, arrived, time.monotonic() - started_at)
        console.print(f"\n  Page   {running.ui_url}/?project={PROJECT}")
        console.print(f"  SQL    {running.sql_url}   ({running.how_to_ask})", soft_wrap=True)
        if arrived != sum(outcome.points for outcome in outcomes):
            return 1
        if os.environ.get("DEMO_EXIT") != "1":
            serve(console, running)
    return 0


def train_all(console: Console, running: stacks.Running) -> list[Outcome]:
    """Every trial in a pool of fresh processes, as a sweep on one machine would run them."""
    os.environ.update(running.environment)
    os.environ["RUNSTREAM_QUIET"] = "1"  # 24 runs each saying where they are would tear the progress bar apart
    trials = sweep()
    outcomes: list[Outcome] = []
    bar = Progress(
        TextColumn("Training"), BarColumn(), MofNCompleteColumn(), TextColumn("runs"), TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"), console=console,
    )  # fmt: skip
    spawn = multiprocessing.get_context("spawn")
    with bar, ProcessPoolExecutor(WORKERS, mp_context=spawn, initializer=one_thread) as pool:
        task = bar.add_task("", total=len(trials), note="")
        for done in as_completed([pool.submit(train, trial, PROJECT) for trial in trials]):
            outcomes.append(done.result())
            logged = sum(outcome.points for outcome in outcomes)
            bar.update(task, advance=1, note=f"{logged:,} points logged")
    return outcomes


def wait_for_points(console: Console, running: stacks.Running, outcomes: list[Outcome]) -> int:
    """The points that SQL finds once all are there, every run has ended and its artifacts are listed; or time is up."""
    wanted = sum(outcome.points for outcome in outcomes)
    limit = time.monotonic() + ARRIVES_WITHIN_S
    found = 0
    with console.status("Waiting until every point is queryable"):
        while time.monotonic() < limit:
            if gone := running.ended():
                raise stacks.DemoFailed(f"process {gone.args!r} ended with {gone.returncode}")
            found = int(ask(running, COUNTS)[0][0])
            ended = int(ask(running, ENDED)[0][0])
            artifacts = int(ask(running, ARTIFACTS)[0][1])
            if found >= wanted and ended == len(outcomes) and artifacts == len(outcomes):
                break
            time.sleep(0.2)
    return found


def show_leaderboard(console: Console, running: stacks.Running) -> None:
    table = Table(
        title="Best runs by validation accuracy, from SQL",
        title_justify="left",
        show_edge=False,
        box=None,
        padding=(0, 2, 0, 0),
    )
    for name in ("run", "accuracy", "loss", "rate", "seconds", "state"):
        table.add_column(name, no_wrap=True, justify="left" if name in ("run", "state") else "right")
    for run, best, loss, rate, seconds, state in ask(running, LEADERBOARD):
        table.add_row(run, f"{best:.4f}", f"{loss:.4f}", rate, str(seconds), state)
    console.print(table)


def show_counts(console: Console, outcomes: list[Outcome], found: int, seconds: float) -> None:
    logged = sum(outcome.points for outcome in outcomes)
    runs = len(outcomes)
    verdict = "[green]equal[/]" if logged == found else "[red]NOT equal[/]"
    console.print(
        f"  {runs} runs · points logged {logged:,} · points found {found:,} · {verdict} · {seconds:.1f} s in all"
    )
    if dropped := sum(outcome.dropped for outcome in outcomes):
        console.print(f"  [red]{dropped:,} values were dropped by the training processes")


def ask(running: stacks.Running, query: str) -> list[tuple[Any, ...]]:
    from runstream_deploy.cli.connection import open_client

    client = open_client(dict(running.environment))
    try:
        return [tuple(row) for row in client.query(query, parameters={"project": PROJECT}).result_rows]
    finally:
        client.close()


def serve(console: Console, running: stacks.Running) -> None:
    console.print("\nServing until Ctrl-C.")
    while True:
        if gone := running.ended():
            raise stacks.DemoFailed(f"process {gone.args!r} ended with {gone.returncode}")
        time.sleep(0.5)


@contextlib.contextmanager
def data_directory() -> Iterator[Path]:
    """`RUNSTREAM_DIR/demo-…` when that is set, kept; else a temporary directory, gone at the end."""
    if kept := os.environ.get("RUNSTREAM_DIR"):
        directory = Path(kept)
        directory.mkdir(parents=True, exist_ok=True)
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="runstream-demo-", ignore_cleanup_errors=True) as temporary:
        yield Path(temporary)


if __name__ == "__main__":
    sys.exit(main())
