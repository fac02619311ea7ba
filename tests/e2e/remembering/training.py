"""Trains a network on scikit-learn's digits, as one trains: in shuffled batches, with momentum, a falling rate, the
best checkpoints kept and an end when it gets no better; and records all that Runstream can hold.

`python training.py LEDGER` writes, beside what it logs, a JSON file of what it logged, by its own books: nothing in it
comes from Runstream. A test compares both after the round trip.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import runstream

mpl.use("Agg")
EPOCHS, BATCH, HIDDEN, RATE, MOMENTUM, SEED = 8, 90, 32, 0.2, 0.9, 7
PATIENCE = 3
"""Epochs without a better one, then it ends."""
WATCHED_EVERY = 20
"""Batches from one look at weights and gradients to the next."""
API_KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
"""Shaped like a real one; it must not be found anywhere afterwards."""


class Hook:
    """As torch gives it for a hook that was registered."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self._hooks, self._hook = hooks, hook
        hooks.append(hook)

    def remove(self) -> None:
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)


class Parameter:
    """An array with its gradient, and hooks that are given each new gradient."""

    requires_grad = True

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.grad, self.velocity = data, np.zeros_like(data), np.zeros_like(data)
        self.hooks: list[Any] = []

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    def detach(self) -> np.ndarray:
        return self.data

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.data

    def register_hook(self, hook: Any) -> Hook:
        return Hook(self.hooks, hook)

    def descend(self, gradient: np.ndarray, rate: float) -> None:
        self.grad = gradient
        for hook in list(self.hooks):
            hook(gradient)
        self.velocity = MOMENTUM * self.velocity - rate * gradient
        self.data = self.data + self.velocity


class Network:
    """Two layers and a softmax, with the hooks that `run.watch` asks a model for."""

    def __init__(self, seed: int) -> None:
        draw = np.random.default_rng(seed)
        self.hidden = Parameter(draw.normal(0, 0.2, (64, HIDDEN)))
        self.output = Parameter(draw.normal(0, 0.2, (HIDDEN, 10)))
        self.training = True
        self.hooks: list[Any] = []

    def named_parameters(self) -> list[tuple[str, Parameter]]:
        return [("hidden", self.hidden), ("output", self.output)]

    def register_forward_hook(self, hook: Any) -> Hook:
        return Hook(self.hooks, hook)

    @property
    def weights(self) -> dict[str, np.ndarray]:
        return {name: parameter.data for name, parameter in self.named_parameters()}

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        return {name: parameter.grad for name, parameter in self.named_parameters()}

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        hidden = np.tanh(x @ self.hidden.data)
        scores = hidden @ self.output.data
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return hidden, odds / odds.sum(axis=1, keepdims=True)

    def step(self, x: np.ndarray, y: np.ndarray, rate: float) -> float:
        hidden, chances = self.predict(x)
        for hook in list(self.hooks):
            hook(self, (x,), chances)
        loss = float(-np.log(chances[np.arange(len(y)), y]).mean())
        error = chances.copy()
        error[np.arange(len(y)), y] -= 1
        error /= len(y)
        of_hidden = x.T @ ((error @ self.output.data.T) * (1 - hidden**2))
        self.output.descend(hidden.T @ error, rate)
        self.hidden.descend(of_hidden, rate)
        return loss


