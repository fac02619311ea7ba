"""What a page says when there is nothing to show: the very next thing to type."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec

import streamlit as st

from runstream_storage.errors import StorageError, Unreachable
from runstream_ui import data, formats, frame, values
from runstream_ui.errors import NoServer, UiError
from runstream_ui.markup import in_markdown

P = ParamSpec("P")
_ASK_AGAIN_S = 3

_FIRST_RUN = """import runstream

with runstream.init(project="{project}", config={{"lr": 1e-3}}) as run:
    for step in range(1000):
        run.log({{"train/loss": 1 / (step + 1)}}, step=step)
"""

_MEDIA = """run.log({
    "val/detections": runstream.Image(pixels, caption="epoch 3", boxes=boxes, masks=masks),
    "val/samples": [runstream.Image(image) for image in batch[:8]],
    "audio/sample": runstream.Audio(waveform, sample_rate=22_050),
    "plots/roc": runstream.Figure(figure),          # matplotlib or Plotly
    "report": runstream.Html("<h1>Report</h1>"),
}, step=step)"""

_HISTOGRAMS = """run.log({"val/confidence": runstream.Histogram(scores)}, step=step)

run.watch(model)   # histograms of gradients and weights"""

_TABLES = """table = runstream.Table(columns=["id", "picture", "label", "score"])
table.add_data(7, runstream.Image(pixels), "cat", 0.93)
run.log({"val/predictions": table}, step=step)"""

_TEXTS = """run.log({"samples/story": model.generate(prompt)}, step=step)
run.log({"report": runstream.Text("## Epoch 3", markdown=True)}, step=step)"""


def no_runs(project: str) -> None:
    st.markdown("#### No runs yet")
    st.markdown("Log one from any Python process on this machine; it shows up here within seconds.")
    quoted = project.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") or "my-project"
    st.code(_FIRST_RUN.format(project=quoted), language="python")


def no_match(total: int) -> None:
    st.markdown(f"**No run matches the filter.** {total:,} runs are in this project; loosen or clear it.")


def failure(error: UiError | StorageError, *, retry: bool = True) -> None:
    """An error of the surroundings, with the command that mends it. Parts of a page ask again by themselves."""
    if isinstance(error, NoServer):
        st.markdown("#### Nothing to read from")
        st.markdown(in_markdown(error))
        st.code(f"runstream up --dir {error.directory}", language="shell")
        st.code("export RUNSTREAM_CLICKHOUSE=http://user:password@host:8123/runstream", language="shell")
    elif isinstance(error, Unreachable):
        st.markdown("#### The database does not answer")
        st.markdown(in_markdown(error))
        st.markdown("Check that the server runs and that `RUNSTREAM_CLICKHOUSE` names it, then try again.")
        st.code("runstream doctor", language="shell")
    else:
        st.error(in_markdown(error))
    if isinstance(error, NoServer | Unreachable):
        st.caption("This page asks again every few seconds and comes back by itself.")
        st.fragment(_until_it_answers, run_every=_ASK_AGAIN_S)(time.monotonic())
    if retry:
        st.button("Try again", icon=":material/refresh:", key="try-again")


def _until_it_answers(since: float) -> None:
    """Draws the page again once the database answers; what is drawn at `since` was told just now that it does not."""
    if time.monotonic() - since < _ASK_AGAIN_S / 2:
        return
    try:
        answers = data.client().ping()
    except (StorageError, UiError):
        return
    if answers:
        st.rerun("app")


def guarded(part: Callable[P, None]) -> Callable[P, None]:
    """`part` of a page, showing errors of the surroundings as messages instead of as a broken page."""

    @wraps(part)
    def shown(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            part(*args, **kwargs)
        except (StorageError, UiError) as error:
            failure(error, retry=False)

    return shown


def guarded_page(page: Callable[[], None]) -> Callable[[], None]:
    """As `guarded`, with a button to try again."""

    @wraps(page)
    def shown() -> None:
        try:
            page()
        except (StorageError, UiError) as error:
            failure(error)

    return shown


def no_points(project: str, run_ids: tuple[str, ...]) -> None:
    """Of runs without points, which may have logged other values: those are one click away."""
    st.markdown("No points yet. They show up here within seconds of the first `run.log(...)` of a number.")
    kinds = {(entry.name, entry.kind) for entry in values.media_series(project, run_ids)}
    names = {
        "Media": {name for name, kind in kinds if kind != "table"},
        "Histograms": {entry.name for entry in values.histogram_series(project, run_ids)},
        "Tables": {name for name, kind in kinds if kind == "table"},
        "Text": {entry.name for entry in values.text_series(project, run_ids)},
    }
    logged = {tab: len(found) for tab, found in names.items() if found}
    if not logged:
        return
    st.markdown("Other values were logged:")
    with st.container(horizontal=True, gap="small", key="logged-instead"):
        for tab, count in logged.items():
            label = f"{tab} · {formats.plural(count, 'name')}"
            st.button(label, key=f"to-{tab}", on_click=frame.open_tab, args=(tab,))


def no_media(tables: Sequence[str]) -> None:
    st.markdown("No media yet. Log pictures, sound, video, HTML, figures, points or files beside your metrics:")
    st.code(_MEDIA, language="python")
    if tables:
        st.markdown(f"{len(tables)} tables were logged; they are on the tab **Tables**.")


def no_histograms() -> None:
    st.markdown("No histograms yet. Log one, or let Runstream watch the weights and gradients of a model:")
    st.code(_HISTOGRAMS, language="python")


def no_tables() -> None:
    st.markdown("No tables yet. Log rows, a pandas, polars or Arrow table; cells may be pictures and sounds:")
    st.code(_TABLES, language="python")


def no_texts() -> None:
    st.markdown("No texts yet. Log strings beside your metrics; they are kept by step:")
    st.code(_TEXTS, language="python")


def no_console() -> None:
    st.markdown(
        "No console lines. What a run writes to stdout and stderr is kept by itself, unless it was switched off:"
    )
    st.code("export RUNSTREAM_CONSOLE=1", language="shell")


def no_samples() -> None:
    st.markdown(
        "No samples of the machine. CPU, memory, disks, network and GPUs are sampled by itself every few seconds, "
        "unless it was switched off:"
    )
    st.code("export RUNSTREAM_SYSTEM=1", language="shell")
