"""The console: what a process and its children print arrives unchanged, and is recorded."""

from __future__ import annotations

import fcntl
import os
import pty
import random
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producer.companions import Programs, companions, halves, programs_in, recorded, wait_until, writers

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the console is recorded on Linux only")


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    yield from programs_in(tmp_path)


PIECES = st.lists(
    st.tuples(st.sampled_from([1, 2]), st.booleans(), st.binary(min_size=1, max_size=300), st.integers(1, 400)),
    max_size=12,
)
"""Each written to a stream, by the process or by a child of it, so many times over."""


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=PIECES)
def test_any_bytes_arrive_and_are_recorded_as_they_were_written(
    programs: Programs, data_dir: Path, pieces: list[tuple[int, bool, bytes, int]]
) -> None:
    before = set(writers(data_dir))
    done = programs.run(
        f"""
        runstream.init(settings={{"quiet": True}})
        for stream, by_child, data, times in {pieces!r}:
            if by_child:
                subprocess.run([sys.executable, "-c", f"import os; os.write({{stream}}, {{data!r}} * {{times}})"])
            else:
                os.write(stream, data * times)
        """
    )
    assert done.returncode == 0
    (directory,) = set(writers(data_dir)) - before
    written = {1: b"", 2: b""}
    for stream, _, data, times in pieces:
        written[stream] += data * times
    assert (done.stdout, done.stderr) == (written[1], written[2])
    assert recorded(directory).streams == {stream: data for stream, data in written.items() if data}


def test_output_of_a_process_and_its_children_arrives_unchanged_and_is_recorded(
    programs: Programs, data_dir: Path
) -> None:
    done = programs.run(
        r"""
        run = runstream.init()
        print("printed"); sys.stderr.write("warned\n")
        sys.stdout.flush()
        os.write(1, bytes(range(256)))
        subprocess.run(["sh", "-c", "echo child; echo trouble >&2; echo again > /dev/stderr"])
        pid = os.fork()
        if pid == 0:
            print("forked", flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        run.finish()
        print("afterwards")
        """
    )
    expected = b"printed\n" + bytes(range(256)) + b"child\nforked\n"
    assert (done.returncode, done.stdout) == (0, expected + b"afterwards\n")
    assert done.stderr == b"warned\ntrouble\nagain\n"
    (directory,) = writers(data_dir)
    found = recorded(directory)
    assert (found.out, found.err, found.notes) == (expected, done.stderr, [])


STORM = """
import random
from pathlib import Path
rng = random.Random({seed})
run = runstream.init()
wanted = {{1: open("wanted1", "wb"), 2: open("wanted2", "wb")}}
Path("begun").touch()
i = 0
while not Path("enough").exists():
    i += 1
    time.sleep(0.001)
    fd, data = rng.choice([1, 1, 2]), rng.randbytes(rng.choice([1, 10, 100, 5000, 70000]))
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]
    wanted[fd].write(data)
    if i % 300 == 50:
        subprocess.run([sys.executable, "-c", "import os; os.write({child}, b'child' * 1000)"])
        wanted[{child}].write(b"child" * 1000)
for file in wanted.values():
    file.close()
"""


@pytest.mark.parametrize("kind", ["file", "appended", "pipe"])
def test_a_storm_arrives_whole_although_each_half_of_the_companion_is_killed(
    programs: Programs, data_dir: Path, tmp_path: Path, kind: str
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    if kind == "pipe":
        sink = subprocess.Popen(["sh", "-c", "exec cat > out"], stdin=subprocess.PIPE, cwd=tmp_path)
        assert sink.stdin is not None
        target = sink.stdin.fileno()
    else:
        target = os.open(tmp_path / "out", os.O_CREAT | os.O_WRONLY | (os.O_APPEND if kind == "appended" else 0))
    with (tmp_path / "err").open("wb") as err:
        process = programs.start(
            STORM.format(seed=seed, child=2),
            env={"RUNSTREAM_CONSOLE_MAX_RATE": "0"},
            stdout=target,
            stderr=err,
        )
    if kind == "pipe":
        sink.stdin.close()
    else:
        os.close(target)
    wait_until(lambda: (tmp_path / "begun").exists(), "it has not begun")
    (directory,) = writers(data_dir)
    for half in (1, 0, 1):
        victim = halves(directory)[half]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda victim=victim: victim not in companions(directory), "it lives")
    (tmp_path / "enough").touch()
    assert process.wait(60) == 0
    found = recorded(directory)
    wait_until(lambda: not companions(directory), "a companion is left")
    if kind == "pipe":
        assert sink.wait(60) == 0
    for stream, got in ((1, found.out), (2, found.err)):
        wanted = (tmp_path / f"wanted{stream}").read_bytes()
        passed_on = (tmp_path / ("out" if stream == 1 else "err")).read_bytes()
        assert got == wanted
        assert passed_on == wanted


