"""What can be shown of a file without fetching all of it, and how.

Nothing here trusts a file: its name only suggests a look, what cannot be read so is text or bytes, and every reader has
a limit. Readers raise NotReadable for what is not what its name says.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from runstream_ui.errors import NotReadable
from runstream_ui.pictures import flaw

if TYPE_CHECKING:
    import pyarrow as pa

Look = Literal["image", "audio", "video", "markdown", "json", "csv", "parquet", "tensors", "text", "binary"]

TEXT_BYTES = 256 << 10
JSON_BYTES = 2 << 20
TABLE_BYTES = 64 << 20
PICTURE_BYTES = 16 << 20
ROWS = 200
_COLUMNS = 200
_HEADER_BYTES = 16 << 20
_GROUP_BYTES = 1 << 30
_HEX_BYTES = 256
_CELL = 2_000

_BY_SUFFIX: dict[str, Look] = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".webp"), "image"),
    **dict.fromkeys((".wav", ".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac"), "audio"),
    **dict.fromkeys((".mp4", ".webm", ".mov", ".m4v", ".ogv"), "video"),
    **dict.fromkeys((".md", ".markdown"), "markdown"),
    **dict.fromkeys((".json", ".ipynb"), "json"),
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    ".safetensors": "tensors",
}
_BY_MIME: dict[str, Look] = {"application/json": "json", "text/csv": "csv", "text/markdown": "markdown"}
# The names that the browser's highlighter knows.
_LANGUAGES = {
    ".py": "python", ".pyi": "python", ".sh": "bash", ".bash": "bash", ".js": "javascript", ".ts": "typescript",
    ".c": "c", ".h": "c", ".cpp": "cpp", ".cc": "cpp", ".cu": "cpp", ".cuh": "cpp", ".rs": "rust", ".go": "go",
    ".java": "java", ".sql": "sql", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".ini": "ini", ".cfg": "ini",
    ".xml": "xml", ".html": "html", ".htm": "html", ".svg": "xml", ".css": "css", ".json": "json", ".jsonl": "json",
    ".ipynb": "json", ".patch": "diff", ".diff": "diff", ".r": "r", ".jl": "julia", ".lua": "lua", ".tex": "latex",
    ".md": "markdown",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a text; `whole` says that there is no more."""

    text: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Tensor:
    name: str
    dtype: str
    shape: tuple[int, ...]


def look_of(path: str, mime: str = "") -> Look:
    """How to show a file, by its name, then by its media type; text where both say nothing."""
    known = _BY_SUFFIX.get(PurePosixPath(path.lower()).suffix)
    if known is not None:
        return known
    if mime.startswith("audio/"):
        return "audio"
    if mime.startswith("video/"):
        return "video"
    if mime in ("image/png", "image/jpeg", "image/gif", "image/webp"):
        return "image"
    return _BY_MIME.get(mime, "text")


def language_of(path: str) -> str | None:
    """The highlighter's name for the language of a file; None for plain text."""
    name = PurePosixPath(path).name.lower()
    if name in ("dockerfile", "makefile"):
        return name
    return _LANGUAGES.get(PurePosixPath(name).suffix)


