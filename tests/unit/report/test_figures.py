from __future__ import annotations

import subprocess
import sys
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from rijksnet.report import figures
from rijksnet.runs.predictions import Predictions
from rijksnet.statistics.calibration import calibrate


def size_of(png: bytes) -> tuple[int, int]:
    with Image.open(BytesIO(png)) as image:
        image.verify()
        assert image.format == "PNG"
        return image.size


def history(epochs: int) -> pd.DataFrame:
    steps = np.arange(epochs, dtype=float)
    names = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    return pd.DataFrame({"epoch": np.arange(epochs), **dict.fromkeys(names, 0.5 / (steps + 1))})


@pytest.mark.parametrize("epochs", [1, 2, 30])
def test_learning_curve_of_any_length(epochs: int) -> None:
    assert size_of(figures.learning_curve(history(epochs), epochs - 1, "a run")) == (1200, 510)


def test_the_same_data_give_the_same_bytes() -> None:
    assert figures.learning_curve(history(3), 1, "a run") == figures.learning_curve(history(3), 1, "a run")


@pytest.mark.parametrize("classes", [2, 3, 12, 13, 25])
def test_confusion_shows_every_class_of_a_few(classes: int) -> None:
    matrix = np.diag(np.arange(classes, dtype=np.int64))
    assert min(size_of(figures.confusion(matrix, [f"class {i}" for i in range(classes)], "a run"))) > 500


def test_confusion_of_many_classes_stays_readable() -> None:
    generator = np.random.default_rng(0)
    matrix = generator.integers(0, 5, size=(200, 200))
    names = [f"a rather long name of a class, number {i}" for i in range(200)]
    assert max(size_of(figures.confusion(matrix, names, "a run"))) < 2000


def test_the_tail_of_many_classes_is_summed_into_one() -> None:
    matrix = np.arange(30 * 30, dtype=np.int64).reshape(30, 30)
    counts, names = figures._most_frequent(matrix, [str(i) for i in range(30)])
    assert counts.shape == (25, 25)
    assert names == [str(i) for i in range(29, 5, -1)] + ["6 others"]
    assert counts[0, 0] == matrix[29, 29]
    assert counts[0, -1] == matrix[29, :6].sum()
    assert counts[-1, 0] == matrix[:6, 29].sum()
    assert counts[-1, -1] == matrix[:6, :6].sum()
    assert counts.sum() == matrix.sum()


def test_figures_leave_pyplot_alone_and_matplotlib_for_later() -> None:
    code = (
        "import sys, numpy as np, rijksnet.report.figures as f; early = 'matplotlib' in sys.modules; "
        "f.confusion(np.eye(3, dtype=int), ['a', 'b', 'c'], 't'); print(early, 'matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False False"


def predictions(n: int, right: float) -> Predictions:
    """`n` images of three classes, answered with confidences spread over (1/3, 1)."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, n)
    answers = np.where(generator.random(n) < right, labels, (labels + 1) % 3)
    sure = generator.uniform(0.34, 1, n)
    probabilities = np.repeat((1 - sure)[:, np.newaxis] / 2, 3, axis=1)
    probabilities[np.arange(n), answers] = sure
    names = [str(i) for i in range(len(labels))]
    return Predictions(
        "test", names, ["0.jpg"] * len(labels), labels.astype(np.int64), probabilities.astype(np.float32)
    )


@pytest.mark.parametrize("n", [1, 200])
def test_reliability_before_and_after(n: int) -> None:
    shown = predictions(n, 0.4)
    png = figures.reliability(shown, calibrate(predictions(300, 0.4), shown), "a run")
    assert size_of(png) == (1200, 630)


@pytest.mark.parametrize(("modules", "width"), [(1, 900), (5, 900), (20, 2340)])
def test_probes_by_depth_of_whatever_weights_there_are(modules: int, width: int) -> None:
    rows = [
        {"weights": weights, "depth": i, "module": f"stages.{i}", "test_accuracy": 0.5, "low": 0.4, "high": 0.6}
        for weights in ("imagenet", "random")
        for i in range(modules)
    ]
    png = figures.probes(pd.DataFrame(rows), "a network")
    assert size_of(png) == (width, 600)
    assert png == figures.probes(pd.DataFrame(rows[::-1]), "a network")
