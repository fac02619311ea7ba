"""Artifacts: staged as they are now, resolved through the database, fetched and checked."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import runstream
from runstream.objects import object_key


def staged(run: runstream.Run, held: Any) -> list[tuple[dict[str, Any], dict[str, bytes]]]:
    found = []
    for event in held(run).of("ArtifactStaged"):
        directory = run.spool / event["stage"]  # type: ignore[operator]
        files = {file["path"]: (directory / file["path"]).read_bytes() for file in event["files"]}
        assert [len(data) for data in files.values()] == [file["size"] for file in event["files"]]
        found.append((event, files))
    return found


def test_a_file_is_kept_as_it_is_now(held: Any, tmp_path: Path) -> None:
    run = runstream.init()
    model = tmp_path / "model.bin"
    for content in (b"first", b"second version"):
        model.write_bytes(content)  # in place, as torch.save does
        logged = run.log_artifact(model, type="model", aliases=["best", "best"], metadata={"epoch": 1}, description="d")
        assert logged is not None
        assert (logged.name, logged.type, logged.size, logged.files) == (
            "model.bin",
            "model",
            len(content),
            ("model.bin",),
        )
    model.unlink()
    (first, files), (_, others) = staged(run, held)
    assert files == {"model.bin": b"first"}
    assert others == {"model.bin": b"second version"}
    assert (first["name"], first["artifact_type"], first["aliases"]) == ("model.bin", "model", ["best"])
    assert json.loads(first["metadata"]) == {"epoch": 1}


def test_a_directory_is_kept_with_its_tree(held: Any, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "ä.txt").write_bytes(b"1")
    (source / "sub" / "b").write_bytes(b"")
    (source / "link").symlink_to(source / "ä.txt")
    (source / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(source / "pipe")
    run = runstream.init()
    run.log_artifact(source, name="team/data")
    ((event, files),) = staged(run, held)
    assert event["name"] == "team/data"
    assert files == {"ä.txt": b"1", "link": b"1", "sub/b": b""}


def test_a_directory_that_holds_the_spool_is_kept_without_it(held: Any, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_bytes(b"code")
    run = runstream.init()
    run.log_artifact(tmp_path)
    assert staged(run, held)[0][1] == {"train.py": b"code"}


def test_a_copy_across_file_systems_is_whole(held: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.copy_file_range", fail)
    (tmp_path / "f").write_bytes(b"x" * 3_000_000)
    run = runstream.init()
    run.log_artifact(tmp_path / "f")
    assert staged(run, held)[0][1] == {"f": b"x" * 3_000_000}


@pytest.mark.parametrize(
    ("path", "arguments", "words"),
    [
        ("missing", {}, "no file or directory"),
        ("empty", {}, "0 files"),
        ("file", {"name": "a:b"}, "colon"),
        ("file", {"name": "a\nb"}, "control character"),
    ],
)
def test_what_cannot_be_kept_is_a_warning_and_leaves_nothing(
    held: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str, arguments: dict[str, Any], words: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"x")
    run = runstream.init()
    run.log({"a": 1})
    assert run.log_artifact(tmp_path / path, **arguments) is None
    assert words in caplog.text
    assert run.dropped == 1
    assert held(run).of("ArtifactStaged") == []
    assert [p.name for p in (run.spool / "files").rglob("*")] == []  # type: ignore[operator]


class Answers:
    """Answers as ClickHouse's HTTP interface, with one artifact."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, list[str]], str, dict[str, str]]] = []
        self.rows: list[dict[str, Any]] = []
        answers = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sql = self.rfile.read(int(self.headers["Content-Length"])).decode()
                answers.asked.append((parse_qs(urlsplit(self.path).query), sql, dict(self.headers)))
                body = json.dumps({"data": answers.rows}).encode()
                self.send_response(200 if answers.rows is not None else 500)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://reader:p%40ss@127.0.0.1:{self.server.server_address[1]}/mine"


