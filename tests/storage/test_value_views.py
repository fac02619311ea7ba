"""What the views show of text, histograms, media and the rest: the same as the queries."""

from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from runstream_storage import queries

from .conftest import START_US, Pen, version
from .test_console_queries import write as write_lines
from .test_registry_queries import Registry
from .test_value_queries import Values

pytestmark = pytest.mark.clickhouse


def selected(client: Client, sql: str) -> list[Any]:
    return [row[0] if len(row) == 1 else tuple(row) for row in client.query(sql).result_rows]


@pytest.fixture
def moved(pen: Pen) -> tuple[str, str, str]:
    """An ordinary run; one that was rewound to step 2; and a fork of that, at step 3. All log steps 1 to 4."""
    values = Values(pen)
    plain, rewound = pen.run(1, name="plain"), pen.run(2, name="rewound")
    fork = pen.run(3, name="fork", forked_from=rewound, fork_step=3)  # type: ignore[arg-type]
    for run_id in (plain, rewound):
        for step in (1, 2, 3, 4):
            values.text(run_id, step, f"old {step}")
            values.histogram(run_id, step, [0, 1], [step])
            for index in range(2):
                values.media(run_id, step, f"old {step}", index=index, at=index)
    pen.rewound(rewound, rank=0, attempt=1, step=2, writer=2)
    values.text(rewound, 3, "new 3", attempt=1, at=50)
    values.histogram(rewound, 3, [0, 1], [30], attempt=1, at=50)
    values.media(rewound, 3, "new 3", attempt=1, at=50)
    values.text(fork, 1, "mine 1")
    values.histogram(fork, 1, [0, 1], [10])
    values.media(fork, 1, "mine 1")
    return plain, rewound, fork


