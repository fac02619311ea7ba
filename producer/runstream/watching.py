"""Histograms of a model's weights and gradients while it trains."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from runstream.notices import warn

if TYPE_CHECKING:
    from runstream.valued import ValueRecorder

WHAT = ("gradients", "parameters", "all")
MAX_DEPTH = 32


class Watch:
    """The hooks on one model. They know it and the run by weak references only, so nothing keeps another alive.

    One hook of the model counts its forward passes. Where one is due, each parameter gets a hook for the gradient that
    the backward pass gives it, which goes as soon as it was called.
    """

    def __init__(self, run: ValueRecorder, model: Any, what: str, every: int, name: str, bins: int) -> None:
        self.model: Callable[[], Any] = weakref.ref(model)
        self._run = weakref.ref(run)
        self._gradients = what in ("gradients", "all")
        self._parameters = what in ("parameters", "all")
        self._every = every
        self._name = f"{name}/" if name else ""
        self._bins = bins
        self._passes = -1
        self._waiting: dict[str, Any] = {}
        """Handles of the hooks on parameters, by name."""
        self._handle: Any = None

    @classmethod
    def of(cls, run: ValueRecorder, model: Any, what: str | None, every: Any, name: str, bins: int) -> Watch | None:
        """The watch of `model`, at work; None, with a warning, when it cannot be watched."""
        if what is None:
            return None
        if what not in WHAT:
            warn(f"watch(): log={what!r} is none of {', '.join(WHAT)}; the model is not watched")
            return None
        if not isinstance(every, int) or every < 1:
            warn(f"watch(): log_freq={every!r} is no number of passes from 1; the model is not watched")
            return None
        if not (
            callable(getattr(model, "register_forward_hook", None))
            and callable(getattr(model, "named_parameters", None))
        ):
            warn(
                f"watch(): {type(model).__name__} has no register_forward_hook() and named_parameters(); "
                "call run.log_histograms(weights) in the loop instead"
            )
            return None
        watch = cls(run, model, what, every, name, bins)
        try:
            watch._handle = model.register_forward_hook(watch._passed)
        except RuntimeError as error:  # models of TorchScript take none
            warn(f"watch(): {type(model).__name__}: {error}; call run.log_histograms(model) in the loop instead")
            return None
        return watch

    @property
    def lives(self) -> bool:
        """Whether its model still does."""
        return self._handle is not None and self.model() is not None

    def end(self) -> None:
        """Take the hooks away."""
        handle, self._handle = self._handle, None
        for hook in [handle, *self._waiting.values()]:
            if hook is not None:
                hook.remove()
        self._waiting.clear()

    def __deepcopy__(self, memo: object) -> Watch:
        return self  # a copy of the model, such as a moving average of it, is not watched

    def __reduce__(self) -> tuple[type[Asleep], tuple[()]]:
        return Asleep, ()

    def _passed(self, model: Any, *_: Any) -> None:
        if not getattr(model, "training", True) or model is not self.model():
            return
        self._passes += 1
        if self._passes % self._every:
            return
        run = self._run()
        if run is None or run._ended:
            self.end()
            return
        try:
            self._look(run, model)
        except Exception as error:  # noqa: BLE001 - a training loop must not die of its log
            run._trouble("watch()", error)

    def _look(self, run: ValueRecorder, model: Any) -> None:
        for hook in self._waiting.values():  # of a pass that had no backward
            hook.remove()
        self._waiting.clear()
        for name, parameter in model.named_parameters():
            path = name.replace(".", "/")
            if self._parameters:
                run._hold_histogram(f"parameters/{self._name}{path}", parameter, self._bins)
            if self._gradients and getattr(parameter, "requires_grad", True):
                self._waiting[path] = parameter.register_hook(self._taker(path))

    def _taker(self, path: str) -> Callable[[Any], None]:
        me = weakref.ref(self)

        def take(gradient: Any) -> None:
            watch = me()
            run = watch._run() if watch is not None else None
            if watch is None or run is None:
                return
            hook = watch._waiting.pop(path, None)
            if hook is None:
                return  # a parameter that is used again gets its gradient in parts: the first one counts
            try:
                hook.remove()
                run._hold_histogram(f"gradients/{watch._name}{path}", gradient, watch._bins)
            except Exception as error:  # noqa: BLE001
                run._trouble("watch()", error)

        return take


class Asleep:
    """What a pickled model has in place of its watch."""

    def _passed(self, *_: Any) -> None:
        return


def leaves_of(values: Any, prefix: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Name and array of each leaf below `values`."""
    if callable(getattr(values, "named_parameters", None)):
        for name, parameter in values.named_parameters():
            yield _joined(prefix, name.replace(".", "/")), parameter
    elif isinstance(values, Mapping) and depth < MAX_DEPTH:
        for key, inner in values.items():
            yield from leaves_of(inner, _joined(prefix, str(key)), depth + 1)
    elif isinstance(values, list | tuple) and values and not isinstance(values[0], int | float) and depth < MAX_DEPTH:
        fields = getattr(values, "_fields", None)
        for place, inner in enumerate(values):
            yield from leaves_of(inner, _joined(prefix, str(fields[place] if fields else place)), depth + 1)
    elif values is not None:
        yield prefix or "values", values


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}/{name}" if prefix else name
