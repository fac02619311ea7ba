"""The git repository that the code runs from: what is checked out, and what differs from it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from runstream.git_commands import GitCommand
from runstream.masking import mask_text
from runstream.patches import mask_patch, text_parts

FACTS_WITHIN_S = 2.0
MAX_NAMES = 10_000
_DIFF = (
    *(
        "-c",
        "core.quotepath=off",
        "diff",
        "--no-color",
        "--no-ext-diff",
        "--no-textconv",
        "--no-renames",
        "--full-index",
    ),
    *("--src-prefix=a/", "--dst-prefix=b/", "--submodule=short", "--ignore-submodules=untracked", "HEAD"),
)
_STAT = ("diff", "--stat=160,120", "--stat-count=1000", "--no-color", "--no-ext-diff", "--no-textconv", "HEAD")


class Repository:
    """Questions to git about one working tree, asked all at once and answered in their own time.

    `facts` waits for the quick ones. `changes` is there once `done`: for a small repository that is a few
    milliseconds after the start, for a huge one on a slow disk it may be a minute.
    """

    def __init__(
        self,
        root: str,
        env: Mapping[str, str],
        *,
        max_diff_bytes: int,
        diff: bool = True,
        taken_over: Mapping[str, GitCommand] | None = None,
    ) -> None:
        """`taken_over`: the questions that another process has `asked`, for `changes`."""
        self.root = root
        self.max_diff_bytes = max_diff_bytes
        self._env = env
        self._commands: dict[str, GitCommand] = dict(taken_over or {})
        if taken_over is not None:
            return
        self._ask("head", "rev-parse", "--show-toplevel", "--abbrev-ref", "HEAD")
        self._ask("commit", "rev-parse", "--verify", "HEAD")
        self._ask("remotes", "config", "--get-regexp", r"^(remote\..*\.url|branch\..*\.remote)$")
        if diff:
            self._ask("diff", *_DIFF, max_bytes=max_diff_bytes)
            self._ask("untracked", "-c", "core.quotepath=off", "ls-files", "--others", "--exclude-standard")
        else:
            self._ask("quiet", "diff", "--quiet", "--no-ext-diff", "HEAD")

    def _ask(self, name: str, *arguments: str, max_bytes: int = 1 << 20) -> None:
        self._commands[name] = GitCommand(self.root, *arguments, env=self._env, max_bytes=max_bytes)

    def facts(self, within_s: float) -> dict[str, str]:
        """commit, branch, remote without credentials, root; `dirty` (tracked files only) when known `within_s`."""
        now = time.monotonic()
        quick = [self._commands[name] for name in ("head", "commit", "remotes")]
        if not all(command.wait(now + FACTS_WITHIN_S) for command in quick):
            return {"root": self.root}
        told = quick[0].text().splitlines()
        if not told:  # not a repository after all, or one that git does not trust
            return {}
        found = {"root": _plain(told[0])}
        commit = quick[1].text().strip()
        if commit:
            found["commit"] = commit
        branch = told[1].strip() if len(told) > 1 else ""
        if branch and commit:
            found["branch"] = _plain(branch)
        if remote := _remote(quick[2].text(), branch):
            found["remote"] = mask_text(_plain(remote)).replace("***@", "")
        if commit and (dirty := self._dirty(now + within_s)) is not None:
            found["dirty"] = dirty
        return found

    def _dirty(self, deadline: float) -> str | None:
        command = self._commands.get("diff") or self._commands["quiet"]
        if not command.wait(deadline):
            return None
        if "quiet" in self._commands:
            return "true" if command.failed else "false"
        if command.failed and not command.too_large:
            return None
        return "true" if command.text() else "false"

    @property
    def done(self) -> bool:
        return all(command.done for command in self._commands.values())

    def wait(self, deadline: float) -> bool:
        """Wait for all answers until `time.monotonic()` is `deadline`; whether they are there."""
        return all(command.wait(deadline) for command in self._commands.values())

    def changes(self, deadline: float) -> str:
        """What differs from the commit, as a patch with a heading for people; empty when nothing does.

        Secrets are masked line by line, so that the patch stays one. Binary files and submodules are named in the
        heading, and so are files that git does not know. Too large a patch is replaced by its statistics.
        """
        diff, untracked = self._commands["diff"], self._commands["untracked"]
        if not self.wait(deadline):
            return ""
        commit = self._commands["commit"].text().strip()
        names = [_plain(name) for name in untracked.text().splitlines()]
        patch, notes = "", []
        if diff.too_large:
            notes = self._statistics(commit, deadline)
        elif commit and diff.failed:
            notes = ["git could not tell what was changed."]
        else:
            patch, notes = text_parts(diff.text())
        if names:
            notes += [
                f"Files that git does not know ({len(names)}), not in this patch:",
                *map("  {}".format, names[:MAX_NAMES]),
            ]
            if len(names) > MAX_NAMES:
                notes.append(f"  … and {len(names) - MAX_NAMES} more")
        if not patch and not notes:
            return ""
        heading = [f"Changes that were not committed, against {commit or 'no commit yet'}", *notes]
        return "".join(f"# {mask_text(_line(line))}\n" for line in heading) + mask_patch(patch)

    def _statistics(self, commit: str, deadline: float) -> list[str]:
        note = f"The patch is larger than {self.max_diff_bytes} bytes (RUNSTREAM_CAPTURE_DIFF_MAX_BYTES) and left out."
        try:
            statistics = GitCommand(self.root, *_STAT, env=self._env)
        except OSError:
            return [note]
        told = statistics.text().splitlines() if statistics.wait(deadline) else []
        statistics.kill()
        return [note, *map(_plain, told)]

    def asked(self) -> list[tuple[str, int, int, int]]:
        """What `changes` is made of, for another process: name, and what `GitCommand.handed_over` says."""
        return [(name, *self._commands[name].handed_over()) for name in ("commit", "diff", "untracked")]

    def close(self, *, mine: bool = True) -> None:
        """Give up what is still asked; `mine`: this process asked it (a forked child only lets go)."""
        for command in self._commands.values():
            (command.kill if mine else command.forget)()


def find_root(directories: list[str], env: Mapping[str, str]) -> str | None:
    """The working tree that the first of `directories` inside one lies in; None when none does."""
    if env.get("GIT_DIR") and directories:
        return directories[0]
    for directory in directories:
        for path in (Path(directory), *Path(directory).parents):
            try:
                if (path / ".git").exists():
                    return str(path)
            except OSError:
                break
    return None


def _remote(config: str, branch: str) -> str:
    """The address of the branch's own remote, else of origin, else of the first."""
    urls: dict[str, str] = {}
    wanted = ""
    for line in config.splitlines():
        key, _, value = line.partition(" ")
        if key.startswith("remote."):
            urls.setdefault(key[len("remote.") : -len(".url")], value)
        elif key == f"branch.{branch}.remote":
            wanted = value
    return urls.get(wanted) or urls.get("origin") or next(iter(urls.values()), "")


def _plain(text: str) -> str:
    return text.strip().encode("utf-8", "replace").decode()


def _line(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ")


def code_directories() -> list[str]:
    """Where the code may lie: the working directory, then the script's."""
    import sys

    script = getattr(sys.modules.get("__main__"), "__file__", None)
    found = [working_directory(), str(Path(script).absolute().parent) if script else ""]
    return [directory for directory in dict.fromkeys(found) if directory]


def working_directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - quick
    except OSError:  # removed under us
        return ""
