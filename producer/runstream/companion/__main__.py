"""The companion as a process: `python __main__.py CONTROL REPLIES`, the descriptors of two pipes.

Started by `runstream.companion.beside` without site-packages, and without the front of the package (its `__init__`),
which a process of this size has no use for: so it is there in milliseconds and holds little memory.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Become the keeper. What this companion is to do comes as a line of JSON over CONTROL."""
    import json

    from runstream.companion import keeper

    control, replies = int(sys.argv[1]), int(sys.argv[2])
    keeper.ignore_signals()
    text = b""
    while not text.endswith(b"\n"):
        piece = os.read(control, 65536)
        if not piece:
            return  # init() thought better of it
        text += piece
    given = json.loads(text)
    sys.path.extend(given["path"])
    keeper.Keeper(control, replies, given).run()


def without_front() -> None:
    """Makes `runstream` importable without loading its `__init__`."""
    import types

    package = types.ModuleType("runstream")
    package.__path__ = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    sys.modules["runstream"] = package


if __name__ == "__main__":
    if "runstream" not in sys.modules:
        without_front()
    if os.getsid(0) != os.getpid():
        try:
            os.setsid()
        except OSError:
            pass
    main()
