"""The event of a dataset."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runstream.datasets.dataset import Dataset, described, source_of
from runstream.datasets.digest_cache import DigestCache
from runstream.datasets.files import FileDigests
from runstream.datasets.progress import Progress
from runstream.masking import mask_text
from runstream.settings import Settings
from runstream.values import cut, number_text, typed

MAX_JSON_BYTES = 192 << 10
MAX_NAME_BYTES = 1024
CACHE_FILE = "digests"


def fingerprint(
    data: Any,
    settings: Settings,
    name: str | None = None,
    context: str = "",
    source: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> tuple[Dataset, dict[str, Any]]:
    """The dataset, and its DatasetLogged event. Raises what `described` raises."""
    files = FileDigests(DigestCache(settings.dir / CACHE_FILE) if settings.dataset_cache else None)
    progress = Progress(name or (str(data) if isinstance(data, str | Path) else type(data).__name__))
    try:
        found = described(data, files, progress, settings.s3)
    finally:
        progress.end()
    profile = dict(found.profile)
    if metadata:
        profile["metadata"] = json.loads(typed("", {str(k): v for k, v in metadata.items()})["text"])
    dataset = Dataset(
        name=_line(name or _name_of(data, found.source, found.kind)),
        context=_line(context),
        digest=found.digest,
        kind=found.kind,
        source=cut(_line(source_of(found, source)), 4096)[0],
        rows=found.rows,
        size=found.size,
        schema=found.schema,
        profile=profile,
    )
    body = {
        "type": "DatasetLogged",
        "name": dataset.name,
        "context": dataset.context,
        "digest": dataset.digest,
        "kind": dataset.kind,
        "source": dataset.source,
        "rows": dataset.rows,
        "size": dataset.size,
        "schema": _json(dataset.schema),
        "profile": _json(dataset.profile),
    }
    return dataset, body


def _name_of(data: Any, source: str, kind: str) -> str:
    if source and kind in ("file", "directory", "uri"):
        return source.split("?", 1)[0].rstrip("/").rpartition("/")[2] or kind
    return source or (kind if kind != "huggingface" else type(data).__name__)


def _line(text: object) -> str:
    plain = "".join(letter if letter.isprintable() else " " for letter in str(text))
    return cut(mask_text(plain), MAX_NAME_BYTES)[0]


def _json(value: Any) -> str:
    """JSON of bounded size, without NaN; of what is larger, the first columns."""
    for keep in (None, 100, 10, 0):
        text = mask_text(json.dumps(_shortened(value, keep), ensure_ascii=False, allow_nan=False))
        if len(text.encode("utf-8", "replace")) <= MAX_JSON_BYTES:
            return text.encode("utf-8", "replace").decode()
    return "{}"


def _shortened(value: Any, keep: int | None) -> Any:
    if isinstance(value, Mapping):
        items = list(value.items())
        short = {str(key): _shortened(inner, keep) for key, inner in items[:keep]}
        return short if keep is None or len(items) <= keep else {**short, "…": len(items) - keep}
    if isinstance(value, list | tuple):
        return [_shortened(inner, keep) for inner in value[:keep]]
    if isinstance(value, float) and not math.isfinite(value):
        return number_text(value)
    return value
