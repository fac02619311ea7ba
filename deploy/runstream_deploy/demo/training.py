"""What a user would write: one run that trains a scikit-learn classifier on its digits data and logs as it goes."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import runstream

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Trial:
    """One point of the sweep."""

    hidden: int
    learning_rate: float
    alpha: float
    activation: str
    seed: int
    batch_size: int = 120
    epochs: int = 8


@dataclass(frozen=True)
class Outcome:
    """What the training itself counted; nothing of it comes from Runstream's own books."""

    run_id: str
    points: int
    accuracy: float
    dropped: int


def one_thread() -> None:
    """Two workers on a small machine must not each start a BLAS thread a core."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"


def sweep() -> list[Trial]:
    """24 trials: three widths, four learning rates, two activations."""
    grid = product((16, 48, 128), (0.0003, 0.001, 0.005, 0.02), ("relu", "tanh"))
    return [
        Trial(
            hidden=hidden, learning_rate=rate, alpha=1e-4 if index % 2 else 1e-2, activation=activation, seed=index % 3
        )
        for index, (hidden, rate, activation) in enumerate(grid)
    ]


def train(trial: Trial, project: str) -> Outcome:
    """Train one trial to its end as a run of `project`."""
    import numpy as np
    import sklearn
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    sklearn.set_config(assume_finite=True, skip_parameter_validation=True)  # checked anew at each of many small steps
    digits = load_digits()
    x_train, x_val, y_train, y_val = train_test_split(
        digits.data / 16.0, digits.target, test_size=0.2, random_state=trial.seed, stratify=digits.target
    )
    classes = np.unique(y_train)
    model = MLPClassifier(
        hidden_layer_sizes=(trial.hidden,),
        activation=trial.activation,
        learning_rate_init=trial.learning_rate,
        alpha=trial.alpha,
        random_state=trial.seed,
    )
    shuffle = np.random.default_rng(trial.seed)
    points = 0
    best = 0.0
    run = runstream.init(
        project=project,
        name=f"mlp-{trial.hidden}-{trial.activation}-lr{trial.learning_rate:g}",
        config={
            **asdict(trial),
            "model": {"family": "mlp", "layers": [trial.hidden]},
            "data": {"name": "digits", "rows": len(x_train)},
        },
        tags=["digits", trial.activation],
        group=f"hidden-{trial.hidden}",
        job_type="train",
    )
    with run:
        run.define_metric("val/accuracy", summary="max", goal="maximize")
        run.define_metric("*/loss", summary="min", goal="minimize")
        for epoch in range(trial.epochs):
            for rows in batches(shuffle.permutation(len(x_train)), trial.batch_size):
                model.partial_fit(x_train[rows], y_train[rows], classes=classes)
                predicted = model.predict_proba(x_train[rows])
                validated = model.predict_proba(x_val)
                accuracy = float((validated.argmax(axis=1) == y_val).mean())
                best = max(best, accuracy)
                row = {
                    "train/loss": model.loss_,
                    "train/accuracy": float((predicted.argmax(axis=1) == y_train[rows]).mean()),
                    "val/loss": cross_entropy(validated, y_val),
                    "val/accuracy": accuracy,
                    "epoch": epoch,
                }
                run.log(row)
                points += len(row)
        run.summary["best_accuracy"] = best
        with tempfile.TemporaryDirectory() as directory:
            picture = draw_confusion(model.predict(x_val), y_val, Path(directory) / "confusion.png", run.name)
            run.log_artifact(picture, name=f"confusion-{run.id}", type="image")
            weights = Path(directory) / "model.pkl"
            weights.write_bytes(pickle.dumps(model))
            run.log_artifact(
                weights, name=f"digits-mlp-{trial.hidden}", type="model", metadata={"val_accuracy": accuracy}
            )
    return Outcome(run_id=str(run.id), points=points, accuracy=best, dropped=run.dropped)


def cross_entropy(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean negative log-likelihood of the true classes. scikit-learn's own takes longer than the training step."""
    import numpy as np

    chosen = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.clip(chosen, np.finfo(chosen.dtype).tiny, 1.0)).mean())


def batches(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """`order` in pieces of `size`; the last one may be shorter."""
    for start in range(0, len(order), size):
        yield order[start : start + size]


def draw_confusion(predicted: object, truth: object, file: Path, title: str) -> Path:
    """The confusion matrix as a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay

    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.subplots()
    ConfusionMatrixDisplay.from_predictions(truth, predicted, ax=axes, colorbar=False, cmap="Blues")
    axes.set_title(title, fontsize=9)
    figure.savefig(file, dpi=110)
    return file
