"""Output formats: which can be sent piece by piece, and the Content-Type of each."""

from __future__ import annotations

STREAMED = frozenset(
    {"native", "tabseparated", "tsv", "tabseparatedraw", "tsvraw", "raw", "csv", "rowbinary", "rawblob", "tskv"}
    | {"jsoneachrow", "jsonlines", "ndjson", "jsoncompacteachrow", "jsonstringseachrow", "jsoncompactstringseachrow"}
)
"""Formats without a head or foot: the engine writes each piece as a document, and only these join to one."""

CONTENT_TYPES = {
    "json": "application/json; charset=UTF-8",
    "tsv": "text/tab-separated-values; charset=UTF-8",
    "tabseparated": "text/tab-separated-values; charset=UTF-8",
    "csv": "text/csv; charset=UTF-8",
    "xml": "application/xml; charset=UTF-8",
    "markdown": "text/markdown; charset=UTF-8",
    "pretty": "text/plain; charset=UTF-8",
    "vertical": "text/plain; charset=UTF-8",
    "values": "text/plain; charset=UTF-8",
}


def content_type(output_format: str) -> str:
    name = output_format.lower()
    if name in ("jsoneachrow", "jsonlines", "ndjson") or name.endswith("eachrow"):
        return "application/x-ndjson; charset=UTF-8"
    return next((kind for prefix, kind in CONTENT_TYPES.items() if name.startswith(prefix)), "application/octet-stream")
