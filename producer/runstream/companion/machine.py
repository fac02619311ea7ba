"""The machine, or the container that stands for it, and a process with all its children, by psutil."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import psutil

from runstream.companion.gpus import Readings

_VIRTUAL = ("lo", "veth", "docker", "br-", "virbr", "cali", "flannel", "cni", "tunl", "dummy", "ifb")
MAX_INTERFACES = 8
CGROUP = "/sys/fs/cgroup"


class Machine:
    """Rates are those since the reading before; the first reading has none. `disk`: a path whose disk is watched."""

    def __init__(self, disk: str) -> None:
        self._group = Cgroup()
        self._disks = sorted({"/", _mount_point(disk)})
        self._at = 0.0
        self._counters: dict[tuple[str, str], float] = {}
        self.read()

    def read(self) -> Readings:
        """Device "" is the machine; where a container has a limit, percents and memory are the container's."""
        memory, limit = psutil.virtual_memory(), self._group.memory_limit()
        used, total = float(memory.total - memory.available), float(memory.total)
        if limit < total:
            used, total = self._group.memory_used(), limit
        found: Readings = {
            ("memory.used_bytes", ""): used,
            ("memory.percent", ""): 100 * used / total,
            ("swap.used_bytes", ""): float(psutil.swap_memory().used),
        }
        for path in self._disks:
            try:
                found["disk.used_percent", f"disk:{path}"] = psutil.disk_usage(path).percent
            except OSError:
                continue  # unmounted
        return found | self._rates()

    def _rates(self) -> Readings:
        now = time.monotonic()
        elapsed, self._at = now - self._at, now
        before, self._counters = self._counters, self._read_counters()
        found: Readings = {}
        for (name, device), count in self._counters.items():
            if elapsed > 0 and (name, device) in before:
                found[name, device] = max(0.0, count - before[name, device]) / elapsed
        return found

    def _read_counters(self) -> dict[tuple[str, str], float]:
        """What only grows, in the unit that its rate has."""
        counters: dict[tuple[str, str], float] = {}
        cpus = self._group.cpus()
        if cpus:
            counters["cpu.percent", ""] = 100 * self._group.cpu_seconds() / cpus
        else:
            times = psutil.cpu_times()
            idle = times.idle + getattr(times, "iowait", 0.0)
            # guest time is in user time already
            busy = sum(times) - idle - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
            counters["cpu.percent", ""] = 100 * busy / (os.cpu_count() or 1)
        disks = psutil.disk_io_counters()
        if disks is not None:
            counters["disk.read_bytes_per_s", ""] = disks.read_bytes
            counters["disk.write_bytes_per_s", ""] = disks.write_bytes
        real = [(name, io) for name, io in psutil.net_io_counters(pernic=True).items() if not name.startswith(_VIRTUAL)]
        for name, io in sorted(real)[:MAX_INTERFACES]:
            counters["net.received_bytes_per_s", f"net:{name}"] = io.bytes_recv
            counters["net.sent_bytes_per_s", f"net:{name}"] = io.bytes_sent
        return counters


