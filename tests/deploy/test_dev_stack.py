"""Several services in one directory, as the command line sees them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runstream_deploy.cli.dev import app
from runstream_deploy.dev import ClickHouseService, DevError, Stack
from runstream_deploy.dev.probes import clickhouse_http
from runstream_deploy.dev.stack import default_directory
from services.tiers import Policy, leave_out, missing_tools

RUN = CliRunner()


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory for a stack, which is taken down afterwards whatever the test did."""
    if Policy.from_env(os.environ).name == "pypi" or any(missing_tools(name) for name in ("clickhouse", "s3")):
        leave_out(request, "needs the native services")
    directory = tmp_path / "stack"
    yield directory
    Stack.open(directory).stop()


def run(*words: str, place: Path, code: int = 0) -> str:
    result = RUN.invoke(app, [*words, "--dir", str(place)])
    assert result.exit_code == code, result.output
    return result.stdout


@pytest.mark.s3
def test_up_status_kill_restart_and_down(place: Path) -> None:
    up = json.loads(run("up", "--only", "minio", "--json", place=place))
    assert [service["status"] for service in up["services"]] == ["healthy"]
    assert up["environment"]["RUNSTREAM_S3"].endswith("/runstream")
    assert json.loads(run("status", "--json", place=place)) == up
    run("kill", "minio", place=place)
    assert json.loads(run("status", "--json", place=place, code=1))["services"][0]["status"] == "stopped"
    run("restart", "minio", place=place)
    again = json.loads(run("up", "--json", place=place))
    assert again["environment"] == up["environment"]
    assert "API" in run("logs", "minio", place=place) or (place / "minio" / "service.log").exists()
    run("down", place=place)
    assert json.loads(run("status", "--json", place=place, code=1))["services"][0]["status"] == "stopped"


@pytest.mark.s3
def test_up_twice_leaves_the_running_service_alone(place: Path) -> None:
    first, second = (json.loads(run("up", "--only", "minio", "--json", place=place)) for _ in range(2))
    assert first["services"][0]["pid"] == second["services"][0]["pid"]


@pytest.mark.s3
def test_up_prints_lines_that_a_shell_can_evaluate(place: Path) -> None:
    printed = run("up", "--only", "minio", place=place)
    shell = subprocess.run(["sh", "-c", f'{printed}\necho "$RUNSTREAM_S3"'], capture_output=True, text=True, check=True)
    assert shell.stdout.startswith("http://runstream:")


@pytest.mark.s3
def test_a_stack_whose_processes_died_unseen_comes_up_again_on_the_same_data(place: Path) -> None:
    up = json.loads(run("up", "--only", "minio", "--json", place=place))
    os.kill(up["services"][0]["pid"], signal.SIGKILL)
    again = json.loads(run("up", "--only", "minio", "--json", place=place))
    assert again["environment"] == up["environment"]
    assert again["services"][0]["pid"] != up["services"][0]["pid"]


@pytest.mark.s3
def test_two_ups_at_once_start_one_service(place: Path) -> None:
    program = "from runstream_deploy.cli.dev import app; app()"
    command = [sys.executable, "-c", program, "up", "--only", "minio", "--json", "--dir", str(place)]
    started = [subprocess.Popen(command, stdout=-1, stderr=-1, text=True) for _ in range(2)]
    answers = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0], answers
    pids = {json.loads(out)["services"][0]["pid"] for out, _ in answers}
    assert len(pids) == 1


@pytest.mark.clickhouse
@pytest.mark.real
def test_two_shards_form_a_cluster_that_distributed_tables_use(place: Path) -> None:
    stack = Stack(place, only=["clickhouse"], tethered=True)
    stack.start()
    stack = Stack(place, only=["clickhouse"], shards=2, tethered=True)  # growing later is the harder case
    stack.start()
    nodes = [service for service in stack.services.values() if isinstance(service, ClickHouseService)]

    def ask(node: ClickHouseService, query: str) -> str:
        return clickhouse_http(node.ports[0], "runstream", node.secret, query)

    for number, node in enumerate(nodes):
        ask(node, "CREATE TABLE default.part (x Int32) ENGINE = MergeTree ORDER BY x")
        ask(node, f"INSERT INTO default.part VALUES ({number})")
        assert ask(node, "SELECT getMacro('shard')") == f"{number + 1:02d}"
    everywhere = "SELECT groupArray(x) FROM (SELECT x FROM cluster('runstream', default.part) ORDER BY x)"
    assert [ask(node, everywhere) for node in nodes] == ["[0,1]", "[0,1]"]


@pytest.mark.s3
@pytest.mark.real
def test_a_tethered_service_dies_with_the_process_that_started_it(place: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from runstream_deploy.dev import Stack\n"
        "stack = Stack(Path(sys.argv[1]), only=['minio'], tethered=True); stack.start()\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(place)], check=False)
    process = Stack.open(place)["minio"].process
    assert process is None or process.wait(10)


def test_an_unknown_service_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    result = RUN.invoke(app, ["up", "--only", "redis", "--dir", str(tmp_path)])
    assert result.exit_code == 1
    with pytest.raises(DevError, match="there are kafka, clickhouse, minio"):
        Stack(tmp_path, only=["redis"])


def test_status_of_an_empty_place_says_how_to_start(tmp_path: Path) -> None:
    result = RUN.invoke(app, ["status", "--dir", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "runstream dev up --dir" in result.output.replace("\n", " ")


def test_a_damaged_stack_file_is_named_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text("[]")
    with pytest.raises(DevError, match=r"stack\.json cannot be read .* Remove"):
        Stack.open(tmp_path)


def test_the_default_directory_is_this_user_s_own() -> None:
    assert default_directory().name == f"runstream-dev-{os.getuid()}"
