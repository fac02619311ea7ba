"""Events that are not frames of points, as rows of the tables that they change."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from runstream_ingest import edits, values
from runstream_ingest.errors import MessageUnusable
from runstream_ingest.event_rows import Header, Row, TableRow, label, not_negative, one_of
from runstream_ingest.limits import check_header
from runstream_ingest.versions import version

KEEP_EARLIEST = (1 << 64) - 1
MAX_LONG = (1 << 63) - 1
MAX_MS = 1 << 50
"""Of a message's time, which a producer may choose: some 35,000 years."""
AWAITED_KINDS = frozenset({"ArtifactLogged", "ModelEdited"})
NOT_ENDED = (0, "", 0, "", -1)
_MAPS = ("git", "environment", "machine", "packages", "job", "determinism", "sources", "container")


def rows_of(kind: str, event: Mapping[str, Any], arrived_ms: int = -1) -> tuple[TableRow, ...]:
    """What `event` writes, whose message has the brokers' time `arrived_ms` (-1: none, its own time counts).

    Raises MessageUnusable when a field does not fit its column.
    """
    check_header(event["project"].encode(), event["writer_id"], event["attempt"], event["rank"])
    if event["seq"] == MAX_LONG:
        raise MessageUnusable("invalid", f"seq is {event['seq']}; the one behind it exceeds 63 bits")
    ver = version(event["attempt"], event["time_us"], event["writer_id"])
    header = Header(
        project=event["project"],
        run=UUID(event["run_id"]).int,
        writer=event["writer_id"],
        attempt=event["attempt"],
        rank=event["rank"],
        seq=event["seq"],
        time_us=event["time_us"],
        actor=event["actor"],
        ver=ver,
        arrived_us=arrived_ms * 1000 if 0 < arrived_ms < MAX_MS else event["time_us"],
    )
    return *_ROWS[kind](header, event), *_no_longer_awaited(kind, header, event)


