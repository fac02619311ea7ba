"""`runstream doctor`: look at every part that is configured and say how to mend what is wrong."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from runstream_deploy.cli.connection import AsJson, Directory, Url, settings_of
from runstream_deploy.cli.exits import FOUND, told
from runstream_deploy.cli.kafka import silent


def doctor(as_json: AsJson = False, clickhouse: Url = None, directory: Directory = None) -> None:
    """Check this machine, Kafka, ClickHouse and the object store; each finding says how to mend it.

    Versions, the data directory and its room, waiting spools; topics, their settings and copies, the retention of
    offsets; the schema, deduplication windows, disks, parts, rights of the user, dead letters; the clocks of all.
    Ends with 1 when anything needs mending.

    Example:

        runstream doctor --json
    """
    from runstream_deploy.examination import CHECKS, examined

    with told():
        settings = settings_of(directory, clickhouse)
    with silent():
        findings = [finding for check in CHECKS for finding in examined(check, settings)]
    if as_json:
        typer.echo(json.dumps({"ok": all(one.ok for one in findings), "findings": [asdict(one) for one in findings]}))
    else:
        from rich.console import Console

        console = Console(highlight=False)
        for one in findings:
            console.print("[green]ok  [/]" if one.ok else "[red]MEND[/]", end=" ")
            console.print(f"{one.subject}: {one.found}", markup=False, soft_wrap=True)
            if one.remedy:
                console.print(f"     → {one.remedy}", markup=False, soft_wrap=True)
    if not all(one.ok for one in findings):
        raise typer.Exit(FOUND)
