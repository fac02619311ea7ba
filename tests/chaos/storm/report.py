"""A storm's outcome for people: what happened, the table, what does not hold."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version

from storm.oracle import SHOWN
from storm.storm import Aftermath

ARMS = {
    "at least once: no layer at all": "intents,tokens,gate,marks",
    "tokens only": "intents,gate,marks",
    "intents and tokens": "gate,marks",
    "all layers": "",
}
"""The arms of the comparison, and the layers that each leaves out."""

FLAT_MIB = 64.0
"""The steady worker may grow by a quarter and so much."""

HEAD = (
    "| mode | storm, s | logged | distinct | rows | duplicate rows | duplicates after FINAL | summary counts |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|"
)


def line(mode: str, after: Aftermath) -> str:
    found = after.findings
    share = f" ({found.duplicates / found.distinct:.1%})" if found.duplicates else ""
    cells = (
        mode,
        f"{after.seconds:.0f}",
        f"{found.logged:,}",
        f"{found.distinct:,}",
        f"{found.rows:,}",
        f"{found.duplicates:,}{share}",
        f"{found.duplicates_after_final:,}",
        f"{found.counted:,}",
    )
    return f"| {' | '.join(cells)} |"


def table(outcomes: Sequence[tuple[str, Aftermath]]) -> str:
    return "\n".join([HEAD, *(line(mode, after) for mode, after in outcomes)])


def account(after: Aftermath) -> str:
    """What happened in it, in a paragraph."""
    found, blows = after.findings, ", ".join(f"{kind} {count}" for kind, count in sorted(after.blows.items()))
    early, late = after.steady_mib
    return (
        f"{sum(after.blows.values())} blows ({blows}); {after.workers} workers, {after.trainers} trainers, "
        f"{found.runs} runs, {found.writers} writers, {after.cuts} answers cut. "
        f"{found.visible:,} points visible, {found.shown:,} shown, {found.summed:,} in v_summary. "
        f"At rest after {after.calm_s:.0f} s. Worker memory: {early:.0f} MiB early, {late:.0f} MiB late, "
        f"peak of any {after.peak_mib:.0f} MiB."
    )


def judged(after: Aftermath) -> list[str]:
    """What an arm promises and does not hold. Answers are right in every arm; few rows twice only with all layers."""
    found = after.findings.broken
    failures = found[:SHOWN]
    if len(found) > SHOWN:
        failures.append(f"… and {len(found) - SHOWN} more")
    duplicates = after.findings.duplicates
    if after.settings.unsafe:
        if "tokens" in after.settings.unsafe and not duplicates:
            failures.append("no duplicates without any layer: the storm proves nothing")
        return failures
    if duplicates:
        failures.append("\n  ".join([f"{duplicates} rows are stored twice", *after.findings.twice]))
    early, late = after.steady_mib
    if early and late > 1.25 * early + FLAT_MIB:
        failures.append(f"a worker grew from {early:.0f} to {late:.0f} MiB")
    return failures


def machine() -> str:
    """What it ran on: versions and processors."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("runstream", "aiokafka", "clickhouse-connect"))
    return f"Python {platform.python_version()}, {packages}, {os.cpu_count()} cores, Linux {platform.release()}"
