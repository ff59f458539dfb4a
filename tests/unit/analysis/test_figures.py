from __future__ import annotations

import subprocess
import sys
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from rijksnet.analysis import figures
from rijksnet.paths import RunKey


def size_of(png: bytes) -> tuple[int, int]:
    with Image.open(BytesIO(png)) as image:
        image.verify()
        assert image.format == "PNG"
        return image.size


def history(epochs: int) -> pd.DataFrame:
    steps = np.arange(epochs, dtype=float)
    names = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    return pd.DataFrame({"epoch": np.arange(epochs), **dict.fromkeys(names, 0.5 / (steps + 1))})


def curve(challenge: str, architecture: str, strategy: str, initialisation: str, epochs: int = 4) -> figures.Curve:
    key = RunKey("antwerp", challenge, architecture, strategy, initialisation)
    return figures.Curve(key, np.linspace(0.1, 0.9, epochs))


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


def test_curves_follow_the_papers_manner() -> None:
    colours = {"resnet50": "#0072b2"}
    shelf = figures._style(RunKey("c", "type", "resnet50", "off_the_shelf", "imagenet"), 5, colours)
    tuned = figures._style(RunKey("c", "type", "resnet50", "fine_tuning", "rijksmuseum"), 5, colours)
    scratch = figures._style(RunKey("c", "type", "resnet50", "scratch", "random"), 5, colours)
    assert (shelf["linestyle"], tuned["linestyle"], scratch["linestyle"]) == ("-.", "--", "-")
    assert shelf["color"] == tuned["color"] != scratch["color"] == figures.SCRATCH_COLOUR
    assert shelf["linewidth"] < tuned["linewidth"]


def test_the_legend_names_only_what_is_drawn() -> None:
    def labels(curves: list[figures.Curve]) -> list[str]:
        return [str(handle.get_label()) for handle in figures._legend(curves, {"resnet50": "#0072b2"})]

    shelf = curve("type", "resnet50", "off_the_shelf", "imagenet")
    assert labels([shelf]) == ["resnet50", "off the shelf"]
    scratch = curve("type", "resnet50", "scratch", "random")
    assert labels([shelf, scratch]) == ["resnet50", "off the shelf", "resnet50 from scratch"]
    tuned = curve("type", "resnet50", "fine_tuning", "rijksmuseum")
    assert labels([tuned]) == ["resnet50", "fine tuning", "from θ (ImageNet)", "from θ̂ (source)"]


def test_validation_curves_have_a_panel_a_challenge() -> None:
    type_curves = [curve("type", "resnet50", "fine_tuning", "imagenet"), curve("type", "vgg19", "scratch", "random", 1)]
    three = [curve(name, "resnet50", "off_the_shelf", "imagenet") for name in ("material", "type", "artist")]
    assert size_of(figures.validation_curves(type_curves, "one"))[0] == 1200
    assert size_of(figures.validation_curves(three, "three"))[0] == 1710


def test_figures_leave_pyplot_alone_and_matplotlib_for_later() -> None:
    code = (
        "import sys, numpy as np, rijksnet.analysis.figures as f; early = 'matplotlib' in sys.modules; "
        "f.confusion(np.eye(3, dtype=int), ['a', 'b', 'c'], 't'); print(early, 'matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False False"