def _run_started(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    texts = tuple(e[name] for name in ("name", "group", "job_type", "notes", "parent_run", "user", "host"))
    forked = (e["forked_from"], e["fork_step"])
    yield "runs", (h.project, h.run, e["external_id"], e["created_us"], *texts, *forked, h.ver, KEEP_EARLIEST - h.ver)
    started = (h.project, h.run, h.writer, h.attempt, h.rank, e["created_us"], e["user"], e["host"], e["pid"])
    process = tuple(e[name] for name in ("command", "cwd", "python", "platform", "client_version"))
    maps = tuple(e[name] for name in _MAPS)
    yield "writers", (*started, *process, *maps, h.ver)
    yield _alive(h, -1)
    for tag in dict.fromkeys(e["tags"]):
        yield "run_attrs", (h.project, h.run, f"tag:{label(tag, 'a tag')}", "", h.actor, h.edit_ver, 0)


def _run_rewound(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    yield "rewinds", (h.project, h.run, h.rank, h.attempt, e["step"], h.time_us, h.actor, h.ver)


def _heartbeat(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    yield _alive(h, e["metric_seq"])


def _run_finished(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    if not -(1 << 31) <= e["exit_code"] < 1 << 31:
        raise MessageUnusable("invalid", f"exit_code is {e['exit_code']}; it has 32 bits")
    end = (h.ver, e["state"], e["exit_code"], e["reason"], e["metric_seq"])
    yield _alive(h, e["metric_seq"], end)


def _alive(h: Header, metric_seq: int, end: Row = NOT_ENDED) -> TableRow:
    return "liveness", (h.project, h.run, h.writer, h.attempt, h.time_us, h.arrived_us, metric_seq, end)


def _params(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    return _values("params", h, e)


def _summary(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    return _values("summary_values", h, e)


def _values(table: str, h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    for value in e["values"]:
        number = math.nan if value["number"] is None else value["number"]
        gone = int(value["kind"] == "deleted")
        name = label(value["name"], "a name")
        yield table, (h.project, name, h.run, value["kind"], value["text"], number, h.ver, gone)


def _metric_defined(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    drawn = (label(e["pattern"], "a pattern"), e["x_axis"], e["summary"], e["goal"], int(e["hidden"]), e["unit"])
    yield "metric_defs", (h.project, h.run, *drawn, h.ver)


def _artifact_logged(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    name, digest = label(e["name"], "an artifact"), e["digest"]
    not_negative(min([e["size"], *(file["size"] for file in e["files"])]), "a size")
    files = [(file["path"], file["sha256"], file["size"], file["mime"], file["ref"]) for file in e["files"]]
    made = (e["type"], h.run, h.time_us, e["size"], files, e["metadata"], e["description"])
    score = math.nan if e["score"] is None else e["score"]
    expires_us = not_negative(e["expires_us"], "expires_us")
    kept = (expires_us, score, not_negative(e["keep_best"], "keep_best"), e["keep_goal"])
    yield "artifacts", (h.project, name, digest, *made, *kept, h.ver, KEEP_EARLIEST - h.ver)
    yield "artifact_links", (h.project, h.run, name, "out", digest, "", h.time_us, h.ver, h.project)
    for alias in dict.fromkeys(e["aliases"]):
        yield "artifact_aliases", (h.project, name, label(alias, "an alias"), digest, h.actor, h.edit_ver, 0)
    # The row of `artifacts` that was first stays; what is said anew with the same content is an edit of it.
    said = [(f"tag:{label(tag, 'a tag')}", "", 0) for tag in dict.fromkeys(e["tags"])]
    said += [("expires_us", str(expires_us), 0), ("deleted", "", 1)]
    for key, value, gone in said:
        yield "artifact_attrs", (h.project, name, digest, key, value, h.actor, h.edit_ver, gone)
    words = (", ".join(dict.fromkeys(e["aliases"])), ", ".join(dict.fromkeys(e["tags"])), digest[: edits.SHOWN_DIGITS])
    yield edits.audit_row(h, "ArtifactLogged", name, "log", edits.said(*words))


def _event_awaited(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    kind = one_of(e["kind"], AWAITED_KINDS, "the kind of an event that is awaited")
    extent = (not_negative(e["files"], "files"), not_negative(e["size"], "size"))
    state = ("lost", e["lost"], 1) if e["lost"] else ("pending", "", 0)
    yield _awaited(h, kind, e["name"], e["type"], *extent, *state)


def _no_longer_awaited(kind: str, h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    """An event of these kinds that lies outside its writer's sequence had to wait."""
    if h.seq < 0 and kind == "ArtifactLogged":
        yield _awaited(h, kind, e["name"], e["type"], len(e["files"]), e["size"], "arrived", "", 2)
    elif h.seq < 0 and kind == "ModelEdited":
        yield _awaited(h, kind, e["model"], e["action"], 0, 0, "arrived", "", 2)


def _awaited(h: Header, kind: str, name: str, *said: Any) -> TableRow:
    return "awaited", (h.project, h.run, h.writer, h.time_us, kind, label(name, "what is awaited"), *said)


def _artifact_used(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    name = label(e["name"], "an artifact")
    holder = label(e["artifact_project"], "a project") or h.project
    yield "artifact_links", (h.project, h.run, name, "in", e["digest"], e["version"], h.time_us, h.ver, holder)


_ROWS = {
    "ArtifactEdited": edits.artifact_edited,
    "ArtifactLogged": _artifact_logged,
    "ArtifactUsed": _artifact_used,
    "Attributes": edits.attributes,
    "ConsoleLines": values.console_lines,
    "DatasetLogged": values.dataset_logged,
    "EventAwaited": _event_awaited,
    "Heartbeat": _heartbeat,
    "HistogramLogged": values.histogram_logged,
    "MediaLogged": values.media_logged,
    "MediaStored": values.media_stored,
    "MetricDefined": _metric_defined,
    "ModelEdited": edits.model_edited,
    "Params": _params,
    "RunFinished": _run_finished,
    "RunRewound": _run_rewound,
    "RunStarted": _run_started,
    "Summary": _summary,
    "SystemFrame": values.system_frame,
    "TextLogged": values.text_logged,
}
