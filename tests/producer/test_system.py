"""Samples of the machine and of a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from producer.companions import Programs, companions, programs_in, samples, wait_until, writers
from runstream.companion.gpus import visible_indices
from runstream.companion.machine import Cgroup, ProcessTree
from runstream.companion.sampling import Role
from runstream.spool import read_header

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the companion runs on Linux only")

SAMPLED = {"RUNSTREAM_CONSOLE": "0", "RUNSTREAM_SYSTEM": "1", "RUNSTREAM_SYSTEM_INTERVAL_S": "0.1"}


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    yield from programs_in(tmp_path)


def test_a_run_has_samples_of_its_machine_and_of_its_process_with_children(programs: Programs, data_dir: Path) -> None:
    process = programs.start(
        """
        run = runstream.init()
        child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        sys.stdin.readline()
        child.kill(); child.wait()
        """,
        env=SAMPLED,
        stdin=subprocess.PIPE,
    )

    def busy() -> bool:
        found = [sample for directory in writers(data_dir) for sample in samples(directory)]
        return any(sample.get(("cpu.percent", "process"), 0) > 1 for sample in found)

    wait_until(busy, "the child's work is not seen")
    process.communicate(b"\n")
    sample = samples(writers(data_dir)[0])[-1]
    assert sample["memory.used_bytes", ""] > 1 << 20
    assert 0 <= sample["cpu.percent", ""] <= 110
    assert 0 < sample["memory.percent", ""] < 100
    assert sample["disk.used_percent", "disk:/"] > 0
    assert {"swap.used_bytes", "disk.read_bytes_per_s", "disk.write_bytes_per_s"} <= {name for name, _ in sample}
    assert sample["memory.used_bytes", "process"] > 1 << 20
    assert sample["threads", "process"] >= 1


def test_a_run_of_an_instant_has_a_sample_too(programs: Programs, data_dir: Path) -> None:
    assert programs.run("runstream.init()", env={**SAMPLED, "RUNSTREAM_SYSTEM_INTERVAL_S": "60"}).returncode == 0
    (directory,) = writers(data_dir)
    wait_until(lambda: samples(directory), "there is no sample")
    wait_until(lambda: not companions(directory), "it is still there")
    assert len(samples(directory)) == 1


def test_one_process_of_a_run_samples_the_node_and_each_rank_itself(programs: Programs, data_dir: Path) -> None:
    env = {**SAMPLED, "RUNSTREAM_RUN_ID": f"shared {os.getpid()}"}
    processes = [
        programs.start(
            "run = runstream.init()\nsys.stdin.readline()",
            env={**env, "RUNSTREAM_RANK": str(rank)},
            stdin=subprocess.PIPE,
        )
        for rank in (0, 1)
    ]

    def devices() -> list[bool]:
        """Of each rank that has samples, whether it samples the node."""
        by_rank = sorted(writers(data_dir), key=lambda path: read_header(path / "00000001.seg")[0].rank)
        found = [samples(directory) for directory in by_rank]
        assert all(("threads", "process") in sample for one in found for sample in one)
        return [("memory.used_bytes", "") in one[-1] for one in found if one]

    wait_until(lambda: len(devices()) == 2, "not both have samples")
    assert sorted(devices()) == [False, True]
    first = processes[0] if devices()[0] else processes[1]
    other = processes[1] if first is processes[0] else processes[0]
    first.communicate(b"\n")
    wait_until(lambda: all(devices()), "the other one has not taken over")
    other.communicate(b"\n")


def test_a_role_is_taken_by_one_and_free_when_that_is_gone() -> None:
    one, other = Role("run", f"test {os.getpid()}"), Role("run", f"test {os.getpid()}")
    assert one.taken()
    assert one.taken()
    assert not other.taken()
    one.give_up()
    assert other.taken()
    other.give_up()


def test_the_command_prints_one_sample_as_json() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "runstream.companion.sampling", "--once", "--pid", str(os.getpid())],
        capture_output=True,
        text=True,
        check=True,
    )
    devices = json.loads(done.stdout)["devices"]
    assert devices[""]["memory.used_bytes"] > 0
    assert devices["process"]["threads"] >= 1


@pytest.mark.parametrize(
    ("visible", "mine"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("2,0", [2, 0]),
        ("GPU-bb", [1]),
        ("GPU-b,1", [1, 1]),
        ("1,7,2", [1]),
        ("-1", []),
        ("MIG-aa", []),
        (" 1 , 2 ", [1, 2]),
    ],
)
def test_the_cards_of_a_process_are_those_that_cuda_would_show_it(visible: str | None, mine: list[int]) -> None:
    assert visible_indices(visible, ["GPU-aaaa", "GPU-bbbb", "GPU-cccc"]) == mine


def test_limits_of_a_container_are_the_least_of_its_groups(tmp_path: Path) -> None:
    inner = tmp_path / "jobs" / "mine"
    inner.mkdir(parents=True)
    (tmp_path / "cgroup.controllers").write_text("cpu memory")
    (tmp_path / "jobs" / "memory.max").write_text("1000\n")
    (tmp_path / "jobs" / "memory.current").write_text("700\n")
    (tmp_path / "jobs" / "memory.stat").write_text("anon 400\ninactive_file 200\n")
    (tmp_path / "jobs" / "cpu.max").write_text("max 100000\n")
    (inner / "memory.max").write_text("max\n")
    (inner / "cpu.max").write_text("150000 100000\n")
    (inner / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    (tmp_path / "membership").write_text("0::/jobs/mine\n")
    group = Cgroup(str(tmp_path), str(tmp_path / "membership"))
    assert (group.memory_limit(), group.memory_used()) == (1000, 500)
    assert (group.cpus(), group.cpu_seconds()) == (1.5, 2.5)


def test_limits_of_the_older_control_groups(tmp_path: Path) -> None:
    for controller in ("memory", "cpu,cpuacct"):
        (tmp_path / controller / "job").mkdir(parents=True)
    (tmp_path / "memory" / "job" / "memory.limit_in_bytes").write_text("1000")
    (tmp_path / "memory" / "job" / "memory.usage_in_bytes").write_text("300")
    (tmp_path / "cpu,cpuacct" / "job" / "cpu.cfs_quota_us").write_text("-1")
    (tmp_path / "membership").write_text("4:cpu,cpuacct:/job\n7:memory:/job\n")
    group = Cgroup(str(tmp_path), str(tmp_path / "membership"))
    assert (group.memory_limit(), group.memory_used(), group.cpus()) == (1000, 300, 0.0)


def test_without_groups_there_is_no_limit(tmp_path: Path) -> None:
    group = Cgroup(str(tmp_path / "none"), str(tmp_path / "none"))
    assert (group.memory_limit(), group.cpus()) == (float("inf"), 0.0)


def test_a_process_that_is_gone_has_no_sample() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert ProcessTree(process.pid).read() == {}
