"""Text, histograms and media as runs show them."""

from typing import Any

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client

from runstream_storage import queries
from runstream_storage.queries.histograms import heat_map, thinned

from .conftest import START_US, Pen, version

pytestmark = pytest.mark.clickhouse


@pytest.fixture
def values(pen: Pen) -> "Values":
    return Values(pen)


class Values:
    """Writes values as ingest does."""

    def __init__(self, pen: Pen) -> None:
        self.pen = pen
        self.project = pen.project

    def _row(
        self, table: str, run_id: str, name: str, step: int, at: int, attempt: int, rank: int, **columns: Any
    ) -> None:
        at_us = START_US + at * 1_000
        self.pen.insert(
            table,
            project=self.project,
            run_id=run_id,
            name=name,
            rank=rank,
            step=step,
            ts_us=at_us,
            writer=attempt + 1,
            ver=version(at_us, attempt=attempt, writer=attempt + 1),
            **columns,
        )

    def text(
        self, run_id: str, step: int, text: str, *, name: str = "prompt", at: int = 0, attempt: int = 0, rank: int = 0
    ) -> None:
        self._row("text_series", run_id, name, step, at, attempt, rank, text=text, mime="text/plain")

    def media(
        self,
        run_id: str,
        step: int,
        caption: str,
        *,
        name: str = "samples",
        index: int = 0,
        at: int = 0,
        attempt: int = 0,
        rank: int = 0,
        kind: str = "image",
    ) -> None:
        self._row(
            "media",
            run_id,
            name,
            step,
            at,
            attempt,
            rank,
            idx=index,
            kind=kind,
            sha256="ab" * 32,
            size=7,
            mime="image/png",
            caption=caption,
            metadata='{"width": 2}',
        )

    def histogram(
        self,
        run_id: str,
        step: int,
        edges: list[float],
        counts: list[float],
        *,
        name: str = "weights",
        at: int = 0,
        attempt: int = 0,
        rank: int = 0,
        n_nan: int = 0,
    ) -> None:
        self._row("histograms", run_id, name, step, at, attempt, rank, edges=edges, counts=counts, n_nan=n_nan, n_inf=0)


def captions(client: Client, run_ids: list[str], **choice: Any) -> list[tuple[int, int, str]]:
    found = queries.media(client, "vision", run_ids, ["samples"], **choice)
    return [(run_ids.index(item.run_id), item.step, item.caption) for item in found]


def test_media_tell_what_became_of_their_bytes(client: Client, pen: Pen, values: Values) -> None:
    parent = pen.run(1)
    child = pen.run(2, forked_from=parent, fork_step=5)
    values.media(parent, 3, "x")
    sha256, asked = "ab" * 32, (client, "vision", [parent, child])

    def told() -> set[str]:
        shown = {item.state for item in queries.media(*asked, ["samples"])}
        in_view = {row[0] for row in client.query("SELECT state FROM v_media").result_rows}
        assert shown == in_view == {queries.media_states(*asked, [sha256])[sha256]}
        return shown

    assert told() == {"pending"}
    of_run = {"project": "vision", "run_id": parent, "sha256": sha256}
    pen.insert("media_contents", **of_run, state="lost", ts_us=1, ver=1)
    assert told() == {"lost"}
    pen.insert("media_contents", **of_run, state="stored", ts_us=2, ver=2)
    assert told() == {"stored"}
    assert queries.media_states(*asked, []) == {}


def test_a_run_shows_the_last_media_at_or_before_a_step(client: Client, pen: Pen, values: Values) -> None:
    runs = [pen.run(1), pen.run(2)]
    for step in (0, 10, 20):
        values.media(runs[0], step, f"a{step}")
    values.media(runs[1], 15, "b15")
    assert captions(client, runs, step=12) == [(0, 10, "a10")]
    assert captions(client, runs, step=15) == [(0, 10, "a10"), (1, 15, "b15")]
    assert captions(client, runs[::-1], step=15) == [(0, 15, "b15"), (1, 10, "a10")]
    assert captions(client, runs) == [(0, 20, "a20"), (1, 15, "b15")]
    assert captions(client, runs, step=15, exact=True) == [(1, 15, "b15")]
    assert queries.media_steps(client, "vision", runs, ["samples", "none"]) == {"samples": [0, 10, 15, 20], "none": []}


def test_an_item_has_all_that_was_logged(client: Client, pen: Pen, values: Values) -> None:
    run_id = pen.run(1)
    values.media(run_id, 3, "a caption", index=4, at=5)
    (item,) = queries.media(client, "vision", [run_id], [])
    assert (item.name, item.rank, item.step, item.index, item.kind, item.size) == ("samples", 0, 3, 4, "image", 7)
    assert (item.mime, item.metadata, item.key) == ("image/png", {"width": 2}, f"sha256/ab/{'ab' * 32}")


