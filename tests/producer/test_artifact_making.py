"""Artifacts as they are made: what is staged for the agent, and what is refused with a warning."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import runstream
from producer.wire import MemoryObjects, MemoryTransport, settings
from runstream import Artifact
from runstream.agent import Agent
from runstream.artifacts import ttl_s
from runstream.staging import MAX_FILES


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"one")
    (root / "sub" / "b.bin").write_bytes(b"three")
    return root


def shipped(data_dir: Path) -> tuple[MemoryTransport, MemoryObjects]:
    """What an agent sends of the spools of ended runs."""
    transport, objects = MemoryTransport(), MemoryObjects()
    agent = Agent(data_dir, transport, objects, settings(data_dir), stay=False, leave_after_s=0)
    asyncio.run(agent.run(asyncio.Event()))
    return transport, objects


def events_of(transport: MemoryTransport, kind: str) -> list[dict[str, Any]]:
    return [event for of, event in transport.control() if of == kind]


def test_files_trees_and_references_make_one_version(data_dir: Path, tree: Path) -> None:
    run = runstream.init()
    made = Artifact("digits", "dataset", description="ten of them", metadata={"rows": 10}, ttl="30d")
    made.add_file(tree / "a.txt", "readme.txt").add_dir(tree, "data").add_reference("gs://bucket/big/train.parquet")
    logged = run.log_artifact(made, aliases=["best"], tags=["clean", "clean"], metadata={"split": 1}, score=0.5)
    assert logged is not None
    assert logged.files == ("readme.txt", "data/a.txt", "data/sub/b.bin", "train.parquet")
    assert (logged.size, logged.type) == (11, "dataset")
    before = time.time()
    run.finish()
    transport, objects = shipped(data_dir)
    (event,) = events_of(transport, "ArtifactLogged")
    assert {file["path"]: (file["size"], file["ref"]) for file in event["files"]} == {
        "readme.txt": (3, ""),
        "data/a.txt": (3, ""),
        "data/sub/b.bin": (5, ""),
        "train.parquet": (0, "gs://bucket/big/train.parquet"),
    }
    assert len(objects.objects) == 2  # the same content is one object
    assert json.loads(event["metadata"]) == {"rows": 10, "split": 1}
    assert (event["description"], event["aliases"], event["tags"]) == ("ten of them", ["best"], ["clean"])
    assert abs(event["expires_us"] / 1e6 - before - 30 * 86_400) < 3600
    assert (event["score"], event["keep_best"], event["keep_goal"]) == (0.5, 0, "minimize")


def test_an_unchecked_reference_is_identified_by_its_address(data_dir: Path) -> None:
    run = runstream.init()
    for address in ("gs://bucket/one", "gs://bucket/two", "gs://bucket/one"):
        run.log_artifact(Artifact("a").add_reference(address, "x"))
    run.finish()
    digests = [event["digest"] for event in events_of(shipped(data_dir)[0], "ArtifactLogged")]
    assert digests[0] == digests[2] != digests[1]


def test_a_linked_file_shares_its_bytes_and_a_copy_does_not(tree: Path) -> None:
    run = runstream.init()
    for policy, name in (("link", "linked"), ("copy", "copied")):
        run.log_artifact(tree, name=name, policy=policy)
    inode = (tree / "a.txt").stat().st_ino
    assert run.spool is not None
    staged = [(run.spool / "files" / number / "a.txt").stat().st_ino for number in ("1", "2")]
    assert staged[0] == inode != staged[1]


def test_a_link_to_a_file_is_linked_as_the_file(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tree / "a.txt")
    run = runstream.init()
    run.log_artifact(Artifact("a").add_file(tmp_path / "link", policy="link"))
    assert run.spool is not None
    staged = run.spool / "files" / "1" / "link"
    assert not staged.is_symlink()
    assert staged.read_bytes() == b"one"


def test_files_that_cannot_be_kept_are_left_out_of_a_tree_and_named(
    held: Any, tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("aux.py", "A.TXT", "line\nbreak"):
        (tree / name).write_bytes(b"x")
    run = runstream.init()
    logged = run.log_artifact(tree)
    assert logged is not None
    assert logged.files == ("A.TXT", "a.txt", "aux.py", "sub/b.bin")
    assert "1 of 5 files" in caplog.text
    assert "control character" in caplog.text


@pytest.mark.parametrize(
    ("make", "arguments", "words"),
    [
        (lambda tree: Artifact("a:b").add_dir(tree), {}, "colon"),
        (lambda tree: Artifact("").add_dir(tree), {}, "empty"),
        (lambda tree: Artifact("a", type="").add_dir(tree), {}, "type"),
        (lambda tree: Artifact("a"), {}, "0 files"),
        (lambda tree: Artifact("a").add_file(tree), {}, "add_dir"),
        (lambda tree: Artifact("a").add_dir(tree / "a.txt"), {}, "add_file"),
        (lambda tree: Artifact("a").add_file(tree / "none"), {}, "no file or directory"),
        (lambda tree: Artifact("a").add_file(tree / "a.txt", "../up"), {}, "leaves its directory"),
        (lambda tree: Artifact("a").add_file(tree / "a.txt", "x").add_dir(tree, "x"), {}, "side by side"),
        (lambda tree: Artifact("a").add_dir(tree, policy="move"), {}, "neither copy nor link"),
        (lambda tree: Artifact("a").add_reference("ftp://x/y"), {}, "none of s3://"),
        (lambda tree: Artifact("a").add_reference("https://u:hunter2@x/y"), {}, "credentials"),
        (lambda tree: Artifact("a", ttl="soon").add_dir(tree), {}, "no time to live"),
        (lambda tree: Artifact("a", ttl=-1).add_dir(tree), {}, "no time to live"),
        (lambda tree: Artifact("a", metadata={"x": "y" * 70_000}).add_dir(tree), {}, "limit"),
        (lambda tree: tree, {"aliases": ["latest"]}, "always the newest"),
        (lambda tree: tree, {"aliases": "v1"}, "names a version"),
        (lambda tree: tree, {"tags": ["a\0b"]}, "control character"),
        (lambda tree: tree, {"keep_best": -1}, "keep_best"),
        (lambda tree: tree, {"goal": "more"}, "neither minimize nor maximize"),
        (lambda tree: tree, {"score": float("inf")}, "finite"),
        (lambda tree: tree, {"score": "best"}, "could not convert"),
        (lambda tree: tree, {"metadata": [1]}, "list"),
        (lambda tree: None, {}, "NoneType"),
        (lambda tree: 3, {}, "int"),
    ],
)
def test_what_cannot_be_logged_is_a_warning_and_leaves_nothing(
    held: Any, tree: Path, caplog: pytest.LogCaptureFixture, make: Any, arguments: dict[str, Any], words: str
) -> None:
    run = runstream.init()
    run.log({"a": 1})
    assert run.log_artifact(make(tree), **arguments) is None
    assert words in caplog.text
    assert "hunter2" not in caplog.text
    assert held(run).of("ArtifactStaged") == []
    assert list(run.spool.rglob("files/*")) == []  # type: ignore[union-attr]


def test_a_score_that_is_no_number_keeps_the_version_out_of_the_ranking(held: Any, tree: Path) -> None:
    run = runstream.init()
    run.log_artifact(tree, score=float("nan"), keep_best=3, goal="max")
    (event,) = held(run).of("ArtifactStaged")
    assert (event["score"], event["keep_best"], event["keep_goal"]) == (None, 3, "maximize")


def test_many_files_are_listed_beside_the_event(data_dir: Path, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for number in range(1500):
        (many / f"{number:06d}-{'x' * 200}.txt").touch()
    run = runstream.init()
    run.log_artifact(many)
    run.finish()
    (event,) = events_of(shipped(data_dir)[0], "ArtifactLogged")
    assert len(event["files"]) == 1500


def test_more_files_than_a_message_holds_are_refused_before_one_is_copied(
    tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = runstream.init()
    many = Artifact("a")
    for number in range(MAX_FILES + 1):
        many.add_reference(f"gs://b/{number}")
    assert run.log_artifact(many) is None
    assert str(MAX_FILES) in caplog.text
    long = Artifact("a")
    for number in range(8000):
        long.add_reference(f"gs://b/{number}/" + "x" * 900)
    assert run.log_artifact(long) is None
    assert "archive" in caplog.text


@pytest.mark.parametrize(
    ("ttl", "seconds"), [(90, 90), ("90", 90), ("1.5h", 5400), (" 2W ", 1_209_600), (timedelta(days=1), 86_400)]
)
def test_a_time_to_live_is_seconds_or_has_a_unit(ttl: Any, seconds: float) -> None:
    assert ttl_s(ttl) == seconds


def test_a_version_just_staged_is_registered_under_the_digest_that_it_gets(data_dir: Path, tree: Path) -> None:
    run = runstream.init()
    logged = run.log_artifact(tree, name="net", type="model")
    run.register_model(logged, "digits", aliases=["best"], stage="Staging", note="the first")
    run.finish()
    transport, _ = shipped(data_dir)
    (artifact,) = events_of(transport, "ArtifactLogged")
    events = events_of(transport, "ModelEdited")
    assert [(event["action"], event["value"]) for event in events] == [
        ("register", ""),
        ("alias", "best"),
        ("stage", "staging"),
    ]
    assert {(event["model"], event["artifact"], event["digest"]) for event in events} == {
        ("digits", "net", artifact["digest"])
    }
    assert events[0]["note"] == "the first"
    assert (data_dir / "refused").exists() is False


def test_a_version_whose_files_were_lost_is_not_registered(data_dir: Path, tree: Path) -> None:
    run = runstream.init()
    logged = run.log_artifact(tree, name="net")
    run.register_model(logged, "digits")
    assert run.spool is not None
    (run.spool / "files" / "1" / "a.txt").unlink()
    run.finish()
    transport, _ = shipped(data_dir)
    assert set(transport.kinds()) == {"RunStarted", "EventAwaited", "RunFinished"}
    lost = [event for event in events_of(transport, "EventAwaited") if event["lost"]]
    assert [(event["kind"], event["name"]) for event in lost] == [("ArtifactLogged", "net"), ("ModelEdited", "digits")]
    assert len(list((data_dir / "refused").iterdir())) == 2


def test_what_was_logged_before_a_rewind_is_registered_by_its_name(
    held: Any, tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = runstream.init()
    logged = run.log_artifact(tree, name="net")
    run.rewind(0)
    run.log({"a": 1})
    run.register_model(logged, "digits")
    assert "name:version" in caplog.text
    assert held(run).of("ModelEdited") == []


@pytest.mark.parametrize(
    ("artifact", "model", "words"),
    [(None, "m", "was not logged"), ("net:v0", "m", "RUNSTREAM_CLICKHOUSE"), ("net:v0", "m:x", "RUNSTREAM_CLICKHOUSE")],
)
def test_what_cannot_be_registered_is_a_warning(
    held: Any, caplog: pytest.LogCaptureFixture, artifact: Any, model: str, words: str
) -> None:
    run = runstream.init()
    run.log({"a": 1})
    run.register_model(artifact, model)
    assert words in caplog.text
    assert held(run).of("ModelEdited") == []


def test_a_disabled_run_makes_nothing(tree: Path, data_dir: Path) -> None:
    run = runstream.init(mode="disabled")
    run.register_model(run.log_artifact(Artifact("a").add_dir(tree)), "m")
    assert not data_dir.exists()
