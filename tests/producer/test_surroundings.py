"""What is captured of job, container, limits, seeds, interpreter, sources and lock files."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import runstream
from runstream import packages
from runstream.capture import captured, entry_point, environment
from runstream.determinism import determinism
from runstream.job import job
from runstream.machine import container, limits, machine
from runstream.packages import distributions, interpreter, lock_files, sha256_hex, sources
from runstream.settings import Settings


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, {}),
        (
            {"SLURM_JOB_ID": "7", "SLURM_PROCID": "3", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_PARTITION": "gpu"},
            {"launcher": "slurm", "slurm.job_id": "7", "slurm.rank": "3", "slurm.node_list": "n[1-2]"}
            | {"slurm.partition": "gpu"},
        ),
        (
            {"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "host"},
            {"launcher": "torchrun", "torchrun.job_id": "x", "torchrun.rank": "1", "torchrun.world_size": "4"}
            | {"torchrun.master": "host"},
        ),
        (
            {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"},
            {"launcher": "mpi", "mpi.rank": "0", "mpi.world_size": "2"},
        ),
        ({"LSB_JOBID": "5", "LSB_QUEUE": "long"}, {"launcher": "lsf", "lsf.job_id": "5", "lsf.queue": "long"}),
        ({"PBS_JOBID": "9.host"}, {"launcher": "pbs", "pbs.job_id": "9.host"}),
        ({"RANK": "0", "WORLD_SIZE": "2"}, {"launcher": "ranks", "ranks.rank": "0", "ranks.world_size": "2"}),
        ({"RANK": "0", "JOB_NAME": "x", "JOB_ID": "1"}, {}),
    ],
)
def test_a_job_is_known_by_the_variables_of_its_launcher(env: dict[str, str], expected: dict[str, str]) -> None:
    assert job(env) == expected


def test_a_job_may_have_several_launchers_and_no_secret() -> None:
    env = {
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
        "POD_NAME": "p-0",
        "POD_NAMESPACE": "ml",
        "TORCHELASTIC_RUN_ID": "none",
    }
    told = job({**env, "SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "https://me:pass@host/x"})
    assert told["launcher"] == "slurm+kubernetes+torchrun"
    assert told["kubernetes.pod"] == "p-0"
    assert told["slurm.job_name"] == "https://***@host/x"


def files(root: Path, **texts: str) -> Path:
    for name, text in texts.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("texts", "env", "expected"),
    [
        ({}, {}, {}),
        ({".dockerenv": ""}, {"IMAGE_NAME": "me/train:3"}, {"runtime": "docker", "image": "me/train:3"}),
        ({"proc__self__mountinfo": f"1 2 /docker/containers/{HEX}/hostname"}, {}, {"runtime": "docker", "id": HEX}),
        (
            {"proc__self__cgroup": f"0::/kubepods/pod1/cri-containerd-{HEX}.scope"},
            {"KUBERNETES_SERVICE_HOST": "x", "CONTAINER_IMAGE": "r.io/a@sha256:1"},
            {"runtime": "kubernetes", "id": HEX, "image": "r.io/a@sha256:1"},
        ),
        (
            {"run__.containerenv": 'engine="podman-4"\nimage="q.io/b:1"\n'},
            {},
            {"runtime": "podman", "image": "q.io/b:1"},
        ),
        ({}, {"APPTAINER_CONTAINER": "/x/y.sif"}, {"runtime": "apptainer", "image": "/x/y.sif"}),
        (
            {},
            {"ENROOT_ROOTFS": "/e", "NVIDIA_PYTORCH_VERSION": "24.01"},
            {"runtime": "enroot", "nvidia_pytorch": "24.01"},
        ),
        ({}, {"container": "lxc"}, {"runtime": "lxc"}),
        ({"proc__self__mountinfo": f"1 2 / /data/{HEX} rw"}, {"CONTAINER_IMAGE": ""}, {}),
    ],
)
def test_a_container_is_known_by_what_its_runtime_leaves(
    tmp_path: Path, texts: dict[str, str], env: dict[str, str], expected: dict[str, str]
) -> None:
    assert container(env, files(tmp_path, **texts)) == expected


def test_the_tightest_limit_around_a_process_counts(tmp_path: Path) -> None:
    two = {"job__memory.max": "4000\n", "job__step__memory.max": "max\n", "cpu.max": "max 100000\n"}
    files(tmp_path, **two, **{"job__step__cpu.max": "150000 100000\n"})
    assert limits(tmp_path, "0::/job/step\n") == {"memory_limit_bytes": "4000", "cpu_limit": "1.5"}
    one = tmp_path / "v1"
    files(
        one, **{"memory__a__memory.limit_in_bytes": "123\n", "memory__memory.limit_in_bytes": "9223372036854771712\n"}
    )
    files(one, **{"cpu,cpuacct__a__cpu.cfs_quota_us": "200000", "cpu,cpuacct__a__cpu.cfs_period_us": "100000"})
    assert limits(one, "5:memory:/a\n3:cpu,cpuacct:/a\n1:name=systemd:/a\n") == {
        "memory_limit_bytes": "123",
        "cpu_limit": "2",
    }
    assert limits(tmp_path / "none", "0::/x\n") == {}
    assert limits(tmp_path, "nonsense\n\n::\n") == {}


def test_cuda_is_told_by_its_directory_or_variable(tmp_path: Path) -> None:
    files(tmp_path, **{"version.json": '{"cuda": {"version": "12.4.1"}}'})
    assert machine({"CUDA_HOME": str(tmp_path), "CUDA_VERSION": "11"})["cuda"] == "12.4.1"
    assert machine({"CUDA_HOME": str(tmp_path / "none"), "CUDA_VERSION": "11.8"})["cuda"] == "11.8"


@pytest.fixture
def generators() -> Iterator[None]:
    states = random.getstate(), np.random.get_state()
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])


def test_seeds_are_known_until_a_number_is_drawn(generators: None) -> None:
    random.seed(42)
    np.random.seed(1234567)
    told = determinism({"PYTHONHASHSEED": "0", "CUBLAS_WORKSPACE_CONFIG": ":4096:8", "HOME": "/root"})
    assert told["random.seed"] == "42"
    assert (told["numpy.seed"], told["numpy.seeded"]) == ("1234567", "true")
    assert (told["PYTHONHASHSEED"], told["CUBLAS_WORKSPACE_CONFIG"]) == ("0", ":4096:8")
    assert "HOME" not in told
    random.random()
    np.random.rand()
    later = determinism({})
    assert "random.seed" not in later
    assert "numpy.seed" not in later
    assert later["numpy.seeded"] == "true"


def test_a_seed_that_numpy_has_is_found_in_random_too(generators: None) -> None:
    random.seed(987654)
    np.random.seed(987654)
    assert determinism({})["random.seed"] == "987654"


def test_asking_for_seeds_moves_no_generator(generators: None) -> None:
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.rand()
    random.seed(3)
    np.random.seed(3)
    determinism({})
    assert (random.random(), np.random.rand()) == expected


def test_modules_that_are_half_loaded_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "jax", "tensorflow.python.eager.context"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    assert isinstance(determinism({"PYTHONHASHSEED": "1"}), dict)
    assert isinstance(machine({}), dict)


def test_flags_of_torch_are_read_from_the_loaded_module(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = SimpleNamespace(
        initial_seed=lambda: 7,
        are_deterministic_algorithms_enabled=lambda: True,
        backends=SimpleNamespace(cudnn=SimpleNamespace(deterministic=True, benchmark=False)),
        cuda=SimpleNamespace(is_initialized=lambda: False),
        version=SimpleNamespace(cuda="12.4", hip=None),
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    told = determinism({})
    assert told["torch.seed"] == "7"
    assert told["torch.deterministic_algorithms"] == "true"
    assert told["torch.cudnn_benchmark"] == "false"
    assert machine({})["torch_cuda"] == "12.4"


def test_a_seed_that_was_set_after_the_start_is_an_attribute_of_the_run(
    generators: None, held: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    random.seed()
    with runstream.init(settings={"capture": True, "capture_git": False}) as run:
        assert "random.seed" not in held(run).of("RunStarted")[0]["determinism"]
        random.seed(1337)
        monkeypatch.setenv("PYTHONHASHSEED", "5")
    sent = {name: text for event in held(run).of("Attributes") for name, text in event["values"].items()}
    assert sent["determinism:random.seed"] == "1337"
    assert sent["determinism:PYTHONHASHSEED"] == "5"


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, "-C", str(directory), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def installed(site: Path, name: str, url: dict[str, Any] | str | None) -> None:
    directory = site / f"{name}-1.0.dist-info"
    directory.mkdir(parents=True)
    if url is not None:
        (directory / "direct_url.json").write_text(url if isinstance(url, str) else json.dumps(url))


def test_packages_from_elsewhere_are_told_as_pip_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, library = tmp_path / "site", tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q")
    (library / "x").write_text("")
    git(library, "add", ".")
    git(library, "commit", "-q", "-m", "x")
    commit = git(library, "rev-parse", "HEAD")
    vcs = {"vcs": "git", "commit_id": "abc123", "requested_revision": "main"}
    installed(site, "plain", None)
    installed(site, "mine", {"url": library.as_uri(), "dir_info": {"editable": True}})
    installed(site, "outside", {"url": "file:///opt/x", "dir_info": {"editable": True}})
    installed(site, "forked", {"url": "https://me:t0ken@host/x.git", "vcs_info": vcs, "subdirectory": "py"})
    installed(site, "wheel", {"url": "https://host/w.whl", "archive_info": {"hashes": {"sha256": "00ff"}}})
    installed(site, "local", {"url": "file:///opt/y", "dir_info": {}})
    installed(site, "torn", '{"url": ')
    installed(site, "odd", "[]")
    monkeypatch.setattr("sys.path", [str(site), str(tmp_path / "missing")])
    assert sources(distributions()) == {
        "mine": f"editable:{library}@{commit}",
        "outside": "editable:/opt/x",
        "forked": "git+https://host/x.git@abc123#subdirectory=py",
        "wheel": "https://host/w.whl#sha256=00ff",
        "local": "file:///opt/y",
    }
    git(library, "pack-refs", "--all")
    assert sources(distributions())["mine"].endswith(commit)
    git(library, "checkout", "-q", "--detach")
    assert sources(distributions())["mine"].endswith(commit)
    git(library, "worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"))
    assert packages.commit_of(str(tmp_path / "tree")) == commit


def test_a_slow_disk_ends_the_look_at_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "SOURCES_WITHIN_S", -1.0)
    told = sources([("a", "1", str(tmp_path)), ("b", "1", str(tmp_path))])
    assert told == {"incomplete:packages": "the disk is slow: only packages up to a were looked into"}


def test_lock_files_are_told_by_their_digests(tmp_path: Path) -> None:
    files(tmp_path, **{"uv.lock": "a", "requirements-dev.txt": "b", "environment.yml": "c", "notes.txt": "d"})
    files(tmp_path / "below", **{"uv.lock": "other"})
    (tmp_path / "poetry.lock").mkdir()
    told = lock_files([str(tmp_path), str(tmp_path / "below"), "/no/such"])
    assert told == {
        "lock:uv.lock": f"sha256:{sha256_hex(b'a')}",
        "lock:requirements-dev.txt": f"sha256:{sha256_hex(b'b')}",
        "lock:environment.yml": f"sha256:{sha256_hex(b'c')}",
    }


def test_the_interpreter_and_its_environment_are_told() -> None:
    told = interpreter({})
    assert told["python:executable"] == sys.executable
    assert told["python:implementation"] in ("CPython", "PyPy")
    assert (told.get("python:virtual_env") == sys.prefix) == (sys.prefix != sys.base_prefix)


def test_the_entry_point_is_told_below_the_repository(python: Any, tmp_path: Path) -> None:
    done = python(
        """
        from runstream.capture import entry_point
        root = os.getcwd()
        print(entry_point(root), entry_point("")["entry:script"] == root + "/program.py")
        """
    )
    assert done.stdout == "{'entry:script': 'program.py'} True\n", done.stderr
    assert "entry:script" in entry_point("") or "entry:module" in entry_point("")


SECRET = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz1234"


def test_a_planted_secret_is_in_no_field_of_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: Callable[..., Any]
) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("x")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "x")
    git(tmp_path, "remote", "add", "origin", f"https://me:{SECRET}@host/x.git")
    (tmp_path / "a").write_text(f"token: {SECRET}\npassword = 'swordfish77'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.orig_argv", ["python", "x.py", f"--url=https://u:{SECRET}@h", "--password", "swordfish77"])
    for name in ("SLURM_JOB_NAME", "NCCL_X", "POD_NAME", "KUBERNETES_SERVICE_HOST", "CONTAINER_IMAGE", "XLA_FLAGS"):
        monkeypatch.setenv(name, f"key={SECRET}")
    monkeypatch.setenv("NCCL_PASSWORD", "swordfish77")
    config = {
        "api_key": "swordfish77",
        "nested": [{"password": "swordfish77"}],
        "url": f"https://{SECRET}@h",
        "n": SECRET,
    }
    with runstream.init(settings={"capture": True, "capture_wait_s": 60.0}, config=config) as run:
        run.notes = "fine"
    assert run.spool is not None
    everything = b"".join(path.read_bytes() for path in run.spool.rglob("*") if path.is_file())
    assert b"diff --git" in everything
    for secret in (SECRET, "swordfish77"):
        assert secret.encode() not in everything


def test_everything_captured_is_text_and_fits_the_event() -> None:
    told = captured(Settings.from_env({}), os.environ, code=False).fields
    for name in ("git", "environment", "machine", "packages", "job", "determinism", "sources", "container"):
        assert all(isinstance(k, str) and isinstance(v, str) for k, v in told[name].items())
    assert len(json.dumps(told)) < 256 * 1024
    assert environment({"XLA_FLAGS": "x" * 100_000}, ("XLA_*",))["XLA_FLAGS"].endswith("…")
