"""Apply the patch of a run to a checkout of its commit: `python3 apply_patch.py diff.patch DIRECTORY`.

Secrets are masked in the patch, also in lines that the commit has. Those are taken from the checkout again, so that the
patch fits; new lines keep the mask, and are named, for only their owner knows what belongs there.
Needs nothing but Python and git.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

MASK = b"***"
HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


def restored(patch: bytes, root: Path) -> tuple[bytes, list[str]]:
    """The patch with the old lines as the checkout has them, and `file:line` of each new line that is masked."""
    out: list[bytes] = []
    masked: list[str] = []
    old: list[bytes] = []
    new_name = ""
    old_at = old_left = new_at = new_left = 0
    for line in patch.split(b"\n"):
        hunk = HUNK.match(line)
        if old_left <= 0 and new_left <= 0:
            if line.startswith(b"--- a/"):
                old = _lines(root, line[6:])
            elif line.startswith(b"+++ b/"):
                new_name = line[6:].rstrip(b"\t").decode("utf-8", "replace")
            elif hunk is not None:
                old_at, old_left = int(hunk[1]) - 1, int(hunk[2] or 1)
                new_at, new_left = int(hunk[3]) - 1, int(hunk[4] or 1)
        elif line[:1] in (b" ", b"-"):
            if MASK in line and 0 <= old_at < len(old):
                line = line[:1] + old[old_at]
            old_at, old_left = old_at + 1, old_left - 1
            if line[:1] == b" ":
                new_at, new_left = new_at + 1, new_left - 1
        elif line[:1] == b"+":
            if MASK in line:
                masked.append(f"{new_name}:{new_at + 1}")
            new_at, new_left = new_at + 1, new_left - 1
        out.append(line)
    return b"\n".join(out), masked


def _lines(root: Path, name: bytes) -> list[bytes]:
    path = root / name.rstrip(b"\t").decode("utf-8", "surrogateescape")
    try:
        return path.read_bytes().split(b"\n")
    except OSError:
        return []


def main(patch_file: str, directory: str) -> int:
    patch, masked = restored(Path(patch_file).read_bytes(), Path(directory))
    if b"\ndiff --git " not in b"\n" + patch:
        return 0
    command = ["git", "-C", directory, "apply", "--whitespace=nowarn", "-"]
    done = subprocess.run(command, input=patch, check=False)
    for place in masked if done.returncode == 0 else []:
        print(f"{place}: a secret stood here and is masked; put it in yourself", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
