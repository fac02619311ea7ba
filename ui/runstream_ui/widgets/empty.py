"""What a page says when there is nothing to show: the very next thing to type."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import streamlit as st

from runstream_storage.errors import StorageError, Unreachable
from runstream_ui.errors import NoServer, UiError
from runstream_ui.markup import in_markdown

P = ParamSpec("P")

_FIRST_RUN = """import runstream

with runstream.init(project="{project}", config={{"lr": 1e-3}}) as run:
    for step in range(1000):
        run.log({{"train/loss": 1 / (step + 1)}}, step=step)
"""


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
    if retry:
        st.button("Try again", icon=":material/refresh:", key="try-again")


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
