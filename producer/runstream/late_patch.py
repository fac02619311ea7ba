"""What a run had not yet heard of git when its process died, is heard by another one: `python late_patch.py`.

`start` begins it beside a run whose git is slow. It sleeps until the run says that it has the answer, or dies without
saying so; then it waits for git, as long as that takes within GIVE_UP_S, and logs the artifact in the run's name.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runstream.repository import Repository
    from runstream.settings import Settings

GIVE_UP_S = 900.0
POLL_S = 0.1
_AWAITED, _HEARD = b"-", b"E"
_CONTROL, _GIVEN, _FIRST_OUTPUT = 3, 4, 5


class LatePatch:
    """The process beside this one. `heard` ends it; `leave` lets it do the rest."""

    def __init__(self, control: int, given: int) -> None:
        self._control = control
        self._given = given

    def heard(self) -> None:
        """The run has the answer."""
        if self._control >= 0:
            # Not over the pipe: where nobody reads it any more, SIGPIPE might end the job.
            os.pwrite(self._given, _HEARD, 0)
            self.leave()

    def leave(self) -> None:
        """Here nothing more is done about it; once all processes have said so, it goes on alone."""
        if self._control >= 0:
            os.close(self._control)
            os.close(self._given)
        self._control = -1


def start(
    repository: Repository, settings: Settings, env: Mapping[str, str], project: str, run_id: str, files: dict[str, str]
) -> LatePatch:
    """`files`: what belongs to the artifact beside the patch. Raises OSError."""
    from runstream.companion.detached import spawn
    from runstream.companion.tee import moved_up
    from runstream.launch import handed_over

    asked = repository.asked()
    told = {
        "path": [path for path in sys.path if path],
        "root": repository.root,
        "max_diff_bytes": repository.max_diff_bytes,
        "project": project,
        "run": run_id,
        "files": files,
        "log": str(settings.logs_dir / "companion.log"),
        "commands": {name: pid for name, pid, _, _ in asked},
    }
    where = {"RUNSTREAM_DIR": str(settings.dir), "RUNSTREAM_MODE": settings.mode, "RUNSTREAM_AGENT": settings.agent}
    control_in, control = map(moved_up, os.pipe())
    given = moved_up(_written(_AWAITED + json.dumps(told).encode()))
    held = [control_in, given]
    try:
        held += [moved_up(os.dup(fd)) for _, _, *fds in asked for fd in fds]
        passed = [(fd, number) for number, fd in enumerate(held, _CONTROL)]
        spawn(str(Path(__file__).absolute()), [], {**env, **handed_over(settings), **where}, passed)
    except BaseException:
        os.close(control)
        os.close(given)
        raise
    finally:
        for fd in held:
            if fd != given:
                os.close(fd)
    return LatePatch(control, given)


def _written(data: bytes) -> int:
    from runstream.git_commands import anonymous_file

    fd = anonymous_file()
    while data:
        data = data[os.write(fd, data) :]
    return fd


def main() -> None:
    """The process: sleep until the run has the answer or is gone, and then finish what it could not."""
    os.read(_CONTROL, 1)
    text = os.pread(_GIVEN, os.fstat(_GIVEN).st_size, 0)
    if text.startswith(_HEARD):
        return
    told = json.loads(text[len(_AWAITED) :])
    sys.path.extend(told["path"])
    try:
        finish(told)
    except Exception:  # noqa: BLE001 - written down; there is nobody to tell
        import traceback

        with Path(told["log"]).open("a") as log:
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            log.write(f"{at} {told['run']}\n{traceback.format_exc()}\n")


def finish(given: dict[str, Any]) -> None:
    """Wait for git, and log what it tells. Raises EditNotWritten and OSError."""
    import shutil

    from runstream import source_code
    from runstream.artifacts import Artifact
    from runstream.edits import Editor
    from runstream.git_commands import GitCommand
    from runstream.repository import Repository

    outputs = iter(range(_FIRST_OUTPUT, 64))
    commands = {
        name: GitCommand.taken_over(pid, next(outputs), next(outputs), given["max_diff_bytes"])
        for name, pid in given["commands"].items()
    }
    repository = Repository(given["root"], os.environ, max_diff_bytes=given["max_diff_bytes"], taken_over=commands)
    deadline = time.monotonic() + GIVE_UP_S
    while not repository.done and time.monotonic() < deadline:
        time.sleep(POLL_S)
    patch = repository.changes(deadline)
    repository.close()
    files = {**given["files"], **({source_code.PATCH: patch} if patch else {})}
    if not files:
        return

    def staged(directory: Path) -> dict[str, Any]:
        source_code.write(directory / "code", files)
        artifact = Artifact(source_code.NAME, source_code.TYPE).add_dir(directory / "code", policy="link")
        _, event = artifact.event(directory, "files/1", directory / "files")
        shutil.rmtree(directory / "code")
        return event

    with Editor() as editor:
        editor.put(given["project"], staged, run_id=given["run"])


if __name__ == "__main__":
    # The job's signals are not meant for it.
    from signal import SIG_IGN, SIGHUP, SIGINT, SIGTERM, signal

    for one in (SIGHUP, SIGINT, SIGTERM):
        signal(one, SIG_IGN)
    main()
