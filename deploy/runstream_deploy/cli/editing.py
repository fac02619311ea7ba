"""What the commands that change something share: under whose name, and waiting until it shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runstream_deploy.cli.exits import FOUND

if TYPE_CHECKING:
    from runstream.edits import Edited

Project = Annotated[
    str, typer.Option("--project", "-p", envvar="RUNSTREAM_PROJECT", help="The project; needed where several have it.")
]
Actor = Annotated[str, typer.Option("--actor", help="Under whose name; default user@host.")]
Wait = Annotated[
    float, typer.Option("--wait", min=0, help="Seconds to wait until it shows; 0: only write it, it is sent later.")
]
WAIT_S = 60.0


def finish(edited: Edited, said: str, wait_s: float, *, as_json: bool, **facts: Any) -> None:
    """Tell what was done once it is queryable. Ends with 1 when it is not within `wait_s`: then it is on its way."""
    tell_written(said, wait_s, bool(wait_s) and edited.wait(wait_s), as_json=as_json, **facts)


def tell_written(said: str, wait_s: float, arrived: bool, *, as_json: bool, **facts: Any) -> None:
    """As `finish`, for what was waited for already."""
    if as_json:
        typer.echo(json.dumps({**facts, "queryable": arrived}, default=str))
    else:
        late = "" if arrived else " It is written and shows once the agent or `runstream up` has sent it."
        typer.echo(f"{said}{late}")
    if wait_s and not arrived:
        raise typer.Exit(FOUND)
