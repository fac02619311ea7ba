from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from runstream_storage.execution import ask, bound

pytestmark = pytest.mark.clickhouse


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        ["a", ""],
        ["01a0c450-6c00-7000-8000-000000000000", "val/loss"],
        ["','", "a','b"],
        ["it's", 'a "b"', "c\\", "\\'"],
        ["a\nb", "a\n", "\t", "\0"],
        ["é", "模型", "🙂"],
        ["[x]", "{p:String}", "%s", "a b", "-1"],
    ],
)
def test_a_list_of_texts_arrives_as_it_was_given(client: Client, texts: list[str]) -> None:
    assert ask(client, "SELECT {texts:Array(String)}", {"texts": texts}).result_rows == [(texts,)]


@pytest.mark.parametrize("value", [[1, 2], ["a", 1], [None], [["a"]], ("a",), "a"])
def test_what_is_no_list_of_texts_is_left_to_the_client(value: Any) -> None:
    assert bound({"value": value}) == {"value": value}
