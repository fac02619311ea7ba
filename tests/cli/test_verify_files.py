"""What `runstream verify` says of the files of artifacts and media."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import runstream
from cli.place import Place, objects_of
from runstream.objects import object_key, open_store
from runstream_storage.connection import connect
from runstream_storage.discovery import find_up


@pytest.fixture
def filled(embedded: Place, file: Callable[..., Path]) -> Place:
    """A run with two artifacts and a page, and a run with an artifact; no other project has their contents."""
    of = embedded.project
    with embedded.run("one") as run:
        run.log({"note": runstream.Html(f"<p>of {of}</p>")}, step=3)
        run.log_artifact(file(f"weights of {of}"), name="net", type="model")
        run.log_artifact(file(f"labels of {of}"), name="labels", type="dataset")
    with embedded.run("two") as run:
        run.log_artifact(file(f"other of {of}"), name="other")
    return embedded


def path_of(place: Place, content: str) -> Path:
    return objects_of(place)[hashlib.sha256(content.encode()).hexdigest()]


def problems(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["kind"], one["what"].partition(":")[0]) for one in found["problems"]]


def test_every_file_is_in_the_object_store(filled: Place) -> None:
    quick = filled.json("verify", "-p", filled.project)
    assert quick["objects"] == 0
    assert any("--objects" in note for note in quick["notes"])
    deep = filled.json("verify", "-p", filled.project, "--objects", "--deep")
    assert (deep["ok"], deep["objects"], deep["on_the_way_files"]) == (True, 4, 0)
    assert not any("--objects" in note for note in deep["notes"])
    assert "asked for 4 contents, each read to its end" in filled.command(
        "verify", "-p", filled.project, "--objects", "--deep"
    )
    assert filled.json("verify", "two", "-p", filled.project, "--objects")["objects"] == 1


def test_a_file_that_is_gone_from_the_store_is_found(filled: Place) -> None:
    path_of(filled, f"weights of {filled.project}").unlink()
    filled.json("verify", "-p", filled.project)
    found = filled.json("verify", "-p", filled.project, "--objects", code=1)
    (problem,) = found["problems"]
    assert problem["kind"] == "missing object"
    assert problem["what"].startswith("artifact net:v0, f.txt: sha256/")
    assert (problem["project"], problem["rows"]) == (filled.project, 1)
    assert filled.json("verify", "two", "-p", filled.project, "--objects")["ok"]
    assert "→ missing object: log the same content again" in filled.command(
        "verify", "one", "-p", filled.project, "--objects", code=1
    )


def test_other_bytes_of_the_same_length_are_found_by_a_deep_look(filled: Place) -> None:
    page = path_of(filled, f"<p>of {filled.project}</p>")
    labels = path_of(filled, f"labels of {filled.project}")
    for path, content in ((page, page.read_text().upper()), (labels, "short")):
        path.chmod(0o644)
        path.write_text(content)
    assert problems(filled.json("verify", "-p", filled.project, "--objects", code=1)) == [
        ("damaged object", "artifact labels")
    ]
    assert sorted(problems(filled.json("verify", "-p", filled.project, "--objects", "--deep", code=1))) == [
        ("damaged object", "artifact labels"),
        ("damaged object", "html note, step 3, rank 0"),
    ]


def test_what_is_lost_on_its_way_is_a_problem_and_what_is_on_its_way_is_none(embedded: Place) -> None:
    with embedded.run("one") as run:
        run.log({"loss": 1.0})
    running = find_up(embedded.settings.dir)
    assert running is not None
    client = connect(running.database_url)
    says = {"project": embedded.project, "run_id": run.id, "kind": "ArtifactLogged", "type": "model", "writer": 7}
    for number, state in enumerate(("pending", "lost")):
        row = {**says, "name": state, "ts_us": number, "files": 2, "size": 7, "state": state, "turn": number}
        row["reason"] = "its file is gone" if state == "lost" else ""
        client.insert("awaited", [list(row.values())], column_names=list(row))
    for sha256, state in (("a" * 64, "lost"), ("b" * 64, "")):
        row = {"project": embedded.project, "run_id": run.id, "name": "sample", "rank": 1, "step": 5, "idx": len(state)}
        row |= {"kind": "image", "sha256": sha256, "size": 9, "mime": "image/png", "ver": 1}
        client.insert("media", [list(row.values())], column_names=list(row))
        if state:
            row = {"project": embedded.project, "run_id": run.id, "sha256": sha256, "state": state, "ver": 2}
            client.insert("media_contents", [list(row.values())], column_names=list(row))
    for options in ((), ("--objects",)):
        found = embedded.json("verify", run.id, "-p", embedded.project, *options, code=1)
        assert sorted(problems(found)) == [
            ("lost file", "artifact lost"),
            ("lost file", "image sample, step 5, rank 1"),
        ]
        assert found["on_the_way_files"] == 3
    assert embedded.json("verify", "-p", embedded.project, "--topic", "metrics")["ok"]


def test_what_the_bucket_lost_is_found_and_comes_back_when_another_host_logs_it_again(
    full: Place, file: Callable[..., Path], bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with full.run("one") as run:
        run.log_artifact(file("weights"), name="net", type="model")
        run.log({"note": runstream.Html("<p>shown</p>")})
    deep = full.json("verify", "--objects", "--deep")
    assert (deep["ok"], deep["objects"]) == (True, 2)
    open_store(bucket).delete(object_key(hashlib.sha256(b"weights").hexdigest()))
    assert problems(full.json("verify", "--objects", code=1)) == [("missing object", "artifact net")]
    # An agent believes for some minutes what it saw in the store.
    monkeypatch.setenv("RUNSTREAM_DIR", str(tmp_path / "other-host"))
    with full.run("two") as run:
        run.log_artifact(file("weights"), name="net", type="model")
    assert full.json("verify", "--objects", "--deep")["objects"] == 2
