"""`runstream up` as people start it: one process, from spools to SQL and pages."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from runstream.settings import VARIABLES
from runstream_storage.connection import connect
from runstream_storage.discovery import UpInfo, find_up, write_up

TRAIN = """
import runstream
run = runstream.init(project="digits", name="first", config={"lr": 0.1, "model": {"depth": 3}}, tags=["a"])
for step in range(2000):
    runstream.log({"loss": 1 / (step + 1), "acc": step / 2000}, step=step)
run.finish()
"""


KEEP = """
import runstream
from pathlib import Path
run = runstream.init(project="digits", name="keeper")
for version in ("one", "three"):
    Path("model.pt").write_text(version)
    logged = run.log_artifact("model.pt", name="net", aliases=["best"])
    if version == "one":
        run.register_model(logged, "keeper")
run.log({"answer": "42", "spread": runstream.Histogram([1, 2])})
for step in range(100):
    run.log({"loss": 1.0})
run.finish()
"""
AWAITED = "keeper\tpending\t0\nnet\tpending\t3\nnet\tpending\t5\n"
VERSIONS = "net\tv0\t[]\nnet\tv1\t['best','latest']\n"


def clean_environment(directory: Path) -> dict[str, str]:
    ours = {name for name, _ in VARIABLES.values()}
    return {key: value for key, value in os.environ.items() if key not in ours} | {"RUNSTREAM_DIR": str(directory)}


@dataclass
class Up:
    directory: Path
    process: subprocess.Popen[str]
    urls: dict[str, str]

    def ask(self, sql: str) -> str:
        answer = httpx.post(self.urls["sql_url"], content=sql, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.text

    def wait_for(self, sql: str, expected: str) -> None:
        """The test's own timeout ends a wait in vain."""
        while self.ask(sql) != expected:
            assert self.process.poll() is None
            time.sleep(0.05)

    def train(self, **variables: str) -> None:
        environment = clean_environment(self.directory) | variables
        subprocess.run([sys.executable, "-c", TRAIN], env=environment, check=True, capture_output=True)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


Start = Callable[..., Up]


def run_up(directory: Path, *options: str, **variables: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "runstream_deploy.cli", "up", *options]
    environment = clean_environment(directory) | variables
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextlib.contextmanager
def starts(default: Path) -> Iterator[Start]:
    begun: list[subprocess.Popen[str]] = []

    def started(directory: Path = default, **variables: str) -> Up:
        process = run_up(directory, "--ui-port", "0", "--sql-port", "0", "--json", **variables)
        begun.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        return Up(directory, process, json.loads(line))

    try:
        yield started
    finally:
        for process in begun:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starts(tmp_path / "data") as started:
        yield started


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One for all tests that leave it running."""
    with starts(tmp_path_factory.mktemp("up") / "data") as started:
        yield started()


def ended(directory: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A start that is expected to fail."""
    process = run_up(directory, *options, **variables)
    out, err = process.communicate(timeout=90)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def test_what_training_logs_is_in_the_views(up):
    up.train()
    up.wait_for("SELECT count() FROM v_points WHERE project = 'digits'", "4000\n")
    up.wait_for("SELECT state FROM v_runs", "finished\n")
    assert up.ask("SELECT run_name, metric, step FROM v_points WHERE step = 1999 ORDER BY metric") == (
        "first\tacc\t1999\nfirst\tloss\t1999\n"
    )
    assert up.ask("SELECT name, value FROM v_params ORDER BY name") == "lr\t0.1\nmodel/depth\t3\n"


def test_one_line_of_json_comes_once_both_addresses_answer(up):
    assert set(up.urls) == {"ui_url", "sql_url", "dir", "pid"}
    assert httpx.get(up.urls["ui_url"]).status_code == 200
    assert up.ask("SELECT currentDatabase()") == "runstream\n"
    assert (up.urls["dir"], up.urls["pid"]) == (str(up.directory), up.process.pid)


def test_what_was_logged_before_between_and_after_kills_is_there_once(start, tmp_path):
    offline = [sys.executable, "-c", TRAIN]
    subprocess.run(offline, env=clean_environment(tmp_path / "data"), check=True, capture_output=True)
    up = start()
    up.train()
    up.process.kill()
    up.process.wait(30)
    assert find_up(up.directory) is None
    again = start()
    again.train()
    again.wait_for("SELECT count() FROM v_points", "12000\n")
    assert again.ask("SELECT countIf(n != 2000) FROM v_summary") == "0\n"
    assert again.stop() == 0


def test_without_its_object_store_a_run_with_an_artifact_is_all_there_but_for_the_bytes(start, tmp_path):
    shelf = tmp_path / "shelf"
    shelf.write_text("a store that refuses: no directory can be made here")
    store = {"RUNSTREAM_S3": (shelf / "objects").as_uri()}
    up = start(**store)
    environment = clean_environment(up.directory) | store
    subprocess.run([sys.executable, "-c", KEEP], env=environment, check=True, capture_output=True, cwd=tmp_path)
    for _ in range(2):
        up.wait_for("SELECT state FROM v_runs", "finished\n")
        up.wait_for("SELECT count() FROM v_points", "100\n")
        up.wait_for("SELECT text FROM v_text", "42\n")
        up.wait_for("SELECT count() FROM v_histograms", "1\n")
        up.wait_for("SELECT name, state, size FROM v_awaited ORDER BY name", AWAITED)
        assert up.ask("SELECT count() FROM v_artifacts") == "0\n"
        assert up.ask("SELECT count() FROM v_models") == "0\n"
        assert up.ask("SELECT count() FROM v_gaps") == "0\n"
        up.process.kill()
        up.process.wait(30)
        up = start(**store)
    shelf.unlink()
    up.wait_for("SELECT name, version, aliases FROM v_artifacts ORDER BY version", VERSIONS)
    up.wait_for("SELECT model, artifact, artifact_version FROM v_model_versions", "keeper\tnet\tv0\n")
    up.wait_for("SELECT count() FROM v_awaited", "0\n")
    assert len([path for path in (shelf / "objects").rglob("*") if path.is_file()]) == 2
    up.wait_for("SELECT count() FROM v_points", "100\n")
    while list((up.directory / "spool").glob("*/*")):
        time.sleep(0.05)
    assert up.stop() == 0


