"""`runstream models`: the model registry."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from runstream_deploy.cli.connection import AsJson, Directory, Url, database_url, settings_of
from runstream_deploy.cli.editing import WAIT_S, Actor, Wait, finish
from runstream_deploy.cli.exits import told
from runstream_deploy.cli.tables import add_row, new_table

app = typer.Typer(help="The model registry: versions, stages, approvals.", no_args_is_help=True)
Project = Annotated[str | None, typer.Option("--project", "-p", envvar="RUNSTREAM_PROJECT", help="Default: `default`.")]
Which = Annotated[
    str, typer.Argument(metavar="MODEL[:VERSION]", help="v2, an alias, or MODEL@STAGE; the newest when left out.")
]
Note = Annotated[str, typer.Option("--note", "-m", help="Why; kept in the history.")]


@app.command("ls")
def ls(project: Project = None, as_json: AsJson = False, clickhouse: Url = None, directory: Directory = None) -> None:
    """List the models of a project.

    Example:

        runstream models ls --project vision
    """
    from runstream import models

    with told():
        settings = settings_of(directory, clickhouse)
        database_url(settings)
        found = models.ls(project=project, settings=settings)
    table = new_table("model", "versions", "latest", "stages", "aliases", "tags", "changed", "by", right=("versions",))
    for one in found:
        stages, aliases = (", ".join(f"{word}: {v}" for word, v in of.items()) for of in (one.stages, one.aliases))
        words = (one.name, f"{one.versions:,}", one.latest, stages, aliases, ", ".join(one.tags))
        add_row(table, *words, _time(one.changed_us), one.changed_by)
    _tell(table, [dataclasses.asdict(one) for one in found], as_json, "No models. Register one: run.register_model().")


@app.command("show")
def show(
    model: Annotated[str, typer.Argument(metavar="MODEL")],
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted versions, too.")] = False,
    project: Project = None,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Show the versions of a model.

    Example:

        runstream models show resnet
    """
    from runstream import models
    from runstream.errors import ModelNotFound

    with told():
        settings = settings_of(directory, clickhouse)
        database_url(settings)
        found = models.versions(model.partition(":")[0], project=project, deleted=deleted, settings=settings)
        if not found:
            raise ModelNotFound(model, project or settings.project)
    columns = ("version", "stage", "aliases", "verdict", "artifact", "run", "registered", "by", "note")
    table = new_table(*columns)
    for one in found:
        of = f"{one.artifact_project}/" if one.artifact_project != one.project else ""
        made = f"{of}{one.artifact}:{one.artifact_version or one.digest[:12]}"
        version = f"{one.version} (deleted)" if one.deleted else one.version
        words = (version, one.stage, ", ".join(one.aliases), one.verdict, made, one.run_name)
        add_row(table, *words, _time(one.registered_us), one.registered_by, one.note)
    _tell(table, [_document(one) for one in found], as_json, "")


