"""The commands, in the order of the help text. Each imports what it needs when it runs, so that `--help` is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from runstream_deploy.cli import (
    artifacts,
    dev,
    dlq,
    doctor,
    gc,
    lag,
    models,
    rebuild,
    replay,
    reproduce,
    runs,
    services,
    sql,
    sync,
    up,
    verify,
)

app = typer.Typer(
    name="runstream",
    help="Event-streaming experiment tracker. Start `runstream up`, then log with `runstream.init()`.",
    epilog="Exit codes: 0 done, 1 something is wrong, 2 wrong command line, filter or SQL, "
    "3 a service does not answer, 4 already running, 130 Ctrl-C. Variables RUNSTREAM_* set every default: "
    "see docs/cli.md.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"runstream {version('runstream')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=print_version, is_eager=True)
    ] = False,
) -> None:
    pass


LOOK, RUN, KEEP = "Look at runs", "Run the parts", "Keep it healthy"

app.command("up", rich_help_panel=LOOK)(up.up)
app.command("sql", rich_help_panel=LOOK)(sql.sql)
app.add_typer(runs.app, name="runs", rich_help_panel=LOOK)
app.command("reproduce", rich_help_panel=LOOK)(reproduce.reproduce)
app.command("fingerprint", rich_help_panel=LOOK)(reproduce.fingerprint)
app.add_typer(artifacts.app, name="artifacts", rich_help_panel=LOOK)
app.add_typer(models.app, name="models", rich_help_panel=LOOK)
app.command("agent", rich_help_panel=RUN)(services.agent)
app.command("ingest", rich_help_panel=RUN)(services.ingest)
app.command("ui", rich_help_panel=RUN)(services.ui)
app.command("migrate", rich_help_panel=RUN)(services.migrate)
app.command("sync", rich_help_panel=KEEP)(sync.sync)
app.command("verify", rich_help_panel=KEEP)(verify.verify)
app.add_typer(dlq.app, name="dlq", rich_help_panel=KEEP)
app.command("replay", rich_help_panel=KEEP)(replay.replay)
app.command("rebuild", rich_help_panel=KEEP)(rebuild.rebuild)
app.command("gc", rich_help_panel=KEEP)(gc.gc)
app.command("lag", rich_help_panel=KEEP)(lag.lag)
app.command("doctor", rich_help_panel=KEEP)(doctor.doctor)
app.add_typer(dev.app, name="dev", rich_help_panel=KEEP)
