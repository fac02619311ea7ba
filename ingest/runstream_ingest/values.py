"""Values that are not numbers, console lines, samples of the machine and datasets, as rows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from runstream_ingest.errors import MessageUnusable
from runstream_ingest.event_rows import Header, TableRow, label, not_negative, one_of
from runstream_ingest.versions import version

MAX_TEXT_BYTES = 256 * 1024
MAX_BINS = 512
MEDIA_KINDS = frozenset({"image", "audio", "video", "table", "html", "figure", "text", "file", "object3d"})
STREAMS = (1, 2)
"""stdout and stderr."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


def text_logged(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    if len(e["text"].encode()) > MAX_TEXT_BYTES:
        raise MessageUnusable("invalid", f"a text of {len(e['text'].encode())} bytes; the limit is {MAX_TEXT_BYTES}")
    yield "text_series", (*_place(h, e), h.time_us, e["text"], e["mime"], h.writer, h.ver)


def histogram_logged(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    edges, counts = e["edges"], e["counts"]
    _check_bins(edges, counts)
    outside = (not_negative(e["n_nan"], "n_nan"), not_negative(e["n_inf"], "n_inf"))
    yield "histograms", (*_place(h, e), h.time_us, edges, counts, *outside, h.writer, h.ver)


def media_logged(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    kind = one_of(e["kind"], MEDIA_KINDS, "the kind of media")
    what = (kind, _sha256(e["sha256"]), not_negative(e["size"], "size"), e["mime"], e["caption"], e["metadata"])
    yield "media", (*_place(h, e), not_negative(e["index"], "index"), h.time_us, *what, h.writer, h.ver)


def media_stored(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    for state in ("stored", "lost"):
        for sha256 in e[state]:
            yield "media_contents", (h.project, h.run, _sha256(sha256), state, h.time_us, h.edit_ver)


def dataset_logged(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    name = label(e["name"], "a dataset")
    found = (e["digest"], e["kind"], e["source"], max(e["rows"], -1), max(e["size"], -1), e["schema"], e["profile"])
    yield "datasets", (h.project, h.run, name, label(e["context"], "a context"), *found, h.time_us, h.ver)


def console_lines(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    texts, first = e["texts"], not_negative(e["first_line"], "first_line")
    columns = (texts, e["times_us"], e["changed_us"], e["streams"], e["styles"] or [""] * len(texts))
    if len({len(column) for column in columns}) > 1:
        raise MessageUnusable("invalid", f"the columns of lines have lengths {[len(column) for column in columns]}")
    for line, (text, time_us, changed_us, stream, styles) in enumerate(zip(*columns, strict=True), first):
        if stream not in STREAMS:
            raise MessageUnusable("invalid", f"a line's stream is {stream}; it is 1 (stdout) or 2 (stderr)")
        ver = version(h.attempt, changed_us, h.writer)
        yield "console", (h.project, h.run, h.rank, h.writer, line, time_us, stream, text, styles, h.attempt, ver)


def system_frame(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    node = label(e["node"], "a node")
    metrics, devices, times, values = e["metrics"], e["devices"], e["times_us"], e["values"]
    if len(devices) != len(metrics) or len(values) != len(times) * len(metrics):
        shape = f"{len(metrics)} metrics, {len(devices)} devices, {len(times)} times and {len(values)} values"
        raise MessageUnusable("invalid", f"{shape} are no table")
    names = [(label(m, "a metric"), label(d, "a device")) for m, d in zip(metrics, devices, strict=True)]
    for i, time_us in enumerate(times):
        ver = version(h.attempt, time_us, h.writer)
        for (metric, device), value in zip(names, values[i * len(names) :], strict=False):
            if not math.isnan(value):
                yield "system_points", (h.project, h.run, node, metric, device, h.rank, time_us, value, ver)


def _sha256(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise MessageUnusable("invalid", f"sha256 is {text[:100]!r}; it has 64 digits from 0 to f")
    return text


def _place(h: Header, e: Mapping[str, Any]) -> tuple[Any, ...]:
    return h.project, h.run, label(e["name"], "a series"), h.rank, e["step"]


def _check_bins(edges: Sequence[float], counts: Sequence[float]) -> None:
    if not 1 <= len(counts) <= MAX_BINS or len(edges) != len(counts) + 1:
        raise MessageUnusable(
            "invalid", f"{len(counts)} bins between {len(edges)} edges; 1 to {MAX_BINS} bins have one edge more"
        )
    if not all(map(math.isfinite, edges)) or any(left >= right for left, right in pairwise(edges)):
        raise MessageUnusable("invalid", "the edges of a histogram are not finite and rising")
    if not all(math.isfinite(count) and count >= 0 for count in counts):
        raise MessageUnusable("invalid", "a count of a histogram is negative or not finite")
