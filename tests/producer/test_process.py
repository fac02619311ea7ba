"""How processes end, fork and spawn, and what their runs hold then."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runstream.spool import list_spools, read_header, segment_path, writer_lives

Python = Callable[..., subprocess.CompletedProcess[str]]


def test_sigkill_right_after_log_loses_nothing(python: Python, all_held: Any, data_dir: Path) -> None:
    done = python(
        """
        run = runstream.init(config={"lr": 0.1})
        for i in range(30_000):
            run.log({"loss": i, "acc": -i})
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    assert done.returncode == -signal.SIGKILL
    (held,) = all_held()
    assert held.series("loss") == [(i, i) for i in range(30_000)]
    assert not held.closed
    (directory,) = list_spools(data_dir / "spool")
    assert not writer_lives(directory, read_header(segment_path(directory, 1))[0])


def test_sigkill_at_any_moment_leaves_every_row_whose_log_returned(
    python: Python, all_held: Any, tmp_path: Path
) -> None:
    done = python(
        """
        run = runstream.init(settings={"segment_bytes": 65536, "segment_max_bytes": 65536})
        fd = os.open("returned", os.O_CREAT | os.O_WRONLY)
        if os.fork() == 0:
            time.sleep(0.25)
            os.kill(os.getppid(), signal.SIGKILL)
            os._exit(0)
        for i in range(10_000_000):
            run.log({"a": i, "b": i})
            if i % 100 == 0:
                os.pwrite(fd, b"%10d" % i, 0)
        """
    )
    assert done.returncode == -signal.SIGKILL
    (held,) = all_held()
    values = [value for _, value in held.series("a")]
    assert values == list(range(len(values)))
    assert len(values) > int((tmp_path / "returned").read_text()) > 0


@pytest.mark.parametrize(
    ("ending", "state", "exit_code", "reason"),
    [
        ("pass", "finished", 0, ""),
        ("run.finish()", "finished", 0, ""),
        ("run.finish(exit_code=3)", "failed", 3, "exit code 3"),
        ("sys.exit(0)", "finished", 0, ""),
        ("sys.exit(2)", "failed", 2, "exit code 2"),
        ("sys.exit('no data')", "failed", 1, "no data"),
        ("sys.exit(143)", "killed", 143, "SIGTERM"),
        ("raise ValueError('bad lr')", "failed", 1, "ValueError: bad lr"),
        ("raise KeyboardInterrupt", "killed", 130, "KeyboardInterrupt"),
        ("raise ValueError('https://me:secret@host/x')", "failed", 1, "ValueError: https://***@host/x"),
    ],
)
def test_the_end_of_the_process_is_the_end_of_the_run(
    python: Python, all_held: Any, ending: str, state: str, exit_code: int, reason: str
) -> None:
    python(f"run = runstream.init()\nrun.log({{'a': 1}})\n{ending}")
    (held,) = all_held()
    (end,) = held.of("RunFinished")
    assert (end["state"], end["exit_code"], end["reason"]) == (state, exit_code, reason)
    assert end["metric_seq"] == 1
    assert held.closed


def test_the_exit_status_and_the_traceback_stay_the_users_own(python: Python) -> None:
    assert python("runstream.init()\nsys.exit(7)").returncode == 7
    done = python("sys.excepthook = lambda *a: print('mine')\nrunstream.init()\nraise ValueError('x')")
    assert done.returncode == 1
    assert done.stdout == "mine\n"


@pytest.mark.parametrize(
    ("raised", "state"), [("ValueError('x')", "failed"), ("KeyboardInterrupt", "killed"), ("SystemExit(0)", "finished")]
)
def test_an_exception_that_leaves_the_with_block_ends_the_run(
    python: Python, all_held: Any, raised: str, state: str
) -> None:
    python(f"with runstream.init() as run:\n    raise {raised}")
    assert all_held()[0].of("RunFinished")[0]["state"] == state


