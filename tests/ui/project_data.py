"""A project to look at, of any size, written straight into ClickHouse: what ingest would have made of so many runs.

Also by hand: `python tests/ui/project_data.py http://user:password@host:port/database --runs 10000`.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runstream.objects import ObjectStore, object_key
from runstream_storage.connection import connect

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

METRICS = ("train/loss", "train/acc", "val/loss", "val/acc", "lr", "epoch")
HOSTILE = (
    '<img src=x onerror="window.hacked=1"> **bold** [x](javascript:window.hacked=1) :red[r] $x$ '
    "--x_x--0_0--window.hacked=1--x_x--0_0--"
)
_US = 1_000_000


@dataclass(frozen=True)
class Filled:
    """What was written: run ids, newest first."""

    project: str
    run_ids: list[str]


def fill(
    url: str,
    project: str = "digits",
    *,
    runs: int = 25,
    extra_metrics: int = 0,
    steps: int = 200,
    with_points: int = 25,
    running: int = 1,
    names: Sequence[str] = (),
) -> Filled:
    """`runs` runs a minute apart, the newest `running` of them alive; curves of `steps` points for the newest
    `with_points`. `names` are those of the newest runs."""
    client = connect(url)
    rng = random.Random(7)
    now_us = time.time_ns() // 1000
    # The second newest ended more than a minute ago, so that nothing of it can be on its way.
    created = [now_us - (number * 60 + 60) * _US for number in range(runs)]
    ids = [_uuid7(at // 1000, rng) for at in created]
    titles = [
        names[n] if n < len(names) else f"{rng.choice(('mlp', 'convnet', 'vit'))}-{runs - n:05d}" for n in range(runs)
    ]
    vers = [((at - 1_735_689_600_000_000) << 6) | 1 for at in created]

    def insert(table: str, columns: dict[str, list[object]]) -> None:
        if next(iter(columns.values())):
            client.insert(table, list(columns.values()), column_names=list(columns), column_oriented=True)

    everyone: list[object] = [project] * runs
    insert(
        "runs",
        {
            "project": everyone,
            "run_id": list(ids),
            "external_id": [""] * runs,
            "created_us": list(created),
            "name": list(titles),
            "group": [f"sweep-{n % 3}" for n in range(runs)],
            "job_type": ["train"] * runs,
            "notes": ["" for _ in range(runs)],
            "parent_run": [""] * runs,
            "user": ["ada"] * runs,
            "host": ["node-1"] * runs,
            "ver": list(vers),
            "keep": [2**64 - 1 - ver for ver in vers],
        },
    )
    states = [_terminal(number, running, vers[number] + (45 * _US << 6), steps) for number in range(runs)]
    insert(
        "liveness",
        {
            "project": everyone,
            "run_id": list(ids),
            "writer": [1] * runs,
            "attempt": [0] * runs,
            "last_us": [now_us if n < running else at + 45 * _US for n, at in enumerate(created)],
            "metric_seq": [steps] * runs,
            "terminal": list(states),
        },
    )
    insert(
        "coverage",
        {
            "project": everyone,
            "run_id": list(ids),
            "writer": [1] * runs,
            "stream": ["metrics"] * runs,
            "start": [0] * runs,
            "end": [steps] * runs,
            "attempt": [0] * runs,
            "rank": [0] * runs,
        },
    )
    insert(
        "writers",
        {
            "project": everyone,
            "run_id": list(ids),
            "writer": [1] * runs,
            "attempt": [0] * runs,
            "rank": [0] * runs,
            "started_us": list(created),
            "user": ["ada"] * runs,
            "host": ["node-1"] * runs,
            "pid": [4242] * runs,
            "command": [["python", "train.py", "--lr", "1e-3"]] * runs,
            "cwd": ["/home/ada/digits"] * runs,
            "python": ["3.11.9"] * runs,
            "platform": ["Linux-6.1"] * runs,
            "client_version": ["0.1.0"] * runs,
            "git": [{"commit": "8c1f0a92b77c1f0a92b77aa01", "branch": "main", "dirty": "true"}] * runs,
            "environment": [{"CUDA_VISIBLE_DEVICES": "0"}] * runs,
            "machine": [{"cpu": "AMD EPYC", "gpu": "NVIDIA H200"}] * runs,
            "packages": [{"numpy": "2.3.5", "torch": "2.9.1"}] * runs,
            "ver": list(vers),
        },
    )
    tagged = [n for n in range(runs) if n % 4 == 0]
    insert(
        "run_attrs",
        {
            "project": [project] * len(tagged),
            "run_id": [ids[n] for n in tagged],
            "key": ["tag:baseline"] * len(tagged),
            "value": [""] * len(tagged),
            "actor": ["ada"] * len(tagged),
            "ver": [vers[n] for n in tagged],
            "is_deleted": [0] * len(tagged),
        },
    )
    params = [(n, name, kind, text, number) for n in range(runs) for name, kind, text, number in _params(rng, n)]
    insert(
        "params",
        {
            "project": [project] * len(params),
            "name": [row[1] for row in params],
            "run_id": [ids[row[0]] for row in params],
            "kind": [row[2] for row in params],
            "text": [row[3] for row in params],
            "number": [row[4] for row in params],
            "ver": [vers[row[0]] for row in params],
            "is_deleted": [0] * len(params),
        },
    )
    if runs:
        _metrics(client, project, created[min(with_points, runs) - 1], extra_metrics, steps)
    client.close()
    for run_id in ids[:1]:
        define_metric(url, project, str(run_id), "*/acc", goal="maximize")
        define_metric(url, project, str(run_id), "*/loss", goal="minimize", unit="nats")
    return Filled(project, [str(run_id) for run_id in ids])


def lose_rows(url: str, filled: Filled, run_id: str, *stretches: tuple[int, int], rows: int) -> None:
    """Of the run's only process, everything but `stretches` (first seq, the one behind the last) is missing."""
    client = connect(url)
    scope = {"project": filled.project, "run": run_id}
    client.command(
        "DELETE FROM coverage WHERE project = {project:String} AND run_id = {run:UUID}",
        parameters=scope,
    )
    for start, end in stretches:
        _insert(
            client,
            "coverage",
            project=filled.project,
            run_id=run_id,
            writer=1,
            stream="metrics",
            start=start,
            end=end,
            attempt=0,
            rank=0,
        )
    _insert(
        client,
        "liveness",
        project=filled.project,
        run_id=run_id,
        writer=1,
        attempt=0,
        last_us=0,
        metric_seq=rows,
        terminal=(0, "", 0, "", -1),
    )
    client.close()


