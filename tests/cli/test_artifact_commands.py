"""Artifacts, models and gc from the command line, over `runstream up` and over Kafka, ClickHouse and S3."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import runstream
from cli.place import WAIT_S, Place, age, objects_of
from runstream import models
from runstream.edits import Editor
from runstream.settings import Settings
from runstream_storage.discovery import find_up

LOG_SAME = """
import sys, pathlib, runstream
with runstream.init(project=sys.argv[1], name=sys.argv[3]) as run:
    print("ready", flush=True)
    sys.stdin.readline()
    run.log_artifact(sys.argv[2], name="same", aliases=[sys.argv[3]])
    assert run.wait("clickhouse", timeout=60)
"""


def test_what_is_put_is_listed_shown_fetched_edited_deleted_and_restored(embedded: Place, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "a.txt").write_text("one")
    (tree / "sub" / "b.json").write_text("{}")
    put = embedded.json("artifacts", "put", str(tree), "-n", "labels", "-t", "dataset", "-a", "good", "--tag", "raw")
    assert (put["version"], put["files"], put["queryable"]) == ("v0", 2, True)
    (tree / "a.txt").write_text("two")
    assert embedded.json("artifacts", "put", str(tree), "-n", "labels", "--ttl", "30d")["version"] == "v1"
    assert embedded.versions("labels") == [("v1", ["latest"]), ("v0", ["good"])]
    assert "labels" in embedded.command("artifacts", "ls")

    shown = embedded.json("artifacts", "show", "labels:good")
    assert (shown["tags"], shown["type"], shown["made by"]) == (["raw"], "dataset", [])
    assert [file["path"] for file in shown["files"]] == ["a.txt", "sub/b.json"]
    got = embedded.json("artifacts", "get", "labels:v0", str(tmp_path / "out"), "--only", "*.txt")
    assert (got["files"], (tmp_path / "out" / "a.txt").read_text()) == (1, "one")
    assert not (tmp_path / "out" / "sub").exists()

    embedded.command("artifacts", "tag", "labels:v0", "checked", "fine")
    embedded.command("artifacts", "tag", "labels:v0", "raw", "--remove")
    embedded.command("artifacts", "alias", "labels", "good", "new")
    assert embedded.versions("labels") == [("v1", ["good", "latest", "new"]), ("v0", [])]
    assert embedded.json("artifacts", "show", "labels:v0")["tags"] == ["checked", "fine"]
    embedded.command("artifacts", "alias", "labels", "new", "--remove")
    assert "always the newest" in embedded.command("artifacts", "alias", "labels:v0", "latest", code=2)

    embedded.command("artifacts", "rm", "labels:v1", "--reason", "wrong")
    assert embedded.versions("labels") == [("v0", ["latest"])]
    assert "artifacts restore labels:good" in embedded.command("artifacts", "get", "labels:good", code=1)
    assert [version for version, _ in embedded.versions("labels", "--deleted")] == ["v1", "v0"]
    embedded.command("artifacts", "restore", "labels:v1")
    assert embedded.versions("labels") == [("v1", ["good", "latest"]), ("v0", [])]
    assert "no artifact" in embedded.command("artifacts", "show", "labels:v9", code=1)


def test_a_model_is_registered_promoted_approved_and_has_a_history(embedded: Place, file: Callable[..., Path]) -> None:
    for number in range(2):
        embedded.command("artifacts", "put", str(file(f"w{number}")), "-n", "weights")
    embedded.command("models", "register", "weights:v0", "net", "--alias", "champion", "--note", "first")
    embedded.command("models", "register", "weights", "net", "--stage", "staging")
    embedded.command("models", "promote", "net:v1", "production", "--note", "it won", "--actor", "ann")
    embedded.command("models", "approve", "net:champion", "--note", "looks good", "--actor", "ben")
    embedded.command("models", "reject", "net@staging")
    embedded.command("models", "alias", "net:v2", "champion")
    found = {one["version"]: one for one in embedded.json("models", "show", "net")}
    assert [found[one]["stage"] for one in ("v1", "v2")] == ["production", "staging"]
    assert [found[one]["verdict"] for one in ("v1", "v2")] == ["approved", "rejected"]
    assert [found[one]["aliases"] for one in ("v1", "v2")] == [[], ["champion"]]
    (model,) = embedded.json("models", "ls")
    assert (model["versions"], model["latest"]) == (2, "v2")
    history = embedded.json("models", "history", "net")
    assert [(one["action"], one["version"]) for one in history] == [
        ("register", "v1"),
        ("alias", "v1"),
        ("register", "v2"),
        ("stage", "v2"),
        ("stage", "v1"),
        ("approve", "v1"),
        ("reject", "v2"),
        ("alias", "v2"),
    ]
    assert (history[4]["actor"], history[4]["note"]) == ("ann", "it won")
    assert "no model" in embedded.command("models", "promote", "net:v9", "staging", code=1)
    assert "word of a-z" in embedded.command("models", "promote", "net:v1", "no stage!", code=2)
    assert runstream.models.get("net:champion", project=embedded.project).version == "v2"


def test_lineage_goes_through_three_runs(embedded: Place, file: Callable[..., Path], tmp_path: Path) -> None:
    with embedded.run("prepare") as run:
        run.log_artifact(file("data"), name="data", type="dataset")
    with embedded.run("train") as run:
        run.use_artifact("data:latest")
        run.register_model(run.log_artifact(file("weights"), name="weights", type="model"), "net")
    with embedded.run("evaluate") as run:
        weights = run.use_artifact("weights:v0")
        assert (weights.download(tmp_path / "w") / "f.txt").read_text() == "weights"
        run.log_artifact(file("report"), name="report")
    graph = embedded.json("artifacts", "lineage", "weights")
    names = {(node["key"]["kind"], node["name"]) for node in graph["nodes"]}
    assert names == {
        ("artifact", "data"),
        ("artifact", "weights"),
        ("artifact", "report"),
        ("run", "prepare"),
        ("run", "train"),
        ("run", "evaluate"),
        ("model", "net"),
    }
    assert len(graph["edges"]) == 6
    text = embedded.command("artifacts", "lineage", "report", "--down", "0")
    assert text.index("evaluate") < text.index("weights") < text.index("train") < text.index("data")
    of_run = embedded.json("artifacts", "lineage", run.id, "--up", "1", "--down", "0")
    assert {node["name"] for node in of_run["nodes"]} == {"evaluate", "weights"}
    read = runstream.artifact(f"{embedded.project}/data")
    assert [link.name for link in read.logged_by()] == ["prepare"]
    assert [(link.name, link.asked) for link in read.used_by()] == [("train", "latest")]


def test_a_run_reads_an_artifact_of_another_project(embedded: Place, file: Callable[..., Path], tmp_path: Path) -> None:
    with embedded.run("maker") as run:
        run.log_artifact(file("weights"), name="net/base", type="model", aliases=["best"])
    home = embedded.project
    other = Place(embedded.environment, f"{home}-other")
    with other.run("reader") as run:
        used = run.use_artifact(f"{home}/net/base:best")
        assert (used.download(tmp_path / "w") / "f.txt").read_text() == "weights"
        assert (used.project, used.name, used.version) == (home, "net/base", "v0")
        run.log_artifact(file("tuned"), name="tuned")
        run.register_model(used, "net", stage="staging")
    got = other.json("artifacts", "get", f"{home}/net/base", str(tmp_path / "cli"))
    assert (got["name"], got["version"], got["files"]) == ("net/base", "v0", 1)
    assert other.json("artifacts", "ls", f"{home}/net/base")[0]["project"] == home
    assert "no artifact" in other.command("artifacts", "get", f"{home}/net", code=1)
    other.command("models", "register", f"{home}/net/base:best", "second", "--alias", "champion")
    other.command("models", "promote", "net", "production")
    (version,) = other.json("models", "show", "net")
    assert (version["project"], version["artifact_project"], version["artifact"], version["artifact_version"]) == (
        *(other.project, home, "net/base"),
        "v0",
    )
    assert (version["stage"], version["run_name"]) == ("production", "maker")
    found = models.get("second:champion", project=other.project, settings=other.settings)
    assert (found.download(tmp_path / "model") / "f.txt").read_text() == "weights"
    assert [one["name"] for one in other.json("models", "ls")] == ["net", "second"]
    assert embedded.json("models", "ls") == []
    graph = other.json("artifacts", "lineage", "tuned")
    names = {(node["key"]["project"], node["name"]) for node in graph["nodes"] if node["key"]["kind"] != "model"}
    assert names == {(home, "maker"), (home, "net/base"), (other.project, "reader"), (other.project, "tuned")}
    assert f"model (production) {other.project}/net:v1" in embedded.command("artifacts", "lineage", "net/base")
    assert f"artifact (model) {home}/net/base:v0" in other.command("artifacts", "lineage", "tuned")
    shown = embedded.json("artifacts", "show", "net/base")
    assert shown["used by"] == [run.id]
    assert f"{other.project}/reader" in embedded.command("artifacts", "show", "net/base")
    assert f"{home}/net/base:v0" in other.command("reproduce", run.id)


def test_the_same_content_from_two_processes_at_once_is_one_version(embedded: Place, file: Callable[..., Path]) -> None:
    path = file("same content" * 1000)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", LOG_SAME, embedded.project, str(path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.communicate("go\n", timeout=120)
        assert process.returncode == 0
    assert embedded.versions("same") == [("v0", ["latest", "one", "two"])]
    assert {link.name for link in runstream.artifact(f"{embedded.project}/same").logged_by()} == {"one", "two"}


def test_runs_are_edited_from_outside(embedded: Place) -> None:
    with embedded.run("first") as run:
        run.log({"loss": 1.0})
    editor = Editor(embedded.settings, "ann@pages")
    changed = editor.edit_runs(embedded.project, [run.id], {"name": "renamed", "tag:good": True, "notes": "why"})
    assert changed.wait(WAIT_S)
    shown = embedded.json("runs", "show", run.id)
    assert (shown["name"], shown["tags"], shown["notes"], shown["state"]) == ("renamed", "good", "why", "finished")
    assert shown["attempts"] == 1
    assert editor.edit_runs(embedded.project, [run.id], {"deleted": True}).wait(WAIT_S)
    embedded.command("runs", "show", run.id, code=1)
    assert editor.edit_runs(embedded.project, [run.id], {"deleted": None}).wait(WAIT_S)
    assert embedded.json("runs", "show", run.id)["name"] == "renamed"
    assert editor.wait(WAIT_S)
    assert list(embedded.settings.spool_dir.glob("*/*/editor")) == []


def test_a_collection_keeps_what_is_used_and_removes_the_rest(embedded: Place, file: Callable[..., Path]) -> None:
    shared, own = file("shared content", "shared"), file("own content", "own")
    for name, path in (("a", shared), ("b", shared), ("c", own)):
        embedded.command("artifacts", "put", str(path), "-n", name)
    with embedded.run("media") as run:
        run.log({"note": runstream.File(file("logged with the run"))}, step=1)
    orphan = embedded.settings.dir / "objects" / "sha256" / "aa" / ("aa" + "0" * 62)
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.write_bytes(b"nobody names me")
    before = set(objects_of(embedded))

    embedded.command("artifacts", "rm", "a", "c")
    assert Editor(embedded.settings).edit_runs(embedded.project, [run.id], {"deleted": True}).wait(WAIT_S)
    dry = embedded.json("gc", "--grace", "0")
    assert {kind: of["objects"] for kind, of in dry["objects"]["removable"].items()} == {
        "artifact": 1,  # the content of b's file stays
        "media": 1,
        "unnamed": 1,
    }
    assert dry["objects"]["total"]["bytes"] == len("own content") + len("logged with the run") + len("nobody names me")
    assert set(objects_of(embedded)) == before
    # Deleted a moment ago, and made a moment ago: both are spared for a day.
    assert embedded.json("gc", "--apply")["objects"]["total"]["objects"] == 0
    assert "--force" in embedded.command("gc", "--apply", "--grace", "10m", code=1)
    age(embedded)
    young = embedded.json("gc")["objects"]
    assert young["removable"]["unnamed"]["objects"] == 1
    assert young["total"]["objects"] == 1

    done = embedded.json("gc", "--apply", "--grace", "0", "--force")
    assert done["objects"]["total"]["objects"] == 3
    assert not orphan.exists()
    assert len(before) - len(objects_of(embedded)) == 3
    assert embedded.json("gc", "--grace", "0")["objects"]["total"]["objects"] == 0
    assert "gone from the object store" in embedded.command("artifacts", "restore", "c:v0", code=1)
    embedded.command("artifacts", "restore", "a:v0")
    got = embedded.json("artifacts", "get", "a", str(file("").parent / "out"))
    assert got["files"] == 1


def test_versions_expire_and_only_the_best_are_kept(embedded: Place, file: Callable[..., Path]) -> None:
    with embedded.run("train") as run:
        for number, score in enumerate([0.9, 0.1, 0.5, 0.2, 0.8]):
            aliases = ["first"] if number == 0 else []
            run.log_artifact(file(f"w{number}"), name="w", score=score, keep_best=2, aliases=aliases)
        run.log_artifact(file("short"), name="short", ttl=1)
        run.log_artifact(file("long"), name="long", ttl="1d")

    def due() -> dict[tuple[str, str], str]:
        found = embedded.json("gc", "--project", embedded.project)["versions"]
        return {(one["name"], one["version"]): one["reason"] for one in found}

    deadline = time.monotonic() + WAIT_S
    while ("short", "v0") not in due() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert due() == {("w", "v2"): "not among the best", ("short", "v0"): "expired"}
    assert len(embedded.versions("w")) == 5
    embedded.command("gc", "--apply", "-p", embedded.project)
    assert [version for version, _ in embedded.versions("w")] == ["v4", "v3", "v1", "v0"]
    assert embedded.json("artifacts", "ls", "short", "--project", embedded.project) == []
    embedded.command("artifacts", "restore", "w:v2")
    assert len(embedded.versions("w")) == 5


def test_what_waits_in_a_spool_is_not_collected(embedded: Place, tmp_path: Path, file: Callable[..., Path]) -> None:
    from runstream.agent.deposits import hashed
    from runstream.objects import object_key
    from runstream_deploy.operations.collection import staged_contents

    path = file("it was uploaded, and its event is not written yet")
    waiting = Settings.from_env({"RUNSTREAM_DIR": str(tmp_path / "waiting"), "RUNSTREAM_MODE": "offline"})
    run = runstream.init(project=embedded.project, settings=waiting)
    run.log_artifact(path, name="waiting")
    run.finish()
    content = hashed(path)
    assert content.sha256 in staged_contents([waiting.spool_dir])
    stored = embedded.settings.dir / "objects" / object_key(content.sha256)
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_bytes(path.read_bytes())
    database = find_up(embedded.settings.dir)
    assert database is not None
    arguments = ["--clickhouse", database.sql_url, "--dir", str(waiting.dir)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNSTREAM_S3", (embedded.settings.dir / "objects").as_uri())
        found = embedded.json("gc", "--apply", "--grace", "0", "--force", "-p", embedded.project, *arguments)
    assert found["objects"]["staged"]["objects"] == 1
    assert stored.exists()


def test_the_examples_of_the_page_run_one_after_the_other(
    embedded: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "artifacts.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 5
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNSTREAM_PROJECT", "digits")
    Path("model.pt").write_bytes(b"weights")
    Path("labels.csv").write_text("0\n1\n")
    Path("data").mkdir()
    Path("data", "one.png").write_bytes(b"pixels")
    names: dict[str, Any] = {}
    for block in blocks[:2]:
        exec(block, names)
    names |= {"run_a": names["run"].id, "run_b": names["run"].id, "digest": names["model"].digest}
    for block in blocks[2:]:
        exec(block, names)
    runstream.finish()
    assert (tmp_path / "serving" / "model.pt").read_bytes() == b"weights"
    assert sorted(path.name for path in names["directory"].iterdir()) == ["labels.csv"]


def test_a_span_of_time_that_is_none_is_a_usage_error(embedded: Place) -> None:
    assert "--grace" in embedded.command("gc", "--grace", "soon", code=2)


@pytest.mark.clickhouse
def test_the_real_stack_does_the_same(full: Place, file: Callable[..., Path], tmp_path: Path) -> None:
    with full.run("train") as run:
        run.log({"loss": 1.0})
        logged = run.log_artifact(file("weights" * 1000), name="weights", type="model", aliases=["best"])
        run.register_model(logged, "net", stage="staging")
    assert full.json("artifacts", "put", str(file("labels")), "-n", "labels")["version"] == "v0"
    full.command("models", "promote", "net@staging", "production", "--note", "good")
    assert full.json("models", "show", "net")[0]["stage"] == "production"
    version = runstream.artifact("weights:best", project=full.project)
    assert (version.download(tmp_path / "out") / "f.txt").read_text() == "weights" * 1000
    assert [link.name for link in version.logged_by()] == ["train"]
    full.command("artifacts", "rm", "labels")
    assert full.json("gc", "--grace", "0")["objects"]["total"]["objects"] == 1
    done = full.json("gc", "--apply", "--grace", "0", "--force")
    assert (done["objects"]["total"]["objects"], done["objects"]["needed"]["objects"]) == (1, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RUNSTREAM_KAFKA")
        assert "fed from Kafka" in full.command("gc", "--apply", code=1)
