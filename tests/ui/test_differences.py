from __future__ import annotations

from runstream_storage.queries.results import ArtifactFile
from runstream_ui.differences import counted, differing, differing_files, flat
from runstream_ui.side_by_side import pairs


def _file(path: str, content: str, size: int = 1) -> ArtifactFile:
    return ArtifactFile(path, content * 64, size, "")


def test_files_are_added_removed_changed_or_the_same() -> None:
    changes = differing_files(
        [_file("same", "a"), _file("old", "b", 5), _file("edited", "c", 10)],
        [_file("same", "a"), _file("new", "d", 7), _file("edited", "e", 12)],
    )
    assert {change.path: (change.how, change.growth) for change in changes} == {
        "edited": ("changed", 2),
        "new": ("added", 7),
        "old": ("removed", -5),
        "same": ("same", 0),
    }
    assert counted(changes) == {"added": 1, "removed": 1, "changed": 1, "same": 1}


def test_the_same_content_under_another_name_says_where_it_came_from() -> None:
    changes = differing_files([_file("a/model.pt", "a")], [_file("b/model.pt", "a"), _file("c/model.pt", "a")])
    assert [change.moved_from for change in changes if change.how == "added"] == ["a/model.pt", ""]


def test_nested_metadata_is_compared_leaf_by_leaf() -> None:
    before = flat({"acc": 0.5, "data": {"rows": 10, "tags": ["a", "b"]}, "empty": {}})
    after = flat({"acc": 0.6, "data": {"rows": 10, "tags": ["a"]}, "note": "ü"})
    assert {change.name: change.how for change in differing(before, after)} == {
        "acc": "changed",
        "data.rows": "same",
        "data.tags": "changed",
        "empty": "removed",
        "note": "added",
    }


def test_metadata_that_is_no_mapping_is_one_text() -> None:
    assert flat([1, 2], "x") == {"x": "[1, 2]"}
    assert flat({}) == {}


def test_lines_that_changed_stand_beside_each_other_and_long_equal_stretches_are_folded() -> None:
    same = [f"line {number}" for number in range(40)]
    rows = pairs("\n".join([*same, "old", "gone"]), "\n".join([*same, "new"]))
    assert [row.how for row in rows] == ["hidden", "same", "same", "same", "changed", "removed"]
    assert rows[0].hidden == 37
    assert rows[4].left == (41, "old")
    assert rows[4].right == (41, "new")


def test_equal_texts_are_one_fold_and_empty_ones_nothing() -> None:
    assert [row.how for row in pairs("a\nb\nc", "a\nb\nc")] == ["hidden"]
    assert pairs("", "") == []