def test_sigterm_still_kills_at_once_and_nothing_logged_is_lost(python: Python, all_held: Any) -> None:
    done = python("run = runstream.init()\nrun.log({'a': 1})\nos.kill(os.getpid(), signal.SIGTERM)\nrun.log({'a': 2})")
    assert done.returncode == -signal.SIGTERM
    (held,) = all_held()
    assert held.series("a") == [(0, 1)]
    assert not held.closed


def test_a_users_own_handler_runs_logs_and_decides(python: Python, all_held: Any) -> None:
    python(
        """
        def handler(number, frame):
            runstream.log({"checkpoint": 1})
            sys.exit(128 + number)
        signal.signal(signal.SIGTERM, handler)
        run = runstream.init()
        assert signal.getsignal(signal.SIGTERM) is handler
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
        """
    )
    (held,) = all_held()
    assert held.series("checkpoint") == [(0, 1)]
    assert held.of("RunFinished")[0]["state"] == "killed"
    assert held.of("RunFinished")[0]["reason"] == "SIGTERM"


def test_a_storm_of_signals_whose_handlers_log_keeps_the_spool_whole(python: Python, all_held: Any) -> None:
    done = python(
        """
        run = runstream.init(settings={"segment_bytes": 65536})
        import itertools
        count = itertools.count(1)
        def handler(number, frame):
            run.log({"signals": next(count)}, step=0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        for i in range(40_000):
            run.log({"a": i}, step=i)
        signal.setitimer(signal.ITIMER_REAL, 0)
        run.finish()
        print(next(count) - 1)
        """
    )
    (held,) = all_held()
    assert [value for _, value in held.series("a")] == list(range(40_000))
    assert sorted(value for _, value in held.series("signals")) == list(range(1, int(done.stdout) + 1))
    assert int(done.stdout) > 5
    assert held.closed


def test_a_storm_of_exceptions_out_of_handlers_keeps_the_spool_whole(python: Python, all_held: Any) -> None:
    done = python(
        """
        class Stop(Exception): pass
        run = runstream.init(settings={"segment_bytes": 65536})
        armed = False
        def handler(number, frame):
            if armed:
                raise Stop
        signal.signal(signal.SIGALRM, handler)
        returned, stops = [], 0
        i = 0
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            i += 1
            try:
                armed = True
                run.log({"a": i}, step=i)
                armed = False
                returned.append(i)
            except Stop:
                armed = False
                stops += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        run.finish()
        print(stops, len(returned), sum(returned))
        """
    )
    assert done.returncode == 0, done.stderr
    stops, _, total = map(int, done.stdout.split())
    (held,) = all_held()
    values = [value for _, value in held.series("a")]
    assert stops > 5
    assert held.closed
    assert held.damaged == []
    assert sum(values) >= total
    assert len(set(values)) == len(values)


def test_a_forked_child_writes_a_part_of_its_own_in_the_same_run(python: Python, all_held: Any) -> None:
    done = python(
        """
        run = runstream.init(name="parent")
        run.log({"a": 1})
        pid = os.fork()
        if pid == 0:
            run.log({"child": 2})
            run.log({"child": 3})
            sys.exit(0)
        os.waitpid(pid, 0)
        run.log({"a": 4})
        run.finish()
        """
    )
    assert done.returncode == 0, done.stderr
    parent, child = sorted(all_held(), key=lambda held: "child" in held.rows[0][2])
    assert parent.series("a") == [(0, 1), (1, 4)]
    assert child.series("child") == [(1, 2), (2, 3)]
    assert [event["type"] for event in child.events] == ["RunStarted", "RunFinished"]
    assert child.events[0]["name"] == "parent"
    assert child.events[0]["pid"] != parent.events[0]["pid"]
    assert parent.closed
    assert child.closed


def test_a_child_that_logs_nothing_leaves_no_trace(python: Python, all_held: Any) -> None:
    python("run = runstream.init()\npid = os.fork()\nif pid == 0: sys.exit(0)\nos.waitpid(pid, 0)\nrun.log({'a': 1})")
    (held,) = all_held()
    assert len(held.of("RunFinished")) == 1
    assert held.closed