def test_up_tells_others_where_it_is_and_only_its_user_the_password(up):
    found = find_up(up.directory)
    assert found is not None
    assert (found.pid, found.ui_url, found.sql_url) == (up.process.pid, up.urls["ui_url"], up.urls["sql_url"])
    assert stat.S_IMODE((up.directory / "up.json").stat().st_mode) == 0o600
    connect(found.database_url).command("CREATE TABLE by_owner (a UInt8) ENGINE = Memory")
    assert found.database_url not in repr(found)
    log = (up.directory / "logs" / "up.log").read_text()
    assert found.database_url.split(":")[2].split("@")[0] not in log


def test_a_second_up_names_the_first_and_exits_with_4(up):
    second = ended(up.directory, "--ui-port", "0", "--sql-port", "0")
    assert second.returncode == 4
    for told in (up.urls["ui_url"], up.urls["sql_url"], str(up.process.pid), "--dir"):
        assert told in second.stderr
    assert second.stdout == ""
    assert up.ask("SELECT 1") == "1\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_takes_its_traces_away(start, number):
    up = start()
    assert up.stop(number) == 0
    assert not (up.directory / "up.json").exists()
    assert (up.directory / "up.lock").read_text() == ""
    assert (up.directory / "clickhouse" / "owner.lock").read_text() == ""


@pytest.mark.parametrize("option", ["--ui-port", "--sql-port"])
def test_a_taken_port_is_told_with_its_remedy_and_exits_with_4(tmp_path, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        other = {"--ui-port": "--sql-port", "--sql-port": "--ui-port"}[option]
        failed = ended(tmp_path / "data", option, port, other, "0")
    assert failed.returncode == 4
    assert f"127.0.0.1:{port} is in use" in failed.stderr
    assert f"{option} 0" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_directory_that_cannot_be_used_is_told_and_exits_with_1(tmp_path):
    (tmp_path / "file").write_text("")
    failed = ended(tmp_path / "file" / "data", "--ui-port", "0", "--sql-port", "0")
    assert failed.returncode == 1
    assert "cannot be used" in failed.stderr
    assert "--dir" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_damaged_database_is_told_with_its_remedy_and_exits_with_1(own_server, tmp_path):
    own_server.post("CREATE DATABASE runstream").raise_for_status()
    assert own_server.stop() == 0
    for path in (own_server.directory / "metadata").glob("*.sql"):
        path.write_text("damaged")
    own_server.directory.rename(tmp_path / "clickhouse")
    failed = ended(tmp_path, "--ui-port", "0", "--sql-port", "0")
    assert failed.returncode == 1
    assert "could not open" in failed.stderr
    assert "mv " in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_configured_clickhouse_replaces_the_engine_and_nothing_else(start, server, tmp_path):
    database = f"http://runstream:o-w%3An%2Fe%20r@127.0.0.1:{server.port}/replaced"
    up = start(RUNSTREAM_CLICKHOUSE=database)
    assert not (up.directory / "clickhouse").exists()
    up.train()
    client = connect(database)
    while client.command("SELECT count() FROM v_points") != 4000:
        time.sleep(0.05)
    assert up.stop() == 0
    client.command("DROP DATABASE replaced")


def test_a_configured_clickhouse_that_is_away_is_told_and_exits_with_3(tmp_path):
    database = "http://default:secret@127.0.0.1:9/runstream"
    failed = ended(tmp_path / "data", "--ui-port", "0", "--sql-port", "0", RUNSTREAM_CLICKHOUSE=database)
    assert failed.returncode == 3
    assert "does not answer" in failed.stderr
    assert "secret" not in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.kafka
def test_a_configured_kafka_replaces_the_reading_of_spools_and_nothing_else(start, kafka, topic_prefix):
    brokers = {"RUNSTREAM_KAFKA": kafka.bootstrap, "RUNSTREAM_TOPIC_PREFIX": topic_prefix}
    up = start(**brokers, RUNSTREAM_INGEST_PORT="0")
    up.train(**brokers)
    up.wait_for("SELECT count() FROM v_points", "4000\n")
    assert up.ask("SELECT min(src_partition) >= 0 FROM points") == "1\n"
    assert up.stop() == 0


def test_an_up_file_of_a_process_that_is_gone_is_not_believed(tmp_path):
    info = UpInfo(
        pid=os.getpid(), process_start=1, directory="d", ui_url="u", sql_url="s", database_url="x", objects_url="o"
    )
    write_up(tmp_path, info)
    assert find_up(tmp_path) is None
    (tmp_path / "up.json").write_text("{")
    assert find_up(tmp_path) is None
