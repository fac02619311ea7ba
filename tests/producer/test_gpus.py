"""Graphics cards, through a stand-in for the library of NVML: all that runs on a machine with cards, less driver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from producer.companions import Programs, companions, programs_in, recorded, samples, wait_until, writers

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the companion runs on Linux only")

SOURCE = Path(__file__).with_name("nvml.c")
GIB = float(1 << 30)
SAMPLED = {"RUNSTREAM_SYSTEM": "1", "RUNSTREAM_SYSTEM_INTERVAL_S": "0.1"}


def built(directory: Path, *options: str) -> Path:
    """The stand-in, in a directory for LD_LIBRARY_PATH. Needs a C compiler."""
    library = directory / "libnvidia-ml.so.1"
    command = ["cc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", *options, "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True)
    return directory


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="module")
def old_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("old_driver"), "-DOLD_DRIVER")


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    yield from programs_in(tmp_path)


def read(driver: Path, faults: str = "", visible: str | None = None) -> dict[str, dict[str, Any]]:
    """Device to metric to value, of the cards and of what this process may use; None: the card did not tell."""
    env = {**os.environ, "LD_LIBRARY_PATH": str(driver), "FAKE_NVML": faults}
    env.pop("CUDA_VISIBLE_DEVICES", None)
    if visible is not None:
        env["CUDA_VISIBLE_DEVICES"] = visible
    command = [sys.executable, "-m", "runstream.companion.sampling", "--once", "--pid", str(os.getpid())]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    found = {}
    for device, metrics in json.loads(done.stdout)["devices"].items():
        if told := {name: value for name, value in metrics.items() if name.startswith("gpu.")}:
            found[device] = told
    return found


def test_every_card_tells_its_readings_in_their_units_and_the_process_those_of_its_own(driver: Path) -> None:
    found = read(driver, visible="1")
    assert found["gpu0"] == {
        "gpu.utilization_percent": 90,
        "gpu.memory_used_bytes": 20 * GIB,
        "gpu.memory_percent": 25,
        "gpu.power_w": 312.5,
        "gpu.temperature_c": 61,
        "gpu.sm_clock_mhz": 1755,
        "gpu.memory_clock_mhz": 2619,
        "gpu.throttled": 1,
    }
    assert found["gpu1"]["gpu.utilization_percent"] == 50
    assert found["gpu1"]["gpu.throttled"] == 0
    assert found["process"] == {"gpu.utilization_percent": 50, "gpu.memory_used_bytes": 21 * GIB}
    assert set(found) == {"gpu0", "gpu1", "process"}


def test_a_call_that_fails_and_one_that_the_driver_lacks_leave_out_their_own_number_only(
    driver: Path, old_driver: Path
) -> None:
    all_told = read(driver)["gpu0"]
    faults = "fails=DeviceGetPowerUsage fails=DeviceGetTemperature fails=DeviceGetUUID"
    missing = {"gpu.power_w": None, "gpu.temperature_c": None}
    assert read(driver, faults)["gpu0"] == {**all_told, **missing}
    assert read(old_driver)["gpu0"] == {**all_told, "gpu.throttled": None}
    assert read(driver, "fails=DeviceGetMemoryInfo")["process"] == {
        "gpu.utilization_percent": 70,
        "gpu.memory_used_bytes": None,
    }


def test_a_lost_card_is_left_out_and_the_others_keep_their_numbers(driver: Path) -> None:
    found = read(driver, "count=3 lost=1", visible="2")
    assert set(found) == {"gpu0", "gpu2", "process"}
    assert found["process"]["gpu.memory_used_bytes"] == 22 * GIB


@pytest.mark.parametrize(("visible", "used"), [("MIG-12", 6 * GIB), ("MIG-10000000-0000", 4 * GIB), ("0", 20 * GIB)])
def test_a_divided_card_tells_the_memory_of_each_part(driver: Path, visible: str, used: float) -> None:
    found = read(driver, "mig=1", visible)
    assert found["gpu1"]["gpu.utilization_percent"] is None
    assert found["gpu1:mig0"] == {"gpu.memory_used_bytes": 4 * GIB, "gpu.memory_percent": 10}
    assert found["gpu1:mig2"] == {"gpu.memory_used_bytes": 6 * GIB, "gpu.memory_percent": 15}
    assert found["process"]["gpu.memory_used_bytes"] == used


@pytest.mark.parametrize("faults", ["init", "count=0", "fails=DeviceGetCount", "fails=DeviceGetHandleByIndex"])
def test_a_driver_without_a_card_that_answers_has_no_readings(driver: Path, faults: str) -> None:
    assert read(driver, faults) == {}


def test_a_run_on_a_machine_with_cards_has_samples_of_them(programs: Programs, data_dir: Path, driver: Path) -> None:
    env = {**SAMPLED, "RUNSTREAM_CONSOLE": "0", "LD_LIBRARY_PATH": str(driver), "CUDA_VISIBLE_DEVICES": "0"}
    assert programs.run("runstream.init()", env=env).returncode == 0
    (directory,) = writers(data_dir)
    # On a busy machine it may begin after the program has ended.
    wait_until(lambda: samples(directory), "there is no sample")
    wait_until(lambda: not companions(directory), "it is still there")
    sample = samples(directory)[-1]
    assert sample["gpu.memory_used_bytes", "gpu1"] == 21 * GIB
    assert sample["gpu.utilization_percent", "process"] == 90


def test_a_driver_that_dies_takes_neither_the_console_nor_the_training_with_it(
    programs: Programs, data_dir: Path, driver: Path
) -> None:
    env = {**SAMPLED, "LD_LIBRARY_PATH": str(driver), "FAKE_NVML": "dies=DeviceGetPowerUsage"}
    done = programs.run("run = runstream.init()\nfor i in range(20): print(i); time.sleep(0.05)\nrun.finish()", env=env)
    assert done.returncode == 0
    (directory,) = writers(data_dir)
    assert recorded(directory).out == b"".join(b"%d\n" % i for i in range(20)) == done.stdout
