"""`runstream artifacts`: what there is, fetching and keeping it, where it comes from, and edits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runstream_deploy.cli.connection import AsJson, Directory, Url, database_url, settings_of
from runstream_deploy.cli.editing import WAIT_S, Actor, Project, Wait, finish, tell_written
from runstream_deploy.cli.exits import FOUND, USAGE, fail, told
from runstream_deploy.cli.progress import progress_of
from runstream_deploy.cli.tables import add_row, figure, new_table

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from runstream.settings import Settings
    from runstream.versions import ArtifactVersion, RunLink

app = typer.Typer(help="Artifacts: list, fetch, keep, and see where they come from.", no_args_is_help=True)
Which = Annotated[
    str,
    typer.Argument(
        metavar="[PROJECT/]NAME[:VERSION]", help="Version v3, an alias, or a digest; `latest` when left out."
    ),
]
SHOWN_FILES = 50
RUN_ID = re.compile(r"[0-9a-f]{8}[0-9a-f-]{0,28}")


@app.command("ls")
def ls(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Only this artifact, with its versions.")] = "",
    project: Annotated[
        list[str] | None,
        typer.Option("--project", "-p", envvar="RUNSTREAM_PROJECT", help="Only this project; may be repeated."),
    ] = None,
    kind: Annotated[str, typer.Option("--type", "-t", help="Only of this type.")] = "",
    tag: Annotated[str, typer.Option(help="Only what has this tag.")] = "",
    search: Annotated[
        str, typer.Option("--search", "-s", help="A part of the name; of versions: of what is said.")
    ] = "",
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted ones, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """List artifacts, or the versions of one.

    Examples:

        runstream artifacts ls --type model

        runstream artifacts ls digits --project vision --json
    """
    from runstream_storage import queries

    with told():
        client = client_of(settings_of(directory, clickhouse))
        projects = project or [one.name for one in queries.projects(client)]
        if name:
            of, name = located(client, name, projects)
            versions = queries.artifact_versions(client, of, name, search=search, include_deleted=deleted, limit=limit)
            versions = [one for one in versions if not tag or tag in one.tags]
        else:
            names = queries.artifact_names(
                client, projects, type=kind, search=search, tag=tag, include_deleted=deleted, limit=limit
            )
    if name:
        columns = ("version", "type", "aliases", "tags", "bytes", "files", "created", "run", "")
        table = new_table(*columns, right=("bytes", "files"))
        for one in versions:
            words = (one.version, one.type, ", ".join(one.aliases), ", ".join(one.tags), f"{one.size:,}")
            made = (f"{one.n_files:,}", f"{one.created_at.astimezone():%Y-%m-%d %H:%M}", one.run_name)
            add_row(table, *words, *made, "deleted" if one.deleted else "")
        tell(table, [version_document(one) for one in versions], as_json)
        return
    table = new_table(
        "project", "artifact", "type", "versions", "latest", "bytes", "changed", right=("versions", "bytes")
    )
    for each in names:
        changed = f"{each.created_at.astimezone():%Y-%m-%d %H:%M}"
        size = f"{each.total_size:,}"
        add_row(table, each.project, each.name, each.type, f"{each.versions:,}", each.latest, size, changed)
    tell(table, [document(each) for each in names], as_json)


@app.command("show")
def show(
    which: Which,
    project: Project = "",
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Show one version: what it is, its files, and who made and used it.

    Example:

        runstream artifacts show digits:best
    """
    from rich.console import Console

    with told():
        version = version_of(which, project, settings_of(directory, clickhouse), deleted=True)
        found = version.resolve()
        files, made, used = version.files, version.logged_by(), version.used_by()
    facts: dict[str, Any] = {
        "name": f"{version.name}:{version.version}",
        "project": version.project,
        "digest": version.digest,
        "type": version.type,
        "bytes": version.size,
        "files": len(files),
        "aliases": ", ".join(version.aliases),
        "tags": ", ".join(version.tags),
        "description": version.description,
        "metadata": json.dumps(version.metadata, ensure_ascii=False) if version.metadata else "",
        "made by": ", ".join(run_named(version, run) for run in made),
        "used by": ", ".join(run_named(version, run) for run in used),
        "deleted": "yes" if found["deleted"] else "",
    }
    if as_json:
        listed = {"aliases": version.aliases, "tags": version.tags, "metadata": version.metadata}
        runs = {"made by": [run.id for run in made], "used by": [run.id for run in used]}
        rows = [file._asdict() for file in files]
        typer.echo(json.dumps({**facts, **listed, **runs, "deleted": bool(found["deleted"]), "files": rows}))
        return
    console = Console()
    for label, value in facts.items():
        if value != "":
            console.print(f"{label:>12}  {figure(value)}", markup=False, highlight=False)
    table = new_table("file", "bytes", "sha256", "reference", right=("bytes",))
    for file in files[:SHOWN_FILES]:
        add_row(table, file.path, f"{file.size:,}", file.sha256[:12] or "unchecked", file.ref)
    console.print()
    console.print(table)
    if len(files) > SHOWN_FILES:
        console.print(f"{len(files) - SHOWN_FILES:,} more files; --json lists all", style="dim")


