"""Who writes: ids of runs and writers, and whether the process behind a writer still lives."""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from pathlib import Path

NAMESPACE = uuid.UUID("1afb2889-17e8-5fd9-97fe-246bc198063e")
"""uuid5(NAMESPACE_URL, "https://runstream.dev/run"), written out: computing it loads OpenSSL."""
NO_BOOT = bytes(16)
NO_RUN = uuid.UUID(int=0)
"""The run id of what belongs to no run."""


def new_run_id() -> uuid.UUID:
    """A UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def run_id_of(project: str, external_id: str) -> uuid.UUID:
    """The run id behind a user's own id: the id itself when it is a UUID, else a UUIDv5 of project and id."""
    try:
        return uuid.UUID(external_id)
    except ValueError:
        return uuid.uuid5(NAMESPACE, f"{project}/{external_id}")


def new_writer_id() -> int:
    """Random, 1 to 2^63 - 1."""
    return int.from_bytes(os.urandom(8), "big") % (2**63 - 1) + 1


def host_name() -> str:
    return os.uname().nodename


def user_name() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's uid without an entry in passwd
        return str(os.getuid())


def actor() -> str:
    """`user@host`, as events carry it."""
    return f"{user_name()}@{host_name()}"


def boot_id() -> bytes:
    """16 bytes that change at each boot of this machine; zeros where the system has none."""
    try:
        return uuid.UUID(Path("/proc/sys/kernel/random/boot_id").read_text().strip()).bytes
    except (OSError, ValueError):
        return NO_BOOT


def pid_namespace() -> int:
    """A number that is the same for processes that see each other's pids; 0 where the system has none."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - one call, no Path wanted at fork
    except OSError:
        return 0


def process_start(pid: int) -> int:
    """When `pid` began, in clock ticks since boot; 0 when it is gone or a zombie, or the system does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    fields = stat[stat.rindex(b")") + 2 :].split()
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def process_lives(pid: int, start: int) -> bool:
    """Whether the process that had `pid` and began at `start` (0: unknown) still runs."""
    if Path("/proc/self/stat").exists():
        began = process_start(pid)
        return began != 0 and start in (0, began)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def lock_is_held(path: Path) -> bool:
    """Whether another process holds a `flock` on `path`; False when there is no such file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    else:
        return False
    finally:
        os.close(fd)
