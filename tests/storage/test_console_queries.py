from datetime import timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from runstream_storage import queries
from runstream_storage.errors import QueryError
from runstream_storage.execution import moment
from runstream_storage.queries import ConsoleFilter

from .conftest import START_US, Pen, version

pytestmark = pytest.mark.clickhouse


def write(
    pen: Pen,
    run_id: str,
    texts: list[str],
    *,
    writer: int = 1,
    rank: int = 0,
    first: int = 0,
    stream: int = 1,
    start_us: int = START_US,
    period_us: int = 1_000,
    changed_us: int = 0,
    attempt: int = 0,
) -> None:
    columns = ("project", "run_id", "rank", "writer", "line", "ts_us", "stream", "text", "attempt", "ver")
    rows: list[list[Any]] = []
    for place, text in enumerate(texts):
        at = start_us + place * period_us
        ver = version(changed_us or at, attempt=attempt, writer=writer)
        rows.append([pen.project, run_id, rank, writer, first + place, at, stream, text, attempt, ver])
    pen.client.insert("console", rows, column_names=columns)


def texts(page: queries.ConsolePage) -> list[str]:
    return [line.text for line in page.lines]


def find(client: Client, run_id: str, search: str, **choice: Any) -> list[str]:
    chosen = ConsoleFilter(search=search, **choice)
    page = queries.console(client, "vision", run_id, filter=chosen, first=True)
    assert queries.console_count(client, "vision", run_id, filter=chosen) == len(page.lines)
    return texts(page)


def test_without_a_place_the_newest_lines_are_shown(client: Client, pen: Pen) -> None:
    run_id = pen.run(1)
    write(pen, run_id, [f"line {n}" for n in range(10)])
    page = queries.console(client, "vision", run_id, limit=3)
    assert (texts(page), page.more) == (["line 7", "line 8", "line 9"], True)
    assert queries.console(client, "vision", run_id, limit=10).more is False
    assert texts(queries.console(client, "vision", run_id, first=True, limit=2)) == ["line 0", "line 1"]


def test_pages_follow_each_other_in_both_directions(client: Client, pen: Pen) -> None:
    run_id = pen.run(1)
    write(pen, run_id, [f"line {n}" for n in range(10)])
    first = queries.console(client, "vision", run_id, first=True, limit=4)
    second = queries.console(client, "vision", run_id, after=first.lines[-1].place, limit=4)
    assert texts(second) == ["line 4", "line 5", "line 6", "line 7"]
    back = queries.console(client, "vision", run_id, before=second.lines[0].place, limit=3)
    assert (texts(back), back.more) == (["line 1", "line 2", "line 3"], True)
    last = queries.console(client, "vision", run_id, after=second.lines[-1].place, limit=4)
    assert (texts(last), last.more) == (["line 8", "line 9"], False)
    between = queries.console(client, "vision", run_id, after=first.lines[0].place, before=first.lines[3].place)
    assert texts(between) == ["line 1", "line 2"]


def test_lines_of_several_ranks_are_in_order_of_time(client: Client, pen: Pen) -> None:
    run_id = pen.run(1)
    write(pen, run_id, ["a0", "a1", "a2"], writer=9, rank=0)
    write(pen, run_id, ["b0", "b1", "b2"], writer=2, rank=1, start_us=START_US + 500, stream=2)
    everything = queries.console(client, "vision", run_id, first=True)
    assert texts(everything) == ["a0", "b0", "a1", "b1", "a2", "b2"]
    for place, line in enumerate(everything.lines):
        assert texts(queries.console(client, "vision", run_id, after=line.place)) == texts(everything)[place + 1 :]
        assert texts(queries.console(client, "vision", run_id, before=line.place)) == texts(everything)[:place]
    of_rank = queries.console(client, "vision", run_id, filter=ConsoleFilter(rank=1))
    assert next((line.text, line.stream, line.rank, line.line) for line in of_rank.lines) == ("b0", "stderr", 1, 0)
    assert texts(queries.console(client, "vision", run_id, filter=ConsoleFilter(stream="stdout"))) == ["a0", "a1", "a2"]
    assert texts(queries.console(client, "vision", run_id, filter=ConsoleFilter(writer=2))) == ["b0", "b1", "b2"]


def test_the_writers_of_a_console_are_told(client: Client, pen: Pen) -> None:
    run_id = pen.run(1)
    write(pen, run_id, ["a", "b"], writer=1)
    write(pen, run_id, ["c"], writer=2, attempt=1, stream=2, start_us=START_US + 7)
    found = queries.console_writers(client, "vision", run_id)
    assert [(one.writer, one.attempt, one.lines, one.errors) for one in found] == [(2, 1, 1, 1), (1, 0, 2, 0)]
    assert found[0].first_at == moment(START_US + 7)