@app.command("get")
def get(
    which: Which,
    target: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Default: artifacts/NAME-VERSION here.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Pattern such as '*.json'; may be repeated.")] = None,
    references: Annotated[bool, typer.Option("--references", help="Fetch what is only referred to, too.")] = False,
    project: Project = "",
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Fetch a version, or some of its files. May be interrupted and repeated: it goes on where it was.

    Each file is checked against its sha256; those already there with the right content are kept.

    Examples:

        runstream artifacts get digits:best

        runstream artifacts get digits:v3 ./digits --only '*.json'

        runstream artifacts get other-project/digits:best
    """
    from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    from runstream import downloads

    with told():
        version = version_of(which, project, settings_of(directory, clickhouse))
        files = downloads.chosen(version.files, only or None)
        wanted = [file for file in files if references or not file.ref]
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with progress_of(*columns) as bar:
            task = bar.add_task("", total=sum(file.size for file in wanted))
            place = version.download(
                target, only=only or None, references=references, progress=lambda n: bar.advance(task, n)
            )
    left = len(files) - len(wanted)
    if as_json:
        done = {"directory": str(place), "files": len(wanted), "bytes": sum(file.size for file in wanted)}
        typer.echo(json.dumps({"name": version.name, "version": version.version, **done, "references": left}))
        return
    said = f" {left:,} references were left where they are; --references fetches them." if left else ""
    typer.echo(f"{version.name}:{version.version}: {len(wanted):,} files in {place}.{said}")


@app.command("put")
def put(
    path: Annotated[Path, typer.Argument(exists=True, help="A file or a directory.")],
    name: Annotated[str, typer.Option("--name", "-n", help="Default: the name of the file.")] = "",
    kind: Annotated[str, typer.Option("--type", "-t")] = "file",
    alias: Annotated[list[str] | None, typer.Option("--alias", "-a", help="May be repeated.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="May be repeated.")] = None,
    description: Annotated[str, typer.Option("--description")] = "",
    metadata: Annotated[str, typer.Option("--metadata", help="A JSON object.")] = "{}",
    ttl: Annotated[str, typer.Option("--ttl", help="How long it is kept, such as 12h or 30d; default: for ever.")] = "",
    link: Annotated[bool, typer.Option("--link", help="Link the files meanwhile; they must not change.")] = False,
    project: Project = "",
    actor: Actor = "",
    wait: Wait = 600.0,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Keep a file or a directory as a version of an artifact, outside of any run.

    Example:

        runstream artifacts put ./imagenet-labels --name labels --type dataset --alias checked
    """
    from runstream import labels
    from runstream.artifacts import LoggedArtifact, of_path
    from runstream.edits import Editor
    from runstream.versions import ArtifactVersion

    with told():
        settings = settings_of(directory, clickhouse)
        artifact = of_path(path, "link" if link else "copy")
        artifact.name, artifact.type, artifact.description = name or artifact.name, kind, description
        artifact.metadata = json.loads(labels.metadata(metadata))
        staged: list[LoggedArtifact] = []

        def make(at: Path) -> dict[str, Any]:
            said = {"aliases": alias, "tags": tag, "ttl": ttl or None}
            logged, body = artifact.event(at, "files/1", settings.spool_dir, **said)
            staged.append(logged)
            return body

        of = project or settings.project
        try:
            edited = Editor(settings, actor).put(of, make)
        except (OSError, ValueError) as error:
            fail(f"{path} is not kept: {error}", USAGE)
        logged = staged[0]
        arrived = edited.wait(wait) if wait else False
        version = ""
        if arrived:
            version = ArtifactVersion(settings, of, logged.name, digest_of(path, logged)).version
    facts = {"project": of, "name": logged.name, "version": version, "files": len(logged.files), "bytes": logged.size}
    said = f"{logged.name}:{version or '?'} of {of}: {len(logged.files):,} files, {logged.size:,} bytes."
    tell_written(said, wait, arrived, as_json=as_json, **facts)


@app.command("lineage")
def lineage(
    which: Annotated[
        str,
        typer.Argument(metavar="[PROJECT/]NAME[:VERSION]|RUN", help="A version of an artifact, or a run by its id."),
    ],
    up: Annotated[int, typer.Option("--up", min=0, max=50, help="Links towards what it was made from.")] = 6,
    down: Annotated[int, typer.Option("--down", min=0, max=50, help="Links towards what was made of it.")] = 6,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Nodes at most, the nearest first.")] = 200,
    project: Project = "",
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Show which runs and artifacts something was made from, and what was made of it.

    Examples:

        runstream artifacts lineage digits:best

        runstream artifacts lineage 019a3f10-8d2c --down 0 --json
    """
    from runstream_deploy.cli.lineage_tree import as_document, print_tree
    from runstream_storage import queries
    from runstream_storage.queries.lineage import LineageKey

    with told():
        settings = settings_of(directory, clickhouse)
        client = client_of(settings)
        run = queries.find_run(client, which, project=project) if RUN_ID.fullmatch(which) else None
        if run is not None:
            root = LineageKey("run", "", run.run_id, run.project)
        else:
            version = version_of(which, project, settings, deleted=True)
            root = LineageKey("artifact", version.name, version.digest, version.project)
        graph = queries.lineage(client, root.project, root, upstream=up, downstream=down, limit=limit)
    if as_json:
        typer.echo(json.dumps(as_document(graph), default=str))
    else:
        print_tree(graph)


def labelling(action: str, says: str, many: str, example: str) -> None:
    """A command of this name, which gives words to a version, or takes them away; `many`: what they are called."""

    def give(
        which: Which,
        words: list[str],
        remove: bool = False,
        project: Project = "",
        actor: Actor = "",
        wait: Wait = WAIT_S,
        as_json: AsJson = False,
        clickhouse: Url = None,
        directory: Directory = None,
    ) -> None:
        done = f"un{action}" if remove else action
        edit([which], done, words, project, actor, wait, as_json, clickhouse, directory)

    give.__annotations__["words"] = Annotated[list[str], typer.Argument(metavar=action.upper())]
    give.__annotations__["remove"] = Annotated[bool, typer.Option("--remove", help=f"Take the {many} away.")]
    app.command(action, help=f"{says}\n\nExample:\n\n    runstream artifacts {action} {example}")(give)


labelling("tag", "Tag a version, or take tags off.", "tags", "digits:v3 reviewed balanced")
labelling("alias", "Point aliases at a version; each moves away from where it pointed.", "aliases", "digits:v3 best")


@app.command("rm")
def rm(
    which: Annotated[list[str], typer.Argument(metavar="NAME[:VERSION]...")],
    reason: Annotated[str, typer.Option("--reason", "-m", help="Kept in the audit.")] = "",
    project: Project = "",
    actor: Actor = "",
    wait: Wait = WAIT_S,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Delete versions. They are hidden at once; `runstream gc` removes their files later, until then `restore` helps.

    Example:

        runstream artifacts rm digits:v0 digits:v1 --reason "wrong split"
    """
    edit(which, "delete", [reason], project, actor, wait, as_json, clickhouse, directory)


@app.command("restore")
def restore(
    which: Annotated[list[str], typer.Argument(metavar="NAME:VERSION...")],
    project: Project = "",
    actor: Actor = "",
    wait: Wait = WAIT_S,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Bring deleted versions back, while their files are there.

    Example:

        runstream artifacts restore digits:v1
    """
    edit(which, "restore", [""], project, actor, wait, as_json, clickhouse, directory)


def edit(
    which: list[str],
    action: str,
    values: list[str],
    project: str,
    actor: str,
    wait_s: float,
    as_json: bool,
    clickhouse: str | None,
    directory: str | None,
) -> None:
    """One edit of each version with each value; all are checked before one is written."""
    from runstream.edits import ArtifactEdit, Editor

    with told():
        settings = settings_of(directory, clickhouse)
        versions = [version_of(one, project, settings, deleted=action == "restore") for one in which]
        if action == "restore":
            for version in versions:
                version.check_restorable()
        of = {version.project for version in versions}
        if len(of) > 1:
            fail(f"These are of the projects {', '.join(sorted(of))}; name one with --project.", USAGE)
        edits = [ArtifactEdit(version.name, version.digest, action, value) for version in versions for value in values]
        edited = Editor(settings, actor).edit_artifacts(of.pop(), edits)
        named = [f"{version.name}:{version.version}" for version in versions]
        said = f"{action} {', '.join(named)}{': ' + ', '.join(values) if any(values) else ''}."
        finish(edited, said, wait_s, as_json=as_json, action=action, versions=named, values=values)


def client_of(settings: Settings) -> Client:
    from runstream_storage.connection import connect

    return connect(database_url(settings))


def located(client: Client, name: str, projects: list[str]) -> tuple[str, str]:
    """The project that has the artifact, and its name there: `name`, or what follows the project in it.

    Ends the command when none has it, or several.
    """
    from runstream.versions import elsewhere
    from runstream_storage import queries

    found = queries.artifact_names(client, projects, search=name, include_deleted=True)
    having = sorted({one.project for one in found if one.name == name})
    if len(having) > 1:
        fail(f"The projects {', '.join(having)} have an artifact {name!r}; name one with --project.", USAGE)
    if having:
        return having[0], name
    other = elsewhere(name)
    if other is None or all(
        one.name != other[1]
        for one in queries.artifact_names(client, [other[0]], search=other[1], include_deleted=True)
    ):
        of = f" in {', '.join(projects)}" if len(projects) == 1 else ""
        fail(f"There is no artifact {name!r}{of}. `runstream artifacts ls` lists them.", FOUND)
    return other


def version_of(which: str, project: str, settings: Settings, *, deleted: bool = False) -> ArtifactVersion:
    """The version that was asked for; raises as `ArtifactVersion.resolve`."""
    from runstream.versions import LATEST, ArtifactVersion
    from runstream_storage import queries

    name, _, asked = which.partition(":")
    client = client_of(settings)
    project, name = located(client, name, [project] if project else [one.name for one in queries.projects(client)])
    version = ArtifactVersion(settings, project, name, asked or LATEST)
    version.resolve(deleted=deleted)
    return version


def run_named(version: ArtifactVersion, run: RunLink) -> str:
    of = "" if run.project == version.project else f"{run.project}/"
    return f"{of}{run.name} ({run.id[:13]})"


def digest_of(path: Path, logged: Any) -> str:
    """The digest of what was put, from the originals."""
    from runstream.agent.deposits import hashed
    from runstream.agent.uploads import manifest_digest

    base = path if path.is_dir() else path.parent
    rows = []
    for name in logged.files:
        content = hashed(base / name)
        rows.append({"path": name, "sha256": content.sha256, "size": content.size})
    return manifest_digest(rows)


def document(one: Any) -> dict[str, Any]:
    import dataclasses

    return dataclasses.asdict(one)


def version_document(one: Any) -> dict[str, Any]:
    return {name: value for name, value in document(one).items() if name != "files"}


def tell(table: Any, rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, default=str))
        return
    from rich.console import Console

    console = Console()
    if not rows:
        console.print("No artifacts. Keep one with run.log_artifact(path), or `runstream artifacts put`.", markup=False)
        return
    console.print(table)
