"""What capture adds to `init()`, and how quickly secrets are masked and data is fingerprinted.

Each `init()` is timed in a process of its own, with and without capture in turn, so that noise meets both.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

STARTS = 15
FILES = 20_000
BAR_MS = 200
OFF, ON = {"RUNSTREAM_CAPTURE": "0"}, {"RUNSTREAM_CAPTURE": "1"}
INIT = """
import time, runstream
began = time.perf_counter()
run = runstream.init()
print(time.perf_counter() - began)
run.finish()
"""
LINES = (
    "2026-11-23 18:00:01,123 INFO trainer.py:212 epoch 3 step 1200 | loss 0.3241 | 12034 tokens/s | 23.4 GiB",
    "Epoch 12/100:  45%|████▌     | 450/1000 [00:32<00:40, 13.7it/s, loss=0.123, acc=0.95]",
    "[rank3]: step=1200 loss=0.3211 ppl=1.378 throughput=12034.2 samples/s eta=2:13:44",
    "Some weights of BertForSequenceClassification were not initialized from the checkpoint at bert-base-uncased",
    '  File "/usr/lib/python3.11/site-packages/torch/nn/modules/module.py", line 1518, in _wrapped_call_impl',
    "val/loss: 0.4312  val/acc: 0.8812  best: 0.8901 (step 900)",
    "layer 3 attention key norm 1.23 query norm 0.88 value norm 1.02",
)
GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false")
Row = tuple[str, str, str]


def measure() -> list[Row]:
    """The rows of the report."""
    with tempfile.TemporaryDirectory(prefix="runstream-capture-", ignore_cleanup_errors=True) as directory:
        small = repository(Path(directory) / "small", files=20, changed_lines=100)
        large = repository(Path(directory) / "large", files=FILES, changed_lines=20_000)
        slow = slow_git(Path(directory) / "bin")
        return [
            added("a small repository, 100 changed lines", small),
            added(f"{FILES:,} files, 20,000 changed lines", large),
            added("a git that takes 3 s for a diff", small, PATH=f"{slow}:{os.environ['PATH']}"),
            *masking(),
            *fingerprints(),
        ]


def added(what: str, where: Path, **variables: str) -> Row:
    """What capture adds, by medians."""
    took: dict[str, list[float]] = {"off": [], "on": []}
    for _ in range(STARTS + 1):  # the first one writes the byte code
        for name, setting in (("off", OFF), ("on", ON)):
            took[name].append(init_ms(where, {**setting, **variables}))
    off, on = (statistics.median(took[name][1:]) for name in ("off", "on"))
    note = (
        f"init() {off:.1f} ms without, {on:.1f} ms with capture, slowest {max(took['on'][1:]):.0f} ms; bar {BAR_MS} ms"
    )
    return f"capture adds to init(): {what}", f"{on - off:.1f} ms", note


def init_ms(where: Path, variables: dict[str, str]) -> float:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("RUNSTREAM_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(prefix="runstream-capture-run-") as directory:
        kept.update(
            RUNSTREAM_DIR=directory, RUNSTREAM_QUIET="1", RUNSTREAM_CONSOLE="0", RUNSTREAM_SYSTEM="0", **variables
        )
        done = subprocess.run(
            [sys.executable, "-c", INIT], cwd=where, env=kept, check=True, capture_output=True, text=True
        )
    return float(done.stdout) * 1000


def repository(path: Path, *, files: int, changed_lines: int) -> Path:
    """A git repository with a commit, and changes on top."""
    for number in range(files):
        place = path / f"part{number // 500}" / f"module{number}.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"def f{number}(x):\n    return x + {number}\n")
    text = path / "train.py"
    text.write_text("\n".join(f"a{n} = {n}" for n in range(changed_lines)))
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "first")):
        subprocess.run([*GIT, *arguments], cwd=path, check=True)
    text.write_text("\n".join(f"a{n} = {n + 1}" for n in range(changed_lines)))
    (path / "notes.txt").write_text("untracked")
    return path


def slow_git(directory: Path) -> Path:
    directory.mkdir()
    found = subprocess.run(["which", "git"], check=True, capture_output=True, text=True).stdout.strip()
    script = directory / "git"
    script.write_text(f'#!/bin/sh\ncase "$*" in *" diff "*) sleep 3;; esac\nexec {found} "$@"\n')
    script.chmod(0o755)
    return directory


def masking() -> list[Row]:
    from runstream.masking import mask_text

    numbers = itertools.count(1)
    lines = [re.sub(r"\d+", lambda _: str(next(numbers) * 7919 % 10_000), line) for line in LINES * 2000]
    chance = random.Random(0)
    letters = [re.sub("[aeiou]", lambda _: chance.choice("aeiou"), line) for line in lines]
    rows = []
    for what, given in (("other numbers", lines), ("other words", letters)):
        size = sum(len(line.encode()) for line in given)
        took = best(lambda given=given: [mask_text(line) for line in given])  # type: ignore[misc]
        note = f"{took / len(given) * 1e6:.1f} us a line; bar 20 MB/s"
        rows.append((f"masking of log lines, each with {what}", f"{size / took / 1e6:.0f} MB/s", note))
    return rows


def fingerprints() -> list[Row]:
    import numpy as np
    import pyarrow as pa

    from runstream.datasets import described
    from runstream.datasets.files import FileDigests
    from runstream.datasets.progress import Progress

    def of(data: object) -> float:
        return best(lambda: described(data, FileDigests(None), Progress("bench")))

    numbers = np.random.default_rng(0).standard_normal(16 << 20)
    texts = pa.table({"text": pa.array([f"a line of text, number {n}" for n in range(1 << 20)])})
    bare = numbers.nbytes / best(lambda: hashlib.sha256(numbers.data).digest()) / 1e6
    rows = []
    with big_file() as path:
        held: dict[str, tuple[object, int]] = {
            "a file": (path, path.stat().st_size),
            "a numpy array": (numbers, numbers.nbytes),
            "an Arrow table of doubles": (pa.table({"x": numbers}), numbers.nbytes),
            "an Arrow table of texts": (texts, texts.nbytes),
        }
        for name, (data, size) in held.items():
            rate = size / of(data) / 1e6
            rows.append((f"fingerprint of {name}", f"{rate:.0f} MB/s", f"{100 * rate / bare:.0f} % of bare SHA-256"))
    return rows


@contextlib.contextmanager
def big_file() -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(prefix="runstream-capture-", suffix=".bin") as file:
        for _ in range(128):
            file.write(os.urandom(1 << 20))
        file.flush()
        yield Path(file.name)


def best(call: Callable[[], object]) -> float:
    """Seconds of the quickest of five."""
    took = []
    for _ in range(5):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return min(took)


if __name__ == "__main__":
    for what, value, note in measure():
        print(f"{what:<60} {value:<12} {note}")