def test_a_line_that_changed_is_shown_as_it_is_now(client: Client, pen: Pen) -> None:
    run_id = pen.run(1)
    write(pen, run_id, [" 10%|# loss"])
    write(pen, run_id, ["100%|##########"], changed_us=START_US + 9_000_000)
    write(pen, run_id, [" 10%|# loss"])
    assert texts(queries.console(client, "vision", run_id)) == ["100%|##########"]
    assert find(client, run_id, "loss") == []
    assert find(client, run_id, "loss", kind="words") == []


def test_the_newest_page_is_full_however_often_its_lines_changed(client: Client, pen: Pen) -> None:
    run_id = pen.run(1)
    write(pen, run_id, [f"line {n}" for n in range(10)])
    for change in range(1, 30):
        write(pen, run_id, [f"{change} %"], first=9, changed_us=START_US + change * 1_000_000)
    page = queries.console(client, "vision", run_id, limit=4)
    assert (texts(page), page.more) == (["line 6", "line 7", "line 8", "29 %"], True)


LINES = [
    "Epoch 1: loss=0.25",
    "loss is NaN at step 7",
    "WARNING: gloss 100% done_",
    "Größe ändert sich",
    "path C:\\data\\x",
    "",
    "a\x00b",
]


@pytest.mark.parametrize(
    ("search", "choice", "found"),
    [
        ("loss", {}, [0, 1, 2]),
        ("LOSS=", {}, [0]),
        ("LOSS", {"case": True}, []),
        ("NaN at", {"case": True}, [1]),
        ("nan at", {}, [1]),
        ("100%", {}, [2]),
        ("0% d", {}, [2]),
        ("done_", {}, [2]),
        ("doneX", {}, []),
        ("größe", {}, [3]),
        ("GRÖßE Ä", {}, [3]),
        ("Größe", {"case": True}, [3]),
        ("C:\\DATA\\", {}, [4]),
        ("a\x00b", {}, [6]),
        ("loss", {"kind": "words"}, [0, 1]),
        ("step LOSS", {"kind": "words"}, [1]),
        ("nan", {"kind": "words", "case": True}, []),
        ("NaN", {"kind": "words", "case": True}, [1]),
        ("Größe", {"kind": "words"}, [3]),
        ("=", {"kind": "words"}, [0]),
        (r"loss\W", {"kind": "regex"}, [0, 1, 2]),
        (r"^LOSS", {"kind": "regex"}, [1]),
        (r"^LOSS", {"kind": "regex", "case": True}, []),
        (r"\d+%", {"kind": "regex"}, [2]),
        ("' OR 1=1 --", {}, []),
    ],
)
def test_searches(client: Client, pen: Pen, search: str, choice: dict[str, Any], found: list[int]) -> None:
    run_id = pen.run(1)
    write(pen, run_id, LINES)
    assert find(client, run_id, search, **choice) == [LINES[place] for place in found]


def test_a_regular_expression_that_cannot_be_read_is_an_error(client: Client, pen: Pen) -> None:
    run_id = pen.run(1)
    write(pen, run_id, ["x"])
    with pytest.raises(QueryError):
        queries.console(client, "vision", run_id, filter=ConsoleFilter(search="(", kind="regex"))


def test_a_search_for_whole_words_reads_a_part_of_a_long_console(client: Client, pen: Pen) -> None:
    run_id = pen.run(1)
    write(pen, run_id, [f"step {n} token{n} fine" for n in range(20_000)])
    sql = (
        "EXPLAIN indexes = 1 SELECT line FROM console WHERE project = 'vision' AND lower(text) LIKE '% token777 fine%'"
    )
    explained = "\n".join(row[0] for row in client.query(sql).result_rows)
    assert "words" in explained
    assert find(client, run_id, " TOKEN777 fine") == ["step 777 token777 fine"]


def test_the_line_nearest_to_a_time(client: Client, pen: Pen) -> None:
    run_id = pen.run(1)
    write(pen, run_id, ["a", "b", "c"], period_us=1_000_000)
    write(pen, run_id, ["d"], writer=2, rank=1, start_us=START_US + 1_500_000)
    start = moment(START_US)

    def near(seconds: float, **choice: Any) -> str:
        at = start + timedelta(seconds=seconds)
        line = queries.console_near(client, "vision", run_id, at, filter=ConsoleFilter(**choice))
        return line.text if line else ""

    assert [near(seconds) for seconds in (-5, 0, 0.9, 1, 1.6, 99)] == ["a", "a", "a", "b", "d", "c"]
    assert near(1.6, rank=0) == "b"
    assert near(1.6, rank=7) == ""
    page = queries.console(client, "vision", run_id, after=start + timedelta(seconds=1), limit=2)
    assert texts(page) == ["b", "d"]


def test_a_deleted_run_has_no_console_unless_asked(client: Client, pen: Pen) -> None:
    run_id = pen.run(1)
    write(pen, run_id, ["secret"])
    pen.attribute(run_id, "deleted")
    assert queries.console(client, "vision", run_id).lines == []
    assert queries.console_count(client, "vision", run_id) == 0
    assert queries.console_writers(client, "vision", run_id) == []
    assert len(queries.console(client, "vision", run_id, include_deleted=True).lines) == 1
