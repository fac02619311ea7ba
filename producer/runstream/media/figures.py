"""Drawings of matplotlib and Plotly."""

from __future__ import annotations

import io
import sys
from typing import Any

from runstream.media.blob import Blob, Media, ValueRefused, Warn
from runstream.media.recognise import kind_of
from runstream.media.sniff import image_size

MATPLOTLIB_FORMATS = ("png", "svg")
PLOTLY_FORMATS = ("json", "html")
PLOTLY_MIME = "application/vnd.plotly.v1+json"


class Figure(Media):
    """A figure of matplotlib (`format` png or svg) or Plotly (json, or html: a page with all scripts in it).

    matplotlib's pyplot itself stands for its current figure. A figure that was closed can still be logged.
    """

    rich_kind = "figure"

    def __init__(self, figure: Any, *, format: str | None = None, dpi: float | None = None, caption: str = "") -> None:
        self.figure = figure
        self.format = format
        self.dpi = dpi
        self.caption = caption

    def blob(self, warn: Warn) -> Blob:
        """See Media.blob."""
        kind = kind_of(self.figure)
        if kind == "plotly":
            blob = _plotly(self.figure, _format(self.format, PLOTLY_FORMATS))
        elif kind == "matplotlib" or callable(getattr(self.figure, "savefig", None)):
            blob = _matplotlib(self.figure, _format(self.format, MATPLOTLIB_FORMATS), self.dpi)
        else:
            raise ValueRefused(f"{type(self.figure).__name__} is no figure of matplotlib or Plotly")
        blob.caption = self.caption
        return blob


def _format(given: str | None, known: tuple[str, ...]) -> str:
    if given is not None and given not in known:
        raise ValueRefused(f"format {given!r} is none of {', '.join(known)}")
    return given or known[0]


def _matplotlib(figure: Any, file_format: str, dpi: float | None) -> Blob:
    if getattr(figure, "__name__", "") == "matplotlib.pyplot":
        figure = figure.gcf()
    out = io.BytesIO()
    settings: dict[str, Any] = {"format": file_format, "bbox_inches": "tight"}
    if dpi is not None:
        settings["dpi"] = dpi
    # Without the date, the same drawing is the same bytes.
    settings["metadata"] = {"Date": None} if file_format == "svg" else {"Software": None}
    context = getattr(sys.modules.get("matplotlib"), "rc_context", None)
    if context is None:
        figure.savefig(out, **settings)
    else:
        with context({"svg.hashsalt": "runstream"}):
            figure.savefig(out, **settings)
    data = out.getvalue()
    size = image_size(data)
    metadata: dict[str, Any] = {"library": "matplotlib"}
    if size:
        metadata.update(width=size[0], height=size[1])
    mime = "image/png" if file_format == "png" else "image/svg+xml"
    return Blob("figure", mime, f"figure.{file_format}", data, metadata=metadata)


def _plotly(figure: Any, file_format: str) -> Blob:
    metadata = {"library": "plotly"}
    if file_format == "html":
        page = figure.to_html(full_html=True, include_plotlyjs=True)
        return Blob("figure", "text/html", "figure.html", page.encode(), metadata=metadata)
    return Blob("figure", PLOTLY_MIME, "figure.json", figure.to_json().encode(), metadata=metadata)