@pytest.fixture
def answers() -> Iterator[Answers]:
    answers = Answers()
    thread = threading.Thread(target=answers.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield answers
    answers.server.shutdown()
    thread.join()
    answers.server.server_close()


def put(data_dir: Path, content: bytes) -> tuple[str, int]:
    digest = hashlib.sha256(content).hexdigest()
    path = data_dir / "objects" / object_key(digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return digest, len(content)


def version(files: dict[str, tuple[str, int]]) -> dict[str, Any]:
    return {
        "version": "v2",
        "digest": "d" * 64,
        "type": "model",
        "size": 3,
        "metadata": '{"epoch": 1}',
        "description": "",
        "aliases": ["best"],
        "tags": [],
        "deleted": 0,
        "run_id": "0" * 32,
        "run_name": "",
        "created_us": 1,
        "listed": [[path, digest, size, "x/y", ""] for path, (digest, size) in files.items()],
    }


def test_an_artifact_is_resolved_recorded_and_fetched(
    held: Any, data_dir: Path, tmp_path: Path, answers: Answers
) -> None:
    answers.rows = [version({"a.bin": put(data_dir, b"abc"), "sub/b": put(data_dir, b"")})]
    run = runstream.init(project="p", settings={"clickhouse": answers.url})
    used = run.use_artifact("model:best")
    assert (used.version, used.digest, used.metadata) == ("v2", "d" * 64, {"epoch": 1})
    target = used.download(tmp_path / "here")
    assert (target / "a.bin").read_bytes() == b"abc"
    assert (target / "sub" / "b").read_bytes() == b""
    assert [path.name for path in target.rglob(".*")] == []
    (event,) = held(run).of("ArtifactUsed")
    assert (event["name"], event["version"], event["digest"]) == ("model", "best", "d" * 64)
    ((query, sql, headers),) = answers.asked
    assert query["database"] == ["mine"]
    assert (query["param_project"], query["param_name"], query["param_version"]) == (["p"], ["model"], ["best"])
    assert "model" not in sql
    assert (headers["X-Clickhouse-User"], headers["X-Clickhouse-Key"]) == ("reader", "p@ss")


@pytest.mark.parametrize("name", ["", ":v1", "a\0b", "x" * 300, "a:b:c", "a:" + "v" * 200, None])
def test_a_name_that_cannot_be_used_is_a_warning(held: Any, caplog: pytest.LogCaptureFixture, name: Any) -> None:
    run = runstream.init()
    used = run.use_artifact(name)
    if name in ("a:b:c", None):  # no alias has a colon, but nothing breaks: it is not found
        assert held(run).of("ArtifactUsed")[0]["digest"] == ""
    else:
        assert "is not recorded" in caplog.text
        assert held(run).of("ArtifactUsed") == []
    with pytest.raises(runstream.ArtifactError):
        used.resolve()


def test_another_project_is_recorded_as_it_is_named(held: Any) -> None:
    run = runstream.init(project="mine")
    run.use_artifact("a/b:v1", project="theirs")
    run.use_artifact("a/b:v1", project="mine")
    run.use_artifact("a/b:v1")  # without a database nobody knows whether a is a project
    found = [(one["artifact_project"], one["name"]) for one in held(run).of("ArtifactUsed")]
    assert found == [("theirs", "a/b"), ("", "a/b"), ("", "a/b")]


def test_a_damaged_object_never_gets_its_name(data_dir: Path, tmp_path: Path, answers: Answers) -> None:
    digest, size = put(data_dir, b"abc")
    (data_dir / "objects" / object_key(digest)).write_bytes(b"abd")
    answers.rows = [version({"a.bin": (digest, size)})]
    run = runstream.init(settings={"clickhouse": answers.url})
    with pytest.raises(Exception, match=r"sha256|damaged|digest"):
        run.use_artifact("model").download(tmp_path / "here")
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize("path", ["../up", "/abs", "a/../../b", ""])
def test_a_path_out_of_the_directory_is_refused(data_dir: Path, tmp_path: Path, answers: Answers, path: str) -> None:
    answers.rows = [version({path: put(data_dir, b"abc")})]
    run = runstream.init(settings={"clickhouse": answers.url})
    with pytest.raises(runstream.ArtifactError, match="outside"):
        run.use_artifact("model").download(tmp_path / "here")


def test_an_unknown_artifact_is_recorded_as_asked_and_says_so_when_fetched(held: Any, answers: Answers) -> None:
    run = runstream.init(settings={"clickhouse": answers.url})
    used = run.use_artifact("model:v9")
    assert held(run).of("ArtifactUsed")[0]["digest"] == ""
    with pytest.raises(runstream.ArtifactError, match="no artifact model:v9"):
        used.download()


def test_without_a_database_use_is_recorded_and_fetching_says_what_to_do(held: Any) -> None:
    run = runstream.init()
    used = run.use_artifact("model")
    assert held(run).of("ArtifactUsed")[0]["version"] == "latest"
    with pytest.raises(runstream.ArtifactError, match="RUNSTREAM_CLICKHOUSE"):
        used.download()


def test_a_database_that_does_not_answer_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    run = runstream.init(settings={"clickhouse": "http://127.0.0.1:9/x"})
    used = run.use_artifact("model")
    assert "No answer from http://127.0.0.1:9" in caplog.text
    with pytest.raises(runstream.LookupFailed):
        used.resolve()


@pytest.mark.clickhouse
def test_the_real_views_answer_by_version_alias_and_digest(
    held: Any, database: str, data_dir: Path, tmp_path: Path
) -> None:
    from runstream_storage.connection import connect

    sums = [put(data_dir, content)[0] for content in (b"old", b"new")]
    client = connect(database)
    for number, sha256 in enumerate(sums):
        client.command(
            "INSERT INTO artifacts (project, name, digest, type, run_id, created_us, size, files, metadata, ver, keep) "
            f"VALUES ('p', 'model', '{sha256}', 'model', generateUUIDv7(), {number}, 3, "
            f"[('m.bin', '{sha256}', 3, 'x/y', '')], '{{\"number\": {number}}}', {number}, {100 - number})"
        )
    client.command(
        "INSERT INTO artifact_aliases (project, name, alias, digest, actor, ver, is_deleted) "
        f"VALUES ('p', 'model', 'best', '{sums[0]}', 'me', 1, 0)"
    )
    client.close()
    elsewhere = runstream.init(project="mine", settings={"clickhouse": database})
    for asked, project in [("p/model:best", None), ("model:v0", "p")]:
        used = elsewhere.use_artifact(asked, project=project)
        assert (used.project, used.name, used.digest) == ("p", "model", sums[0])
    assert [(one["artifact_project"], one["name"]) for one in held(elsewhere).of("ArtifactUsed")] == [
        ("p", "model")
    ] * 2
    elsewhere.register_model("p/model:best", "served", stage="production")
    assert {
        (one["artifact_project"], one["artifact"], one["digest"], one["action"])
        for one in held(elsewhere).of("ModelEdited")
    } == {("p", "model", sums[0], action) for action in ("register", "stage")}
    with pytest.raises(runstream.ArtifactError, match=r"no artifact p/net.*nor net in project 'p'"):
        elsewhere.use_artifact("p/net").resolve()
    assert runstream.artifact("p/model", settings={"clickhouse": database}).version == "v1"
    elsewhere.finish()
    run = runstream.init(project="p", settings={"clickhouse": database})
    for asked, number in [("model", 1), ("model:v0", 0), ("model:best", 0), (f"model:{sums[1]}", 1)]:
        used = run.use_artifact(asked)
        assert (used.version, used.digest, used.metadata) == (f"v{number}", sums[number], {"number": number})
        target = used.download(tmp_path / f"{number}")
        assert (target / "m.bin").read_bytes() == (b"old", b"new")[number]
    with pytest.raises(runstream.ArtifactError, match="no artifact"):
        run.use_artifact("model:v7").resolve()
