"""Workers without the seconds that importing takes: `nursery.py PARENT`, a process that has imported the worker's code.

For each line of its input, `{"environment": {...}, "log": PATH}`, it forks. The child is a worker like any other: a
process and a session of its own, with that environment and log. It writes `pid PID` for each, and `ended PID STATUS`
(as of waitpid) once that is over. It ends, and the workers with it, when its input does.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import traceback

import runstream_ingest.service
from runstream_ingest.settings import IngestSettings

PR_SET_PDEATHSIG = 1
POLL_S = 0.02


def main() -> None:
    unread = b""
    while True:
        if select.select([0], [], [], POLL_S)[0]:
            data = os.read(0, 1 << 20)
            if not data:
                return
            *lines, unread = (unread + data).split(b"\n")
            for line in lines:
                say(f"pid {bear(json.loads(line))}")
        reap()


def bear(wanted: dict[str, object]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        log = os.open(str(wanted["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for number in (1, 2):
            os.dup2(log, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update(wanted["environment"])  # type: ignore[call-overload]
        code = runstream_ingest.service.run(IngestSettings())  # type: ignore[call-arg]
    except BaseException:  # this process ends here; its log must say why
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        say(f"ended {pid} {status}")


def say(text: str) -> None:
    os.write(1, text.encode() + b"\n")


if __name__ == "__main__":
    main()