def test_a_fork_while_another_thread_logs_does_not_hang(python: Python, all_held: Any) -> None:
    done = python(
        """
        import threading
        run = runstream.init()
        stop = False
        def work():
            while not stop:
                run.log({"thread": 1})
        thread = threading.Thread(target=work)
        thread.start()
        for number in range(20):
            pid = os.fork()
            if pid == 0:
                run.log({"child": number})
                os._exit(0)
            os.waitpid(pid, 0)
        stop = True
        thread.join()
        """
    )
    assert done.returncode == 0, done.stderr
    numbers = [value for held in all_held() for _, value in held.series("child")]
    assert sorted(numbers) == list(range(20))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_workers_log_into_the_run_and_end_their_part(
    python: Python, all_held: Any, method: str
) -> None:
    done = python(
        f"""
        import multiprocessing
        def work(run, number):
            run.log({{"worker": number}})
        if __name__ == "__main__":
            run = runstream.init()
            run.log({{"main": 1}})
            context = multiprocessing.get_context({method!r})
            workers = [context.Process(target=work, args=(run, number)) for number in range(2)]
            for worker in workers: worker.start()
            for worker in workers: worker.join()
            run.finish()
        """
    )
    assert done.returncode == 0, done.stderr
    parts = all_held()
    assert len(parts) == 3
    assert sorted(v for held in parts for _, v in held.series("worker")) == [0, 1]
    assert all(held.closed and held.of("RunFinished")[0]["state"] == "finished" for held in parts)
    assert len({held.of("RunStarted")[0]["name"] for held in parts}) == 1


def test_a_full_file_system_never_reaches_the_training_loop(python: Python, all_held: Any) -> None:
    done = python(
        """
        import resource
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        run = runstream.init(settings={"segment_bytes": 65536, "segment_max_bytes": 1 << 20})
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        for i in range(20_000):
            run.log({"a": i})
        assert run.dropped > 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        time.sleep(1.1)
        run.log({"a": -1})
        print(run.dropped)
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("no room") == 1
    (held,) = all_held()
    assert held.closed
    assert held.rows[-1][2] == {"a": -1}
    assert len(held.rows) == 20_001 - int(done.stdout)


def test_a_directory_that_nobody_may_write_never_stops_a_run(python: Python) -> None:
    done = python("run = runstream.init()\nrun.log({'a': 1})\nprint(run.dropped)", RUNSTREAM_DIR="/sys/runstream")
    assert done.stdout == "1\n"
    assert done.returncode == 0


def test_a_run_left_open_in_a_loop_is_finished_at_exit(python: Python, all_held: Any) -> None:
    python("for i in range(3):\n    runstream.init(name=str(i)).log({'a': i})")
    assert [held.of("RunFinished")[0]["state"] for held in all_held()] == ["finished"] * 3


def test_a_notebook_finishes_the_earlier_run(python: Python, all_held: Any) -> None:
    done = python(
        """
        import types
        sys.modules["ipykernel"] = types.ModuleType("ipykernel")
        first = runstream.init()
        second = runstream.init()
        print(first.finished, second.finished)
        """
    )
    assert done.stdout == "True False\n"


def test_warnings_as_errors_do_not_reach_the_program(python: Python) -> None:
    done = python(
        """
        import warnings
        warnings.simplefilter("error")
        run = runstream.init()
        run.log({"a": "text", "b": 1})
        run.log(None)
        run.define_metric("x", summary="nonsense")
        run.finish()
        """
    )
    assert done.returncode == 0, done.stderr


def test_a_closed_stderr_does_not_matter(python: Python, all_held: Any) -> None:
    done = python("sys.stderr.close()\nrun = runstream.init()\nrun.log({'a': 'x', 'b': 1})\nrun.finish()\nos._exit(0)")
    assert done.returncode == 0
    assert all_held()[0].series("b") == [(0, 1)]