def test_a_shorter_list_at_the_same_step_replaces_a_longer_one(client: Client, pen: Pen, values: Values) -> None:
    run_id = pen.run(1)
    for index in range(3):
        values.media(run_id, 1, f"old{index}", index=index, at=index)
    for index in range(2):
        values.media(run_id, 1, f"new{index}", index=index, at=10 + index)
    assert [caption for _, _, caption in captions(client, [run_id])] == ["new0", "new1"]


def test_names_tell_kinds_and_counts(client: Client, pen: Pen, values: Values) -> None:
    runs = [pen.run(1), pen.run(2)]
    values.media(runs[0], 0, "", index=0)
    values.media(runs[0], 0, "", index=1)
    values.media(runs[1], 5, "", kind="table")
    values.media(runs[1], 5, "", name="clips", kind="video")
    found = [(n.name, n.kind, n.runs, n.steps, n.items) for n in queries.media_names(client, "vision", runs)]
    assert found == [("clips", "video", 1, 1, 1), ("samples", "image", 1, 1, 2), ("samples", "table", 1, 1, 1)]
    assert [n.name for n in queries.media_names(client, "vision", runs, kinds=["video"])] == ["clips"]


def test_a_rewind_hides_values_of_earlier_attempts_of_its_rank(client: Client, pen: Pen, values: Values) -> None:
    run_id = pen.run(1)
    for step in (1, 2, 3):
        for rank in (0, 1):
            values.text(run_id, step, f"old {rank}", rank=rank)
    pen.rewound(run_id, rank=0, attempt=1, step=2, writer=2)
    values.text(run_id, 3, "new", attempt=1, name="other", at=9)
    assert queries.text_steps(client, "vision", [run_id], ["prompt"], rank=0) == {"prompt": [1, 2]}
    assert queries.text_steps(client, "vision", [run_id], ["prompt"], rank=1) == {"prompt": [1, 2, 3]}
    assert queries.text_steps(client, "vision", [run_id], ["other"]) == {"other": [3]}


def test_a_rewind_of_a_later_attempt_than_a_version_can_tell_hides_nothing_new(
    client: Client, pen: Pen, values: Values
) -> None:
    run_id = pen.run(1)
    values.text(run_id, 5, "early", attempt=7)
    values.text(run_id, 9, "late", attempt=300)
    pen.rewound(run_id, rank=0, attempt=290, step=2, writer=2)
    assert queries.text_steps(client, "vision", [run_id], ["prompt"]) == {"prompt": [9]}
    assert client.query("SELECT text FROM v_text").result_rows == [("late",)]


def test_a_fork_shows_its_parents_values_up_to_its_step_and_its_own_instead(
    client: Client, pen: Pen, values: Values
) -> None:
    parent = pen.run(1)
    child = pen.run(2, forked_from=parent, fork_step=2)  # type: ignore[arg-type]
    for step in (1, 2, 3):
        values.text(parent, step, f"parent {step}")
    values.text(child, 2, "child 2")
    page = queries.text_page(client, "vision", child, "prompt")
    assert [(text.run_id, text.step, text.text) for text in page] == [(child, 1, "parent 1"), (child, 2, "child 2")]


def test_an_inherited_list_is_replaced_as_a_whole(client: Client, pen: Pen, values: Values) -> None:
    parent = pen.run(1)
    child = pen.run(2, forked_from=parent, fork_step=2)  # type: ignore[arg-type]
    for index in range(3):
        values.media(parent, 1, f"parent{index}", index=index)
    values.media(child, 1, "child0")
    assert [caption for _, _, caption in captions(client, [child])] == ["child0"]
    assert len(captions(client, [parent])) == 3


def test_deleted_runs_show_nothing_unless_asked(client: Client, pen: Pen, values: Values) -> None:
    run_id = pen.run(1)
    values.text(run_id, 1, "x")
    values.media(run_id, 1, "x")
    values.histogram(run_id, 1, [0, 1], [1])
    pen.attribute(run_id, "deleted")
    assert queries.texts(client, "vision", [run_id], []) == []
    assert queries.media_names(client, "vision", [run_id]) == []
    assert queries.heat_maps(client, "vision", run_id, ["weights"]) == {}
    assert len(queries.texts(client, "vision", [run_id], [], include_deleted=True)) == 1
    pen.attribute(run_id, "deleted", deleted=True, at_us=START_US + 1)
    assert len(queries.texts(client, "vision", [run_id], [])) == 1


