"""Processor, memory, limits, graphics cards and container, from what the system tells without a tool."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from runstream.masking import mask_text

_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_IMAGES = (
    *("CONTAINER_IMAGE", "IMAGE_NAME", "DOCKER_IMAGE", "K8S_CONTAINER_IMAGE", "POD_CONTAINER_IMAGE"),
    *("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "SLURM_CONTAINER", "ENROOT_IMAGE"),
    "SLURM_SPANK__SLURM_SPANK_OPTION_pyxis_container_image",
)
"""Variables by which an image is told: set from the pod's specification, or by the runtime."""
_LABELS = {
    "nvidia_build": "NVIDIA_BUILD_ID",
    "nvidia_product": "NVIDIA_PRODUCT_NAME",
    "nvidia_pytorch": "NVIDIA_PYTORCH_VERSION",
    "image_tag": "IMAGE_TAG",
    "image_digest": "IMAGE_DIGEST",
}


def machine(env: Mapping[str, str]) -> dict[str, str]:
    """Processors, memory, limits of the cgroup, graphics cards, CUDA and driver, as text; sizes in bytes."""
    found = {"cpu_count": str(os.cpu_count() or 0), "architecture": os.uname().machine}
    if hasattr(os, "sched_getaffinity"):
        found["cpu_usable"] = str(len(os.sched_getaffinity(0)))
    with contextlib.suppress(OSError, ValueError):
        found["memory_bytes"] = str(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    if model := _field(Path("/proc/cpuinfo"), "model name"):
        found["cpu"] = model
    if match := re.search(r'^PRETTY_NAME="?(.*?)"?$', _text(Path("/etc/os-release")), re.MULTILINE):
        found["os"] = match[1]
    found.update(limits())
    found.update(_cards())
    found.update(_cuda(env))
    return found


def limits(root: Path = Path("/sys/fs/cgroup"), own: str | None = None) -> dict[str, str]:
    """`memory_limit_bytes` and `cpu_limit` (processors) of the cgroups around this process, as far as they limit it."""
    groups = (_text(Path("/proc/self/cgroup")) if own is None else own).splitlines()
    memory: list[int] = []
    cpus: list[float] = []
    for group in groups:
        _, controllers, path = (*group.split(":", 2), "", "")[:3]
        for above in _upwards(path):
            if not controllers:
                memory += _numbers(root / above / "memory.max")[:1]
                cpus += _share(_numbers(root / above / "cpu.max"))
            elif "memory" in controllers.split(","):
                memory += _numbers(root / "memory" / above / "memory.limit_in_bytes")[:1]
            elif "cpu" in controllers.split(","):
                quota = _numbers(root / controllers / above / "cpu.cfs_quota_us")
                cpus += _share(quota + _numbers(root / controllers / above / "cpu.cfs_period_us"))
    found = {}
    if memory and min(memory) < 1 << 60:
        found["memory_limit_bytes"] = str(min(memory))
    if cpus:
        found["cpu_limit"] = f"{min(cpus):g}"
    return found


def container(env: Mapping[str, str], root: Path = Path("/")) -> dict[str, str]:
    """`runtime`, `id`, `image` and labels of the container around this process; empty outside of one."""
    found: dict[str, str] = {}
    podman = _text(root / "run/.containerenv")
    if "KUBERNETES_SERVICE_HOST" in env:
        found["runtime"] = "kubernetes"
    elif "APPTAINER_CONTAINER" in env:
        found["runtime"] = "apptainer"
    elif "SINGULARITY_CONTAINER" in env:
        found["runtime"] = "singularity"
    elif "ENROOT_ROOTFS" in env or ("SLURM_JOB_ID" in env and (root / "etc/enroot").exists()):
        found["runtime"] = "enroot"
    elif podman or (root / "run/.containerenv").exists():
        found["runtime"] = "podman"
    elif (root / ".dockerenv").exists():
        found["runtime"] = "docker"
    elif env.get("container"):
        found["runtime"] = env["container"]
    told = _text(root / "proc/self/cgroup") + _text(root / "proc/self/mountinfo")
    for line in told.splitlines():
        if ("containers/" in line or "docker" in line or "kubepods" in line or "libpod" in line) and (
            match := _ID.search(line)
        ):
            found.setdefault("runtime", "docker" if "docker" in line else "containerd")
            found["id"] = match[0]
            break
    if not found:
        return {}
    if match := re.search(r'^image="(.*)"$', podman, re.MULTILINE):
        found["image"] = match[1]
    for name in _IMAGES:
        if env.get(name):
            found.setdefault("image", env[name])
    found.update({label: env[name] for label, name in _LABELS.items() if env.get(name)})
    return {key: mask_text(text) for key, text in found.items()}


def _cards() -> dict[str, str]:
    cards = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    models = [model for card in cards if (model := _field(card, "Model"))]
    found: dict[str, str] = {}
    if models:
        found["gpu"] = ", ".join(sorted(set(models)))
        found["gpu_count"] = str(len(models))
        if uuids := [uuid for card in cards if (uuid := _field(card, "GPU UUID"))]:
            found["gpu_uuids"] = ", ".join(uuids)
    version = _text(Path("/proc/driver/nvidia/version"))
    if match := re.search(r"Kernel Module\s+(?:for \S+\s+)?([\d.]+)", version):
        found["gpu_driver"] = match[1]
    return found


def _cuda(env: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    home = Path(env.get("CUDA_HOME") or "/usr/local/cuda")
    with contextlib.suppress(ValueError, KeyError, TypeError):
        found["cuda"] = str(json.loads(_text(home / "version.json"))["cuda"]["version"])
    if env.get("CUDA_VERSION"):
        found.setdefault("cuda", env["CUDA_VERSION"])
    torch = sys.modules.get("torch")
    version = getattr(torch, "version", None)
    for name, attribute in (("torch_cuda", "cuda"), ("torch_hip", "hip")):
        if told := getattr(version, attribute, None):
            found[name] = str(told)
    return found


def _upwards(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part]
    return ["/".join(parts[:n]) for n in range(len(parts), -1, -1)]


def _share(numbers: list[int]) -> list[float]:
    return [numbers[0] / numbers[1]] if len(numbers) == 2 and numbers[0] > 0 and numbers[1] > 0 else []


def _numbers(path: Path) -> list[int]:
    return [int(word) for word in _text(path).split() if word.lstrip("-").isdigit()]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _field(path: Path, name: str) -> str:
    match = re.search(rf"^{re.escape(name)}\s*:\s*(.*)$", _text(path), re.MULTILINE)
    return match[1].strip() if match else ""
