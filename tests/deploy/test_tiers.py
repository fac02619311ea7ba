"""The tests' own services: which tier is chosen, what the last lines say, and that nothing missing is passed over."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Producer

from services.kafka import messages, mock_cluster
from services.tiers import Policy, Tier

TESTS = Path(__file__).parents[1]
MARKERS = ("kafka", "clickhouse", "s3", "browser")
PLUGINS = ("account", "kafka", "clickhouse", "s3", "browser")


def policy(**variables: str) -> Policy:
    return Policy.from_env({f"RUNSTREAM_TEST_{name}": value for name, value in variables.items()})


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH without anything; a test adds the tools it wants to be found."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("services.tiers.docker_answers", lambda: False)
    return folder


def add(tools: Path, *names: str) -> None:
    for name in names:
        (tools / name).write_text("#!/bin/sh\n")
        (tools / name).chmod(0o755)


def test_a_given_url_comes_first(tools: Path) -> None:
    add(tools, "java", "mvn")
    assert policy(KAFKA="broker:9092").tier("kafka") is Tier.GIVEN


def test_a_container_comes_before_native_services(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tools, "java", "mvn")
    monkeypatch.setattr("services.tiers.docker_answers", lambda: True)
    assert policy().tier("kafka") is Tier.CONTAINER
    assert policy(SERVICES="native").tier("kafka") is Tier.NATIVE


def test_each_service_is_native_where_its_own_tools_are_found(tools: Path) -> None:
    add(tools, "java", "mvn", "go")
    assert policy().tier("kafka") is Tier.NATIVE
    assert policy().tier("s3") is Tier.NATIVE
    assert policy().tier("clickhouse") is Tier.PYPI


def test_without_tools_all_are_stand_ins_unless_the_policy_insists(tools: Path) -> None:
    assert tools.is_dir()
    assert policy().tier("kafka") is Tier.PYPI
    assert policy(SERVICES="native").tier("kafka") is Tier.NATIVE
    assert policy(SERVICES="containers").tier("kafka") is Tier.CONTAINER


def test_pypi_takes_stand_ins_even_where_a_url_is_given() -> None:
    assert policy(SERVICES="pypi", KAFKA="broker:9092").tier("kafka") is Tier.PYPI


def test_an_unknown_policy_is_refused_with_the_known_ones() -> None:
    with pytest.raises(pytest.UsageError, match="auto, native, containers, pypi"):
        policy(SERVICES="nativ")


def run_pytest(
    place: Path, code: str, *options: str, services: str, path: str | None = None
) -> subprocess.CompletedProcess[str]:
    """pytest over `code` in a process of its own with our plugins."""
    (place / "test_inner.py").write_text(code)
    (place / "pytest.ini").write_text(
        "[pytest]\nmarkers =" + "".join(f"\n    {name}: ." for name in (*MARKERS, "real", "containers"))
    )
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RUNSTREAM_TEST_")}
    env = {**kept, "PYTHONPATH": str(TESTS), "RUNSTREAM_TEST_SERVICES": services}
    if path is not None:
        env["PATH"] = path
    plugins = [word for name in PLUGINS for word in ("-p", f"services.{name}")]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugins, *options, "test_inner.py"]
    return subprocess.run(command, cwd=place, env=env, capture_output=True, text=True)


NEEDS_REAL = """
import pytest
@pytest.mark.real
def test_needs_a_real_broker(kafka): raise AssertionError("ran")
def test_kills(private_minio): raise AssertionError("ran")
def test_browses(chromium): raise AssertionError("ran")
def test_plain(): pass
"""


def test_over_stand_ins_the_last_lines_name_every_test_that_was_left_out(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, NEEDS_REAL, services="pypi", path=str(tmp_path))
    assert done.returncode == 0, done.stdout
    assert "LEFT OUT: 3 tests" in done.stdout
    assert "test_inner.py::test_needs_a_real_broker: needs the real kafka" in done.stdout
    assert "test_inner.py::test_kills: needs a real s3 of its own" in done.stdout
    assert "test_inner.py::test_browses: needs a browser" in done.stdout


def test_under_native_what_is_missing_fails_the_run(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, NEEDS_REAL, services="native", path=str(tmp_path))
    assert done.returncode == 1
    assert "kafka is missing: java, mvn not on PATH" in done.stdout
    assert "needs a real s3 of its own" in done.stdout
    assert "needs a browser" in done.stdout
    assert "skipped" not in done.stdout


def test_the_last_lines_name_the_stand_in_that_served(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "def test_it(kafka): assert kafka.bootstrap", services="pypi")
    assert done.returncode == 0, done.stdout
    assert "kafka       PyPI stand-in: librdkafka's mock cluster" in done.stdout


def test_a_test_is_marked_by_the_fixtures_it_uses(tmp_path: Path) -> None:
    code = "def test_it(bucket): pass\ndef test_plain(): pass"
    done = run_pytest(tmp_path, code, "-m", "s3", "--collect-only", services="pypi")
    assert "1/2 tests collected" in done.stdout


def test_the_mock_cluster_keeps_messages() -> None:
    with mock_cluster() as bootstrap:
        producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "log_level": 2})
        producer.produce("topic", b"value", partition=0)
        assert producer.flush(20) == 0
        assert messages(bootstrap, "topic") == [b"value"]


def test_hidden_path_hides_the_tools_and_keeps_the_rest() -> None:
    tools = "for tool in java mvn npm go docker; do command -v $tool && exit 1; done; command -v git && exit 7"
    done = subprocess.run(["sh", str(TESTS / "services" / "hidden_path.sh"), "sh", "-c", tools], capture_output=True)
    assert done.returncode == 7, done.stdout