def test_texts_are_paged_and_searched(client: Client, pen: Pen, values: Values) -> None:
    run_id = pen.run(1)
    for step in range(7):
        values.text(run_id, step, f"Größe {step}\x00'\\")
    assert [t.step for t in queries.text_page(client, "vision", run_id, "prompt", limit=3)] == [0, 1, 2]
    assert [t.step for t in queries.text_page(client, "vision", run_id, "prompt", limit=3, offset=6)] == [6]
    assert [t.step for t in queries.text_page(client, "vision", run_id, "prompt", newest_first=True, limit=2)] == [6, 5]
    assert [t.step for t in queries.text_page(client, "vision", run_id, "prompt", window=(2, 3))] == [2, 3]
    assert [t.step for t in queries.text_page(client, "vision", run_id, "prompt", contains="GRÖSSE 4")] == []
    assert [t.step for t in queries.text_page(client, "vision", run_id, "prompt", contains="gRÖße 4")] == [4]
    (text,) = queries.texts(client, "vision", [run_id], ["prompt"], step=4)
    assert text.text == "Größe 4\x00'\\"


def test_names_of_series_tell_their_reach(client: Client, pen: Pen, values: Values) -> None:
    runs = [pen.run(1), pen.run(2)]
    values.text(runs[0], -5, "")
    values.text(runs[1], 8, "")
    assert queries.text_names(client, "vision", runs) == [queries.SeriesName("prompt", 2, 2, -5, 8)]
    assert queries.histogram_names(client, "vision", runs) == []
    assert queries.text_names(client, "vision", []) == []


def test_a_step_written_twice_counts_once(client: Client, pen: Pen, values: Values) -> None:
    run_id = pen.run(1)
    values.histogram(run_id, 1, [0, 1], [1], at=0)
    values.histogram(run_id, 1, [0, 1], [1], at=0)
    values.histogram(run_id, 1, [0, 1], [3], at=1, n_nan=2)
    (found,) = queries.histograms(client, "vision", [run_id], ["weights"])
    assert (found.counts.tolist(), found.n_nan) == ([3.0], 2)


def test_many_histograms_are_thinned_evenly_and_keep_the_ends(client: Client, pen: Pen, values: Values) -> None:
    run_id = pen.run(1)
    for step in range(0, 100, 5):
        values.histogram(run_id, step, [0, 1, 2], [1, step])
    found = queries.histograms(client, "vision", [run_id], ["weights"], steps=5)
    assert [one.step for one in found] == [0, 25, 50, 70, 95]
    assert [one.step for one in queries.histograms(client, "vision", [run_id], ["weights"], window=(10, 20))] == [
        10,
        15,
        20,
    ]
    heat = queries.heat_maps(client, "vision", run_id, ["weights"], steps=5)["weights"]
    assert (heat.steps.tolist(), heat.of_steps) == ([0, 25, 50, 70, 95], 20)


def test_a_heat_map_keeps_the_mass_of_all_ranks(client: Client, pen: Pen, values: Values) -> None:
    run_id = pen.run(1)
    values.histogram(run_id, 0, [-1, 0, 1], [10, 20], n_nan=1)
    values.histogram(run_id, 0, [0, 4], [8], rank=1, n_nan=1)
    values.histogram(run_id, 1, [0, 1e-3, 2], [5, 7])
    heat = queries.heat_maps(client, "vision", run_id, ["weights"], bins=5)["weights"]
    assert heat.edges.tolist() == pytest.approx([-1, 0, 1, 2, 3, 4])
    assert heat.mass[0].tolist() == pytest.approx([10, 22, 2, 2, 2])
    assert heat.mass.sum(axis=1).tolist() == pytest.approx([38, 12])
    assert heat.n_nan.tolist() == [2, 0]
    narrow = queries.heat_maps(client, "vision", run_id, ["weights"], bins=2, bounds=(0, 2), rank=0)["weights"]
    assert narrow.below.tolist() == pytest.approx([10, 0])
    assert (narrow.mass.sum(axis=1) + narrow.below + narrow.above).tolist() == pytest.approx([30, 12])


@pytest.mark.parametrize(
    ("edges", "counts"),
    [
        ([-1.7e308, 0.0, 1.7e308], [1.0, 2.0]),
        ([1.0, 1.0000000000000002], [3.0]),
        ([0.0, 5e-324], [3.0]),
        ([0.0, 1.0, 2.0], [float("nan"), 3.0]),
    ],
)
def test_a_heat_map_of_extreme_edges_is_finite_and_whole(edges: list[float], counts: list[float]) -> None:
    from datetime import UTC, datetime

    one = queries.Histogram("r", "n", 0, 0, datetime.now(UTC), np.array(edges), np.array(counts), 0, 0)
    found = heat_map([one], 1, bins=7)
    assert np.all(np.isfinite(found.edges))
    assert np.all(np.diff(found.edges) > 0)
    assert found.mass.sum() == pytest.approx(3.0)


@pytest.mark.parametrize("most", [0, 1, 2, 3, 10, 99, 100, 1000])
def test_thinning_keeps_at_most_so_many_and_the_ends(most: int) -> None:
    found = thinned(range(100), most)
    assert len(found) == min(most, 100)
    assert found == sorted(set(found))
    if most:
        assert found[-1] == 99
    if most > 1:
        assert found[0] == 0
