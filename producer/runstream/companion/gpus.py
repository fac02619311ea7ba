"""Graphics cards, by NVML. A machine without the driver does not even load the library."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Readings = dict[tuple[str, str], float]
NAN = float("nan")
_SIGNS = ("/dev/nvidiactl", "/proc/driver/nvidia/version", "/dev/dxg")
"""One of these is there where a driver is; or its library lies where LD_LIBRARY_PATH leads, as in some containers."""
_LIBRARY = "libnvidia-ml.so.1"
_HELD_DOWN = 0x4 | 0x8 | 0x20 | 0x40 | 0x80
"""Clock event reasons: software power cap, hardware slowdown, software thermal, hardware thermal, power brake. Idle, a
setting of the clocks and sync boost do not count."""


class Device(NamedTuple):
    name: str
    """`gpu<index>`, and `gpu<index>:mig<index>` for a part of a card that is divided (MIG)."""
    uuid: str
    handle: Any


class Gpus:
    """The cards that NVML shows: those of the machine, or of the container. Empty where there are none.

    `visible`: CUDA_VISIBLE_DEVICES of the process, None when it is not set. A card that does not answer when this is
    made is left out; the others keep their numbers.
    """

    def __init__(self, visible: str | None = None) -> None:
        self._nvml: Any = None
        self._count = 0
        self._cards: list[Device] = []
        self._parts: list[Device] = []
        self._mine: list[Device] = []
        if not _has_driver():
            return
        try:
            import pynvml

            pynvml.nvmlInit()
            self._nvml = pynvml
            self._count = pynvml.nvmlDeviceGetCount()
            for index in range(self._count):
                self._add(index)
        except Exception:  # noqa: BLE001 - a driver that is broken, or not installed for this container
            self._cards, self._parts = [], []
            return
        self._mine = self._visible(visible)

    def __len__(self) -> int:
        return len(self._cards)

    def read(self) -> Readings:
        """Every card's readings, and the memory of each part of a divided card; NaN where a card does not tell."""
        found: Readings = {}
        for card in self._cards:
            found |= {(name, card.name): value for name, value in self._one(card.handle).items()}
        for part in self._parts:
            used, total = self._memory(part.handle)
            found["gpu.memory_used_bytes", part.name] = used
            found["gpu.memory_percent", part.name] = 100 * used / total if total else NAN
        return found

    def read_mine(self) -> Readings:
        """Of the cards, or parts of cards, that the process may use: mean utilisation, and the memory in use on them.

        NaN when one of them does not tell: a divided card has no utilisation.
        """
        if not self._mine:
            return {}
        use = [self._utilization(device.handle) for device in self._mine]
        used = [self._memory(device.handle)[0] for device in self._mine]
        return {
            ("gpu.utilization_percent", "process"): sum(use) / len(use),
            ("gpu.memory_used_bytes", "process"): sum(used),
        }

    def _add(self, index: int) -> None:
        """The card, and its parts where it is divided."""
        nvml = self._nvml
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
        except nvml.NVMLError:  # it was lost, or is not for this user
            return
        self._cards.append(Device(f"gpu{index}", self._uuid(handle), handle))
        try:
            places = nvml.nvmlDeviceGetMaxMigDeviceCount(handle)
        except nvml.NVMLError:  # an older driver
            return
        for place in range(places):
            try:
                part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place)
            except nvml.NVMLError:  # nothing there, as on every card that is not divided
                continue
            self._parts.append(Device(f"gpu{index}:mig{place}", self._uuid(part), part))

    def _uuid(self, handle: Any) -> str:
        try:
            return _text(self._nvml.nvmlDeviceGetUUID(handle))
        except self._nvml.NVMLError:
            return ""

    def _visible(self, visible: str | None) -> list[Device]:
        """CUDA gives a process one part of a divided card at most."""
        if visible is None and self._parts:
            divided = {part.name.partition(":")[0] for part in self._parts}
            return [card for card in self._cards if card.name not in divided] or self._parts[:1]
        parts = visible_indices(visible, [part.uuid for part in self._parts], "MIG-") if visible else []
        if parts:
            return [self._parts[parts[0]]]
        cards = {card.name: card for card in self._cards}
        uuids = [cards[f"gpu{i}"].uuid if f"gpu{i}" in cards else "" for i in range(self._count)]
        return [cards[f"gpu{i}"] for i in visible_indices(visible, uuids) if f"gpu{i}" in cards]

    def _one(self, handle: Any) -> Mapping[str, float]:
        nvml = self._nvml
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


def _has_driver() -> bool:
    signs = [*_SIGNS, *(os.path.join(path, _LIBRARY) for path in os.environ.get("LD_LIBRARY_PATH", "").split(":"))]
    return any(os.path.exists(sign) for sign in signs)


def visible_indices(visible: str | None, uuids: list[str], kind: str = "GPU-") -> list[int]:
    """The devices that CUDA_VISIBLE_DEVICES names, cards by index or by the beginning of a UUID, parts of cards (`kind`
    MIG-) by UUID only; all when it is not set.

    As in CUDA, the first name that fits nothing ends the list. Indices are those of the PCI order, which is CUDA's own
    where all cards are alike.
    """
    if visible is None:
        return list(range(len(uuids)))
    found: list[int] = []
    for name in (part.strip() for part in visible.split(",")):
        fitting = [i for i, uuid in enumerate(uuids) if name.startswith(kind) and uuid.startswith(name)]
        if kind == "GPU-" and name.isdecimal() and int(name) < len(uuids):
            fitting = [int(name)]
        if len(fitting) != 1:
            break
        found += fitting
    return found


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
