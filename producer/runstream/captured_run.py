"""What a run records of its code and data: the changes that were not committed, snapshots, seeds, datasets."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstream import endings
from runstream.artifacts import LoggedArtifact
from runstream.capture import Captured
from runstream.described import DescribedRun
from runstream.notices import warn

if TYPE_CHECKING:
    from runstream.datasets import Dataset
    from runstream.late_patch import LatePatch
    from runstream.repository import Repository

LATE_WAIT_S = 10.0
"""How long the end of a run waits for git at most."""


class CapturedRun(DescribedRun):
    """Adds to a described run what is captured beside its start event.

    What git is slow to tell is looked for once a second while rows are logged, and at the end. Of the ranks of a
    run, rank 0 records the code.
    """

    def __init__(self, *arguments: Any, captured: Captured, **options: Any) -> None:
        self._repository = captured.repository
        self._code_files: dict[str, str] = {}
        self._determinism: dict[str, str] = dict(captured.fields.get("determinism", {}))
        self._code_kept = ""
        self._captures_code = captured.code
        self._looks = True
        """Whether there is something left to look at before the run ends."""
        self._late: LatePatch | None = None
        self._looks_while_logging = True
        """Whether log() is to look again: for git's answer, and for seeds that were set since."""
        super().__init__(*arguments, **options)

    def log_code(
        self,
        root: str | os.PathLike[str] | None = None,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        name: str = "code-snapshot",
    ) -> LoggedArtifact | None:
        """Keep the code below `root` (default: the repository around the working directory, else that directory).

        In a git repository what `.gitignore` does not leave out, else sources and common configuration files; text
        only, masked, up to 10 MiB a file. `include`, `exclude`: globs of paths or file names. It is an artifact of
        type `code`; the same code is the same version. Returns what was logged; None, with a warning, when nothing was.
        """
        if self.mode == "disabled":
            return None
        try:
            from runstream import source_code
            from runstream.repository import find_root, working_directory

            here = Path(root) if root is not None else Path(find_root([working_directory()], os.environ) or ".")
            chosen = [include] if isinstance(include, str) else include
            left_out = [exclude] if isinstance(exclude, str) else exclude
            return self._keep_code(source_code.snapshot(here, chosen, left_out), name)
        except Exception as error:
            if endings.raised_by_signal_handler(error):
                raise
            warn(f"log_code() is left out: {error}")
            return None

    def log_dataset(
        self,
        data: Any,
        name: str | None = None,
        context: str = "",
        source: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Dataset | None:
        """Record which data this run reads: a digest of the content, a schema, and a simple profile; not the data.

        `data`: a file, a directory or a list of files; an array of numpy, torch or jax; a table of pandas, polars or
        Arrow; a Hugging Face dataset; an address such as https:// or s3://; or a mapping of those. The same content has
        the same digest on any machine. `context`: what it is for, such as `training`. `source`: where it came from,
        where that is not the path itself. It is read once, in constant memory, and this call waits for it. Never
        raises: None, with a warning, for what cannot be read.
        """
        if self.mode == "disabled":
            return None
        try:
            from runstream.datasets.logged import fingerprint

            dataset, body = fingerprint(data, self.settings, name, context, source, metadata)
            self._emit(body)
        except Exception as error:
            if endings.raised_by_signal_handler(error):
                raise
            warn(f"log_dataset({name or type(data).__name__}) is left out: {error}")
            return None
        return dataset

    # -- inside

    def _begin_capture(self) -> None:
        """Record what the start event has no room for. Never raises."""
        try:
            settings = self.settings
            if settings.save_code and self._captures_code:
                self.log_code()
            if not settings.capture or not self._captures_code:
                self._give_up_capture()
                return
            if settings.capture_diff:
                from runstream import source_code

                root = self._repository.root if self._repository is not None else ""
                self._code_files = source_code.script_without_git(root, os.environ)
            self._look_at_code(deadline=0.0)
            self._watch_writer()
            if self._repository is not None and settings.capture_diff and settings.agent != "thread":
                self._begin_late_patch(self._repository)
        except Exception as error:
            if endings.raised_by_signal_handler(error):
                raise
            warn(f"the code could not be captured: {type(error).__name__}: {error}")
            self._give_up_capture()

    def _begin_late_patch(self, repository: Repository) -> None:
        from runstream import late_patch

        try:
            self._late = late_patch.start(
                repository, self.settings, os.environ, self.project, self.id, self._code_files
            )
        except OSError as error:
            warn(f"git is slow, and what it tells is lost if this process is killed before: {error}")

    def _end_capture(self) -> None:
        """The last look, when the run ends. Never raises."""
        try:
            if self._looks and not self._ended:
                self._look_at_code(deadline=time.monotonic() + LATE_WAIT_S, last=True)
                self._look_at_seeds()
        except Exception as error:
            if endings.raised_by_signal_handler(error):
                raise
            warn(f"the code could not be captured: {type(error).__name__}: {error}")
        finally:
            self._give_up_capture()

    def _look_at_code(self, deadline: float, *, last: bool = False) -> None:
        from runstream import source_code

        repository = self._repository
        if repository is not None and (repository.done or last):
            self._repository = None
            if self.settings.capture_diff and (patch := repository.changes(deadline)):
                self._code_files[source_code.PATCH] = patch
            if repository.done:
                self._heard(repository)
            else:
                follows = "it follows when it is known" if self._late is not None else "left out"
                warn(
                    f"git needs longer than {LATE_WAIT_S:.0f} s to tell what was changed in {repository.root}: "
                    f"{follows}"
                )
                self._leave(repository)
        if last and self.settings.capture_notebook:
            self._code_files.update(source_code.notebook_history())
        if self._repository is None and self._code_files and str(sorted(self._code_files)) != self._code_kept:
            self._code_kept = str(sorted(self._code_files))
            self._keep_code(self._code_files, source_code.NAME)

    def _look_at_seeds(self) -> None:
        if not (self.settings.capture and self.settings.capture_determinism):
            return
        from runstream.determinism import determinism

        now = determinism(os.environ)
        changed = {name: text for name, text in now.items() if self._determinism.get(name) != text}
        self._determinism.update(changed)
        if changed:
            self._send_attributes({f"determinism:{name}": text for name, text in changed.items()})

    def _look_again(self) -> None:
        """From log(), about a second after the start and then each second until git has answered."""
        try:
            if self._looks and self._writer is not None and not self._ended:
                self._look_at_code(deadline=0.0)
                if self._repository is None:
                    self._looks_while_logging = False
                    self._watch_writer()
                    self._look_at_seeds()
        except Exception as error:
            if endings.raised_by_signal_handler(error):
                raise
            warn(f"the code could not be captured: {type(error).__name__}: {error}")
            self._give_up_capture()

    def _watch_writer(self) -> None:
        writer = self._writer
        if writer is not None:
            writer.on_check = None
        super()._watch_writer()
        if writer is not None and self._looks and self._looks_while_logging:
            other = writer.on_check

            def check() -> None:
                if other is not None:
                    other()
                self._deferred.append(self._look_again)

            writer.on_check = check

    def _keep_code(self, files: dict[str, str], name: str) -> LoggedArtifact | None:
        """Log the files as an artifact."""
        import shutil

        from runstream import source_code

        directory = self.settings.dir / f"code-{os.getpid()}-{time.time_ns():x}"
        try:
            source_code.write(directory, files)
            return self.log_artifact(directory, name=name, type=source_code.TYPE)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _give_up_capture(self) -> None:
        self._looks = False
        repository, self._repository = self._repository, None
        if repository is not None:
            self._leave(repository)

    def _heard(self, repository: Repository) -> None:
        repository.close()
        late, self._late = self._late, None
        if late is not None:
            late.heard()

    def _leave(self, repository: Repository, *, mine: bool = True) -> None:
        """Ask no more; the process beside this one, if there is one, does it."""
        late, self._late = self._late, None
        repository.close(mine=mine and late is None)
        if late is not None:
            late.leave()

    def forked(self) -> None:
        """In a forked child: what git is asked is the parent's business."""
        repository, self._repository, self._looks = self._repository, None, False
        if repository is not None:
            self._leave(repository, mine=False)
        super().forked()
