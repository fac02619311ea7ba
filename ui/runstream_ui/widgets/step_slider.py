"""Which step to look at: a slider over the steps that have something, one for all panels of a tab, kept in the URL."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import streamlit as st

from runstream_ui import formats, urls

# A slider of some hundred pixels cannot tell more apart; the buttons beside it reach every step.
_STOPS = 400
_PARAM = "at"


def step_slider(steps: Sequence[int], *, key: str) -> int | None:
    """The chosen one of `steps`, which rise; the newest while none was chosen. None without steps."""
    if not steps:
        return None
    place = _place(steps)
    if len(steps) == 1:
        st.html(f'<div class="rs-line">step <b>{formats.count(steps[0])}</b></div>')
        return steps[0]
    stops = sorted({*_stops(steps), steps[place]})
    st.session_state[f"{key}-slider"] = steps[place]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key=f"{key}-slider-row"):
        _move("Previous step", "chevron_left", steps, place - 1, key)
        st.select_slider(
            "Step",
            stops,
            key=f"{key}-slider",
            format_func=lambda step: formats.count(int(step)),
            label_visibility="collapsed",
            on_change=lambda: _choose(steps, int(st.session_state[f"{key}-slider"])),
            width=460,
        )
        _move("Next step", "chevron_right", steps, place + 1, key)
        newest = " · newest" if place == len(steps) - 1 else ""
        st.html(
            f'<div class="rs-line rs-at">step <b>{formats.count(steps[place])}</b> · '
            f"{formats.count(place + 1)} of {formats.count(len(steps))}{newest}</div>",
            width="content",
        )
    return steps[place]


def _place(steps: Sequence[int]) -> int:
    """Of the step in the URL, or the nearest one before it; the last while the URL names none."""
    try:
        return max(0, bisect_right(steps, int(urls.get(_PARAM)[:20])) - 1)
    except ValueError:
        return len(steps) - 1


def _choose(steps: Sequence[int], step: int) -> None:
    """The newest step is not kept in the URL: who looks at it wants to see the next one, too."""
    urls.put(_PARAM, "" if step == steps[-1] else str(step))


def _move(label: str, icon: str, steps: Sequence[int], place: int, key: str) -> None:
    there = 0 <= place < len(steps)
    st.button(
        f":material/{icon}:",
        key=f"{key}-{icon}",
        help=label,
        disabled=not there,
        on_click=lambda: _choose(steps, steps[place]),
        type="tertiary",
    )


def _stops(steps: Sequence[int]) -> Sequence[int]:
    if len(steps) <= _STOPS:
        return steps
    return [steps[round(place * (len(steps) - 1) / (_STOPS - 1))] for place in range(_STOPS)]