def main(ledger_file: Path) -> None:
    digits = load_digits()
    x_train, x_val, y_train, y_val = train_test_split(
        digits.data / 16.0, digits.target, test_size=0.25, random_state=SEED, stratify=digits.target
    )
    ledger: dict[str, Any] = {"points": defaultdict(list), "texts": {}, "histograms": {}, "media": {}}
    np.random.seed(SEED)
    run = runstream.init(
        project="remembering",
        name="digits by hand",
        config={
            "optimizer": {"kind": "sgd", "rate": RATE, "momentum": MOMENTUM},
            "hidden": HIDDEN,
            "seed": SEED,
            "api_key": API_KEY,
        },
        tags=["proof", "größe"],
        notes="A run that uses **every** part.",
        group="proofs",
        job_type="train",
    )
    ledger["run"] = run.id

    def log(row: dict[str, float], step: int) -> None:
        run.log(row, step=step)
        for name, value in row.items():
            ledger["points"][name].append([step, float(value).hex()])

    data = run.log_dataset(np.column_stack([x_train, y_train]), name="digits", context="training")
    with tempfile.TemporaryDirectory() as directory:
        np.savez(Path(directory, "validation.npz"), x=x_val, y=y_val)
        files = run.log_dataset(Path(directory), name="files", context="validation")
    frame = run.log_dataset(pd.DataFrame({"truth": y_val}), name="truth", context="validation")
    ledger["datasets"] = sorted([data.digest, files.digest, frame.digest])
    network, shuffle, at = Network(SEED), np.random.default_rng(SEED), 0
    best, since, passes = 0.0, 0, 0
    run.watch(network, log="all", log_freq=WATCHED_EVERY, bins=20)
    for epoch in range(EPOCHS):
        rate = RATE * 0.8**epoch
        order = shuffle.permutation(len(x_train))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            before = network.weights
            loss = network.step(x_train[rows], y_train[rows], rate)
            if passes % WATCHED_EVERY == 0:
                keep_watched(ledger, {"parameters": before, "gradients": network.gradients}, at)
            passes += 1
            log({"train/loss": loss, "train/rate": rate}, at)
            at += 1
        chances = network.predict(x_val)[1]
        guessed = chances.argmax(axis=1)
        accuracy = float((guessed == y_val).mean())
        log({"val/accuracy": accuracy, "val/loss": -np.log(chances[np.arange(len(y_val)), y_val]).mean()}, at)
        remember(run, ledger, network, x_val, y_val, guessed, epoch, at)
        print(f"epoch {epoch}: accuracy {accuracy:.4f}", flush=True)
        keep_checkpoint(run, ledger, network, accuracy, epoch)
        best, since = (accuracy, 0) if accuracy > best else (best, since + 1)
        if since == PATIENCE:
            break
    run.unwatch(network)
    finish_registry(run, ledger, at)
    print("\x1b[32mdone\x1b[0m", f"with {API_KEY}", flush=True)
    subprocess.run(["sh", "-c", "echo from a child >&2; echo 'ünïcode child'"], check=True)
    sys.stdout.write("10%\r50%\r100%\n")
    run.summary["best_accuracy"] = best
    run.define_metric("val/accuracy", summary="max", goal="maximize")
    run.log_code()
    ledger["finished_at"] = at
    ledger["dropped"], ledger["refused"] = run.dropped, run.refused
    run.finish()
    ledger_file.write_text(json.dumps(ledger))


def keep_watched(ledger: dict[str, Any], watched: dict[str, dict[str, np.ndarray]], at: int) -> None:
    for what, arrays in watched.items():
        for name, array in arrays.items():
            counts, _ = np.histogram(array, bins=20)
            ledger["histograms"].setdefault(f"{what}/{name}", {})[str(at)] = counts.tolist()


def finish_registry(run: Any, ledger: dict[str, Any], at: int) -> None:
    """What there is once: a file of several parts, a text too long for an event, an artifact with an end, a model."""
    archive = np.random.default_rng(SEED).bytes(20 << 20)
    diary = "".join(f"{line}: größe\n" for line in range(30_000))
    run.log({"archive": runstream.File(archive, name="archive.bin"), "diary": diary}, step=at)
    ledger["once"] = {
        name: hashlib.sha256(data).hexdigest() for name, data in (("archive", archive), ("diary", diary.encode()))
    }
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "scratch.txt").write_text("for a month")
        run.log_artifact(Path(directory), name="scratch", ttl="30d", description="goes by itself")
    run.register_model(ledger.pop("last"), "digits", aliases=["champion"], stage="staging", note="the last one")


