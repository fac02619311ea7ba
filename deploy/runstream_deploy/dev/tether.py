"""Become another program: `tether.py PARENT DIRECTORY PROGRAM [ARGUMENT …]`.

With PARENT above 0 the kernel kills the program as soon as that process is gone. Runs as a plain file, so that it
imports nothing of this package.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2); the setting survives execve


def main(parent: int, directory: str, command: list[str]) -> None:
    os.chdir(directory)
    if parent:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the setting was made
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
