"""What the pages ask of rich values, consoles and machines: as `data.py`, with answers remembered for seconds.

What lies in the object store is named by its content, so that is remembered for longer. Functions raise
`runstream_storage.errors.StorageError`, `NoServer`, and `NoSuchFile` for bytes that are not there.
"""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from runstream_storage.queries.clock import StepClock, step_clocks
from runstream_storage.queries.console import (
    ConsoleFilter,
    ConsoleLine,
    ConsolePage,
    ConsolePlace,
    ConsoleWriter,
    console,
    console_count,
    console_near,
    console_writers,
)
from runstream_storage.queries.histograms import Histogram, histogram_names, histograms
from runstream_storage.queries.media import (
    MediaItem,
    MediaName,
    MediaState,
    media,
    media_names,
    media_states,
    media_steps,
)
from runstream_storage.queries.shown import SeriesName
from runstream_storage.queries.system import SystemAxis, SystemCurve, SystemSeries, system_curves, system_series
from runstream_storage.queries.texts import TextValue, text_names, text_page, text_steps, texts
from runstream_ui import objects
from runstream_ui.data import client
from runstream_ui.errors import NoSuchFile, NotArrived, NotReadable
from runstream_ui.formats import size
from runstream_ui.shape_files import MAX_BYTES, shape_of

_LIVE_S = 3
_MAX_ITEMS = 600
_MAX_HISTOGRAMS = 120


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def media_series(project: str, run_ids: tuple[str, ...]) -> list[MediaName]:
    return media_names(client(), project, run_ids)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def media_at_steps(project: str, run_ids: tuple[str, ...], names: tuple[str, ...]) -> tuple[int, ...]:
    """All steps at which one of `names` has something, rising."""
    return _united(media_steps(client(), project, run_ids, names))


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=256)
def media_at(project: str, run_ids: tuple[str, ...], names: tuple[str, ...], step: int | None) -> list[MediaItem]:
    return media(client(), project, run_ids, names, step=step, limit=_MAX_ITEMS)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def media_contents(project: str, run_ids: tuple[str, ...], sha256s: tuple[str, ...]) -> dict[str, MediaState]:
    return media_states(client(), project, run_ids, sha256s)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def text_series(project: str, run_ids: tuple[str, ...]) -> list[SeriesName]:
    return text_names(client(), project, run_ids)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def text_at_steps(project: str, run_ids: tuple[str, ...], names: tuple[str, ...]) -> tuple[int, ...]:
    return _united(text_steps(client(), project, run_ids, names))


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=256)
def text_at(project: str, run_ids: tuple[str, ...], names: tuple[str, ...], step: int | None) -> list[TextValue]:
    return texts(client(), project, run_ids, names, step=step)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def text_hits(project: str, run_id: str, name: str, contains: str, limit: int) -> list[TextValue]:
    """The texts of one series that hold `contains`, the newest first."""
    return text_page(client(), project, run_id, name, contains=contains, newest_first=True, limit=limit)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def histogram_series(project: str, run_ids: tuple[str, ...]) -> list[SeriesName]:
    return histogram_names(client(), project, run_ids)


@st.cache_data(ttl=10, show_spinner=False, max_entries=64)
def histograms_of(project: str, run_ids: tuple[str, ...], names: tuple[str, ...]) -> dict[str, list[Histogram]]:
    """By name; at most as many steps of each as a chart can show."""
    found: dict[str, list[Histogram]] = {name: [] for name in names}
    for histogram in histograms(client(), project, run_ids, names, steps=_MAX_HISTOGRAMS):
        found[histogram.name].append(histogram)
    return found


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def consoles(project: str, run_id: str) -> list[ConsoleWriter]:
    return console_writers(client(), project, run_id)


@st.cache_data(ttl=1, show_spinner=False, max_entries=128)
def console_lines(
    project: str,
    run_id: str,
    which: ConsoleFilter,
    *,
    after: ConsolePlace | datetime | None = None,
    before: ConsolePlace | datetime | None = None,
    first: bool = False,
    limit: int,
) -> ConsolePage:
    return console(client(), project, run_id, filter=which, after=after, before=before, first=first, limit=limit)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def console_hits(project: str, run_id: str, which: ConsoleFilter) -> int:
    return console_count(client(), project, run_id, filter=which)


@st.cache_data(ttl=60, show_spinner=False, max_entries=128)
def console_line_at(project: str, run_id: str, at: datetime, which: ConsoleFilter) -> ConsoleLine | None:
    return console_near(client(), project, run_id, at, filter=which)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def machine_series(project: str, run_ids: tuple[str, ...]) -> list[SystemSeries]:
    return system_series(client(), project, run_ids)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def machine_curves(
    project: str,
    run_ids: tuple[str, ...],
    metrics: tuple[str, ...],
    *,
    nodes: tuple[str, ...] = (),
    x: SystemAxis,
    window: tuple[int, int] | None,
    pixels: int,
) -> list[SystemCurve]:
    return system_curves(client(), project, run_ids, metrics, nodes=nodes, x=x, window=window, width_px=pixels)


@st.cache_data(ttl=10, show_spinner=False, max_entries=64)
def clock(project: str, run_id: str) -> StepClock | None:
    """Which step the run was at when; None while it has no points."""
    return step_clocks(client(), project, [run_id]).get(run_id)


@st.cache_data(ttl=3_600, show_spinner=False, max_entries=48)
def content(sha256: str, limit: int) -> bytes:
    """A whole object of at most `limit` bytes. Raises NotReadable and NoSuchFile."""
    return _read(sha256, limit)


@st.cache_data(ttl=3_600, show_spinner=False, max_entries=128)
def head(sha256: str, limit: int) -> bytes:
    """The first `limit` bytes of an object. Raises NoSuchFile."""
    _, file = objects.open_file(sha256)
    with file:
        return file.read(limit)


def content_of(item: MediaItem, limit: int) -> bytes:
    """As `content`; raises NotArrived where it is known why the bytes are not there."""
    try:
        found: bytes = content(item.sha256, limit)
    except NoSuchFile:
        if item.state != "stored":
            raise NotArrived(state=item.state) from None
        raise
    return found


@st.cache_data(ttl=3_600, show_spinner=False, max_entries=128)
def shape(mime: str, sha256: str) -> dict[str, str]:
    """An object in space for media.js. Raises NotReadable, NoSuchFile and, for what is not drawn, NotDrawable."""
    return shape_of(mime, _read(sha256, MAX_BYTES)).as_json()


def _read(sha256: str, limit: int) -> bytes:
    n_bytes, file = objects.open_file(sha256)
    with file:
        if n_bytes > limit:
            raise NotReadable(what="a value", why=f"it has {size(n_bytes)}, and {size(limit)} is the limit here")
        return file.read()


def _united(by_name: dict[str, list[int]]) -> tuple[int, ...]:
    return tuple(sorted({step for steps in by_name.values() for step in steps}))
