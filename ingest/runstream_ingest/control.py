"""Control events as rows of the tables that they change."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from runstream_ingest.errors import MessageUnusable
from runstream_ingest.limits import check_header
from runstream_ingest.versions import version

Row = tuple[Any, ...]
TableRow = tuple[str, Row]
KEEP_EARLIEST = (1 << 64) - 1
NOT_ENDED = (0, "", 0, "", -1)
MAX_LABEL_BYTES = 1_024
"""Of a param's, artifact's, alias's or attribute's name."""


@dataclass(frozen=True, slots=True)
class _Header:
    project: str
    run: int
    writer: int
    attempt: int
    rank: int
    time_us: int
    actor: str
    ver: int


def rows_of(kind: str, event: Mapping[str, Any]) -> tuple[TableRow, ...]:
    """What `event` writes. Raises MessageUnusable when a field does not fit its column."""
    check_header(event["project"].encode(), event["writer_id"], event["attempt"], event["rank"])
    ver = version(event["attempt"], event["time_us"], event["writer_id"])
    header = _Header(
        project=event["project"],
        run=UUID(event["run_id"]).int,
        writer=event["writer_id"],
        attempt=event["attempt"],
        rank=event["rank"],
        time_us=event["time_us"],
        actor=event["actor"],
        ver=ver,
    )
    return tuple(_ROWS[kind](header, event))


def _run_started(h: _Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    texts = tuple(e[name] for name in ("name", "group", "job_type", "notes", "parent_run", "user", "host"))
    forked = (e["forked_from"], e["fork_step"])
    yield "runs", (h.project, h.run, e["external_id"], e["created_us"], *texts, *forked, h.ver, KEEP_EARLIEST - h.ver)
    started = (h.project, h.run, h.writer, h.attempt, h.rank, e["created_us"], e["user"], e["host"], e["pid"])
    process = tuple(e[name] for name in ("command", "cwd", "python", "platform", "client_version"))
    maps = tuple(e[name] for name in ("git", "environment", "machine", "packages"))
    yield "writers", (*started, *process, *maps, h.ver)
    yield _alive(h, -1)
    for tag in dict.fromkeys(e["tags"]):
        yield "run_attrs", (h.project, h.run, f"tag:{_label(tag, 'a tag')}", "", h.actor, h.ver, 0)


def _run_rewound(h: _Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    yield "rewinds", (h.project, h.run, h.rank, h.attempt, e["step"], h.time_us, h.actor, h.ver)


def _heartbeat(h: _Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    yield _alive(h, e["metric_seq"])


def _run_finished(h: _Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    if not -(1 << 31) <= e["exit_code"] < 1 << 31:
        raise MessageUnusable("invalid", f"exit_code is {e['exit_code']}; it has 32 bits")
    end = (h.ver, e["state"], e["exit_code"], e["reason"], e["metric_seq"])
    yield _alive(h, e["metric_seq"], end)


def _alive(h: _Header, metric_seq: int, end: Row = NOT_ENDED) -> TableRow:
    return "liveness", (h.project, h.run, h.writer, h.attempt, h.time_us, metric_seq, end)


def _attributes(h: _Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    for key, value in e["values"].items():
        row = (h.project, h.run, _label(key, "an attribute"), value or "", h.actor, h.ver, int(value is None))
        yield "run_attrs", row


def _params(h: _Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    return _values("params", h, e)


def _summary(h: _Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    return _values("summary_values", h, e)


def _values(table: str, h: _Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    for value in e["values"]:
        number = math.nan if value["number"] is None else value["number"]
        gone = int(value["kind"] == "deleted")
        name = _label(value["name"], "a name")
        yield table, (h.project, name, h.run, value["kind"], value["text"], number, h.ver, gone)


def _metric_defined(h: _Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    drawn = (_label(e["pattern"], "a pattern"), e["x_axis"], e["summary"], e["goal"], int(e["hidden"]), e["unit"])
    yield "metric_defs", (h.project, h.run, *drawn, h.ver)


def _artifact_logged(h: _Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    name, digest = _label(e["name"], "an artifact"), e["digest"]
    if e["size"] < 0 or any(file["size"] < 0 for file in e["files"]):
        raise MessageUnusable("invalid", f"artifact {name!r} has a negative size")
    files = [(file["path"], file["sha256"], file["size"], file["mime"], file.get("ref", "")) for file in e["files"]]
    made = (e["type"], h.run, h.time_us, e["size"], files, e["metadata"], e["description"])
    yield "artifacts", (h.project, name, digest, *made, h.ver, KEEP_EARLIEST - h.ver)
    yield "artifact_links", (h.project, h.run, name, "out", digest, "", h.time_us, h.ver)
    for alias in dict.fromkeys(e["aliases"]):
        yield "artifact_aliases", (h.project, name, _label(alias, "an alias"), digest, h.actor, h.ver, 0)


def _artifact_used(h: _Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    name = _label(e["name"], "an artifact")
    yield "artifact_links", (h.project, h.run, name, "in", e["digest"], e["version"], h.time_us, h.ver)


def _label(text: str, what: str) -> str:
    size = len(text.encode())
    if size > MAX_LABEL_BYTES:
        raise MessageUnusable("invalid", f"the name of {what} has {size} bytes; the limit is {MAX_LABEL_BYTES}")
    return text


_ROWS = {
    "ArtifactLogged": _artifact_logged,
    "ArtifactUsed": _artifact_used,
    "Attributes": _attributes,
    "Heartbeat": _heartbeat,
    "MetricDefined": _metric_defined,
    "Params": _params,
    "RunFinished": _run_finished,
    "RunRewound": _run_rewound,
    "RunStarted": _run_started,
    "Summary": _summary,
}
