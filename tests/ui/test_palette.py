from __future__ import annotations

import uuid

import pytest

from runstream_ui.palette import RUN_COLOURS, STATE_COLOURS, line_styles, run_colour


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("background", ["#ffffff", "#0f1419"])
@pytest.mark.parametrize("colour", [*RUN_COLOURS, *STATE_COLOURS.values()])
def test_every_colour_stands_out_from_the_light_and_the_dark_page(colour: str, background: str) -> None:
    assert _contrast(colour, background) >= 3.0


def test_a_run_has_the_same_colour_wherever_it_is_asked_for() -> None:
    run_id = "0193f1a2-7c3e-7abc-8def-0123456789ab"
    assert run_colour(run_id) == run_colour(run_id) == line_styles([run_id])[run_id][0]


def test_red_is_for_failure_alone() -> None:
    assert STATE_COLOURS["failed"] not in RUN_COLOURS
    assert [state for state, colour in STATE_COLOURS.items() if colour == STATE_COLOURS["failed"]] == ["failed"]


def test_up_to_three_runs_that_share_a_colour_differ_in_their_dashes() -> None:
    run_ids = [str(uuid.UUID(int=number)) for number in range(24)]
    by_colour: dict[str, list[str]] = {}
    for colour, dash in line_styles(run_ids).values():
        by_colour.setdefault(colour, []).append(dash)
    assert max(map(len, by_colour.values())) >= 3
    assert all(len(set(dashes[:3])) == len(dashes[:3]) for dashes in by_colour.values())