EXPECTED = {
    "plain": ["old 1", "old 2", "old 3", "old 4"],
    "rewound": ["old 1", "old 2", "new 3"],
    "fork": ["mine 1", "old 2", "new 3"],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_views_hide_and_inherit_as_the_queries_do(
    client: Client, pen: Pen, moved: tuple[str, str, str], name: str
) -> None:
    run_id = moved[list(EXPECTED).index(name)]
    texts = selected(client, f"SELECT text FROM v_text WHERE project = 'vision' AND run_name = '{name}' ORDER BY step")
    assert texts == EXPECTED[name]
    assert texts == [text.text for text in queries.text_page(client, "vision", run_id, "prompt")]
    counts = selected(client, f"SELECT counts[1] FROM v_histograms WHERE run_id = '{run_id}' ORDER BY step")
    assert counts == [one.counts[0] for one in queries.histograms(client, "vision", [run_id], ["weights"])]
    media = selected(client, f"SELECT caption FROM v_media WHERE run_id = '{run_id}' AND idx = 0 ORDER BY step")
    assert media == EXPECTED[name]
    by_steps = [
        item.caption
        for step in range(1, 5)
        for item in queries.media(client, "vision", [run_id], ["samples"], step=step, exact=True)
    ]
    assert by_steps == selected(client, f"SELECT caption FROM v_media WHERE run_id = '{run_id}' ORDER BY step, idx")


def test_a_shorter_list_replaces_a_longer_one_in_the_view(client: Client, pen: Pen) -> None:
    values, run_id = Values(pen), pen.run(1)
    for index in range(3):
        values.media(run_id, 1, "old", index=index, at=index)
    values.media(run_id, 1, "new", at=10)
    assert selected(client, "SELECT caption FROM v_media") == ["new"]


def test_what_a_deleted_run_logged_is_in_no_view(client: Client, pen: Pen) -> None:
    values, registry, run_id = Values(pen), Registry(pen), pen.run(1)
    values.text(run_id, 1, "x")
    values.media(run_id, 1, "x")
    values.histogram(run_id, 1, [0, 1], [1])
    write_lines(pen, run_id, ["x"])
    pen.insert("system_points", project="vision", run_id=run_id, node="n", metric="m", ts_us=1, value=1.0, ver=1)
    registry.dataset(run_id, "d", "d1")
    registry.link(run_id, "net", "d1", "in")
    views = ("v_text", "v_media", "v_histograms", "v_console", "v_system", "v_datasets", "v_lineage")
    assert [selected(client, f"SELECT count() FROM {view}")[0] for view in views] == [1, 1, 1, 1, 1, 1, 2]
    pen.attribute(run_id, "deleted")
    assert [selected(client, f"SELECT count() FROM {view}")[0] for view in views] == [0] * 7
    pen.attribute(run_id, "deleted", deleted=True, at_us=START_US + 1)
    assert [selected(client, f"SELECT count() FROM {view}")[0] for view in views] == [1, 1, 1, 1, 1, 1, 2]


def test_the_console_view_has_the_last_state_of_a_line(client: Client, pen: Pen) -> None:
    run_id = pen.run(1)
    write_lines(pen, run_id, ["10%", "error"], stream=2)
    write_lines(pen, run_id, ["100%"], changed_us=START_US + 5_000_000)
    assert selected(client, "SELECT line, stream, text FROM v_console ORDER BY line") == [
        (0, "stdout", "100%"),
        (1, "stderr", "error"),
    ]


def test_lineage_has_versions_in_its_names(client: Client, pen: Pen) -> None:
    registry, run_id = Registry(pen), pen.run(1, name="trainer")
    registry.dataset(run_id, "images", "ds")
    registry.artifact(run_id, "net", "d0")
    registry.link(run_id, "ghost", "", "in", asked="best")
    found = selected(client, "SELECT from_kind, from_name, to_kind, to_name, to_id FROM v_lineage ORDER BY from_name")
    assert found == [
        ("artifact", "ghost:best", "run", "trainer", run_id),
        ("dataset", "images", "run", "trainer", run_id),
        ("run", "trainer", "artifact", "net:v0", "d0"),
    ]


def test_files_of_deleted_versions_are_left_out(client: Client, pen: Pen) -> None:
    registry, run_id = Registry(pen), pen.run(1)
    for number in range(2):
        registry.artifact(run_id, "net", f"d{number}", at=number, files=[("a/b", f"s{number}", 3)])
    registry.attribute("net", "d1", "deleted", at=5)
    assert selected(client, "SELECT version, path, sha256, size FROM v_artifact_files") == [("v0", "a/b", "s0", 3)]
    assert selected(client, "SELECT version, deleted FROM v_artifacts ORDER BY version") == [("v0", 0), ("v1", 1)]


def test_a_gap_has_the_reason_that_the_library_gave(client: Client, pen: Pen) -> None:
    run_id, writer = pen.run(1), 2**64 - 5
    pen.covered(run_id, 5, 8, writer=writer)
    pen.covered(run_id, 20, 30, writer=writer)
    pen.covered(run_id, 3, 5, writer=writer, stream="control")
    pen.attribute(run_id, f"gap:{writer:016x}:10", '{"end": 15, "reason": "the disk was full"}')
    found = selected(client, "SELECT stream, first_seq, last_seq, reason FROM v_gaps ORDER BY stream, first_seq")
    assert found == [("control", 0, 2, ""), ("metrics", 0, 4, ""), ("metrics", 8, 19, "the disk was full")]
    assert [(gap.stream, gap.first, gap.reason) for gap in queries.gaps(client, "vision")] == [
        ("control", 0, ""),
        ("metrics", 0, ""),
        ("metrics", 8, "the disk was full"),
    ]


def test_gaps_are_the_same_in_view_and_query(client: Client, pen: Pen) -> None:
    for number in range(3):
        run_id = pen.run(number)
        pen.covered(run_id, number, 8)
        pen.insert(
            "liveness",
            project="vision",
            run_id=run_id,
            writer=1,
            attempt=2,
            last_us=START_US,
            metric_seq=12,
            terminal=(version(START_US), "finished", 0, "", 12) if number else (0, "", 0, "", -1),
        )
    view = selected(client, "SELECT toString(run_id), first_seq, last_seq FROM v_gaps ORDER BY run_id DESC, first_seq")
    assert [(gap.run_id, gap.first, gap.last) for gap in queries.gaps(client, "vision")] == view
    assert {gap.attempt for gap in queries.gaps(client, "vision")} == {2}