def start_again(
    url: str, filled: Filled, run_id: str, *, attempt: int, first_step: int, steps: int, rewound: bool
) -> None:
    """The run goes on from `first_step` as another process, after a rewind to the step before or a resume."""
    client = connect(url)
    now_us, writer = time.time_ns() // 1000, 100 + attempt
    ver = attempt << 56 | (now_us - 1_735_689_600_000_000) << 6 | writer & 63
    of_run = {"project": filled.project, "run_id": run_id}
    _insert(
        client,
        "writers",
        **of_run,
        writer=writer,
        attempt=attempt,
        rank=0,
        started_us=now_us,
        user="ada",
        host="node-2",
        pid=77 + attempt,
        command=["python", "train.py"],
        cwd="/home/ada",
        python="3.11.9",
        platform="Linux-6.1",
        client_version="0.1.0",
        git={},
        environment={},
        machine={},
        packages={},
        ver=ver,
    )
    ended = (ver + 64, "finished", 0, "", steps)
    _insert(
        client, "liveness", **of_run, writer=writer, attempt=attempt, last_us=now_us, metric_seq=steps, terminal=ended
    )
    _insert(client, "coverage", **of_run, writer=writer, stream="metrics", start=0, end=steps, attempt=attempt, rank=0)
    if rewound:
        cut = {"attempt": attempt, "step": first_step - 1, "ts_us": now_us, "actor": "ada@node-2"}
        _insert(client, "rewinds", **of_run, rank=0, ver=ver, **cut)
    client.command(
        "INSERT INTO points "
        "(project, run_id, metric, rank, step, ts_us, value, ver, attempt, writer, src_partition, src_offset) "
        "SELECT project, run_id, metric, 0, step + {first:Int64}, {now:Int64} + step, value * 0.6, "
        "{ver:UInt64} + step * 64, {attempt:UInt16}, {writer:UInt64}, 0, step FROM points "
        "WHERE project = {project:String} AND run_id = {run:UUID} AND attempt = 0 AND step < {steps:Int64}",
        parameters={
            "project": filled.project,
            "run": run_id,
            "first": first_step,
            "now": now_us,
            "ver": ver,
            "attempt": attempt,
            "writer": writer,
            "steps": steps,
        },
    )
    client.close()


