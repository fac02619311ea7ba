"""`runstream lag`."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from runstream_deploy.cli.connection import AsJson, Directory, settings_of
from runstream_deploy.cli.exits import FOUND, told
from runstream_deploy.cli.kafka import DEFAULT_GROUP, Group, kafka_options, running, topics_of
from runstream_deploy.cli.tables import add_row, new_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from runstream_deploy.operations.lag import Lag


def lag(
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", min=0, help="End with 1 when a partition is further behind.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on until Ctrl-C; with --json a line each time.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show the partitions that are up to date, too.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks with --watch.")] = 2.0,
    group: Group = DEFAULT_GROUP,
    as_json: AsJson = False,
    directory: Directory = None,
) -> None:
    """Show how far ingest is behind Kafka: messages and seconds of each partition.

    Seconds are the age of the oldest message that is not in the database, by the brokers' clock. Ends with 1 when a
    partition is more than `--max-seconds` behind, or retention removed messages that were never read.

    Examples:

        runstream lag --max-seconds 60 || page-somebody

        runstream lag --watch
    """
    from runstream_deploy.operations.lag import lag as ask

    with told():
        settings = settings_of(directory)
        options, topics = kafka_options(settings, "lag"), topics_of(settings)
        screen = Screen(group, everything=everything, as_json=as_json, live=watch)
        with screen:
            while True:
                found = running(ask(options, topics, group))
                screen.show(found)
                late = max_seconds is not None and any(one.seconds > max_seconds for one in found)
                if late or any(one.removed for one in found):
                    raise typer.Exit(FOUND)
                if not watch:
                    return
                time.sleep(every)


class Screen:
    """Shows one answer after the other: lines of JSON, or one table that is drawn again in its place."""

    def __init__(self, group: str, *, everything: bool, as_json: bool, live: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        self._group = group
        self._everything = everything
        self._as_json = as_json
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False) if live and not as_json else None

    def __enter__(self) -> None:
        if self._live is not None:
            self._live.start()

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, found: Sequence[Lag]) -> None:
        if self._as_json:
            typer.echo(json.dumps(document(found, self._group)))
        elif self._live is not None:
            self._live.update(drawn(found, self._group, everything=self._everything), refresh=True)
        else:
            self._console.print(drawn(found, self._group, everything=self._everything))


def document(found: Sequence[Lag], group: str) -> dict[str, object]:
    return {
        "group": group,
        "messages": sum(one.messages for one in found),
        "seconds": max((one.seconds for one in found), default=0.0),
        "removed": sum(one.removed for one in found),
        "partitions": [dataclasses.asdict(one) for one in found],
    }


def drawn(found: Sequence[Lag], group: str, *, everything: bool) -> RenderableType:
    from rich.console import Group as Stacked
    from rich.text import Text

    numbers = ("begin", "done to", "end", "messages", "seconds")
    table = new_table("topic", "partition", *numbers, right=("partition", *numbers))
    shown = [one for one in found if everything or one.messages or one.removed]
    for one in shown:
        done = "never" if one.committed is None else str(one.committed)
        cells = (one.topic, str(one.partition), str(one.begin), done, str(one.end))
        add_row(table, *cells, f"{one.messages:,}", f"{one.seconds:,.1f}")
    hidden = len(found) - len(shown)
    behind = max((one.seconds for one in found), default=0.0)
    lines = [Text(f"{hidden:,} of {len(found):,} partitions are up to date; --all shows them, too.")] if hidden else []
    lines += [Text(f"{group}: {sum(one.messages for one in found):,} messages, {behind:,.1f} s behind")]
    if any(one.messages for one in found) and all(one.committed is None for one in found):
        lines.append(Text(f"The group {group} has never committed anything here: is it the one of the ingest workers?"))
    lines += [
        Text(
            f"{one.topic}/{one.partition}: retention removed {one.removed:,} messages before they were read. "
            "Only the producers' spools may have them: run `runstream sync` there, and raise retention.ms.",
            style="red",
        )
        for one in found
        if one.removed
    ]
    return Stacked(*([table] if shown else []), *lines)
