"""Samples of the machine and of the process. `python -m runstream.companion.sampling --once` prints one as JSON."""

from __future__ import annotations

import json
import os
import select
import struct
import sys
import time
from typing import Any

from runstream.companion.gpus import Gpus, Readings
from runstream.companion.machine import Machine, ProcessTree
from runstream.companion.outbox import KEYS, SAMPLE, SYSTEM, TIME, OutboxWriter, pack

MAX_BYTES = 64 << 20
FIRST_AFTER_S = 1.0
"""A run of seconds has a sample, too."""


class Sampler:
    """`of_node`, `of_process`: whether the machine and the process are sampled; may change between two samples."""

    def __init__(self, pid: int, disk: str, visible_gpus: str | None) -> None:
        self.of_node = True
        self.of_process = True
        self._machine = Machine(disk)
        self._process = ProcessTree(pid)
        self._gpus = Gpus(visible_gpus)

    def sample(self) -> Readings:
        """(metric, device) to value. Rates are those since the sample before."""
        found: Readings = {}
        if self.of_node:
            found |= self._machine.read() | self._gpus.read()
        if self.of_process:
            found |= self._process.read()
            found |= self._gpus.read_mine()
        return found


class Role:
    """What one process of a run does on a host: it is the one while it has bound a name that the kernel keeps."""

    def __init__(self, run_id: str, what: str) -> None:
        self._name = f"\0runstream/{run_id}/{what}"
        self._socket: Any = None

    def taken(self) -> bool:
        """Whether it is this process's, or has become so."""
        if self._socket is None:
            import _socket

            held = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
            try:
                held.bind(self._name)
            except OSError:
                held.close()
                return False
            self._socket = held
        return True

    def give_up(self) -> None:
        """Let another process have it."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def sample_until_told(given: dict[str, Any], orders: int) -> None:
    """Write samples into the system outbox until something comes over `orders`, or its other end is closed."""
    os.nice(5)
    node, process = Role(given["run_id"], "node"), Role(given["run_id"], f"rank {given['rank']}")
    sampler = Sampler(given["pid"], given["disk"], os.environ.get("CUDA_VISIBLE_DEVICES"))
    outbox = OutboxWriter(given["directory"], SYSTEM, max_bytes=MAX_BYTES, anew=True)
    keys: list[tuple[str, str]] = []
    poll = select.poll()
    poll.register(orders, select.POLLIN)
    interval = float(given["interval_s"])
    due = time.monotonic() + min(FIRST_AFTER_S, interval)
    written = 0
    while True:
        told = bool(poll.poll(max(0.0, due - time.monotonic()) * 1000))
        if told and not os.read(orders, 1):
            return  # the keeper is gone; another one starts another sampler
        if told and written:
            break
        due = max(due + interval, time.monotonic())
        sampler.of_node, sampler.of_process = node.taken(), process.taken()
        readings = sampler.sample()
        if readings:
            time_us = time.time_ns() // 1000
            try:
                if list(readings) != keys:
                    described = {"node": given["node"], "keys": list(readings)}
                    outbox.head = pack(KEYS, 0, json.dumps(described).encode())
                    outbox.append(outbox.head)
                    keys = list(readings)
                values = struct.pack(f"<{len(keys)}d", *readings.values())
                outbox.append(pack(SAMPLE, 0, TIME.pack(time_us), values))
                written += 1
            except OSError:
                keys = []  # the disk is full; the next sample may find room
        if told:
            break
    node.give_up()
    process.give_up()
    try:
        outbox.close()
    except OSError:
        return  # it just ends


def main(arguments: list[str]) -> int:
    """Print one sample of this machine, and of process `--pid` (its parent without it)."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m runstream.companion.sampling", description=__doc__)
    parser.add_argument("--once", action="store_true", required=True, help="take one sample, over a second")
    parser.add_argument("--pid", type=int, default=os.getppid(), help="the process, with its children")
    parser.add_argument("--disk", default="/", help="a path whose disk is looked at, besides that of /")
    given = parser.parse_args(arguments)
    sampler = Sampler(given.pid, given.disk, os.environ.get("CUDA_VISIBLE_DEVICES"))
    time.sleep(FIRST_AFTER_S)
    began = time.process_time()
    readings = sampler.sample()
    spent = time.process_time() - began
    devices: dict[str, dict[str, float | None]] = {}
    for (metric, device), value in readings.items():
        devices.setdefault(device, {})[metric] = None if value != value else round(value, 3)
    node = os.uname().nodename
    print(json.dumps({"node": node, "devices": devices, "cpu_ms_of_a_sample": round(1000 * spent, 2)}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
