"""How a process ends, seen from its runs: normally, by an exception, by sys.exit, in a fork.

No signal handler is installed. One would change how a job dies: Python runs it only between bytecodes, so a process
stuck in a kernel or a collective would no longer end by SIGTERM. A user's own handlers stay as they are; what they log
is kept, and when they leave by `sys.exit`, the run ends with that code. Without a handler the agent sees at once that
the process is gone.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterable
from types import CodeType, TracebackType
from typing import Any, NamedTuple, NoReturn, Protocol

from runstream.masking import mask_text
from runstream.values import cut

MAX_REASON_BYTES = 1000
_HERE = os.path.dirname(__file__)  # noqa: PTH120 - compared with the file names of code objects


class Outcome(NamedTuple):
    state: str = "finished"
    exit_code: int = 0
    reason: str = ""


class Ending(Protocol):
    """What takes part in the end of the process."""

    def end(self, outcome: Outcome) -> None: ...

    def forked(self) -> None: ...


_open: set[Ending] = set()
"""Held strongly: a run that its script let go of is finished at exit, whatever the garbage collector did before."""
_outcome = Outcome()
_installed = False


def outcome_of(error: BaseException | None) -> Outcome:
    """What a run's end says when this exception ends it."""
    if error is None:
        return Outcome()
    if isinstance(error, SystemExit):
        return outcome_of_code(error.code)
    if isinstance(error, KeyboardInterrupt):
        return Outcome("killed", 130, "KeyboardInterrupt")
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - a user's __str__ may do anything
        text = type(error).__name__
    return Outcome("failed", 1, _reason(text))


def outcome_of_code(code: object) -> Outcome:
    """The outcome of `sys.exit(code)`: 128 + n is signal n by custom."""
    if code is None:
        return Outcome()
    if not isinstance(code, int):
        return Outcome("failed", 1, _reason(str(code)))
    import signal

    status = int(code) & 0xFF
    if status == 0:
        return Outcome()
    if status > 128:
        try:
            return Outcome("killed", status, signal.Signals(status - 128).name)
        except ValueError:
            return Outcome("failed", status, f"exit code {status}")
    return Outcome("failed", status, f"exit code {status}")


def is_by_signal(outcome: Outcome, names: Iterable[str]) -> bool:
    """Whether one of these signals (`SIGTERM`) ended the process, by its exit code."""
    if outcome.state != "killed":
        return False
    import signal

    return outcome.exit_code in {signal.Signals[name] + 128 for name in names}


def _reason(text: str) -> str:
    return mask_text(cut(text, MAX_REASON_BYTES)[0])


def watch(run: Ending) -> None:
    """End `run` with the process unless it ended before."""
    _open.add(run)
    _install()


def forget(run: Ending) -> None:
    _open.discard(run)


def end_all() -> None:
    """End what is still open, with what is known of how the process ends."""
    for run in list(_open):
        run.end(_outcome)


def watch_worker() -> None:
    """In a forked child that has begun to write: end its part also where atexit is not run (multiprocessing)."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.Finalize(None, end_all, exitpriority=-100)


def is_worker() -> bool:
    """Whether multiprocessing made this process: then its parent waits for it or terminates it, and outlives it."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def raised_by_signal_handler(error: BaseException) -> bool:
    """Whether `error` comes out of a signal handler of the user, and merely hit while our code ran.

    Such an exception (a timeout, a preemption) is the user's own and must pass, whatever else is kept from them.
    """
    signals = sys.modules.get("signal")
    codes = []
    trace = error.__traceback__
    while trace is not None:
        codes.append(trace.tb_frame.f_code)
        trace = trace.tb_next
    if signals is None or all(code.co_filename.startswith(_HERE) for code in codes):
        return False
    handlers = (signals.getsignal(number) for number in signals.valid_signals())
    return any(_code_of(handler) in codes for handler in handlers if callable(handler))


def _code_of(handler: Any) -> CodeType | None:
    handler = getattr(handler, "func", handler)  # functools.partial
    handler = handler if hasattr(handler, "__code__") else getattr(handler, "__call__", handler)  # noqa: B004
    return getattr(handler, "__code__", None)


def _install() -> None:
    global _installed
    if _installed:
        return
    _installed = True
    atexit.register(end_all)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_in_child)
    previous_hook = sys.excepthook

    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _note(outcome_of(error))
        previous_hook(kind, error, trace)

    sys.excepthook = excepthook
    previous_exit = sys.exit

    def exit(status: Any = None) -> NoReturn:
        _note(outcome_of_code(status))
        previous_exit(status)

    sys.exit = exit


def _note(outcome: Outcome) -> None:
    global _outcome
    _outcome = outcome


def _in_child() -> None:
    _note(Outcome())
    for run in list(_open):
        run.forked()
