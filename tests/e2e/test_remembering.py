"""A training script that uses every part, run embedded and on real servers, compared value by value after the trip."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from clickhouse_connect.driver.client import Client
from PIL import Image
from playwright.sync_api import Browser
from playwright.sync_api import Error as PlaywrightError

import runstream
from runstream.masking import mask_text
from runstream.media import table_format
from runstream.objects import ObjectStore, object_key, open_store
from runstream.settings import Settings
from runstream_deploy.cli.connection import open_client
from ui.ui_pages import Visit

pytestmark = pytest.mark.timeout(600)
T = TypeVar("T")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
MEDIA_NAMES = (
    *("val/wrong", "val/table", "val/sound", "val/film", "val/page", "val/figure", "val/cloud"),
    *("val/marked", "val/marked/masks/ink", "val/confusion", "val/answers"),
)
MEDIA = ("kind", "sha256", "mime", "caption", "metadata")

SCRIPT = Path(__file__).parent / "remembering" / "training.py"
PROJECT = "remembering"
API_KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
EVALUATE = """
import json, sys
import numpy as np
import runstream
run = runstream.init(project="remembering", name="evaluation", job_type="eval")
model = run.use_artifact("checkpoint:final")
directory = model.download(sys.argv[1])
run.log({"weights": float(np.load(directory / "hidden.npy").sum())})
run.finish()
print(run.id)
"""


@dataclass
class Trained:
    """One stack with the finished run in it."""

    environment: Mapping[str, str]
    client: Client
    store: ObjectStore
    ledger: dict[str, Any]
    stdout: bytes
    repository: Path
    evaluation: str

    @property
    def run(self) -> str:
        return str(self.ledger["run"])

    def sql(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        found = self.client.query(statement, parameters={"project": PROJECT, "run": self.run, **parameters})
        return [tuple(row) for row in found.result_rows]

    def blob(self, sha256: str) -> bytes:
        with contextlib.closing(self.store.open(object_key(sha256))) as file:
            data = file.read()
        assert hashlib.sha256(data).hexdigest() == sha256
        return bytes(data)

    def media(self, name: str) -> dict[int, list[dict[str, Any]]]:
        """Items by step, in the order of their places."""
        rows = self.sql(
            "SELECT step, kind, sha256, mime, caption, metadata FROM v_media "
            "WHERE run_id = {run:UUID} AND name = {name:String} ORDER BY step, idx",
            name=name,
        )
        found: dict[int, list[dict[str, Any]]] = {}
        for step, *what in rows:
            found.setdefault(step, []).append(dict(zip(MEDIA, what, strict=True)))
        return found


def runstream_command(environment: Mapping[str, str], *arguments: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "runstream_deploy.cli", *arguments],
        env=dict(environment), capture_output=True, text=True, check=False, timeout=120, cwd=cwd,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def eventually(ask: Callable[[], T], good: Callable[[T], bool], within_s: float = 120.0) -> T:
    limit = time.monotonic() + within_s
    while True:
        answer = ask()
        if good(answer) or time.monotonic() > limit:
            return answer
        time.sleep(0.2)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The script in a repository with one commit, changed since."""
    root = tmp_path / "code"
    root.mkdir()
    (root / "training.py").write_bytes(SCRIPT.read_bytes())
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "begin"]):
        identity = ["-c", "user.name=ann", "-c", "user.email=ann@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=root, check=True)
    with (root / "training.py").open("a") as file:
        file.write("# not committed yet\n")
    return root


@contextlib.contextmanager
def process(environment: Mapping[str, str], log: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with log.open("w") as errors:
        command = [sys.executable, "-m", "runstream_deploy.cli", *arguments]
        with subprocess.Popen(
            command, env=dict(environment), stdout=subprocess.PIPE, stderr=errors, text=True
        ) as begun:
            try:
                yield begun
            finally:
                begun.send_signal(signal.SIGTERM)
                begun.wait(60)


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[dict[str, str]]:
    environment = {**os.environ, "RUNSTREAM_DIR": str(tmp_path / "data")}
    with process(environment, tmp_path / "up.log", "up", "--ui-port", "0", "--sql-port", "0", "--json") as up:
        assert up.stdout is not None
        line = up.stdout.readline()
        assert line, (tmp_path / "up.log").read_text()[-4000:]
        yield {**environment, "TEST_UI": json.loads(line)["ui_url"]}


@pytest.fixture
def servers(kafka: Any, database: str, bucket: str, topic_prefix: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    from runstream_deploy.dev.ports import free_ports

    (port,) = free_ports(1)
    environment = {
        **os.environ,
        "RUNSTREAM_DIR": str(tmp_path / "data"),
        "RUNSTREAM_KAFKA": kafka.bootstrap,
        "RUNSTREAM_KAFKA_PARTITIONS": "2",
        "RUNSTREAM_TOPIC_PREFIX": topic_prefix,
        "RUNSTREAM_INGEST_GROUP": topic_prefix,
        "RUNSTREAM_CLICKHOUSE": database,
        "RUNSTREAM_S3": bucket,
        "RUNSTREAM_INGEST_PORT": "0",
    }
    with (
        process(environment, tmp_path / "ingest.log", "ingest"),
        process(environment, tmp_path / "ui.log", "ui", "--port", str(port)),
    ):
        yield {**environment, "TEST_UI": f"http://127.0.0.1:{port}"}


def trained(environment: Mapping[str, str], repository: Path, tmp_path: Path) -> Trained:
    """Runs the script and waits until all of it can be seen."""
    ledger = tmp_path / "ledger.json"
    recording = {"RUNSTREAM_CONSOLE": "1", "RUNSTREAM_SYSTEM": "1", "RUNSTREAM_SYSTEM_INTERVAL_S": "0.5"}
    recording |= {"SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "digits", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "training.py", str(ledger)],
        env={**environment, **recording}, cwd=repository, capture_output=True, check=False, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    settings = Settings.from_env(environment)
    client, store = open_client(dict(environment)), open_store(settings.s3)
    found = Trained(environment, client, store, json.loads(ledger.read_text()), done.stdout, repository, "")
    assert eventually(lambda: found.sql(STATE), lambda rows: rows == [("finished",)]) == [("finished",)]
    versions = len(found.ledger["checkpoints"])
    assert eventually(lambda: found.sql(VERSIONS), lambda rows: rows == [(versions,)]) == [(versions,)]
    evaluated = subprocess.run(
        [sys.executable, "-c", EVALUATE, str(tmp_path / "fetched")],
        env=dict(environment), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert evaluated.returncode == 0, evaluated.stderr
    found.evaluation = evaluated.stdout.split()[-1]
    return found


COLUMNS = [
    ("index", "integer"),
    ("truth", "integer"),
    ("guess", "integer"),
    ("ink", "number"),
    ("odd", "boolean"),
    ("picture", "media"),
]
TABLES = "SELECT name FROM system.tables WHERE database = currentDatabase() AND endsWith(engine, 'MergeTree')"
STATE = "SELECT state FROM v_runs WHERE project = {project:String} AND run_id = {run:UUID}"
VERSIONS = "SELECT count() FROM v_artifacts WHERE project = {project:String} AND name = 'checkpoint'"


def test_an_embedded_run_gives_back_all_that_it_was_given(
    embedded: dict[str, str], repository: Path, chromium: Browser, tmp_path: Path
) -> None:
    found = trained(embedded, repository, tmp_path)
    check_everything(found)
    check_pages(found, chromium, tmp_path)
    check_edits(found, chromium)


@pytest.mark.real
@pytest.mark.kafka
@pytest.mark.clickhouse
@pytest.mark.s3
def test_a_run_on_servers_gives_back_all_that_it_was_given(
    servers: dict[str, str], repository: Path, chromium: Browser, tmp_path: Path
) -> None:
    found = trained(servers, repository, tmp_path)
    check_everything(found)
    check_pages(found, chromium, tmp_path)
    check_edits(found, chromium)


def check_everything(found: Trained) -> None:
    assert (found.ledger["dropped"], found.ledger["refused"]) == (0, 0)
    check_points(found)
    check_texts_and_histograms(found)
    check_media(found)
    check_console_and_machine(found)
    check_artifacts_and_models(found)
    check_capture(found)
    states = "SELECT DISTINCT state FROM v_media WHERE run_id = {run:UUID}"
    assert eventually(lambda: found.sql(states), lambda rows: rows == [("stored",)]) == [("stored",)]
    check_that_nothing_is_missing(found)
    check_that_no_secret_left(found)


def check_points(found: Trained) -> None:
    rows = found.sql(
        "SELECT metric, step, hex(reinterpretAsFixedString(value)) FROM v_points "
        "WHERE run_id = {run:UUID} ORDER BY metric, step"
    )
    expected = [
        (metric, step, struct.pack("<d", float.fromhex(value)).hex().upper())
        for metric, points in sorted(found.ledger["points"].items())
        for step, value in points
    ]
    assert rows == expected


def check_texts_and_histograms(found: Trained) -> None:
    texts: dict[str, dict[str, str]] = {}
    for name, step, text in found.sql("SELECT name, step, text FROM v_text WHERE run_id = {run:UUID}"):
        texts.setdefault(name, {})[str(step)] = text
    assert texts == found.ledger["texts"]
    once = found.ledger["once"]
    for name, sha256 in once.items():
        items = eventually(lambda name=name: found.media(name), bool)  # type: ignore[misc]
        assert [item["sha256"] for item in items[found.ledger["finished_at"]]] == [sha256]
        assert eventually(lambda sha256=sha256: found.store.exists(object_key(sha256)), bool)  # type: ignore[misc]
        found.blob(sha256)
    histograms: dict[str, dict[str, Any]] = {}
    rows = found.sql("SELECT name, step, edges, counts, n_nan + n_inf FROM v_histograms WHERE run_id = {run:UUID}")
    for name, step, edges, counts, outside in rows:
        assert outside == 0
        assert len(edges) == len(counts) + 1
        histograms.setdefault(name, {})[str(step)] = counts
    expected = dict(found.ledger["histograms"])
    totals = {name: expected.pop(f"total of {name}") for name in ("hidden", "output")}
    assert {name: {step: sum(counts) for step, counts in histograms.pop(name).items()} for name in totals} == totals
    assert histograms == expected


def check_media(found: Trained) -> None:
    by_name = {
        name: eventually(lambda name=name: found.media(name), lambda rows: len(rows) == len(found.ledger["media"]))  # type: ignore[misc]
        for name in MEDIA_NAMES
    }
    for items in by_name.values():
        for item in [item for row in items.values() for item in row]:
            key = object_key(item["sha256"])
            assert eventually(lambda key=key: found.store.exists(key), bool), key  # type: ignore[misc]
    for step, expected in found.ledger["media"].items():
        at = {name: items.get(int(step), []) for name, items in by_name.items()}
        pictures = [pixels(found.blob(item["sha256"])) for item in at["val/wrong"]]
        assert pictures == [[expected_picture] for expected_picture in expected["pictures"]]
        assert [item["caption"] for item in at["val/wrong"]] == expected["captions"]
        (film,) = at["val/film"]
        frames = pixels(found.blob(film["sha256"]))
        assert [[line[::4] for line in frame[::4]] for frame in frames] == expected["pictures"]
        (page,) = at["val/page"]
        assert found.blob(page["sha256"]).decode() == expected["page"]
        (table,) = at["val/table"]
        columns, count, rows = table_format.read(found.blob(table["sha256"]).decode().splitlines())
        assert [(column.name, column.type) for column in columns] == COLUMNS
        assert count == len(rows)
        assert [[None if cell != cell else cell for cell in row[:-1]] for row in rows] == expected["rows"]
        cells = [row[-1] for row in rows]
        assert [pixels(found.blob(cell["sha256"]))[0] for cell in cells[:-1]] == expected["pictures"]
        assert cells[-1] is None
        check_marked(found, at, expected)
        (drawn,) = at["val/confusion"]
        assert json.loads(found.blob(drawn["sha256"]))["data"][0]["z"] == expected["confusion"]
        (answers,) = at["val/answers"]
        assert found.blob(answers["sha256"]).decode() == expected["answers"]
        assert json.loads(answers["metadata"])["name"] == "answers.csv"
        (sound,) = at["val/sound"]
        heard = zip(samples(found.blob(sound["sha256"])), expected["sound"], strict=True)
        assert max(abs(a - b) for a, b in heard) <= 1
        (figure,) = at["val/figure"]
        assert figure["mime"] in ("image/png", "image/svg+xml")
        (cloud,) = at["val/cloud"]
        assert points_of(found.blob(cloud["sha256"])) == expected["cloud"]


def check_marked(found: Trained, at: Mapping[str, list[dict[str, Any]]], expected: Mapping[str, Any]) -> None:
    """The picture, the box and the mask that were drawn on it, and the mask as media of its own."""
    (marked,) = at["val/marked"]
    (mask,) = at["val/marked/masks/ink"]
    assert pixels(found.blob(marked["sha256"])) == [expected["pictures"][0]]
    assert pixels(found.blob(mask["sha256"])) == [expected["mask"]]
    told = json.loads(marked["metadata"])
    assert told["masks"]["ink"]["sha256"] == mask["sha256"]
    (box,) = told["boxes"]
    assert [box[side] for side in ("x", "y", "width", "height")] == pytest.approx(expected["box"], abs=1e-5)
    assert (box["set"], box["label"], box["score"]) == ("found", "ink", 0.5)


def pixels(picture: bytes) -> list[list[list[int]]]:
    """The grey values of each frame."""
    frames = []
    with Image.open(io.BytesIO(picture)) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            grey = image.convert("L")
            flat = list(grey.tobytes())
            frames.append([flat[row * grey.width : (row + 1) * grey.width] for row in range(grey.height)])
    return frames


def samples(sound: bytes) -> list[int]:
    with wave.open(io.BytesIO(sound)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        data = file.readframes(file.getnframes())
    return list(struct.unpack(f"<{len(data) // 2}h", data))


def points_of(ply: bytes) -> list[list[float]]:
    head, _, body = ply.partition(b"end_header\n")
    assert b"binary_little_endian" in head
    return [list(struct.unpack_from("<3f", body, 12 * i)) for i in range(len(body) // 12)]


def check_console_and_machine(found: Trained) -> None:
    shown = [line.rpartition("\r")[2] for line in found.stdout.decode().split("\n") if line]
    expected = [mask_text(COLOUR.sub("", line)) for line in shown]
    ask = "SELECT text FROM v_console WHERE run_id = {run:UUID} AND stream = {stream:String} ORDER BY line"
    stdout = eventually(
        lambda: [text for (text,) in found.sql(ask, stream="stdout")], lambda lines: len(lines) >= len(expected)
    )
    assert stdout == expected
    assert "ünïcode child" in stdout
    assert "100%" in stdout
    assert ("from a child",) in eventually(
        lambda: found.sql(ask, stream="stderr"), lambda rows: ("from a child",) in rows
    )
    measured = eventually(
        lambda: found.sql("SELECT DISTINCT metric, device FROM v_system WHERE run_id = {run:UUID}"),
        lambda rows: ("cpu.percent", "process") in rows,
    )
    assert {("cpu.percent", ""), ("memory.used_bytes", ""), ("cpu.percent", "process")} <= set(measured)


def check_artifacts_and_models(found: Trained) -> None:
    rows = found.sql(
        "SELECT version, aliases, tags, metadata, score FROM v_artifacts "
        "WHERE project = {project:String} AND name = 'checkpoint' ORDER BY toUInt32(substring(version, 2))"
    )
    checkpoints = found.ledger["checkpoints"]
    assert [row[0] for row in rows] == [f"v{i}" for i in range(len(checkpoints))]
    assert "final" in rows[-1][1]
    assert all("hand-made" in row[2] for row in rows)
    assert [json.loads(row[3])["accuracy"] for row in rows] == [row[4] for row in rows]
    for (version, *_), expected in zip(rows, checkpoints, strict=True):
        target = found.repository.parent / f"fetched-{version}"
        settings = Settings.from_env(found.environment)
        runstream.artifact(f"{PROJECT}/checkpoint:{version}", settings=settings).download(target)
        files = [path for path in target.rglob("*") if path.is_file()]
        sums = {path.relative_to(target).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        assert sums == expected
    links = found.sql(
        "SELECT run_id FROM artifact_links FINAL "
        "WHERE project = {project:String} AND name = 'checkpoint' AND role = 'in'"
    )
    assert [str(run) for (run,) in links] == [found.evaluation]
    models = eventually(
        lambda: found.sql("SELECT version, stage, aliases FROM v_model_versions WHERE project = {project:String}"),
        lambda rows: bool(rows),
    )
    assert models == [("v1", "staging", ["champion"])]
    partly = runstream.artifact(f"{PROJECT}/checkpoint:final", settings=Settings.from_env(found.environment)).download(
        found.repository.parent / "partly", only="*.txt"
    )
    assert [path.name for path in partly.rglob("*") if path.is_file()] == ["größe.txt"]
    ((ends, description),) = found.sql(
        "SELECT expires_at, description FROM v_artifacts WHERE project = {project:String} AND name = 'scratch'"
    )
    assert (ends is not None, description) == (True, "goes by itself")
    lineage = runstream_command(found.environment, "artifacts", "lineage", f"{PROJECT}/checkpoint:final", "--json")
    assert found.run in lineage
    assert found.evaluation in lineage
    runstream_command(found.environment, "models", "approve", "digits:v1", "-p", PROJECT, "--note", "checked by hand")
    history = runstream_command(found.environment, "models", "history", "digits", "-p", PROJECT)
    assert "checked by hand" in history
    collected = json.loads(runstream_command(found.environment, "gc", "--json"))
    assert collected, collected


def check_capture(found: Trained) -> None:
    ((commit, dirty, branch, packages),) = found.sql(
        "SELECT git['commit'], git['dirty'], git['branch'], packages FROM writers FINAL WHERE run_id = {run:UUID}"
    )
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=found.repository, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert (commit, dirty, branch) == (head, "true", "main")
    assert packages["numpy"]
    digests = eventually(
        lambda: found.sql("SELECT digest FROM v_datasets WHERE run_id = {run:UUID} ORDER BY digest"),
        lambda rows: len(rows) == len(found.ledger["datasets"]),
    )
    assert [digest for (digest,) in digests] == found.ledger["datasets"]
    ((job, determinism, variables, command, python),) = found.sql(
        "SELECT job, determinism, environment, command, w.python FROM writers AS w FINAL WHERE run_id = {run:UUID}"
    )
    assert "4711" in job.values()
    assert determinism
    assert variables["OMP_NUM_THREADS"] == "1"
    assert any(word.endswith("training.py") for word in command)
    assert python.startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    params = dict(found.sql("SELECT name, value FROM v_params WHERE run_id = {run:UUID}"))
    assert params["optimizer/rate"] == "0.2"
    assert params["api_key"] == "***"
    recipe = found.repository.parent / "recipe"
    runstream_command(found.environment, "reproduce", found.run, "--project", PROJECT, "--write", str(recipe))
    assert "+# not committed yet" in (recipe / "diff.patch").read_text()
    steps = (recipe / "reproduce.sh").read_text() + (recipe / "requirements.txt").read_text()
    assert head in steps
    assert f"numpy=={packages['numpy']}" in steps
    assert all(digest in steps for (digest,) in digests)


def check_that_nothing_is_missing(found: Trained) -> None:
    assert found.sql("SELECT count() FROM v_gaps WHERE project = {project:String}") == [(0,)]
    assert found.sql("SELECT count() FROM dead_letters") == [(0,)]


def check_that_no_secret_left(found: Trained) -> None:
    """Neither a table nor an object holds the key that the script's output, config and code had in them."""
    tables = found.sql(TABLES)
    assert ("writers",) in tables
    for (table,) in tables:
        holding = f"SELECT count() FROM {table} WHERE position(toString(tuple(*)), {{key:String}}) > 0"
        assert found.sql(holding, key=API_KEY) == [(0,)], table
    for stat in found.store.list("sha256/"):
        with contextlib.closing(found.store.open(stat.key)) as file:
            assert API_KEY.encode() not in file.read(), stat.key


def check_pages(found: Trained, chromium: Browser, tmp_path: Path) -> None:
    """Every page is drawn with something of this run on it, and nothing goes wrong in the browser."""
    visit = Visit(chromium, found.environment["TEST_UI"])
    one, both = f"run?run={found.run}", f"compare?runs={found.run},{found.evaluation}"
    pages = {
        "?": "digits by hand",
        f"{one}&tab=Charts": "val/accuracy",
        f"{one}&tab=System": "CPU",
        f"{one}&tab=Media": "val/wrong",
        f"{one}&tab=Histograms": "val/guesses",
        f"{one}&tab=Tables": "guess",
        f"{one}&tab=Text": "val/note",
        f"{one}&tab=Console": "epoch 0: accuracy",
        f"{one}&tab=Params": "optimizer",
        f"{one}&tab=Metrics": "train/loss",
        f"{one}&tab=Artifacts": "checkpoint",
        f"{one}&tab=Starts": "first start",
        f"{one}&tab=Environment": "numpy",
        f"{one}&tab=History": "champion",
        f"{both}&tab=Charts": "val/accuracy",
        f"{both}&tab=Params": "optimizer",
        f"{both}&tab=Environment": "numpy",
        f"{both}&tab=Media": "val/wrong",
        f"{both}&tab=Histograms": "val/guesses",
        f"{both}&tab=Tables": "guess",
        f"{both}&tab=Text": "val/note",
        f"{both}&tab=System": "CPU",
        "artifacts?": "checkpoint",
        "artifacts?artifact=checkpoint": "hand-made",
        "models?": "digits",
        "models?model=digits": "champion",
        "sql?": "v_points",
        "health?": "Health",
        "changes?": "champion",
        "trash?": "",
    }
    wrong: list[tuple[str, object]] = []
    for number, (path, text) in enumerate(pages.items()):
        page = visit.go(f"/{path}&project={PROJECT}")
        try:
            page.get_by_text(text).filter(visible=True).first.wait_for(timeout=30_000)
        except PlaywrightError as error:
            wrong.append((path, str(error).splitlines()[0]))
        page.screenshot(path=tmp_path / f"page-{number:02}.png", full_page=True)
        if page.get_by_test_id("stException").count():
            wrong.append((path, "an exception is shown"))
        if visit.problems:
            wrong.append((path, visit.problems.copy()))
            visit.problems.clear()
    assert not wrong, "\n".join(map(str, wrong))


def check_edits(found: Trained, chromium: Browser) -> None:
    """What somebody changes on the pages goes the way of all events, under a name, and is found by the same filter."""
    visit = Visit(chromium, found.environment["TEST_UI"])
    page = visit.go(f"/?project={PROJECT}")
    page.get_by_role("button", name="Star evaluation").click()
    starred = "SELECT run_name FROM v_runs WHERE project = {project:String} AND starred"
    assert eventually(lambda: found.sql(starred), bool) == [("evaluation",)]
    visit.go(f"/?project={PROJECT}&filter=starred")
    page.get_by_role("button", name="Remove the star of evaluation").wait_for(timeout=60_000)
    page.get_by_label("Select evaluation").click()
    page.get_by_role("button", name="Edit 1").click()
    page.get_by_text("Archive", exact=True).click()
    edits = (
        "SELECT run_name, action, actor FROM v_audit "
        "WHERE project = {project:String} AND kind = 'Attributes' AND action IN ('set starred', 'set archived') "
        "ORDER BY at"
    )
    rows = eventually(lambda: found.sql(edits), lambda rows: len(rows) == 2)
    assert [row[:2] for row in rows] == [("evaluation", "set starred"), ("evaluation", "set archived")]
    assert all("@" in actor for _, _, actor in rows)
    listed = json.loads(runstream_command(found.environment, "runs", "ls", "-p", PROJECT, "-w", "starred", "--json"))
    assert listed["matched"] == 0, "an archived run is hidden"
    visit.fine()