@pytest.mark.parametrize("half", [0, 1], ids=["keeper", "reader"])
def test_a_half_that_is_stopped_goes_on(programs: Programs, data_dir: Path, tmp_path: Path, half: int) -> None:
    """The keeper at the latest when the run ends; a stopped one would stay for ever, and hold up the end."""
    with (tmp_path / "out").open("wb") as out:
        process = programs.start(
            """
            runstream.init()
            open("begun", "w").close()
            sys.stdin.readline()
            print("x" * 500_000)
            """,
            stdin=subprocess.PIPE,
            stdout=out,
        )
    wait_until(lambda: (tmp_path / "begun").exists(), "it has not begun")
    (directory,) = writers(data_dir)
    os.kill(halves(directory)[half], signal.SIGSTOP)
    process.communicate(b"\n", timeout=60)
    assert process.returncode == 0
    wait_until(lambda: (tmp_path / "out").stat().st_size == 500_001, "it was not passed on")
    wait_until(lambda: not companions(directory), "it is still there")


def test_a_killed_process_has_all_it_printed(programs: Programs, data_dir: Path) -> None:
    done = programs.run("runstream.init(); os.write(1, b'last words' * 10000); os.kill(os.getpid(), signal.SIGKILL)")
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == b"last words" * 10000
    assert recorded(writers(data_dir)[0]).out == done.stdout


def test_a_crash_in_c_code_is_recorded(programs: Programs, data_dir: Path) -> None:
    done = programs.run("import faulthandler\nfaulthandler.enable()\nrunstream.init()\nos.abort()")
    assert done.returncode == -signal.SIGABRT
    assert b"Fatal Python error: Aborted" in done.stderr
    assert recorded(writers(data_dir)[0]).err == done.stderr


def test_an_exception_that_ends_the_run_is_recorded(programs: Programs, data_dir: Path) -> None:
    done = programs.run("runstream.init()\nraise RuntimeError('diverged')")
    assert done.returncode == 1
    assert done.stderr.endswith(b"RuntimeError: diverged\n")
    assert recorded(writers(data_dir)[0]).err == done.stderr


def test_a_child_that_outlives_the_run_still_prints(programs: Programs, data_dir: Path, tmp_path: Path) -> None:
    process = programs.start(
        """
        run = runstream.init()
        subprocess.Popen(["sh", "-c", "echo early; while [ ! -e go ]; do sleep 0.05; done; echo late"])
        sys.stdout.write("done\\n")  # in one piece, also where nothing is buffered
        sys.stdout.flush()
        run.finish()
        """,
        stdout=subprocess.PIPE,
    )
    assert process.wait(60) == 0
    recorded(writers(data_dir)[0])
    (tmp_path / "go").touch()
    out, _ = process.communicate(timeout=60)
    assert sorted(out.split()) == [b"done", b"early", b"late"]


