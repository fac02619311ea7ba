"""What is kept of code that no commit has: the patch, untracked names, scripts, snapshots, notebook cells."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runstream
from runstream.capture import ask_repository
from runstream.git_commands import GitCommand
from runstream.repository import Repository, find_root
from runstream.settings import Settings
from runstream.source_code import snapshot
from runstream_deploy.reproduction.apply_patch import restored

SECRET = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz1234"


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, "-C", str(directory), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "repository"
    directory.mkdir()
    git(directory, "init", "-q", "-b", "topic")
    (directory / "train.py").write_text("one\ntwo\nthree\n")
    (directory / ".gitignore").write_text("*.log\n")
    git(directory, "add", ".")
    git(directory, "commit", "-q", "-m", "first")
    git(directory, "remote", "add", "origin", "https://me:secret@example.org/x.git")
    monkeypatch.chdir(directory)
    return directory


def asked(directory: Path, *, diff: bool = True, max_bytes: int = 10 << 20) -> Repository:
    root = find_root([str(directory)], {})
    assert root is not None
    return Repository(root, os.environ, diff=diff, max_diff_bytes=max_bytes)


def facts(directory: Path, *, diff: bool = True) -> dict[str, str]:
    repository = asked(directory, diff=diff)
    told = repository.facts(60.0)
    repository.close()
    return told


def changes(directory: Path, max_bytes: int = 10 << 20) -> str:
    repository = asked(directory, max_bytes=max_bytes)
    told = repository.changes(time.monotonic() + 60)
    repository.close()
    return told


@pytest.mark.parametrize("diff", [True, False])
def test_git_says_commit_branch_remote_and_whether_files_were_changed(repository: Path, diff: bool) -> None:
    expected = {
        "root": str(repository),
        "commit": git(repository, "rev-parse", "HEAD"),
        "branch": "topic",
        "remote": "https://example.org/x.git",
        "dirty": "false",
    }
    assert facts(repository, diff=diff) == expected
    (repository / "new").write_text("untracked files do not count")
    (repository / "below").mkdir()
    assert facts(repository / "below", diff=diff) == expected
    (repository / "train.py").write_text("2")
    assert facts(repository, diff=diff) == {**expected, "dirty": "true"}


def test_outside_a_repository_and_without_git_there_is_nothing_to_say(tmp_path: Path) -> None:
    chosen = Settings.from_env({})
    assert ask_repository(chosen, os.environ, [str(tmp_path)], diff=True) is None
    (tmp_path / ".git").mkdir()
    told = Repository(str(tmp_path), {"PATH": str(tmp_path)}, diff=True, max_diff_bytes=1000)
    assert told.facts(60.0) == {}
    assert told.changes(time.monotonic() + 60) == ""
    told.close()


def test_a_repository_without_commits_names_its_files(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "train.py").write_text("1")
    assert set(facts(tmp_path)) <= {"root"}
    assert "train.py" in changes(tmp_path)


def test_the_remote_of_the_branch_comes_before_origin(repository: Path) -> None:
    git(repository, "remote", "add", "mine", "git@example.org:me/x.git")
    git(repository, "config", "branch.topic.remote", "mine")
    assert facts(repository)["remote"] == "git@example.org:me/x.git"


def test_the_patch_holds_staged_and_unstaged_changes_and_names_the_rest(repository: Path) -> None:
    assert changes(repository) == ""
    (repository / "train.py").write_text("one\nchanged\nthree\n")
    (repository / "staged.py").write_text("new\n")
    (repository / "picture.png").write_bytes(bytes(range(256)))
    git(repository, "add", "staged.py", "picture.png")
    (repository / "żółw notes.txt").write_text("not a part")
    (repository / "out.log").write_text("ignored")
    told = changes(repository)
    assert "\n-two\n+changed\n" in told
    assert "+++ b/staged.py" in told
    assert "#   żółw notes.txt\n" in told
    assert "#   picture.png\n" in told
    assert "not a part" not in told
    assert "out.log" not in told
    assert "GIT binary" not in told
    head = told.split("diff --git", 1)[0]
    assert git(repository, "rev-parse", "HEAD") in head
    assert all(line.startswith("#") for line in head.splitlines())


def test_the_patch_gives_the_same_files_in_another_clone(repository: Path, tmp_path: Path) -> None:
    (repository / "train.py").write_bytes(b"one\r\n\xff\xfe not utf-8\n\x0cthree")
    (repository / "deep").mkdir()
    (repository / "deep" / "new file.py").write_text("x = 1\n")
    git(repository, "add", "deep")
    git(repository, "rm", "-q", "--cached", ".gitignore")
    (repository / ".gitignore").unlink()
    patch = changes(repository).encode("utf-8", "surrogateescape")
    git(tmp_path, "clone", "-q", str(repository), "second")
    second = tmp_path / "second"
    subprocess.run(["git", "-C", str(second), "apply", "-"], input=patch, check=True)
    for name in ("train.py", "deep/new file.py"):
        assert (second / name).read_bytes() == (repository / name).read_bytes()
    assert not (second / ".gitignore").exists()


def test_a_submodule_at_another_commit_is_named(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "module")
    module = tmp_path / "module"
    for number in range(2):
        (module / "x").write_text(str(number))
        git(module, "add", ".")
        git(module, "commit", "-q", "-m", str(number))
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(module), "lib")
    git(repository, "commit", "-q", "-m", "with a module")
    git(repository / "lib", "checkout", "-q", "HEAD~1")
    told = changes(repository)
    old, new = git(module, "rev-parse", "HEAD"), git(module, "rev-parse", "HEAD~1")
    assert f"#   lib: {old} -> {new}\n" in told
    assert "diff --git" not in told
    (repository / "lib" / "x").write_text("changed")
    assert f"#   lib: {old} -> {new}-dirty\n" in changes(repository)
    git(repository / "lib", "checkout", "-q", "-f", old)
    (repository / "lib" / "x").write_text("changed")
    told = changes(repository)
    assert f"#   lib: {old} -> {old}-dirty\n" in told
    assert "diff --git" not in told


def test_too_large_a_patch_leaves_its_statistics(repository: Path) -> None:
    (repository / "train.py").write_text("line\n" * 100_000)
    told = changes(repository, max_bytes=10_000)
    assert "larger than 10000 bytes" in told
    assert "train.py" in told
    assert "100000 insertions" in told
    assert len(told) < 10_000


def test_secrets_in_old_and_new_lines_are_masked_and_the_patch_still_fits(repository: Path, tmp_path: Path) -> None:
    pem = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n" * 3 + "-----END PRIVATE KEY-----\n"
    (repository / "train.py").write_text(f'key = "{SECRET}"\na = 1\n{pem}b = 2\n')
    git(repository, "commit", "-qam", "with a secret")
    (repository / "train.py").write_text(f'key = "{SECRET}"\na = 2\n{pem}b = 3\npassword = "swordfish1"\n')
    told = changes(repository)
    assert SECRET not in told
    assert "MIIEv" not in told
    assert "swordfish1" not in told
    git(tmp_path, "clone", "-q", str(repository), "second")
    second = tmp_path / "second"
    patch, masked = restored(told.encode(), second)
    subprocess.run(["git", "-C", str(second), "apply", "-"], input=patch, check=True)
    expected = (repository / "train.py").read_text().replace("swordfish1", "***")
    assert (second / "train.py").read_text() == expected
    assert masked == ["train.py:9"]


LINES = st.lists(
    st.sampled_from(["", "a = 1", f"k = '{SECRET}'", "\tx", "b", "-----BEGIN PRIVATE KEY-----", "c\r"]), max_size=12
)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(old=LINES, new=LINES)
def test_whatever_was_changed_is_applied_but_for_the_secrets(
    old: list[str], new: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.mktemp("any")
    one, other = base / "one", base / "other"
    git(base, "init", "-q", "one")
    (one / "f.py").write_text("\n".join(["start", *old]), newline="")
    git(one, "add", ".")
    git(one, "commit", "-q", "-m", "x")
    git(base, "clone", "-q", "one", "other")
    (one / "f.py").write_text("\n".join(["start", *new]), newline="")
    told = changes(one)
    assert SECRET not in told
    if told:
        patch, _ = restored(told.encode(), other)
        subprocess.run(["git", "-C", str(other), "apply", "--whitespace=nowarn", "-"], input=patch, check=True)
    want = (one / "f.py").read_bytes().decode().split("\n")
    have = (other / "f.py").read_bytes().decode().split("\n")
    assert len(want) == len(have)
    assert all(a == b or "***" in b for a, b in zip(want, have, strict=True))


@pytest.fixture
def slow_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A git whose `diff` waits until the file `go` is there."""
    directory = tmp_path / "bin"
    directory.mkdir()
    real = subprocess.run(["which", "git"], check=True, capture_output=True, text=True).stdout.strip()
    go = tmp_path / "go"
    script = f'#!/bin/sh\ncase "$*" in *" diff "*) while [ ! -e {go} ]; do sleep 0.02; done;; esac\nexec {real} "$@"\n'
    (directory / "git").write_text(script)
    (directory / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    yield go
    go.touch()


ON = {"capture": True, "capture_wait_s": 60.0}


def staged(run: runstream.Run, held: Callable[..., Any], name: str = "source-code") -> list[dict[str, str]]:
    """The files of each version of the artifact that a run staged."""
    found = []
    for event in held(run).of("ArtifactStaged"):
        if event["name"] == name:
            directory = run.spool / event["stage"]  # type: ignore[operator]
            found.append({file["path"]: (directory / file["path"]).read_text() for file in event["files"]})
            assert event["artifact_type"] == "code"
    return found


def staged_by_all(all_held: Callable[[], Any]) -> list[dict[str, Any]]:
    return [event for held in all_held() for event in held.of("ArtifactStaged")]


def test_a_run_keeps_what_its_commit_does_not_have(repository: Path, held: Callable[..., Any]) -> None:
    (repository / "train.py").write_text("one\nchanged\nthree\n")
    with runstream.init(settings=ON) as run:
        pass
    (files,) = staged(run, held)
    assert "+changed" in files["diff.patch"]
    assert held(run).of("RunStarted")[0]["git"]["dirty"] == "true"
    with runstream.init(settings=ON) as again:
        pass
    assert staged(again, held) == [files]  # so it is the same version


@pytest.mark.parametrize("off", [{"capture": False}, {"capture_diff": False}, {"capture_git": False}, {"rank": 1}])
def test_nothing_is_kept_where_it_is_switched_off_and_by_other_ranks(
    repository: Path, held: Callable[..., Any], off: dict[str, Any]
) -> None:
    (repository / "train.py").write_text("changed")
    with runstream.init(settings={**ON, **off}) as run:
        pass
    assert staged(run, held) == []


def test_a_slow_git_does_not_hold_up_the_start_and_is_heard_while_the_run_logs(
    repository: Path, slow_git: Path, held: Callable[..., Any]
) -> None:
    (repository / "train.py").write_text("changed")
    run = runstream.init(settings={"capture": True, "capture_wait_s": 0.0})
    assert "dirty" not in held(run).of("RunStarted")[0]["git"]
    assert staged(run, held) == []
    slow_git.touch()
    while not staged(run, held):
        run.log({"loss": 1.0})
        time.sleep(0.05)
    run.finish()
    assert len(staged(run, held)) == 1
    assert run.dropped == 0


def test_a_slow_git_is_waited_for_at_the_end(repository: Path, slow_git: Path, held: Callable[..., Any]) -> None:
    (repository / "train.py").write_text("changed")
    run = runstream.init(settings={"capture": True, "capture_wait_s": 0.0})
    slow_git.touch()
    run.finish()
    assert "+changed" in staged(run, held)[0]["diff.patch"]


@pytest.mark.parametrize("end", ["kill", "exec", "leave"])
def test_what_a_slow_git_tells_after_the_death_of_the_run_is_kept(
    repository: Path, slow_git: Path, python: Any, all_held: Callable[[], Any], data_dir: Path, end: str
) -> None:
    (repository / "train.py").write_text("changed")
    done = python(
        f"""
        os.chdir({str(repository)!r})
        os.setpgid(0, 0)
        signal.signal(signal.SIGINT, lambda *_: None)
        import runstream.captured_run
        runstream.captured_run.LATE_WAIT_S = 0.01
        run = runstream.init(settings={{"capture": True, "capture_wait_s": 0.0}})
        print(run.id, flush=True)
        if {end!r} == "kill":
            os.kill(0, signal.SIGINT)
            os.kill(os.getpid(), signal.SIGKILL)
        elif {end!r} == "exec":
            os.execvp("true", ["true"])
        run.finish()
        """,
        **({} if end == "leave" else {"PYTHONUNBUFFERED": "1"}),
    )
    run_id = done.stdout.strip()
    assert run_id, done.stderr
    slow_git.touch()
    give_up_at = time.monotonic() + 60
    while not (patches := list(data_dir.glob(f"spool/{run_id}/*/files/1/diff.patch"))):
        assert time.monotonic() < give_up_at, done.stderr
        time.sleep(0.02)
    editors = [directory for directory in (data_dir / "spool" / run_id).iterdir() if (directory / "editor").exists()]
    assert patches[0].is_relative_to(editors[0])
    both = {"diff.patch", "script/program.py"}
    while both not in [{file["path"] for file in event["files"]} for event in staged_by_all(all_held)]:
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
    assert {(event["name"], event["artifact_type"]) for event in staged_by_all(all_held)} == {("source-code", "code")}
    assert "+changed" in patches[0].read_text()


def test_a_git_that_never_answers_is_given_up(
    repository: Path, slow_git: Path, held: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr("runstream.captured_run.LATE_WAIT_S", 0.05)
    (repository / "train.py").write_text("changed")
    run = runstream.init(settings={"capture": True, "capture_wait_s": 0.0})
    run.finish()
    assert "git needs longer" in caplog.text
    assert staged(run, held) == []
    assert held(run).closed


def test_a_forked_child_leaves_the_parents_questions_alone(repository: Path, slow_git: Path, python: Any) -> None:
    (repository / "train.py").write_text("changed")
    done = python(
        f"""
        os.chdir({str(repository)!r})
        run = runstream.init(settings={{"capture": True, "capture_wait_s": 0.0}})
        child = os.fork()
        if child == 0:
            run.log({{"a": 1}})
            run.finish()
            os._exit(0)
        os.waitpid(child, 0)
        open({str(slow_git)!r}, "w").close()
        run.finish()
        print(len(list(run.spool.glob("files/*/diff.patch"))), run.dropped)
        """
    )
    assert done.stdout == "1 0\n", done.stderr


def test_a_script_that_no_commit_has_is_kept(python: Any, tmp_path: Path) -> None:
    done = python(
        f"""
        key = "{SECRET}"
        run = runstream.init(settings={{"capture": True, "capture_wait_s": 60.0}})
        run.finish()
        print(next(run.spool.glob("files/*/script/program.py")).read_text())
        """
    )
    assert "import runstream" in done.stdout, done.stderr
    assert SECRET not in done.stdout


def test_a_snapshot_honours_gitignore_and_masks(repository: Path, held: Callable[..., Any]) -> None:
    (repository / "sub").mkdir()
    (repository / "sub" / "new.py").write_text(f"key = '{SECRET}'\n")
    (repository / "out.log").write_text("ignored")
    (repository / "weights.bin").write_bytes(b"\0" * 10)
    with runstream.init(save_code=True) as run:
        runstream.log_code(include="*.py", exclude=["train*"], name="part")
    (whole,) = staged(run, held, "code-snapshot")
    assert set(whole) == {"train.py", "sub/new.py"}
    assert whole["sub/new.py"] == "key = '***'\n"
    assert [set(files) for files in staged(run, held, "part")] == [{"sub/new.py"}]


def test_a_snapshot_outside_git_takes_sources_and_leaves_environments(tmp_path: Path) -> None:
    for name in (
        "a.py",
        "conf/x.yaml",
        "data.csv",
        ".hidden/b.py",
        "venv/c.py",
        "own/pyvenv.cfg",
        "own/d.py",
        "Makefile",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert set(snapshot(tmp_path, (), ())) == {"a.py", "conf/x.yaml", "Makefile"}
    assert set(snapshot(tmp_path, ("*.csv",), ())) == {"data.csv"}


def test_a_snapshot_of_nothing_is_a_warning(tmp_path: Path, caplog: Any) -> None:
    with runstream.init() as run:
        assert run.log_code(tmp_path) is None
        assert run.log_code(tmp_path / "missing") is None
        run.log({"a": 1})
    assert caplog.text.count("log_code() is left out") == 2


def test_cells_of_a_notebook_are_kept_at_the_end(python: Any) -> None:
    done = python(
        f"""
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()
        cells = [
            'import runstream; run = runstream.init(settings={{"capture": True, "capture_wait_s": 60.0}})',
            'x = 40 + 2',
            'token = "{SECRET}"',
            'run.finish()',
        ]
        for cell in cells:
            shell.run_cell(cell, store_history=True)
        print(next(shell.user_ns["run"].spool.glob("files/*/notebook.py")).read_text())
        """
    )
    assert "# %% [2]\nx = 40 + 2\n" in done.stdout, done.stderr
    assert SECRET not in done.stdout


def test_a_command_says_at_most_so_much_and_can_be_killed(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    long = GitCommand(str(tmp_path), "-c", "alias.x=!yes", "x", env=os.environ, max_bytes=4096)
    assert long.wait(time.monotonic() + 60)
    assert long.too_large
    assert len(long.text()) == 4096
    endless = GitCommand(str(tmp_path), "-c", "alias.x=!sleep 1000", "x", env=os.environ)
    assert not endless.done
    endless.kill()
    assert endless.done
    assert json.dumps(long.failed) == "true"
    long.kill()
