"""Colours: one for each run, the same on every page, and one for each state.

The categorical palette keeps at least 3:1 contrast against both the light and the dark page, has no red (red is for
failure alone) and neighbours that differ in lightness as well as hue, so that people who do not see red and green apart
can follow a curve. Beyond the palette, line patterns tell runs apart.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

RUN_COLOURS = (
    "#2b86d9",  # blue
    "#c77c02",  # amber
    "#15917a",  # green
    "#c660a2",  # pink
    "#7f8420",  # olive
    "#8a6fe0",  # violet
    "#b06c34",  # brown
    "#1b8fb0",  # cyan
    "#5c9331",  # leaf
    "#a45bc4",  # purple
    "#6f7f95",  # slate
)

DASHES = ("solid", "dashed", "dotted")

STATE_COLOURS = {
    "running": "#2b86d9",
    "finished": "#15917a",
    "failed": "#d93a3a",
    "killed": "#a8721b",
    "preempted": "#a8721b",
    "stale": "#8a7a1c",
    "lost": "#7b8794",
}


def run_colour(run_id: str) -> str:
    """The colour of a run: a pure function of its id, so that every page and every session agrees."""
    return RUN_COLOURS[zlib.crc32(run_id.encode()) % len(RUN_COLOURS)]


def state_colour(state: str) -> str:
    return STATE_COLOURS.get(state, "#7b8794")


def line_styles(run_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """(colour, dash) of each run of one chart: two runs that share a colour get different dashes.

    The dash follows the order of ids, not of selection, so that adding a run leaves the others as they were where
    it can.
    """
    seen: dict[str, int] = {}
    styles = {}
    for run_id in sorted(run_ids):
        colour = run_colour(run_id)
        styles[run_id] = (colour, DASHES[seen.get(colour, 0) % len(DASHES)])
        seen[colour] = seen.get(colour, 0) + 1
    return styles
