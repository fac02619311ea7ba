from __future__ import annotations

import hashlib
import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runstream.objects import object_key, open_store
from runstream_storage.queries.results import ArtifactFile, ArtifactVersion
from runstream_ui import archives, context
from runstream_ui.errors import NoSuchFile
from runstream_ui.settings import UiSettings

AT = datetime(2026, 11, 23, 12, 30, 4, tzinfo=UTC)


@pytest.fixture
def version(tmp_path: Path) -> ArtifactVersion:
    store = open_store(tmp_path.as_uri())
    context.configure(UiSettings(s3=tmp_path.as_uri(), dir=tmp_path))  # type: ignore[arg-type]
    files = []
    for path, content in (("a.txt", b"one"), ("dir/b.bin", bytes(3 << 20)), ("../../etc/x", b"two"), ("etc/x", b"3")):
        sha256 = hashlib.sha256(content).hexdigest()
        store.put_bytes(object_key(sha256), content)
        files.append(ArtifactFile(path, sha256, len(content), ""))
    files.append(ArtifactFile("far.bin", "0" * 64, 9, "", "s3://bucket/far.bin"))
    what = {"project": "p", "name": "a", "version": "v0", "digest": "d", "type": "model", "aliases": ()}
    run = {"run_id": "", "run_name": "", "created_at": AT, "size": 0, "n_files": 5, "metadata": {}, "description": ""}
    return ArtifactVersion(**what, **run, files=tuple(files))  # type: ignore[arg-type]


def _opened(version: ArtifactVersion, paths: list[str]) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join(archives.zipped(version, archives.chosen(version.files, paths)))))


def test_all_files_come_as_they_are_and_references_as_a_list(version: ArtifactVersion) -> None:
    archive = _opened(version, [])
    assert archive.testzip() is None
    assert archive.read("dir/b.bin") == bytes(3 << 20)
    assert archive.read("REFERENCES.txt") == b"far.bin\ts3://bucket/far.bin\n"


def test_unpacking_stays_where_it_is_and_loses_no_file(version: ArtifactVersion) -> None:
    archive = _opened(version, [])
    assert {archive.read("etc/x"), archive.read("etc/x.2")} == {b"two", b"3"}
    assert not [name for name in archive.namelist() if name.startswith("/") or ".." in name]


def test_chosen_files_and_directories_are_all_that_comes(version: ArtifactVersion) -> None:
    assert _opened(version, ["a.txt", "dir/"]).namelist() == ["a.txt", "dir/b.bin"]


def test_a_file_that_is_gone_leaves_no_archive_that_could_be_taken_for_whole(version: ArtifactVersion) -> None:
    missing = ArtifactFile("gone", "f" * 64, 1, "")
    pieces = []
    with pytest.raises(NoSuchFile):
        pieces.extend(archives.zipped(version, [version.files[0], missing]))
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
