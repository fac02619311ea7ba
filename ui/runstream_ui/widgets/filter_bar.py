"""The filter: one line of text in the language of the command line, with names to complete it below."""

from __future__ import annotations

import streamlit as st

from runstream_storage.errors import FilterError
from runstream_ui import data, urls
from runstream_ui.formats import middle_cut
from runstream_ui.markup import in_html, in_markdown

KEY = "filter"
_SHOWN = 8


def filter_input() -> str:
    """The box; its text is in the URL and arrives while it is typed."""
    text = st.text_input(
        "Filter runs",
        key=KEY,
        placeholder='Filter: config.lr < 1e-3 and last(val/loss) < 0.2 or tags contains "baseline"',
        label_visibility="collapsed",
        icon=":material/filter_alt:",
        live="400ms",
        bind="query-params",
        on_change=lambda: urls.put("page", ""),
    )
    return (text or "").strip()


def offer_completions(project: str, text: str) -> None:
    """Buttons that finish the word at the end of the filter."""
    if not text:
        return
    completion = data.completions(project, text)
    word = text[completion.start : completion.end]
    terms = [term for term in completion.suggestions if term != word][:_SHOWN]
    if not word or not terms:
        return

    def take(term: str) -> None:
        st.session_state[KEY] = text[: completion.start] + term + text[completion.end :]

    with st.container(horizontal=True, gap="xsmall", key="completions"):
        for term in terms:
            st.button(
                in_markdown(middle_cut(term, 40)),
                key=f"complete:{term}",
                type="tertiary",
                help=in_markdown(term) if len(term) > 40 else None,
                on_click=take,
                args=(term,),
            )


def show_error(error: FilterError) -> None:
    """The text with a caret under the place that is wrong, and how to put it right."""
    st.html(f'<div class="rs-wrong" role="alert"><pre>{in_html(error)}</pre></div>')