def fork(url: str, filled: Filled, parent: str, *, step: int, name: str) -> str:
    """A finished run without points of its own that begins with those of `parent` up to `step`."""
    client = connect(url)
    now_us = time.time_ns() // 1000
    run_id = str(_uuid7(now_us // 1000, random.Random(name)))
    texts = dict.fromkeys(("external_id", "group", "job_type", "notes", "parent_run"), "")
    _insert(
        client,
        "runs",
        project=filled.project,
        run_id=run_id,
        created_us=now_us,
        name=name,
        user="ada",
        host="node-1",
        forked_from=parent,
        fork_step=step,
        ver=(now_us - 1_735_689_600_000_000) << 6 | 1,
        **texts,
    )
    ended = ((now_us - 1_735_689_600_000_000) << 6 | 1, "preempted", 143, "SIGTERM: the node is needed elsewhere", 0)
    _insert(
        client,
        "liveness",
        project=filled.project,
        run_id=run_id,
        writer=1,
        attempt=0,
        last_us=now_us,
        metric_seq=0,
        terminal=ended,
    )
    client.close()
    return run_id


def fail_to_read(url: str, count: int) -> None:
    """A topic that ingest has read, and `count` messages of it that it could not read."""
    client = connect(url)
    now_us = time.time_ns() // 1000
    for partition in range(2):
        _insert(
            client,
            "ingest_marks",
            topic="runstream.metrics",
            generation=0,
            partition=partition,
            end=123_456,
            newest_ms=now_us // 1000 - 2_000,
        )
    for offset in range(count):
        _insert(
            client,
            "dead_letters",
            topic="runstream.metrics",
            partition=offset % 2,
            offset=offset,
            reason="unknown_schema" if offset % 3 else "not_avro",
            error="no schema with the fingerprint 7c4f0a92b77c1f0a is known to this version",
            bytes=812 + offset,
            ts_us=now_us - offset * 60 * _US,
        )
    client.close()


def _insert(client: Client, table: str, **row: object) -> None:
    client.insert(table, [list(row.values())], column_names=list(row))


def define_metric(
    url: str, project: str, run_id: str, pattern: str, *, goal: str = "", x_axis: str = "", unit: str = ""
) -> None:
    client = connect(url)
    row = [project, run_id, pattern, x_axis, [], goal, 0, unit, 7]
    columns = ["project", "run_id", "pattern", "x_axis", "summary", "goal", "hidden", "unit", "ver"]
    client.insert("metric_defs", [row], column_names=columns)
    client.close()


def add_artifact(
    url: str, filled: Filled, store: ObjectStore, files: Mapping[str, bytes], name: str = "classifier"
) -> None:
    """An artifact of the newest run, its files in `store`, with the alias `best`."""
    client = connect(url)
    kept = []
    for path, content in files.items():
        sha256 = hashlib.sha256(content).hexdigest()
        store.put_bytes(object_key(sha256), content)
        kept.append((path, sha256, len(content), "application/octet-stream", ""))
    digest = hashlib.sha256("".join(f"{path}\t{sha}\t{size}\n" for path, sha, size, *_ in kept).encode()).hexdigest()
    now_us = time.time_ns() // 1000
    row = {
        "project": filled.project,
        "name": name,
        "digest": digest,
        "type": "model",
        "run_id": filled.run_ids[0],
        "created_us": now_us,
        "size": sum(file[2] for file in kept),
        "files": kept,
        "metadata": "{}",
        "description": "",
        "ver": 7,
        "keep": 2**64 - 8,
    }
    client.insert("artifacts", [list(row.values())], column_names=list(row))
    link = [filled.project, filled.run_ids[0], name, "out", digest, "", now_us, 7]
    columns = ["project", "run_id", "name", "role", "digest", "version", "ts_us", "ver"]
    client.insert("artifact_links", [link], column_names=columns)
    alias = [filled.project, name, "best", digest, "ada", 7, 0]
    columns = ["project", "name", "alias", "digest", "actor", "ver", "is_deleted"]
    client.insert("artifact_aliases", [alias], column_names=columns)
    client.close()


def _metrics(client: Client, project: str, oldest_with_points_us: int, extra: int, steps: int) -> None:
    """Curves of the newest runs and the summaries of all, both computed by the server from the run id."""
    metrics = [*METRICS, *(f"layer{number // 4}/grad{number % 4}" for number in range(extra))]
    seed = "(cityHash64(run_id, metric) % 1000) / 1000"

    def value(step: str) -> str:
        accuracy = f"1 - exp(-4 * {step} / {steps}) * (0.5 + 0.4 * {seed})"
        loss = f"exp(-3 * {step} / {steps}) * (0.5 + {seed}) + 0.02 + 0.01 * sin({step} * 0.7 + 10 * {seed})"
        odd = f"metric = 'train/loss' AND {step} = {steps // 2}"
        epoch = f"intDiv({step}, 20)"
        return f"multiIf({odd}, nan, metric LIKE '%acc', {accuracy}, metric = 'epoch', {epoch}, {loss})"

    arguments = {"project": project, "metrics": metrics, "oldest": oldest_with_points_us}
    client.command(
        "INSERT INTO points "
        "(project, run_id, metric, rank, step, ts_us, value, ver, attempt, writer, src_partition, src_offset) "
        f"SELECT project, run_id, metric, 0, step, created_us + intDiv(step * 44000000, {steps}), "
        f"{value('step')}, ver + step * 64, 0, 1, 0, step "
        "FROM (SELECT project, run_id, created_us, ver, arrayJoin({metrics:Array(String)}) AS metric FROM runs "
        "WHERE project = {project:String} AND created_us >= {oldest:Int64}) AS r "
        f"CROSS JOIN (SELECT toInt64(number) AS step FROM numbers({steps})) AS s",
        parameters=arguments,
    )
    client.command(
        "INSERT INTO metric_summary "
        "(project, metric, run_id, rank, writer, min, max, first, last, first_us, last_us, n, n_nan, n_inf) "
        f"WITH {value('0')} AS start, {value(str(steps - 1))} AS end "
        "SELECT project, metric, run_id, 0, 1, least(start, end), greatest(start, end), (0, ver, start), "
        f"(0, {steps - 1}, ver, end), created_us, created_us + 44000000, {steps}, metric = 'train/loss', 0 "
        "FROM (SELECT project, run_id, created_us, ver, arrayJoin({metrics:Array(String)}) AS metric FROM runs "
        "WHERE project = {project:String}) AS r",
        parameters=arguments,
    )


def _uuid7(at_ms: int, rng: random.Random) -> uuid.UUID:
    return uuid.UUID(int=at_ms << 80 | 7 << 76 | rng.getrandbits(12) << 64 | 2 << 62 | rng.getrandbits(62))


def _terminal(number: int, running: int, ver: int, rows: int) -> tuple[int, str, int, str, int]:
    if number < running:
        return (0, "", 0, "", -1)
    if number % 9 == 5:
        return (ver + 5, "failed", 1, "RuntimeError: CUDA out of memory", rows)
    if number % 13 == 7:
        return (ver + 5, "killed", -9, "the process is gone", -1)
    return (ver + 5, "finished", 0, "", rows)


def _params(rng: random.Random, number: int) -> list[tuple[str, str, str, float]]:
    rate, width = 10 ** rng.uniform(-5, -1), rng.choice((64, 128, 256))
    return [
        ("lr", "float", repr(rate), rate),
        ("hidden", "int", str(width), float(width)),
        ("optimizer", "string", rng.choice(("adam", "sgd", "lion")), float("nan")),
        ("seed", "int", str(number), float(number)),
        ("dataset", "string", "digits", float("nan")),
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--project", default="digits")
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--extra-metrics", type=int, default=44)
    options = parser.parse_args()
    fill(options.url, options.project, runs=options.runs, extra_metrics=options.extra_metrics)


if __name__ == "__main__":
    main()
