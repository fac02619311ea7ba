from __future__ import annotations

from runstream_storage.queries.results import ArtifactFile
from runstream_ui.file_tree import listing, matching

FILES = [
    ArtifactFile(path, "0" * 64, size, mime)
    for path, size, mime in (
        ("model.pt", 10, "application/octet-stream"),
        ("logs/a.txt", 1, "text/plain"),
        ("logs/deep/b.txt", 2, "text/plain"),
        ("logs/deep/c.png", 3, "image/png"),
        ("logs2/x", 4, ""),
    )
]


def test_a_directory_counts_all_that_is_below_it() -> None:
    root = listing(FILES)
    assert [(entry.name, entry.files, entry.size) for entry in root.directories] == [("logs", 3, 6), ("logs2", 1, 4)]
    assert [file.path for file in root.files] == ["model.pt"]


def test_a_directory_knows_the_way_back() -> None:
    deep = listing(FILES, "/logs/deep/")
    assert deep.parents == [("logs", "logs"), ("deep", "logs/deep")]
    assert [file.path for file in deep.files] == ["logs/deep/b.txt", "logs/deep/c.png"]


def test_a_link_to_a_directory_that_is_gone_leads_to_the_nearest_one_above_it() -> None:
    assert listing(FILES, "logs/gone/further").path == "logs"
    assert listing(FILES, "model.pt").path == ""
    assert listing([], "a/b").path == ""


def test_a_search_looks_in_paths_and_types_and_every_word_counts() -> None:
    assert [file.path for file in matching(FILES, "DEEP png")] == ["logs/deep/c.png"]
    assert [file.path for file in matching(FILES, "text/")] == ["logs/a.txt", "logs/deep/b.txt"]
