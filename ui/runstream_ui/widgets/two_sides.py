"""What stands on either side of a comparison: a run and a step each, kept in the URL."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from runstream_storage.queries.results import RunRow
from runstream_ui import formats, urls

_OFFERED = 2_000


@dataclass(frozen=True)
class Place:
    run_id: str
    step: int


def two_sides(
    runs: Sequence[RunRow], labels: dict[str, str], steps_of: Callable[[str], Sequence[int]], *, key: str
) -> tuple[Place | None, Place | None]:
    """Begins with the newest step of the first and of the last run; of a single run, with its last two steps. A side
    is None while its run has no step."""
    return _side("left", runs, labels, steps_of, key), _side("right", runs, labels, steps_of, key)


def _side(
    side: Literal["left", "right"],
    runs: Sequence[RunRow],
    labels: dict[str, str],
    steps_of: Callable[[str], Sequence[int]],
    key: str,
) -> Place | None:
    run_id = runs[-1].run_id if side == "right" else runs[0].run_id
    if len(runs) > 1:
        linked = urls.get(f"{side}-run")
        run_id = linked if linked in labels else run_id
        run_key = f"{key}-{side}-run"
        st.session_state[run_key] = run_id
        st.selectbox(
            f"Run on the {side}",
            list(labels),
            key=run_key,
            format_func=lambda run: formats.middle_cut(labels.get(str(run), str(run)), 30),
            width=230,
            on_change=lambda: urls.put(f"{side}-run", st.session_state[run_key]),
        )
    steps = steps_of(run_id)
    if not steps:
        return None
    first = steps[-2] if side == "left" and len(runs) == 1 and len(steps) > 1 else steps[-1]
    try:
        asked = int(urls.get(f"{side}-step")[:20])
        step = steps[max(0, bisect_right(steps, asked) - 1)]
    except ValueError:
        step = first
    step_key = f"{key}-{side}-step"
    st.session_state[step_key] = step
    offered = list(reversed(steps[-_OFFERED:]))
    st.selectbox(
        f"Step on the {side}",
        offered if step in offered else [step, *offered],
        key=step_key,
        format_func=lambda known: f"step {int(known):,}",
        width=170,
        on_change=lambda: urls.put(f"{side}-step", str(st.session_state[step_key])),
    )
    return Place(run_id, step)