@app.command("history")
def history(
    model: Annotated[str, typer.Argument(metavar="MODEL")],
    project: Project = None,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Show all that was done with a model, and by whom.

    Example:

        runstream models history resnet
    """
    from runstream import models
    from runstream.errors import ModelNotFound

    with told():
        settings = settings_of(directory, clickhouse)
        database_url(settings)
        found = models.history(model, project=project, settings=settings)
        if not found:
            raise ModelNotFound(model, project or settings.project)
    table = new_table("when", "who", "what", "version", "value", "note")
    for one in found:
        add_row(table, _time(one.at_us), one.actor, one.action, one.version, one.value, one.note)
    _tell(table, [dataclasses.asdict(one) for one in found], as_json, "")


@app.command("register")
def register(
    artifact: Annotated[str, typer.Argument(metavar="[PROJECT/]NAME[:VERSION]", help="A version of an artifact.")],
    model: Annotated[str, typer.Argument(metavar="MODEL")],
    alias: Annotated[list[str] | None, typer.Option("--alias", "-a", help="May be repeated.")] = None,
    stage: Annotated[str | None, typer.Option("--stage", "-s")] = None,
    note: Note = "",
    project: Project = None,
    actor: Actor = "",
    wait: Wait = WAIT_S,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Enter a version of an artifact as the next version of a model.

    Example:

        runstream models register weights:best resnet --stage staging --note "0.91 on the holdout"
    """
    from runstream import models

    with told():
        settings = settings_of(directory, clickhouse)
        database_url(settings)
        who: dict[str, Any] = {"project": project, "settings": settings, "actor": actor}
        edited = models.register(artifact, model, aliases=alias or (), stage=stage, note=note, **who)
        finish(edited, f"registered {artifact} as {model}.", wait, as_json=as_json, artifact=artifact, model=model)


@app.command("promote")
def promote(
    which: Which,
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="staging, production, …; none: out of all.")],
    note: Note = "",
    project: Project = None,
    actor: Actor = "",
    wait: Wait = WAIT_S,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Put a version into a stage.

    Example:

        runstream models promote resnet:v3 production --note "won the A/B test"
    """
    change("promote", which, (stage,), note, project, actor, wait, as_json, clickhouse, directory)


@app.command("alias")
def alias(
    which: Which,
    aliases: Annotated[list[str], typer.Argument(metavar="ALIAS...")],
    remove: Annotated[bool, typer.Option("--remove", help="Take the aliases away.")] = False,
    note: Note = "",
    project: Project = None,
    actor: Actor = "",
    wait: Wait = WAIT_S,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Point aliases at a version; each moves away from where it pointed.

    Example:

        runstream models alias resnet:v3 prod
    """
    action = "unalias" if remove else "alias"
    change(action, which, tuple(aliases), note, project, actor, wait, as_json, clickhouse, directory)


def judging(action: str, says: str, note: str) -> None:
    """A command of this name, for a word that says what people think of a version."""

    def judge(
        which: Which,
        note: Note = "",
        project: Project = None,
        actor: Actor = "",
        wait: Wait = WAIT_S,
        as_json: AsJson = False,
        clickhouse: Url = None,
        directory: Directory = None,
    ) -> None:
        change(action, which, (), note, project, actor, wait, as_json, clickhouse, directory)

    example = f'runstream models {action} resnet:v3 --note "{note}"'
    app.command(action, help=f"{says}\n\nExample:\n\n    {example}")(judge)


judging("approve", "Approve a version.", "checked by the safety team")
judging("reject", "Reject a version.", "leaks test data")


def change(
    action: str,
    which: str,
    values: tuple[str, ...],
    note: str,
    project: str | None,
    actor: str,
    wait_s: float,
    as_json: bool,
    clickhouse: str | None,
    directory: str | None,
) -> None:
    """One of the functions of `runstream.models`, on the version that was asked for."""
    from runstream import models

    with told():
        settings = settings_of(directory, clickhouse)
        database_url(settings)
        version = models.get(which, project=project, settings=settings)
        named = f"{version.model}:{version.version}"
        edited = getattr(models, action)(named, *values, note=note, project=project, settings=settings, actor=actor)
        said = f"{action} {named}{': ' + ', '.join(values) if values else ''}."
        finish(edited, said, wait_s, as_json=as_json, action=action, version=named, values=values)


def _document(version: Any) -> dict[str, Any]:
    return {one.name: getattr(version, one.name) for one in dataclasses.fields(version) if one.name != "settings"}


def _time(moment_us: int) -> str:
    return f"{datetime.fromtimestamp(moment_us / 1e6, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def _tell(table: Any, rows: list[dict[str, Any]], as_json: bool, nothing: str) -> None:
    if as_json:
        typer.echo(json.dumps(rows))
    elif not rows:
        typer.echo(nothing)
    else:
        from rich.console import Console

        Console().print(table)