def remember(
    run: Any,
    ledger: dict[str, Any],
    network: Network,
    x: np.ndarray,
    y: np.ndarray,
    guessed: np.ndarray,
    epoch: int,
    at: int,
) -> None:
    """Everything but numbers and files, once an epoch."""
    from matplotlib.figure import Figure

    wrong = np.flatnonzero(guessed != y)[:4]
    pictures = [(x[i].reshape(8, 8) * 255).astype(np.uint8) for i in wrong]
    captions = [f"{y[i]} taken for {guessed[i]}" for i in wrong]
    figure = Figure(figsize=(3, 2))
    figure.subplots().plot(np.sort(guessed))
    rows = [[int(i), int(y[i]), int(guessed[i]), float(x[i].mean()), bool(y[i] % 2)] for i in wrong]
    rows.append([-1, 0, 0, float("nan"), True])
    cells = [runstream.Image(picture) for picture in pictures]
    ink = (x[wrong[0]].reshape(8, 8) > 0.5).astype(int)
    top, left = (int(places.min()) for places in np.nonzero(ink))
    bottom, right = (int(places.max()) + 1 for places in np.nonzero(ink))
    marked = runstream.Image(
        pictures[0],
        boxes={"found": [{"box": [left, top, right, bottom], "class": 1, "score": 0.5}]},
        masks={"ink": ink},
        classes={0: "paper", 1: "ink"},
    )
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (y, guessed), 1)
    answers = "".join(f"{int(truth)},{int(guess)}\n" for truth, guess in zip(y, guessed, strict=True)).encode()
    sound = np.sin(2 * np.pi * 440 * np.arange(800) / 8000) * (epoch + 1) / EPOCHS
    enlarged = [np.kron(picture, np.ones((4, 4), np.uint8)) for picture in pictures]
    film = np.stack([picture[None].repeat(3, axis=0) for picture in enlarged])
    cloud = np.random.default_rng(epoch).normal(size=(50, 3))
    note = f"# Epoch {epoch}\n\n{len(wrong)} of the *wrong* ones; größe 🦊 <script>alert(1)</script>"
    page = f"<h1>Epoch {epoch}</h1><script>document.title = 'owned'</script>"
    run.log(
        {
            "val/wrong": [runstream.Image(p, caption=c) for p, c in zip(pictures, captions, strict=True)],
            "val/table": runstream.Table(
                columns=["index", "truth", "guess", "ink", "odd", "picture"],
                data=[[*row, cell] for row, cell in zip(rows, [*cells, None], strict=True)],
            ),
            "val/marked": marked,
            "val/confusion": go.Figure(go.Heatmap(z=confusion.tolist())),
            "val/answers": runstream.File(answers, name="answers.csv"),
            "val/sound": runstream.Audio(sound, sample_rate=8000),
            "val/film": runstream.Video(film, fps=4),
            "val/note": runstream.Text(note, markdown=True),
            "val/page": runstream.Html(page),
            "val/figure": runstream.Figure(figure),
            "val/cloud": runstream.Object3D(cloud),
            "val/status": f"epoch {epoch} over",
            "val/guesses": runstream.Histogram(guessed.astype(float), bins=10),
        },
        step=at,
    )
    run.log_histograms(network.gradients, step=at)
    key = str(at)
    ledger["texts"].setdefault("val/note", {})[key] = note
    ledger["texts"].setdefault("val/status", {})[key] = f"epoch {epoch} over"
    counts, _ = np.histogram(guessed, bins=10)
    ledger["histograms"].setdefault("val/guesses", {})[key] = counts.tolist()
    for name, gradient in network.gradients.items():
        ledger["histograms"].setdefault(f"total of {name}", {})[key] = int(gradient.size)
    ledger["media"][key] = {
        "pictures": [p.tolist() for p in pictures],
        "captions": captions,
        "rows": [[None if cell != cell else cell for cell in row] for row in rows],
        "sound": [round(v * 32767) for v in sound.tolist()],
        "page": page,
        "mask": ink.tolist(),
        "box": [left / 8, top / 8, (right - left) / 8, (bottom - top) / 8],
        "confusion": confusion.tolist(),
        "answers": answers.decode(),
        "cloud": cloud.astype("<f4").tolist(),
    }


def keep_checkpoint(run: Any, ledger: dict[str, Any], network: Network, accuracy: float, epoch: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for name, weight in network.weights.items():
            np.save(root / f"{name}.npy", weight)
        (root / "notes").mkdir()
        (root / "notes" / "größe.txt").write_text(f"epoch {epoch}")
        checkpoint = runstream.Artifact("checkpoint", type="model", metadata={"accuracy": accuracy, "epoch": epoch})
        checkpoint.add_dir(root)
        checkpoint.add_reference("s3://elsewhere/digits.parquet", name="data/digits.parquet")
        ledger["last"] = run.log_artifact(
            checkpoint, aliases=["final"], tags=["hand-made"], keep_best=3, score=accuracy, goal="maximize"
        )
        ledger.setdefault("checkpoints", []).append(
            {
                path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(root.rglob("*"))
                if path.is_file()
            }
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
