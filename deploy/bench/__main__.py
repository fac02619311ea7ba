"""`make bench`: every measurement, printed and written to docs/benchmarks.md, with the machine named.

`python deploy/bench log_cost reads` runs some of them and writes nothing; with `--write` it replaces their sections.
Real Kafka and ClickHouse are started when a measurement needs them.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib
import inspect
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parent.parent / "docs" / "benchmarks.md"

TITLES = {
    "log_cost": "What `log()` costs a training loop",
    "capture": "What capture adds to `init()`, masking, fingerprints",
    "companion": "The companion: console and machine",
    "agent_rate": "The agent: spool to Kafka",
    "ingest_rate": "Ingest: topic to queryable row, beside a bare insert",
    "ingest_long": "Ingest: ten minutes at full rate",
    "small_writers": "Ingest: many small writers",
    "freshness": "From `log()` to queryable",
    "up_idle": "`runstream up` while nothing happens",
    "reads": "Reads and storage",
    "pages": "The pages: until the first row is drawn",
    "uploads": "Hashing and uploads",
}
ON_REQUEST = {"ingest_long"}
"""What takes too long, or too much disk, to be run without being named."""
FAILED = "could not be measured"
Row = tuple[str, str, str]


def main(arguments: list[str]) -> int:
    console = Console()
    chosen = [argument for argument in arguments if argument != "--write"]
    unknown = sorted(set(chosen) - set(TITLES))
    if unknown:
        console.print(f"Unknown: {', '.join(unknown)}. There are: {', '.join(TITLES)}.")
        return 2
    sys.path.insert(0, str(HERE))
    results: dict[str, list[Row]] = {}
    with servers() as given:
        console.print(f"Machine: {machine()}.")
        for name in chosen or [name for name in TITLES if name not in ON_REQUEST]:
            console.print(f"[bold]{TITLES[name]}[/]  (deploy/bench/{name}.py)")
            measure = importlib.import_module(name).measure
            wanted = inspect.signature(measure).parameters
            began = time.monotonic()
            try:
                results[name] = measure(**{parameter: given[parameter]() for parameter in wanted if parameter in given})
            except Exception as error:  # noqa: BLE001 - the other measurements still count
                console.print_exception()
                results[name] = [(FAILED, "-", f"{type(error).__name__}; the output says more")]
            console.print(as_table(results[name]))
            console.print(f"[dim]{time.monotonic() - began:.0f} s[/]")
    if not chosen or len(chosen) < len(arguments):
        DOCUMENT.write_text(as_document(results, DOCUMENT.read_text()))
        console.print(f"Written to {DOCUMENT}")
    return int(any(row[0] == FAILED for rows in results.values() for row in rows))


@contextlib.contextmanager
def servers() -> Iterator[dict[str, object]]:
    """Real services by parameter name, each started when first asked for."""
    from runstream_deploy.dev import Stack

    with tempfile.TemporaryDirectory(prefix="runstream-bench-") as directory, contextlib.ExitStack() as stack:
        services = Stack(Path(directory) / "services", only=("kafka", "clickhouse"), tethered=True)
        objects = Stack(Path(directory) / "objects", only=("minio",), tethered=True)

        def variable(name: str, among: Stack = services) -> str:
            if not among.environment():
                stack.enter_context(among)
            return among.environment()[name]

        yield {
            "kafka_bootstrap": lambda: variable("RUNSTREAM_KAFKA"),
            "clickhouse_url": lambda: variable("RUNSTREAM_CLICKHOUSE"),
            "s3_url": lambda: variable("RUNSTREAM_S3", objects).rpartition("/")[0],
        }


def as_table(rows: list[Row]) -> Table:
    table = Table(show_header=True)
    for title in ("what", "value", "note"):
        table.add_column(title, justify="right" if title == "value" else "left")
    for row in rows:
        table.add_row(*row)
    return table


def as_document(results: dict[str, list[Row]], before: str = "") -> str:
    """All sections in order: those of `results`, and what `before`, an earlier document, has of the others."""
    sections = {part.partition("\n")[0]: part for part in before.split("\n## ")[1:]}
    now = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}"
    for name, rows in results.items():
        lines = [
            TITLES[name],
            "",
            f"`python deploy/bench {name}`, {now}.",
            "",
            "| what | value | note |",
            "|---|---:|---|",
        ]
        lines += [f"| {what} | {value} | {note} |" for what, value, note in rows]
        sections[TITLES[name]] = "\n".join(lines) + "\n"
    heading = [
        "# Benchmarks",
        "",
        "Written by `make bench`; do not edit. Timings on shared machines are noisy: medians, and ratios of things",
        "measured side by side in one run, are what to read.",
        "",
        f"Machine: {machine()}.",
        "",
    ]
    return "\n## ".join(["\n".join(heading), *(sections[title] for title in TITLES.values() if title in sections)])


def machine() -> str:
    model = "unknown processor"
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, {system}"


def commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
