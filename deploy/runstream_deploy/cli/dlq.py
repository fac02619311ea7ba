"""`runstream dlq ls`, `show`, `replay` and `drop`."""

from __future__ import annotations

import dataclasses
import heapq
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runstream_deploy.cli.connection import AsJson, Directory, Url, check_may_write, database_url, settings_of
from runstream_deploy.cli.exits import FOUND, USAGE, fail, told
from runstream_deploy.cli.kafka import kafka_options, running, topic_of, topics_of
from runstream_deploy.cli.times import offset_range, period

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from runstream.settings import Settings
    from runstream_deploy.operations.letters import Letter, LetterBox, Selection

app = typer.Typer(
    help="Dead letters: messages that could not be read. Look at them, send them again, or let them go.",
    no_args_is_help=True,
)

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[LETTER]...", help="topic:partition:offset, as `dlq ls` shows them.")
]
Reason = Annotated[
    list[str] | None, typer.Option("--reason", "-r", help="Only with this reason, such as invalid; may be repeated.")
]
Topic = Annotated[
    list[str] | None,
    typer.Option("--topic", "-t", help="Only of this topic, or `metrics`, `control`, `logs`; may be repeated."),
]
Offsets = Annotated[
    str | None, typer.Option("--offsets", help="Only original offsets A..B, both included.", metavar="A..B")
]
Since = Annotated[str | None, typer.Option("--since", help="Not older than this: 2h, 3d, or ISO 8601.")]
Until = Annotated[str | None, typer.Option("--until", help="Not newer than this: 2h, 3d, or ISO 8601.")]
Handled = Annotated[bool, typer.Option("--all", help="Also those that were replayed or dropped already.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]


@app.command("ls")
def ls(
    ids: Ids = None,
    reason: Reason = None,
    topic: Topic = None,
    offsets: Offsets = None,
    since: Since = None,
    until: Until = None,
    handled: Handled = False,
    limit: Annotated[int, typer.Option(min=1, help="Show so many, the newest.")] = 100,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """List dead letters that nobody dealt with yet. Ends with 1 when there are any.

    Examples:

        runstream dlq ls --reason unknown_schema --since 2h

        runstream dlq ls --all --json
    """
    with told():
        box, client, settings = opened(directory, clickhouse)
        selection = selected(settings, ids, reason, topic, offsets, since, until, handled)
        newest: list[tuple[int, str, Letter]] = []
        reasons: Counter[str] = Counter()
        waiting = 0

        def note(letter: Letter) -> None:
            nonlocal waiting
            reasons[letter.reason] += 1
            waiting += not letter.status
            without = dataclasses.replace(letter, value=b"", shortened_from=letter.bytes)
            heapq.heappush(newest, (letter.ts_ms, letter.id, without))
            if len(newest) > limit:
                heapq.heappop(newest)

        each(box, client, selection, note)
    shown = [letter for _, _, letter in sorted(newest, reverse=True)]
    if as_json:
        rows = [facts_of(letter) for letter in shown]
        typer.echo(json.dumps({"matched": reasons.total(), "reasons": dict(reasons), "letters": rows}))
    else:
        from rich.console import Console
        from rich.text import Text

        console = Console(highlight=False, soft_wrap=True)
        for one in shown:
            when = f"{datetime.fromtimestamp(one.ts_ms / 1000).astimezone():%Y-%m-%d %H:%M:%S}"
            facts = (one.reason, when, f"{one.bytes:,} bytes", one.status or "waits")
            console.print(Text.assemble((one.id, "bold"), "  ", " · ".join(facts)))
            console.print(f"    {one.error}", markup=False)
        counted = ", ".join(f"{count:,} {name}" for name, count in reasons.most_common())
        console.print(f"{reasons.total():,} dead letters" + (f": {counted}" if counted else "."), markup=False)
    if waiting:
        raise typer.Exit(FOUND)


@app.command("show")
def show(
    letter: Annotated[str, typer.Argument(metavar="LETTER", help="topic:partition:offset, as `dlq ls` shows it.")],
    size: Annotated[int, typer.Option("--bytes", min=0, help="Bytes in the hex dump.")] = 256,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Show one dead letter: why it is one, its headers, its bytes, and its fields as far as they can be read.

    Example:

        runstream dlq show runstream.metrics:3:1234 --bytes 64
    """
    from runstream_deploy.operations.anatomy import dissect, hexdump

    with told():
        box, client, settings = opened(directory, clickhouse)
        selection = selected(settings, [letter], None, None, None, None, None, handled=True)
        found: list[Letter] = []
        each(box, client, selection, found.append)
        if not found:
            fail(f"There is no dead letter {letter!r}. `runstream dlq ls --all` lists them.", FOUND)
    one = found[0]
    parts = dissect(one.value)
    key = one.key.decode(errors="backslashreplace") if one.key is not None else None
    headers = {name: value.decode(errors="backslashreplace") for name, value in one.headers}
    if as_json:
        document = {
            **facts_of(one),
            "key": key,
            "headers": headers,
            "value": one.value.hex(),
            "kind": parts.kind,
            "version": parts.version,
            "fields": parts.fields,
            "problem": parts.problem,
        }
        typer.echo(json.dumps(document))
        return
    lines = {
        **facts_of(one),
        "key": key,
        "headers": json.dumps(headers),
        "kind": f"{parts.kind} v{parts.version}" if parts.kind else "",
    }
    for name, value in lines.items():
        if value not in ("", None):
            typer.echo(f"{name:>14}  {value}")
    typer.echo("")
    for line in hexdump(one.value, size):
        typer.echo(line)
    typer.echo("")
    for name, value in parts.fields.items():
        typer.echo(f"{name:>14}  {json.dumps(value)}")
    if parts.problem:
        typer.echo(f"{'then':>14}  {parts.problem}")


@app.command("replay")
def replay(
    ids: Ids = None,
    reason: Reason = None,
    topic: Topic = None,
    offsets: Offsets = None,
    since: Since = None,
    until: Until = None,
    handled: Handled = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Send dead letters again, byte for byte, once what was wrong is mended.

    With Kafka they go back to their topic and partition with their key and a header `replay`; embedded, through the
    ingest steps into the database. May be repeated: a row that is there already is only written again. What still
    cannot be read becomes a new dead letter.

    Example:

        runstream dlq replay --reason unknown_schema --dry-run
    """
    from runstream_deploy.operations.letters import sent_again

    with told():
        box, client, settings = opened(directory, clickhouse, owner=True, writes=not dry_run)
        selection = selected(settings, ids, reason, topic, offsets, since, until, handled)
        count, failed = running(sent_again(box, client, selection, dry_run=dry_run))
    told_of(
        "replayed", "Would send again" if dry_run else "Sent again", count, failed, as_json=as_json, dry_run=dry_run
    )


@app.command("drop")
def drop(
    ids: Ids = None,
    reason: Reason = None,
    topic: Topic = None,
    offsets: Offsets = None,
    since: Since = None,
    until: Until = None,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Let dead letters go: they are noted as dropped, by whom and when, and are no longer listed or warned of.

    With Kafka their bytes stay in the topic until its retention removes them (`dlq replay --all` still finds them);
    embedded, their files are deleted.

    Example:

        runstream dlq drop --reason not_an_event --until 7d --yes
    """
    from runstream.identity import actor
    from runstream_deploy.operations.letters import DROPPED, mark, not_waiting

    with told():
        box, client, settings = opened(directory, clickhouse, owner=True, writes=not dry_run)
        selection = selected(settings, ids, reason, topic, offsets, since, until, False)
        found: list[Letter] = []
        each(
            box,
            client,
            selection,
            lambda letter: found.append(dataclasses.replace(letter, value=b"", shortened_from=letter.bytes)),
        )
        count = Counter(letter.reason for letter in found)
        if found and not dry_run:
            if not yes:
                typer.confirm(f"Drop {len(found):,} dead letters ({', '.join(sorted(count))})?", abort=True, err=True)
            mark(client, found, DROPPED, actor())
            for letter in found:
                box.remove(letter)
    unknown = not_waiting(selection, (letter.id for letter in found))
    told_of("dropped", "Would drop" if dry_run else "Dropped", count, unknown, as_json=as_json, dry_run=dry_run)


def told_of(name: str, verb: str, count: Counter[str], failed: dict[str, str], *, as_json: bool, dry_run: bool) -> None:
    """Says what was done; ends with 1 when something could not be."""
    if as_json:
        typer.echo(json.dumps({name: count.total(), "reasons": dict(count), "failed": failed, "dry_run": dry_run}))
    else:
        counted = ", ".join(f"{n:,} {reason}" for reason, n in count.most_common())
        typer.echo(f"{verb}: {count.total():,} dead letters" + (f" ({counted})." if counted else "."))
        for letter, why in failed.items():
            typer.echo(f"Not {letter}: {why}")
    if failed:
        raise typer.Exit(FOUND)


def opened(
    directory: str | None, clickhouse: str | None, *, owner: bool = False, writes: bool = False
) -> tuple[LetterBox, Client, Settings]:
    """Where the letters are, the database with their index, and the settings."""
    from runstream_deploy.operations.letter_files import FileLetters
    from runstream_deploy.operations.letter_topics import TopicLetters
    from runstream_storage.connection import connect

    settings = settings_of(directory, clickhouse)
    url = database_url(settings, owner=owner)
    client = connect(url)
    if writes:
        check_may_write(client)
    if settings.kafka:
        return TopicLetters(kafka_options(settings, "dlq"), topics_of(settings)), client, settings
    return FileLetters(settings.dir, url), client, settings


def selected(
    settings: Settings,
    ids: list[str] | None,
    reason: list[str] | None,
    topic: list[str] | None,
    offsets: str | None,
    since: str | None,
    until: str | None,
    handled: bool,
) -> Selection:
    from runstream_deploy.operations.letters import Selection
    from runstream_ingest.dead_letters import REASONS

    for one in reason or ():
        if one not in REASONS:
            fail(f"{one!r} is no reason of a dead letter; they are: {', '.join(REASONS)}.", USAGE)
    topics = [topic_of(settings, one) for one in topic or ()]
    for one in topics:
        if one not in topics_of(settings):
            ours = ", ".join(topics_of(settings))
            fail(f"{one!r} is none of our topics: {ours}. Is RUNSTREAM_TOPIC_PREFIX set?", USAGE)
    since_ms, until_ms = period(since, until)
    return Selection(
        ids=frozenset(ids or ()),
        reasons=frozenset(reason or ()),
        topics=frozenset(topics),
        offsets=offset_range(offsets),
        since_ms=since_ms,
        until_ms=until_ms,
        handled=handled,
    )


def each(box: LetterBox, client: Client, selection: Selection, act: Callable[[Letter], None]) -> None:
    """Calls `act` with each chosen letter; they are read one at a time."""
    from runstream_deploy.operations.letters import chosen, handled

    status = handled(client)

    async def read() -> None:
        async for letter in chosen(box, selection, status):
            act(letter)

    running(read())


def facts_of(letter: Letter) -> dict[str, Any]:
    at = datetime.fromtimestamp(letter.ts_ms / 1000, UTC).isoformat(timespec="milliseconds")
    names = ("id", "topic", "partition", "offset", "reason", "error", "bytes", "status", "kept_at", "release")
    facts = {name: getattr(letter, name) for name in names}
    return {**facts, "time": at}
