"""Reads and storage: what a person waits for, on generated projects, and what a point costs on disk.

The queries are those the pages use (`runstream_storage.queries`), over HTTP: first with the server's caches dropped
(not those of the operating system), then warm, the median of several. The processor time is the server's alone: it
tells more than seconds do on a machine with other work. The bars are those of 10,000 runs; ten times the runs may take
ten times as long. They were measured with bare queries, so each stands beside a bare one and beside the page, which
also says how many runs there are, leaves out deleted ones and has each run's state, times and tags.
"""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable

from bars import at_most
from clickhouse_connect.driver.client import Client

from runstream_storage import queries
from runstream_storage.connection import ClickHouseSettings, connect
from runstream_storage.migrate import migrate

PROJECTS = {"bench": (10_000, 5), "large": (100_000, 2)}
"""Runs, and in how many batches their summaries arrive."""
METRICS = 50
CURVE_STEPS = 10_000_000
SERIES_STEPS = 1_000_000
OVERLAID = 20
REPEATS = 9
PROJECT = "bench"
CACHES = ("MARK", "UNCOMPRESSED", "INDEX MARK", "INDEX UNCOMPRESSED", "PRIMARY INDEX")
START_US = 1_790_000_000_000_000

# A run's UUIDv7, made of its number `n`.
RUN_ID = (
    "toUUID(concat(substring(lower(leftPad(hex(toUInt64(1790000000000 + {n} * 1000)), 12, '0')) AS ms, 1, 8), '-', "
    "substring(ms, 9, 4), '-7000-8000-', leftPad(lower(hex(toUInt32({n}))), 12, '0')))"
)
VERSION = f"bitShiftLeft(toUInt64({START_US} + {{n}} * 1000000 - 1735689600000000), 6)"
SERIES = {
    "noisy": "1 / (1 + number / 1e5) + rand64() / 1.8446744073709552e20",
    "4 decimals": "round(1 / (1 + number / 1e5) + rand64() / 1.8446744073709552e20, 4)",
    "smooth": "3e-4 * (1 + cos(pi() * number / 1e6)) / 2",
}
SUMMARY_COLUMNS = "project, metric, run_id, rank, writer, min, max, first, last, first_us, last_us, n, n_nan, n_inf"
POINT_COLUMNS = "project, run_id, metric, rank, step, ts_us, value, ver, attempt, writer, src_partition, src_offset"


def measure(clickhouse_url: str) -> list[tuple[str, str, str]]:
    """Rows of what, value and note; the server keeps nothing of it."""
    settings = ClickHouseSettings.from_url(clickhouse_url)
    url = ClickHouseSettings(
        settings.host, settings.port, settings.user, settings.password, f"bench_{uuid.uuid4().hex[:8]}", settings.secure
    ).url
    migrate(url)
    client = connect(url, query_timeout_s=600)
    try:
        for project, (runs, batches) in PROJECTS.items():
            fill_runs(client, project, runs, batches)
        fill_curves(client)
        settle(client)
        found = [row for project in PROJECTS for row in tables(client, project)]
        return [*found, *curves(client), *bytes_per_point(client)]
    finally:
        client.command(f"DROP DATABASE {ClickHouseSettings.from_url(url).database} SYNC")
        client.close()


def tables(client: Client, project: str) -> list[tuple[str, str, str]]:
    columns = [f"last(g{number % 5}/m{number})" for number in range(METRICS)]
    two = "last(g1/m1) < 0.5 and min(g2/m2) > 0.1"
    thousands = PROJECTS[project][0] // 10_000

    def page(**options: object) -> Callable[[], object]:
        return lambda: queries.runs(client, [project], limit=100, **options)  # type: ignore[arg-type]

    def top_100() -> object:
        return client.query(
            "SELECT run_id, argMax(last.value, last_order) AS value FROM metric_summary "
            "WHERE project = {project:String} AND metric = 'g1/m1' GROUP BY run_id ORDER BY value LIMIT 100",
            parameters={"project": project},
        )

    def two_and_a_third() -> object:
        winners = client.query(
            "SELECT run_id FROM metric_summary "
            "WHERE project = {project:String} AND metric IN ('g1/m1', 'g2/m2', 'g3/m3') "
            "GROUP BY run_id HAVING argMaxIf(last.value, last_order, metric = 'g1/m1') < 0.5 "
            "AND minIf(min, metric = 'g2/m2') > 0.1 "
            "ORDER BY argMaxIf(last.value, last_order, metric = 'g3/m3') DESC LIMIT 100",
            parameters={"project": project},
        )
        return client.query(
            "SELECT run_id, metric, argMax(last.value, last_order) FROM run_summary "
            "WHERE project = {project:String} AND run_id IN {runs:Array(UUID)} GROUP BY run_id, metric",
            parameters={"project": project, "runs": [str(row[0]) for row in winners.result_rows]},
        )

    def by_param() -> object:
        return queries.groups(client, [project], "config.layers", columns=["last(g1/m1)"])

    where = f"{PROJECTS[project][0]:,} runs x {METRICS} metrics"
    sort, third = 9 * thousands, 27 * thousands
    questions: list[tuple[str, Callable[[], object], str, float]] = [
        ("Top 100 runs by one metric, the bare query", top_100, where, sort),
        ("Filtered by two metrics, sorted by a third, 50 values, two bare queries", two_and_a_third, where, third),
        ("First page of runs, newest first", page(), f"{where}; 100 rows with state, times, tags", 0),
        ("The same with 50 metric columns", page(columns=columns), f"{where}; 100 rows x 50 values", 0),
        ("Sorted by a metric", page(sort="last(g1/m1)"), where, sort),
        ("Sorted by a metric, 50 columns", page(sort="last(g1/m1)", columns=columns), f"{where}; two phases", 0),
        (
            "Filtered by two metrics, sorted by a third, 50 columns",
            page(filter=two, sort="last(g3/m3)", columns=columns),
            f"{where}; two phases and both counts",
            third,
        ),
        (
            "Filtered by params, tags and a metric",
            page(filter="config.lr < 1e-3 and tags contains t1 or last(g1/m1) < 0.01"),
            f"{where}; 100 rows",
            0,
        ),
        ("Grouped by a param, with mean and 95 % confidence interval of a metric", by_param, where, 0),
    ]
    return [(what, *timed(client, question, note, bar_ms)) for what, question, note, bar_ms in questions]