def test_nobody_reads_any_more_reaches_who_writes(programs: Programs, data_dir: Path) -> None:
    """As in `python train.py | head -1`."""
    process = programs.start(
        """
        import signal
        # A library in the process of the tests may have blocked it, and a mask is inherited.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPIPE])
        runstream.init()
        child = subprocess.Popen(["yes"])
        print("first", flush=True)
        try:
            while True:
                print("more", flush=True)
        except BrokenPipeError:
            sys.stderr.write(f"broken {child.wait()}")
            sys.stderr.flush()
            os._exit(3)
        """,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b"broken %d" % -signal.SIGPIPE
    assert process.wait(60) == 3


def test_a_stream_nobody_takes_does_not_hold_up_the_other(programs: Programs) -> None:
    process = programs.start(
        """
        runstream.init()
        subprocess.Popen([sys.executable, "-c", "import os; os.write(1, b'x' * 300000)"])
        sys.stderr.write("ready\\n")
        """,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == b"ready\n"
    assert process.stdout is not None
    assert len(process.stdout.read()) == 300000


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", ">/dev/null 2>&1"])
def test_closed_or_unwanted_output_stays_so(programs: Programs, data_dir: Path, tmp_path: Path, closed: str) -> None:
    script = tmp_path / "closed.py"
    script.write_text("import runstream\nrun = runstream.init()\nprint('text')\nrun.log({'a': 1})\nrun.finish()\n")
    env = {**os.environ, "RUNSTREAM_CONSOLE": "1", "RUNSTREAM_MODE": "offline", "RUNSTREAM_QUIET": "1"}
    done = subprocess.run(["sh", "-c", f"exec {sys.executable} closed.py {closed}"], cwd=tmp_path, env=env, check=False)
    assert done.returncode == 0
    found = recorded(writers(data_dir)[0])
    assert found.out == (b"" if closed.startswith(">&-") else b"text\n")


def test_a_full_outbox_leaves_out_and_says_so_while_everything_is_passed_on(programs: Programs, data_dir: Path) -> None:
    done = programs.run(
        "runstream.init(); os.write(1, b'y' * 1_000_000)", env={"RUNSTREAM_CONSOLE_MAX_BYTES": "200000"}
    )
    assert done.stdout == b"y" * 1_000_000
    found = recorded(writers(data_dir)[0])
    assert 0 < len(found.out) < 200_000
    (note,) = found.notes
    assert f"{1_000_000 - len(found.out):,} bytes of output are left out" in note


def test_two_runs_at_once_both_record_and_end_in_any_order(programs: Programs, data_dir: Path) -> None:
    done = programs.run(
        """
        first = runstream.init(name="first"); print("one", flush=True)
        second = runstream.init(name="second"); print("both", flush=True)
        first.finish(); print("two", flush=True)
        second.finish(); print("none", flush=True)
        third = runstream.init(name="third"); print("three", flush=True)
        """
    )
    assert done.stdout.split() == [b"one", b"both", b"two", b"none", b"three"]
    outs = [recorded(directory).out for directory in writers(data_dir)]
    assert outs[1:] == [b"both\ntwo\n", b"three\n"]
    assert outs[0] in (b"one\n", b"one\nboth\n")  # what is on its way through the second at the end counts as its own


def test_workers_of_a_run_share_its_console_and_leave_it_alone(programs: Programs, data_dir: Path) -> None:
    done = programs.run(
        """
        import multiprocessing as mp
        def work(run):
            run.log({"a": 1}); print("worker", flush=True); run.finish()
        if __name__ == "__main__":
            run = runstream.init()
            for method in ("fork", "spawn"):
                process = mp.get_context(method).Process(target=work, args=(run,))
                process.start(); process.join()
            print("parent", flush=True)
            run.finish()
        """
    )
    assert (done.returncode, done.stdout) == (0, b"worker\nworker\nparent\n")
    outs = [recorded(directory).out for directory in writers(data_dir)]
    assert sorted(outs) == [b"", b"", b"worker\nworker\nparent\n"]


def test_a_rewind_goes_on_recording_in_the_new_attempt(programs: Programs, data_dir: Path) -> None:
    done = programs.run(
        "run = runstream.init(); print('before', flush=True); run.rewind(0); print('after', flush=True)"
    )
    assert done.stdout == b"before\nafter\n"
    assert [recorded(directory).out for directory in writers(data_dir)] == [b"before\n", b"after\n"]


def test_a_terminal_stays_a_terminal(programs: Programs, data_dir: Path) -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    process = programs.start(
        """
        run = runstream.init()
        print(os.isatty(1), os.isatty(2), tuple(os.get_terminal_size(1)))
        os.write(2, b"\\r50%"); os.write(1, b"|"); os.write(2, b"\\r99%\\n")
        run.finish()
        print("end")
        """,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    got = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # nobody has it open any more
            break
        got += piece
    os.close(master)
    assert process.wait(60) == 0
    assert got == b"True True (77, 33)\r\n\r50%|\r99%\r\nend\r\n"
    assert recorded(writers(data_dir)[0]).out == b"True True (77, 33)\n\r50%|\r99%\n"


def test_stdout_and_stderr_of_one_file_keep_their_order(programs: Programs, data_dir: Path, tmp_path: Path) -> None:
    with (tmp_path / "both").open("wb") as both:
        programs.run("runstream.init()\nfor i in range(500): os.write(1 + i % 2, b'%d ' % i)", stdout=both, stderr=both)
    expected = b"".join(b"%d " % i for i in range(500))
    assert (tmp_path / "both").read_bytes() == expected
    assert recorded(writers(data_dir)[0]).out == expected


@pytest.mark.parametrize(
    "env", [{"RUNSTREAM_CONSOLE": "0"}, {"RUNSTREAM_CONSOLE": "auto", "RUNSTREAM_AGENT": "thread"}]
)
def test_a_console_that_is_not_wanted_is_left_alone(programs: Programs, data_dir: Path, env: dict[str, str]) -> None:
    done = programs.run("before = os.fstat(1); runstream.init(); print(os.fstat(1) == before)", env=env)
    assert done.stdout == b"True\n"
    assert not list(writers(data_dir)[0].glob("console*"))


def test_without_a_python_to_start_the_job_goes_on_and_says_so(programs: Programs, data_dir: Path) -> None:
    done = programs.run("sys.executable = '/nowhere/python'\nrun = runstream.init()\nprint('text')")
    assert (done.returncode, done.stdout) == (0, b"text\n")
    assert b"console and machine are not recorded" in done.stderr


def test_both_halves_are_gone_and_the_job_still_ends(programs: Programs, data_dir: Path, tmp_path: Path) -> None:
    process = programs.start(
        "run = runstream.init()\nopen('begun', 'w').close()\nsys.stdin.readline()\nrun.finish()\nprint('end')",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    wait_until(lambda: (tmp_path / "begun").exists(), "it has not begun")
    pids = halves(writers(data_dir)[0])
    os.kill(pids[0], signal.SIGSTOP)
    for pid in reversed(pids):
        os.kill(pid, signal.SIGKILL)
    out, _ = process.communicate(b"\n", timeout=60)
    assert (process.returncode, out) == (0, b"end\n")
