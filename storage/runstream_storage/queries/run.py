"""One run: its header, params, summaries; and finding it by what a person types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from runstream_storage.execution import moment, rows
from runstream_storage.queries import run_rows
from runstream_storage.queries.results import RunHeader, RunRow, Summary, Value, Writer

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def find_run(client: Client, text: str, *, project: str = "") -> RunRow | None:
    """The run that `text` means: a run id, the user's own id, the newest of that name, or the only one whose id begins
    so (4 characters at least). None when there is none, or several ids begin so."""
    found = rows(client, "find_run", text=text.strip(), project=project)
    if not found or (found[0][2] == 3 and len(found) > 1):
        return None
    of_project, run_id, _ = found[0]
    found_run = run_rows.fetch(client, [of_project], [run_id]).get(run_id)
    return found_run.row if found_run else None


def run(client: Client, project: str, run_id: str) -> RunHeader | None:
    """What stands above the charts of a run; None when there is no such run, or it was deleted."""
    found = run_rows.fetch(client, [project], [run_id]).get(run_id)
    if found is None:
        return None
    metrics = summaries(client, project, [run_id])
    return RunHeader(
        run=found.row,
        external_id=found.external_id,
        parent_run=found.parent_run,
        attempts=found.attempts,
        exit_code=found.exit_code,
        reason=found.reason,
        metrics=len(metrics),
        points=sum(metric.n for metric in metrics),
        last_step=max((metric.last_step for metric in metrics), default=None),
        last_point_at=max((metric.last_at for metric in metrics), default=None),
        writers=writers(client, project, run_id),
    )


def writers(client: Client, project: str, run_id: str) -> list[Writer]:
    """The processes of a run, the newest attempt and the lowest rank first.

    Seeds and flags that were set after the start are in `determinism`, too: the first rank of an attempt looks again.
    """
    found = []
    for row in rows(client, "writers", project=project, run_id=run_id):
        writer, attempt, rank, started_us, last_us, state, exit_code, reason, calls, user, host, pid, command = row[:13]
        cwd, python, platform, client_version, git, environment, machine, packages, *identity = row[13:]
        job, determinism, sources, container = identity
        found.append(
            Writer(
                writer=writer,
                attempt=attempt,
                rank=rank,
                started_at=moment(started_us),
                last_at=moment(last_us),
                state=state,
                exit_code=exit_code,
                reason=reason,
                rows=calls,
                user=user,
                host=host,
                pid=pid,
                command=tuple(command),
                cwd=cwd,
                python=python,
                platform=platform,
                client_version=client_version,
                git=git,
                environment=environment,
                machine=machine,
                packages=packages,
                job=job,
                determinism=determinism,
                determinism_at_start=determinism,
                sources=sources,
                container=container,
            )
        )
    return _with_later_seeds(client, project, run_id, found) if found else found


def _with_later_seeds(client: Client, project: str, run_id: str, found: list[Writer]) -> list[Writer]:
    """What was seen later belongs to the newest attempt that had begun by then, and wins over its start."""
    first_of: dict[int, Writer] = {}
    for writer in found:
        first_of.setdefault(writer.attempt, writer)
    seen: dict[int, dict[str, str]] = {}
    for name, text, seen_us in rows(client, "seeds_seen_later", project=project, run_id=run_id):
        begun = [writer for writer in first_of.values() if writer.started_at <= moment(seen_us)]
        if begun:
            seen.setdefault(begun[0].writer, {})[name] = text
    return [
        replace(writer, determinism={**writer.determinism, **seen[writer.writer]}) if writer.writer in seen else writer
        for writer in found
    ]


def params(client: Client, project: str, run_ids: Sequence[str]) -> dict[str, dict[str, Value]]:
    """The config of each run, by run id and name; a run without params has an empty dict."""
    return _values(client, "params", project, run_ids)


def summary_values(client: Client, project: str, run_ids: Sequence[str]) -> dict[str, dict[str, Value]]:
    """What each run set in run.summary, by run id and name."""
    return _values(client, "summary_values", project, run_ids)


def summaries(
    client: Client, project: str, run_ids: Sequence[str], *, metrics: Sequence[str] | None = None
) -> list[Summary]:
    """One for each metric of each run, by metric and run id; `metrics` narrows them down."""
    found = []
    for row in rows(client, "summaries", project=project, run_ids=list(run_ids), metrics=list(metrics or ())):
        run_id, metric, last, last_step, first, first_step, low, high, n, n_nan, n_inf, first_us, last_us, ranks = row
        found.append(
            Summary(
                run_id=run_id,
                metric=metric,
                last=last,
                last_step=last_step,
                first=first,
                first_step=first_step,
                min=None if low != low else low,
                max=None if high != high else high,
                n=n,
                n_nan=n_nan,
                n_inf=n_inf,
                first_at=moment(first_us),
                last_at=moment(last_us),
                ranks=ranks,
            )
        )
    return found


def _values(client: Client, question: str, project: str, run_ids: Sequence[str]) -> dict[str, dict[str, Value]]:
    result: dict[str, dict[str, Value]] = {run_id: {} for run_id in run_ids}
    for run_id, name, kind, text, number in rows(client, question, project=project, run_ids=list(run_ids), names=[]):
        result[run_id][name] = run_rows.value_of(name, kind, text, number)
    return result