def curves(client: Client) -> list[tuple[str, str, str]]:
    found = client.query("SELECT DISTINCT toString(run_id) FROM points WHERE metric = 'many' ORDER BY 1").result_rows
    many = [row[0] for row in found]
    run_id = many[0]

    def whole() -> queries.Curve | None:
        return queries.curves(client, PROJECT, [run_id], ["long"], width_px=1000).get(run_id, "long")

    def bare() -> object:
        return client.query(
            "SELECT intDiv(s0, 10000) AS stretch, min(c.min), max(c.max) FROM curve AS c "
            "WHERE project = {project:String} AND run_id = {run:UUID} AND metric = 'long' AND rank = 0 "
            "AND lvl = 12 GROUP BY stretch ORDER BY stretch",
            parameters={"project": PROJECT, "run": run_id},
        )

    def zoomed() -> object:
        return queries.curves(client, PROJECT, [run_id], ["long"], width_px=1000, window=(5_000_000, 5_001_000))

    def overlaid() -> object:
        return queries.curves(client, PROJECT, many, ["many"], width_px=1000)

    def few() -> object:
        return client.query(
            "SELECT count(), max(value) FROM v_points "
            "WHERE project = {project:String} AND run_id = {run:UUID} AND metric = 'long' AND step < 1000",
            parameters={"project": PROJECT, "run": run_id},
        )

    def analyst() -> object:
        return client.query(
            "SELECT count(), max(value) FROM v_points "
            "WHERE project = {project:String} AND run_id = {run:UUID} AND metric = 'long'",
            parameters={"project": PROJECT, "run": run_id},
        )

    drawn = whole()
    assert drawn is not None
    assert len(drawn) <= 1001
    questions: list[tuple[str, Callable[[], object], str, float]] = [
        ("Round trip of an empty query", lambda: client.query("SELECT 1"), "HTTP", 0),
        ("A 10 M-step curve at 1,000 px, the bare query", bare, "", 5),
        ("A 10 M-step curve at 1,000 px", whole, f"{len(drawn)} stretches, extents asked first", 5),
        ("The same, zoomed to 1,000 steps", zoomed, "the logged values", 0),
        (f"{OVERLAID} curves of 1 M steps at 1,000 px", overlaid, "one call", 0),
        ("Maximum of 1,000 steps of a run, from v_points", few, "mostly planning", 0),
        ("Maximum of a 10 M-step curve, from v_points", analyst, "every point read", 0),
    ]
    return [(what, *timed(client, question, note, bar_ms)) for what, question, note, bar_ms in questions]


def bytes_per_point(client: Client) -> list[tuple[str, str, str]]:
    found = []
    for name, value in SERIES.items():
        client.command("TRUNCATE TABLE points")
        insert_series(client, name, value, SERIES_STEPS)
        client.command("OPTIMIZE TABLE points FINAL")
        size, column = client.query(
            "SELECT sum(data_compressed_bytes), sumIf(column_data_compressed_bytes, column = 'value') "
            "FROM (SELECT column, column_data_compressed_bytes, "
            "column_data_compressed_bytes AS data_compressed_bytes FROM system.parts_columns "
            "WHERE database = currentDatabase() AND table = 'points' AND active)"
        ).result_rows[0]
        note = f"{column / SERIES_STEPS:.2f} of it the value; one merged part of {SERIES_STEPS:,} points"
        found.append((f"Bytes a point on disk, {name}", f"{size / SERIES_STEPS:.2f} B", note))
    return found