def text_head(file: BinaryIO, size: int, *, limit: int = TEXT_BYTES) -> Head:
    """The first `limit` bytes as UTF-8, up to the last whole line where there is more. Raises NotReadable for bytes
    that are no text."""
    raw = file.read(limit)
    if b"\0" in raw[:8192]:
        raise NotReadable(what="text", why="it holds zero bytes")
    whole = size <= len(raw)
    if not whole:
        raw = raw[: raw.rfind(b"\n") + 1] or raw
    text = raw.decode("utf-8-sig", errors="replace")
    if text.count("\ufffd") > max(8, len(text) // 20):
        raise NotReadable(what="text", why="it is not UTF-8")
    return Head(text, whole)


def json_value(file: BinaryIO, size: int) -> Any:
    """The parsed document. Raises NotReadable when it is none, or too large to be parsed for a look."""
    if size > JSON_BYTES:
        raise NotReadable(what="JSON", why=f"it has more than {JSON_BYTES >> 20} MiB")
    try:
        value = json.loads(file.read(JSON_BYTES + 1))
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise NotReadable(what="JSON", why=str(error)) from None
    return value


def csv_head(file: BinaryIO, size: int, path: str) -> tuple[list[str], list[list[str]], bool]:
    """(header, at most `ROWS` rows, whether that is all) of a CSV or TSV; rows are as long as the header.

    Raises NotReadable.
    """
    head = text_head(file, size)
    first = head.text.partition("\n")[0]
    delimiter = "\t" if path.lower().endswith(".tsv") else max(",;\t|", key=first.count)
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(head.text), delimiter=delimiter):
            rows.append([cell[:_CELL] for cell in row[:_COLUMNS]])
            if len(rows) > ROWS + 1:
                break
    except csv.Error as error:
        raise NotReadable(what="CSV", why=str(error)) from None
    if not rows:
        return [], [], head.whole
    width = len(rows[0])
    shown = [[*row[:width], *[""] * (width - len(row))] for row in rows[1 : ROWS + 1]]
    return _unique(rows[0]), shown, head.whole and len(rows) <= ROWS + 1


def parquet_head(file: BinaryIO, size: int) -> tuple[pa.Table, int]:
    """(at most `ROWS` rows of at most 200 columns, rows in the file). Raises NotReadable."""
    import pyarrow as pa
    from pyarrow import parquet

    source: Any = file
    if not file.seekable():
        if size > TABLE_BYTES:
            why = f"it has more than {TABLE_BYTES >> 20} MiB, and this store cannot be read from the middle"
            raise NotReadable(what="Parquet", why=why)
        source = io.BytesIO(file.read(TABLE_BYTES + 1))
    try:
        opened = parquet.ParquetFile(source)
        names = opened.schema_arrow.names[:_COLUMNS]
        if opened.num_row_groups and opened.metadata.row_group(0).total_byte_size > _GROUP_BYTES:
            raise NotReadable(what="Parquet", why="its first row group has more than 1 GiB; it is too much for a look")
        batch = next(opened.iter_batches(batch_size=ROWS, columns=names), None)
        if batch is None:
            return opened.schema_arrow.empty_table().select(names), 0
        return pa.Table.from_batches([batch]), opened.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise NotReadable(
            what="Parquet", why=str(error).splitlines()[0][:200] if str(error) else "it is damaged"
        ) from None


def tensors(file: BinaryIO) -> list[Tensor]:
    """The tensors that a safetensors file names in its header, in the order of their names. Raises NotReadable."""
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= _HEADER_BYTES:
        raise NotReadable(what="safetensors", why="its header has no sensible length")
    try:
        header = json.loads(file.read(length))
        return [
            Tensor(str(name), str(entry["dtype"]), tuple(int(extent) for extent in entry["shape"]))
            for name, entry in sorted(header.items())
            if name != "__metadata__"
        ]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise NotReadable(what="safetensors", why="its header is damaged") from None


def whole_picture(file: BinaryIO, size: int) -> None:
    """Raises NotReadable for a picture that a browser would leave blank. One too large to be looked at is not asked."""
    if size > PICTURE_BYTES:
        return
    if why := flaw(file.read(size)):
        raise NotReadable(what="a picture", why=why)


def hex_head(file: BinaryIO) -> str:
    """The first 256 bytes, 16 a line, with what of it is ASCII."""
    raw = file.read(_HEX_BYTES)
    lines = []
    for start in range(0, len(raw), 16):
        part = raw[start : start + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:08x}  {part.hex(' '):<47}  {shown}")
    return "\n".join(lines)


def _unique(names: Sequence[str]) -> list[str]:
    """Column names that a table can have: none empty, none twice."""
    seen: dict[str, int] = {}
    unique = []
    for place, name in enumerate(names):
        base = name or f"column {place + 1}"
        seen[base] = seen.get(base, 0) + 1
        unique.append(base if seen[base] == 1 else f"{base} ({seen[base]})")
    return unique
