"""Paths of an artifact's files: none leads out of its directory, and none means two files somewhere."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream.downloads import File, fetch
from runstream.errors import ArtifactError
from runstream.objects import open_store
from runstream.paths import clashes, refusal, refusal_of_windows

PARTS = st.one_of(
    st.sampled_from(
        ["..", ".", "", "CON", "nul.txt", "a", "A", "é", "e\u0301", "C:", "x ", "x.", "\\", "\0", "~", "ß", "SS"]
    ),
    st.text(max_size=6),
)
GOOD = st.lists(
    st.sampled_from(["a", "A", "b", "é", "e\u0301", "É", "ß", "SS", "ﬁ", "fi"]), min_size=1, max_size=3
).map("/".join)
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


@given(PATHS)
def test_a_path_that_is_taken_stays_below_its_directory_on_every_system(path: str) -> None:
    if refusal(path):
        return
    base = Path(tempfile.gettempdir(), "base")
    assert Path(os.path.normpath(base / path)).is_relative_to(base)
    assert os.path.normpath(base / path) != str(base)
    assert not PurePosixPath(path).is_absolute()
    assert not any(letter < " " for letter in path)
    if refusal_of_windows(path):
        return
    windows = PureWindowsPath(path)
    assert (windows.is_absolute(), windows.drive, windows.root) == (False, "", "")
    assert windows.parts == PurePosixPath(path).parts


@given(st.lists(GOOD, max_size=8))
def test_what_does_not_clash_is_as_many_files_where_case_does_not_count(paths: list[str]) -> None:
    bad = {path for path, _ in clashes(paths, folds_case=True)}
    kept = [path for number, path in enumerate(paths) if path not in bad and path not in paths[:number]]
    with tempfile.TemporaryDirectory() as base:
        for path in kept:
            place = Path(base, path.casefold())
            place.parent.mkdir(parents=True, exist_ok=True)
            place.open("x").close()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "empty"),
        ("\u202egnp.exe", "control character"),
        ("a\u2028b", "control character"),
        ("/etc/passwd", "absolute"),
        ("C:/x", "absolute"),
        ("c:x", "absolute"),
        ("../x", "leaves"),
        ("a/../../x", "leaves"),
        ("a//b", "empty part"),
        ("a/./b", "empty part"),
        ("a\\..\\b", "backslash"),
        ("a\nb", "control"),
        ("a\0", "control"),
        ("a\ud800", "no text"),
        ("x" * 256, "255"),
        ("x/" * 600 + "x", "1024"),
    ],
)
def test_a_path_is_refused_and_it_is_said_why(path: str, words: str) -> None:
    assert words in refusal(path)


@pytest.mark.parametrize("path", ["aux", "a/NUL.tar.gz", "com1 .txt", "LPT¹", "a./b", "a "])
def test_what_only_windows_cannot_write_is_kept_and_refused_there(path: str) -> None:
    assert refusal(path) == ""
    assert refusal_of_windows(path) != ""


@pytest.mark.parametrize(
    "path", ["a", "a/b.c", "ä/ö", "a b/c", "12:30:00.json", "epoch=1?.pt", ".hidden", "auxiliary", "...a"]
)
def test_usual_paths_are_taken(path: str) -> None:
    assert refusal(path) == ""


@pytest.mark.parametrize(
    "paths", [["a", "A"], ["a", "a/b"], ["a/b", "a"], ["é", "e\u0301"], ["d/x", "D/X"], ["a", "a"], ["a/b/c", "A/b"]]
)
def test_files_that_would_be_one_somewhere_clash(paths: list[str]) -> None:
    assert clashes(paths, folds_case=True) == [(paths[1], paths[0])]
    assert bool(clashes(paths, folds_case=False)) == (paths in (["a", "a/b"], ["a/b", "a"], ["a", "a"]))


@given(path=PATHS)
def test_a_download_writes_nothing_outside_of_its_directory(path: str) -> None:
    with tempfile.TemporaryDirectory() as base:
        store = open_store(Path(base, "objects").as_uri())
        sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        store.put_bytes(f"sha256/ba/{sha256}", b"abc")
        target = Path(base, "out", "here")
        try:
            fetch([File(path, sha256, 3)], target, store)
        except ArtifactError:
            written = []
        else:
            written = [target / path]
        found = [Path(root, name) for root, _, names in os.walk(base) for name in names]
        assert [one for one in found if not one.is_relative_to(Path(base, "objects"))] == written
