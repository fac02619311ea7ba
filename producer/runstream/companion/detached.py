"""Processes of our own beside a job that belong to nobody: they outlive it, and it never waits for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any


def spawn(script: str, arguments: list[str], env: Mapping[str, str], passed: list[tuple[int, int]]) -> None:
    """Start the Python file `script` as nobody's child: no zombie, nothing to wait for, and `os.wait()` of the program
    never sees it. It has no site-packages.

    `passed`: (descriptor, its number there), from 3 on; no descriptor is as low as those numbers. Raises OSError.
    """
    if not sys.executable:
        raise FileNotFoundError("sys.executable names no Python")
    isolated = ["-I", "-S"] if "PYTHONHOME" not in env else ["-s", "-P", "-S"]
    command = [sys.executable, *isolated, script, *arguments]
    actions: list[tuple[Any, ...]] = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    actions += [(os.POSIX_SPAWN_DUP2, fd, number) for fd, number in passed]
    shell = ["/bin/sh", "-c", '"$@" &', "sh", *command]
    try:
        pid = os.posix_spawn("/bin/sh", shell, env, file_actions=actions, setsid=True, setsigmask=())
    except NotImplementedError:  # the process does it, a little later
        pid = os.posix_spawn("/bin/sh", shell, env, file_actions=actions, setsigmask=())
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return  # the program lets the kernel reap its children