def timed(client: Client, question: Callable[[], object], note: str, bar_ms: float) -> tuple[str, str]:
    """Milliseconds when warm; the bar (0: none), cold ones and the server's processor time are in the note."""
    for cache in CACHES:
        client.command(f"SYSTEM DROP {cache} CACHE")
    started = time.perf_counter()
    question()
    cold = time.perf_counter() - started
    seconds = []
    before = processor_us(client)
    for _ in range(REPEATS):
        started = time.perf_counter()
        question()
        seconds.append(time.perf_counter() - started)
    busy = (processor_us(client) - before) / REPEATS
    warm_ms = statistics.median(seconds) * 1e3
    parts = [
        at_most(warm_ms, bar_ms, f"{bar_ms:g} ms") if bar_ms else "",
        note,
        f"cold {cold * 1e3:.1f} ms",
        f"{busy / 1e3:.1f} ms of a core",
    ]
    return f"{warm_ms:.1f} ms", "; ".join(part for part in parts if part)


def processor_us(client: Client) -> int:
    question = "SELECT value FROM system.events WHERE event = 'OSCPUVirtualTimeMicroseconds'"
    found = client.query(question).result_rows
    return int(found[0][0]) if found else 0


def fill_runs(client: Client, project: str, runs: int, batches: int) -> None:
    """Runs, params, tags and summaries in several parts, as a busy afternoon leaves them."""
    run_id, version = RUN_ID.format(n="number"), VERSION.format(n="number")
    client.command(
        "INSERT INTO runs (project, run_id, created_us, name, group, user, host, ver) "
        f"SELECT '{project}', {run_id}, {START_US} + number * 1000000, concat('run-', toString(number)), "
        f"concat('g', toString(number % 20)), concat('u', toString(number % 7)), 'h', {version} FROM numbers({runs})"
    )
    client.command(
        "INSERT INTO run_attrs (project, run_id, key, value, actor, ver, is_deleted) "
        f"SELECT '{project}', {run_id}, concat('tag:t', toString(number % 5)), '', '', {version}, 0 "
        f"FROM numbers({runs})"
    )
    client.command(
        f"INSERT INTO liveness SELECT '{project}', {run_id}, number + 1, 0, "
        f"{START_US} + number * 1000000 AS seen_us, seen_us, 10, "
        f"({version} + 64000000, if(number % 10 = 3, 'failed', 'finished'), 0, '', 10) FROM numbers({runs})"
    )
    for name, kind, value in (("lr", "float", "pow(10, -1 - (number % 37) / 9)"), ("layers", "int", "number % 8")):
        client.command(
            f"INSERT INTO params SELECT '{project}', '{name}', {run_id}, '{kind}', toString({value}), {value}, "
            f"{version}, 0 FROM numbers({runs})"
        )
    for batch in range(batches):
        client.command(
            f"INSERT INTO metric_summary ({SUMMARY_COLUMNS}) "
            "WITH intDiv(number, {m:UInt32}) AS run, number % {m:UInt32} AS metric_number, "
            "cityHash64(number) / 1.8446744073709552e19 AS v "
            f"SELECT '{project}', concat('g', toString(metric_number % 5), '/m', toString(metric_number)), "
            f"{RUN_ID.format(n='run')}, 0, run + 1, v * 0.5, v * 1.5, (0, 1, v * 1.5), "
            "(0, {b:Int64} * 100 + 99, " + VERSION.format(n="run") + f", v), {START_US} + run * 1000000, "
            f"{START_US} + run * 1000000 + 1000000, 100 * ({{b:Int64}} + 1), 0, 0 FROM numbers({runs * METRICS})",
            parameters={"m": METRICS, "b": batch},
        )


def fill_curves(client: Client) -> None:
    insert_series(client, "long", SERIES["noisy"], CURVE_STEPS)
    for run in range(OVERLAID):
        insert_series(client, "many", SERIES["noisy"], SERIES_STEPS, run=run)
    client.command(
        f"INSERT INTO metric_summary ({SUMMARY_COLUMNS}) "
        "SELECT project, metric, run_id, rank, writer, min(value), max(value), "
        "min((step, ver, value)), max((attempt, step, ver, value)), min(ts_us), max(ts_us), count(), 0, 0 "
        "FROM points GROUP BY project, metric, run_id, rank, writer"
    )


def settle(client: Client, *, longest_s: float = 60.0) -> None:
    """Wait until the server has merged what it wants to merge, so that reads are measured alone."""
    until = time.monotonic() + longest_s
    question = "SELECT count() FROM system.merges WHERE database = currentDatabase()"
    while client.query(question).result_rows[0][0] and time.monotonic() < until:
        time.sleep(0.5)


def insert_series(client: Client, metric: str, value: str, steps: int, *, run: int = 0) -> None:
    client.command(
        f"INSERT INTO points ({POINT_COLUMNS}) SELECT '{PROJECT}', {RUN_ID.format(n=run)}, '{metric}', 0, number, "
        f"{START_US} + number * 1000, {value}, {VERSION.format(n='number')}, 0, 1, 0, intDiv(number, 200) "
        f"FROM numbers({steps})"
    )
