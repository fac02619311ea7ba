"""Texts and pages of HTML."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from runstream.media.blob import Blob, Media, ValueRefused, Warn
from runstream.media.source import content_of, extension_of, head_of, is_source
from runstream.values import cut

MAX_EVENT_TEXT_BYTES = 256 << 10
MAX_EVENT_JSON_BYTES = 700 << 10
"""As JSON in the spool, where control characters take six bytes."""
MAX_TEXT_BYTES = 64 << 20
MIMES = ("text/plain", "text/markdown")


class Text:
    """A text of a string series; a plain `str` in `log()` means the same. `markdown`: pages show it formatted.

    Secrets are masked by their shape. Up to 256 KiB of UTF-8 it is an event; above, up to MAX_TEXT_BYTES, a file.
    """

    rich_kind = "text"

    def __init__(self, text: Any, *, markdown: bool = False) -> None:
        self.text = text
        self.mime = MIMES[bool(markdown)]

    def clean(self, warn: Warn) -> str:
        """The text as it may leave: valid UTF-8 without NUL, and without secrets."""
        from runstream.masking import mask_text

        text, was_cut = cut(str(self.text), MAX_TEXT_BYTES)
        if was_cut:
            warn(f"it is cut at {MAX_TEXT_BYTES} bytes. Log it as a File")
        return mask_text(text.replace("\0", "�"))


class LongText(Media):
    """A text that no event holds."""

    rich_kind = "text"

    def __init__(self, text: str, mime: str) -> None:
        self.text = text
        self.mime = mime

    def blob(self, warn: Warn) -> Blob:
        """See Media.blob."""
        extension = "md" if self.mime == "text/markdown" else "txt"
        metadata = {"characters": len(self.text)}
        return Blob("text", self.mime, f"text.{extension}", self.text.encode(), metadata=metadata)


class Html(Media):
    """A page: HTML text, or a path (a Path, or ending in .html), bytes or an open file.

    Pages show it in a sandbox without network, so what it needs must be in it.
    """

    rich_kind = "html"

    def __init__(self, data: Any, *, caption: str = "") -> None:
        self.data = data
        self.caption = caption

    def blob(self, warn: Warn) -> Blob:
        """See Media.blob."""
        data = self.data
        if isinstance(data, str) and not ("<" not in data and extension_of(data) in (".html", ".htm")):
            content: Any = data.encode("utf-8", "replace")
            if not content:
                raise ValueRefused("it is empty")
        elif is_source(data):
            content = content_of(data)
            head_of(content)
        else:
            raise ValueRefused(f"{type(data).__name__} is no HTML: text, a path or bytes are")
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        if size > MAX_TEXT_BYTES:
            raise ValueRefused(f"a page of {size} bytes; the limit is {MAX_TEXT_BYTES}. Log it as a File")
        return Blob("html", "text/html", "page.html", content, self.caption)


class File(Media):
    """Any file as it is: a path, bytes or an open file. `name` and `mime` are guessed from the path."""

    rich_kind = "file"

    def __init__(self, data: Any, *, name: str = "", mime: str = "", caption: str = "") -> None:
        self.data = data
        self.name = name
        self.mime = mime
        self.caption = caption

    def blob(self, warn: Warn) -> Blob:
        """See Media.blob."""
        import mimetypes

        if not is_source(self.data):
            raise ValueRefused(f"{type(self.data).__name__} is no file: a path or bytes are")
        content = content_of(self.data)
        given = self.name or (Path(self.data).name if isinstance(self.data, str | os.PathLike) else "")
        name = "".join(c for c in cut(given, 255)[0] if c.isprintable() and c not in "/\\") or "file"
        mime = self.mime or mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Blob("file", mime, "file" + extension_of(name)[:20], content, self.caption, {"name": name})
