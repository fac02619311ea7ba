"""Rich values of a run: texts, histograms, and blobs beside the spool."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from runstream.endings import raised_by_signal_handler
from runstream.recorder import Recorder
from runstream.values import MAX_NAME_BYTES, cut

if TYPE_CHECKING:
    from runstream.media.blob import Blob, Warn
    from runstream.watching import Watch

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)
_NUMBERS = str.maketrans("", "", "0123456789.+-")
MAX_LISTED = 1000
"""Values of one list."""


class ValueRecorder(Recorder):
    """Adds to a Recorder what `log()` does with values that are no numbers."""

    def __init__(self, **arguments: Any) -> None:
        self._stages = 0
        """Numbers of the directories beside the spool that hold staged files."""
        self._watches: list[Watch] = []
        self._held: dict[str, dict[str, Any]] = {}
        """Histograms by name that wait for the step of the next `log()`."""
        super().__init__(**arguments)

    def log_histograms(self, values: Any, step: int | None = None, *, prefix: str = "", bins: int = 64) -> None:
        """Log a histogram of each array in `values`, and leave the counter where it is.

        `values`: a mapping or list, nested at will (such as a pytree of weights or gradients), or a model that has
        `named_parameters()`. Names are the keys with `/` between, behind `prefix`. Without `step` they belong to the
        step of the next `log()` without `step`. Never raises.
        """
        try:
            from runstream.watching import leaves_of

            if self._open_writer is None:
                return
            at = self._step if step is None else self._step_of(step)
            for name, leaf in leaves_of(values, prefix):
                self._log_histogram(name, leaf, at, bins)
        except Exception as error:  # noqa: BLE001 - a training loop must not die of its log
            self._trouble("log_histograms()", error)

    def watch(
        self, model: Any, log: str | None = "gradients", log_freq: int = 1000, *, name: str = "", bins: int = 64
    ) -> None:
        """Log histograms of a torch model's `gradients`, `parameters` or `all`, every `log_freq` forward passes.

        They are named `gradients/<parameter>` and `parameters/<parameter>`, with `name` between where it is given, and
        belong to the step of the next `log()`. Passes in eval mode do not count. Between the logged ones a pass costs
        a function call. The model keeps no reference to more than that, and the run none to the model. Never raises;
        a model without hooks is refused with a warning: call `log_histograms` in the loop instead.
        """
        try:
            from runstream.watching import Watch

            if self._open_writer is None:
                return
            self._watches = [watch for watch in self._watches if watch.lives]
            models = model if isinstance(model, list | tuple) else [model]
            for number, one in enumerate(models):
                called = name if len(models) == 1 else f"{name}/{number}".lstrip("/")
                watch = Watch.of(self, one, log, log_freq, called, bins)
                if watch is not None:
                    self._watches.append(watch)
        except Exception as error:  # noqa: BLE001
            self._trouble("watch()", error)

    def unwatch(self, model: Any = None) -> None:
        """Stop watching a model, or all of them. Never raises."""
        try:
            models = model if isinstance(model, list | tuple) else [model]
            ended = [w for w in self._watches if model is None or any(w.model() is one for one in models)]
            self._watches = [watch for watch in self._watches if watch not in ended]
            for watch in ended:
                watch.end()
        except Exception as error:  # noqa: BLE001
            self._trouble("unwatch()", error)

    # -- inside

    def _hold_histogram(self, name: str, values: Any, bins: int) -> None:
        """Of one array, as it is now, at the step of the next `log()`. Never raises."""
        event = self._histogram_event(name, values, bins)
        if event is not None:
            with self._lock:
                self._held[event["name"]] = event
                self._known = {}  # so that the next log() leaves its fast path, and comes to _release

    def _release(self, at: int) -> None:
        with self._lock:
            held, self._held = self._held, {}
            self._known = self._rows.known
        for event in held.values():
            self._emit({**event, "step": at})

    def _end_watches(self) -> None:
        self.unwatch()
        self._release(self._step)

    def _log_rich(self, values: list[tuple[str, Any]], at: int) -> None:
        """Log texts, histograms and blobs at the step `at`. Never raises."""
        for name, value in values:
            try:
                if isinstance(value, list | tuple):
                    self._log_listed(name, value, at)
                else:
                    self._log_one(name, value, at, 0)
            except Exception as error:
                if raised_by_signal_handler(error):
                    raise
                self._refuse_value(name, value, error)

    def _log_listed(self, name: str, values: Any, at: int) -> None:
        if len(values) > MAX_LISTED:
            self._warn_of(name, f"the first {MAX_LISTED} of {len(values)} values of the list are kept")
        for index, value in enumerate(values[:MAX_LISTED]):
            try:
                self._log_one(name, value, at, index, listed=True)
            except Exception as error:
                if raised_by_signal_handler(error):
                    raise
                self._refuse_value(name, value, error)

    def _log_one(self, name: str, value: Any, at: int, index: int, *, listed: bool = False) -> None:
        from runstream.media.recognise import media_of

        kind = "text" if isinstance(value, str) else getattr(type(value), "rich_kind", "")
        if kind in ("text", "histogram") and listed:
            name = cut(f"{name}/{index}", MAX_NAME_BYTES)[0]  # those have no index
        if kind == "text":
            self._log_text(name, value, at)
        elif kind == "histogram":
            self._emit(value.event(name, at))
        else:
            self._stage_blob(name, media_of(value).blob(self._warner(name)), at, index)

    def _log_text(self, name: str, value: Any, at: int) -> None:
        from runstream.media import texts

        given = texts.Text(value) if isinstance(value, str) else value
        text = given.clean(self._warner(name))
        size = len(text.encode())
        if size > texts.MAX_EVENT_TEXT_BYTES or len(json.dumps(text, ensure_ascii=False)) > texts.MAX_EVENT_JSON_BYTES:
            self._stage_blob(name, texts.LongText(text, given.mime).blob(self._warner(name)), at, 0)
        else:
            self._emit({"type": "TextLogged", "name": name, "step": at, "text": text, "mime": given.mime})

    def _log_histogram(self, name: str, values: Any, at: int, bins: int) -> None:
        """Of one array. Never raises."""
        event = self._histogram_event(name, values, bins)
        if event is not None:
            self._emit({**event, "step": at})

    def _histogram_event(self, name: str, values: Any, bins: int) -> dict[str, Any] | None:
        """Of one array, at no step yet; None, with a warning, where there is none. Never raises."""
        from runstream.media.histograms import Histogram

        try:
            known = self._rows.name(name)
            return Histogram(values, bins=bins).event(known, 0) if known is not None else None
        except Exception as error:
            if raised_by_signal_handler(error):
                raise
            self._refuse_value(name, values, error)
            return None

    def _stage_blob(self, name: str, blob: Blob, at: int, index: int) -> None:
        """Put the bytes beside the spool and record where; the parts first, before what names them."""
        for part in blob.parts:
            below = cut(f"{name}/{part.below}", MAX_NAME_BYTES)[0]
            self._stage_blob(below, part.blob, at, index if part.index is None else part.index)
        with self._lock:
            writer = self._ready("log()")
            if writer is None:
                return
            self._stages += 1
            stage, directory = f"files/m{self._stages}", writer.directory
        try:
            _write(blob, directory / stage)
            event = {
                "type": "MediaStaged",
                "name": name,
                "step": at,
                "index": index,
                "kind": blob.kind,
                "mime": blob.mime,
                "caption": _caption(blob.caption),
                "metadata": _metadata(blob.metadata, self._warner(name)),
                "stage": stage,
                "file": blob.file,
            }
            with self._lock:
                if self._writer is not writer:  # the file lies beside a spool that is closed
                    _gone_on()
                self._emit(event)
        except BaseException as error:
            import shutil

            shutil.rmtree(directory / stage, ignore_errors=True)
            if not (isinstance(error, OSError) and _is_about(error, directory)):
                raise
            with self._lock:
                self._drop(writer, error)
                if not self._busy:
                    self._run_deferred()

    def _refuse_value(self, name: str, value: Any, error: Exception) -> None:
        from runstream.media.blob import ValueRefused

        reason = str(error) if isinstance(error, ValueRefused) else f"{type(error).__name__}: {error}"
        kind = type(value).__name__
        self._rows.refuse(name, f"{kind}: {reason}".replace("\n", " ")[:600])

    def _warner(self, name: str) -> Warn:
        return lambda text: self._warn_of(name, text)

    def _warn_of(self, name: str, text: str) -> None:
        """Of a value that is kept, and not as it was given: once per name and kind of trouble."""
        self._once.warn(f"{name}: {text.translate(_NUMBERS)}", f"log(): {name!r}: {text}"[:600])

    def forked(self) -> None:
        """See Recorder.forked; staged files are the child's own, and models are the parent's to watch."""
        super().forked()
        self._stages = 0
        for watch in self._watches:
            watch.end()
        self._watches = []
        self._held = {}


def _gone_on() -> NoReturn:
    from runstream.media.blob import ValueRefused

    raise ValueRefused("the run was rewound while it was written")


def _is_about(error: OSError, directory: Path) -> bool:
    """Whether it is the spool that has no room, or cannot be written to."""
    return error.errno in NO_ROOM or str(error.filename or "").startswith(str(directory))


def _write(blob: Blob, directory: Path) -> None:
    """The bytes as `directory`/`blob.file`. Raises OSError."""
    content = blob.content
    if isinstance(content, Path):
        from runstream import staging

        staging.stage([staging.Source(blob.file, content)], directory)
        return
    directory.mkdir(parents=True)
    with (directory / blob.file).open("xb") as file:
        for piece in (content,) if isinstance(content, bytes) else content:
            file.write(piece)


def _caption(caption: object) -> str:
    from runstream.masking import mask_text
    from runstream.media.blob import MAX_CAPTION_BYTES

    return mask_text(cut("" if caption is None else str(caption), MAX_CAPTION_BYTES)[0].replace("\0", "�"))


def _metadata(metadata: Mapping[str, Any], warn: Callable[[str], None]) -> str:
    """As JSON within the limit: what takes most room goes first."""
    from runstream.media.blob import MAX_METADATA_BYTES

    kept = dict(metadata)
    while True:
        text = json.dumps(kept, ensure_ascii=False).encode("utf-8", "replace").decode()
        if len(text.encode()) <= MAX_METADATA_BYTES:
            return text
        sizes = {key: len(json.dumps(value)) for key, value in kept.items()}
        largest = max(sizes, key=lambda key: sizes[key])
        del kept[largest]
        warn(f"its metadata {largest!r} of {sizes[largest]} bytes is left out; all may have {MAX_METADATA_BYTES}")
