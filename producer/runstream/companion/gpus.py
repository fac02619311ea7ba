"""Graphics cards, by NVML. A machine without the driver does not even load the library."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

Readings = dict[tuple[str, str], float]
NAN = float("nan")
_SIGNS = ("/dev/nvidiactl", "/proc/driver/nvidia/version", "/dev/dxg")
"""One of these is there where a driver is."""
_HELD_DOWN = 0x4 | 0x8 | 0x20 | 0x40 | 0x80
"""Clock event reasons: software power cap, hardware slowdown, software thermal, hardware thermal, power brake. Idle, a
setting of the clocks and sync boost do not count."""


class Gpus:
    """The cards that NVML shows: those of the machine, or of the container. Empty where there are none.

    `visible`: CUDA_VISIBLE_DEVICES of the process, None when it is not set.
    """

    def __init__(self, visible: str | None = None) -> None:
        self._nvml: Any = None
        self._handles: list[Any] = []
        self._mine: list[int] = []
        if not any(os.path.exists(sign) for sign in _SIGNS):
            return
        try:
            import pynvml

            pynvml.nvmlInit()
            self._nvml = pynvml
            self._handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
            uuids = [_text(pynvml.nvmlDeviceGetUUID(handle)) for handle in self._handles]
        except Exception:  # noqa: BLE001 - a driver that is broken, or not installed for this container
            self._handles = []
            return
        self._mine = visible_indices(visible, uuids)

    def __len__(self) -> int:
        return len(self._handles)

    def read(self) -> Readings:
        """Every card's readings, device `gpu<index>`; NaN where a card does not tell."""
        found: Readings = {}
        for index in range(len(self._handles)):
            found |= {(name, f"gpu{index}"): value for name, value in self._one(index).items()}
        return found

    def read_mine(self) -> Readings:
        """Of the cards that the process may use: mean utilisation, and the memory in use on them."""
        if not self._mine:
            return {}
        use = [self._utilization(self._handles[index]) for index in self._mine]
        used = [self._memory(self._handles[index])[0] for index in self._mine]
        return {
            ("gpu.utilization_percent", "process"): sum(use) / len(use),
            ("gpu.memory_used_bytes", "process"): sum(used),
        }

    def _one(self, index: int) -> Mapping[str, float]:
        nvml, handle = self._nvml, self._handles[index]
        used, total = self._memory(handle)
        return {
            "gpu.utilization_percent": self._utilization(handle),
            "gpu.memory_used_bytes": used,
            "gpu.memory_percent": 100 * used / total if total else NAN,
            "gpu.power_w": self._number(lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000),
            "gpu.temperature_c": self._number(lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
            "gpu.sm_clock_mhz": self._number(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
            "gpu.memory_clock_mhz": self._number(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM)),
            "gpu.throttled": self._number(
                lambda: bool(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle) & _HELD_DOWN)
            ),
        }

    def _utilization(self, handle: Any) -> float:
        return self._number(lambda: self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu)

    def _memory(self, handle: Any) -> tuple[float, float]:
        try:
            info = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        except self._nvml.NVMLError:
            return NAN, NAN
        return float(info.used), float(info.total)

    def _number(self, read: Callable[[], Any]) -> float:
        try:
            return float(read())
        except self._nvml.NVMLError:  # this card has no such sensor, or was lost
            return NAN


def visible_indices(visible: str | None, uuids: list[str]) -> list[int]:
    """The cards that CUDA_VISIBLE_DEVICES names, by index or by the beginning of a UUID; all when it is not set.

    As in CUDA, the first name that fits nothing ends the list. Indices are those of the PCI order, which is CUDA's own
    where all cards are alike.
    """
    if visible is None:
        return list(range(len(uuids)))
    found: list[int] = []
    for name in (part.strip() for part in visible.split(",")):
        fitting = [i for i, uuid in enumerate(uuids) if name.startswith("GPU-") and uuid.startswith(name)]
        if name.isdecimal() and int(name) < len(uuids):
            fitting = [int(name)]
        if len(fitting) != 1:
            break
        found += fitting
    return found


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
