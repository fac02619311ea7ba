"""Trains a small network on scikit-learn's digits and records all that Runstream can hold.

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
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import runstream

mpl.use("Agg")
EPOCHS, BATCH, HIDDEN, RATE, SEED = 6, 90, 32, 0.5, 7
API_KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
"""Shaped like a real one; it must not be found anywhere afterwards."""


class Network:
    """Two layers, softmax, plain gradient descent."""

    def __init__(self, seed: int) -> None:
        draw = np.random.default_rng(seed)
        self.weights = {
            "hidden": draw.normal(0, 0.2, (64, HIDDEN)),
            "output": draw.normal(0, 0.2, (HIDDEN, 10)),
        }
        self.gradients = {name: np.zeros_like(weight) for name, weight in self.weights.items()}

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        hidden = np.tanh(x @ self.weights["hidden"])
        scores = hidden @ self.weights["output"]
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return hidden, odds / odds.sum(axis=1, keepdims=True)

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        hidden, chances = self.predict(x)
        loss = float(-np.log(chances[np.arange(len(y)), y]).mean())
        error = chances.copy()
        error[np.arange(len(y)), y] -= 1
        error /= len(y)
        self.gradients["output"] = hidden.T @ error
        self.gradients["hidden"] = x.T @ ((error @ self.weights["output"].T) * (1 - hidden**2))
        for name, gradient in self.gradients.items():
            self.weights[name] -= RATE * gradient
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
        config={"optimizer": {"kind": "sgd", "rate": RATE}, "hidden": HIDDEN, "seed": SEED, "api_key": API_KEY},
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
    ledger["dataset"] = data.digest
    network, shuffle, at = Network(SEED), np.random.default_rng(SEED), 0
    for epoch in range(EPOCHS):
        order = shuffle.permutation(len(x_train))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            log({"train/loss": network.step(x_train[rows], y_train[rows])}, at)
            at += 1
        chances = network.predict(x_val)[1]
        guessed = chances.argmax(axis=1)
        accuracy = float((guessed == y_val).mean())
        log({"val/accuracy": accuracy, "val/loss": -np.log(chances[np.arange(len(y_val)), y_val]).mean()}, at)
        remember(run, ledger, network, x_val, y_val, guessed, epoch, at)
        print(f"epoch {epoch}: accuracy {accuracy:.4f}", flush=True)
        keep_checkpoint(run, ledger, network, accuracy, epoch)
    print("\x1b[32mdone\x1b[0m", f"with {API_KEY}", flush=True)
    subprocess.run(["sh", "-c", "echo from a child >&2; echo 'ünïcode child'"], check=True)
    sys.stdout.write("10%\r50%\r100%\n")
    run.summary["best_accuracy"] = accuracy
    run.define_metric("val/accuracy", summary="max", goal="maximize")
    run.log_code()
    ledger["finished_at"] = at
    ledger["dropped"], ledger["refused"] = run.dropped, run.refused
    run.finish()
    ledger_file.write_text(json.dumps(ledger))


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
    sound = np.sin(2 * np.pi * 440 * np.arange(800) / 8000) * (epoch + 1) / EPOCHS
    enlarged = [np.kron(picture, np.ones((4, 4), np.uint8)) for picture in pictures]
    film = np.stack([picture[None].repeat(3, axis=0) for picture in enlarged])
    cloud = np.random.default_rng(epoch).normal(size=(50, 3))
    note = f"# Epoch {epoch}\n\n{len(wrong)} of the *wrong* ones; größe 🦊 <script>alert(1)</script>"
    page = f"<h1>Epoch {epoch}</h1><script>document.title = 'owned'</script>"
    run.log(
        {
            "val/wrong": [runstream.Image(p, caption=c) for p, c in zip(pictures, captions, strict=True)],
            "val/table": runstream.Table(columns=["index", "truth", "guess", "ink", "odd"], data=rows),
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
        aliases = ["final"] if epoch == EPOCHS - 1 else []
        logged = run.log_artifact(
            checkpoint, aliases=aliases, tags=["hand-made"], keep_best=3, score=accuracy, goal="maximize"
        )
        ledger.setdefault("checkpoints", []).append(
            {
                path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(root.rglob("*"))
                if path.is_file()
            }
        )
        if aliases:
            run.register_model(logged, "digits", aliases=["champion"], stage="staging", note="the last one")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