class ProcessTree:
    """A process and its children, whoever they are at each reading. Device `process`."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._known: dict[int, psutil.Process] = {}
        self._seconds: dict[int, float] = {}
        self._at = 0.0
        self.read()

    def read(self) -> Readings:
        """Empty when the process is gone. `cpu.percent`: 100 is one core. Memory shared among them counts once."""
        now = time.monotonic()
        elapsed, self._at = now - self._at, now
        before, self._seconds = self._seconds, {}
        known, self._known = self._known, {}
        memory, threads, busy = 0, 0, 0.0
        for pid in (self._pid, *_children(self._pid)):
            try:
                process = known.get(pid) or psutil.Process(pid)
                with process.oneshot():
                    times, sizes = process.cpu_times(), process.memory_info()
                    threads += process.num_threads()
            except (psutil.Error, OSError):
                continue  # it has just ended
            self._known[pid] = process
            self._seconds[pid] = times.user + times.system
            memory += sizes.rss if pid == self._pid else max(0, sizes.rss - getattr(sizes, "shared", 0))
            # What a child has used that came and went in between is not seen.
            busy += self._seconds[pid] - before.get(pid, self._seconds[pid] if pid == self._pid else 0.0)
        if self._pid not in self._known:
            return {}
        return {
            ("cpu.percent", "process"): 100 * busy / elapsed,
            ("memory.used_bytes", "process"): float(memory),
            ("threads", "process"): float(threads),
        }


class Cgroup:
    """The limits that a container, a Slurm job or a service has; without any, no limit and no quota."""

    def __init__(self, root: str = CGROUP, membership: str = "/proc/self/cgroup") -> None:
        self._memory: list[str] = []
        self._cpu: list[str] = []
        self._unified = os.path.exists(f"{root}/cgroup.controllers")
        for line in _read(membership).splitlines():
            _, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            if self._unified and not controllers:
                self._memory = self._cpu = list(_upwards(root, path))
            elif "memory" in controllers.split(","):
                self._memory = list(_upwards(f"{root}/memory", path))
            elif "cpu" in controllers.split(","):
                self._cpu = list(_upwards(f"{root}/cpu,cpuacct", path)) or list(_upwards(f"{root}/cpu", path))

    def memory_limit(self) -> float:
        """Bytes, the least of this group and those it lies in."""
        return self._memory_limit()[0]

    def memory_used(self) -> float:
        """Bytes in the group whose limit it is, without files that the kernel can drop at once."""
        _, group = self._memory_limit()
        used = _number(_read(f"{group}/{'memory.current' if self._unified else 'memory.usage_in_bytes'}"), 0.0)
        name = "inactive_file" if self._unified else "total_inactive_file"
        for line in _read(f"{group}/memory.stat").splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                used -= _number(value, 0.0)
        return max(0.0, used)

    def cpus(self) -> float:
        """How many processors the quota is worth; 0: there is none."""
        return self._quota()[0]

    def cpu_seconds(self) -> float:
        """Used by the group that has the quota."""
        _, group = self._quota()
        if not self._unified:
            return _number(_read(f"{group}/cpuacct.usage"), 0.0) / 1e9
        for line in _read(f"{group}/cpu.stat").splitlines():
            key, _, value = line.partition(" ")
            if key == "usage_usec":
                return _number(value, 0.0) / 1e6
        return 0.0

    def _memory_limit(self) -> tuple[float, str]:
        name = "memory.max" if self._unified else "memory.limit_in_bytes"
        return min(((_number(_read(f"{group}/{name}"), float("inf")), group) for group in self._memory), default=NONE)

    def _quota(self) -> tuple[float, str]:
        found = []
        for group in self._cpu:
            if self._unified:
                quota, _, period = _read(f"{group}/cpu.max").partition(" ")
            else:
                quota, period = _read(f"{group}/cpu.cfs_quota_us"), _read(f"{group}/cpu.cfs_period_us")
            cpus = _number(quota, -1.0) / (_number(period, 0.0) or 1e5)
            if cpus > 0:
                found.append((cpus, group))
        return min(found, default=(0.0, ""))


NONE = (float("inf"), "")


def _upwards(root: str, path: str) -> Iterator[str]:
    """The directories of a group and of those it lies in; in a container the root may be all that is seen."""
    parts = [part for part in path.strip().split("/") if part and part != ".."]
    for count in range(len(parts), -1, -1):
        directory = "/".join((root, *parts[:count]))
        if os.path.isdir(directory):
            yield directory


def _children(pid: int) -> Iterator[int]:
    """All descendants. The kernel's own lists, where it has them, cost less than a look at every process."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
        lists = [_read_or_raise(f"/proc/{pid}/task/{task}/children") for task in tasks]
    except FileNotFoundError:
        if os.path.exists("/proc/self/task") and not os.path.exists(f"/proc/self/task/{os.getpid()}/children"):
            try:
                yield from (child.pid for child in psutil.Process(pid).children(recursive=True))
            except psutil.Error:
                return
        return
    except OSError:
        return
    for child in (int(text) for one in lists for text in one.split()):
        yield child
        yield from _children(child)


def _mount_point(path: str) -> str:
    path = os.path.realpath(path)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path


def _read_or_raise(path: str) -> str:
    with open(path) as file:
        return file.read()


def _read(path: str) -> str:
    try:
        return _read_or_raise(path).strip()
    except OSError:
        return ""


def _number(text: str, otherwise: float) -> float:
    try:
        return float(text)
    except ValueError:
        return otherwise  # "max", or nothing
