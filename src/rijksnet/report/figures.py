"""A run's figures as PNG, and those of `curves`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rijksnet.rendering.canvas import INK, MUTED, PALETTE, headline, new_figure, png, quiet_axes, whole_epochs
from rijksnet.report.curves import Curve, paper_curves, validation_curves
from rijksnet.statistics.calibration import confidences, rescale
from rijksnet.statistics.calibration import reliability as bins_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes

    from rijksnet.runs.predictions import Predictions
    from rijksnet.statistics.calibration import Calibration

__all__ = [
    "Curve",
    "confusion",
    "learning_curve",
    "paper_curves",
    "probes",
    "reliability",
    "validation_curves",
]

TRAIN_COLOUR, VALIDATION_COLOUR = "#9a9a9a", "#0072b2"

#: From this many classes a confusion matrix shows only the most frequent, and the rest as one.
LARGEST_CONFUSION = 25
#: Up to this many rows the cells carry their counts.
LARGEST_WITH_COUNTS = 12

#: The weights whose layers are probed: how they are named and drawn.
PROBED = {
    "tuned": ("θ̂, tuned on the source", PALETTE[1], "-"),
    "imagenet": ("θ, ImageNet", PALETTE[0], "--"),
    "random": ("random weights", MUTED, ":"),
}


def learning_curve(history: pd.DataFrame, best_epoch: int, title: str) -> bytes:
    """Loss and accuracy by epoch, training and validation, the epoch whose weights are tested marked; PNG.

    Args:
        history: the columns epoch, {train,validation}_{loss,accuracy} of a run's history.csv.
        best_epoch: the epoch, from 0, whose weights are tested: that of the smallest validation loss.
        title: such as the run's key.
    """
    figure = new_figure(8.0, 3.4)
    left, right = figure.subplots(1, 2)
    for axes, quantity, unit in ((left, "loss", "cross-entropy (nats)"), (right, "accuracy", "accuracy (%)")):
        scale = 100 if quantity == "accuracy" else 1
        best = scale * float(history.loc[history["epoch"] == best_epoch, f"validation_{quantity}"].iloc[0])
        for split, colour in (("train", TRAIN_COLOUR), ("validation", VALIDATION_COLOUR)):
            values = scale * history[f"{split}_{quantity}"]
            name = {"train": "training"}.get(split, split)
            axes.plot(history["epoch"], values, color=colour, linewidth=1.6, marker=".", markersize=4, label=name)
        axes.axvline(best_epoch, color=MUTED, linewidth=0.8, linestyle=":")
        mark = f"tested, epoch {best_epoch}: " + (f"{best:.1f} %" if quantity == "accuracy" else f"{best:.3g}")
        axes.plot([best_epoch], [best], "o", color=VALIDATION_COLOUR, markersize=6, label=mark)
        quiet_axes(axes, quantity.capitalize(), "epoch", unit)
        whole_epochs(axes, len(history))
        axes.set_ylim(0, 102 if quantity == "accuracy" else None)
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    headline(figure, title)
    return png(figure)


def confusion(matrix: npt.NDArray[np.int64], classes: Sequence[str], title: str) -> bytes:
    """A confusion matrix, each row as shares of its label's images; PNG.

    With many classes the most frequent ones are shown and the rest are one row and column; with few, the cells carry
    counts.

    Args:
        matrix: (Q, Q) counts, row = label, column = prediction.
        classes: Q names.
        title: such as the run's key.
    """
    counts, names = _most_frequent(matrix, classes)
    support = counts.sum(axis=1)
    shares = counts / np.maximum(support, 1)[:, np.newaxis]
    size = len(names)
    side = 2.2 + 0.42 * size if size <= LARGEST_WITH_COUNTS else 2.4 + 0.24 * size
    figure = new_figure(max(side, 4.6) + 1.2, max(side, 4.0))
    axes = figure.subplots()
    image = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100, aspect="equal")
    ticks, small = range(size), 9 if size <= LARGEST_WITH_COUNTS else 7.5
    axes.set_xticks(ticks, [_short(name) for name in names], rotation=50, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, [f"{_short(name)} ({n:,})" for name, n in zip(names, support, strict=True)])
    quiet_axes(axes, "", "prediction", "label (images)")
    axes.grid(visible=False)
    axes.tick_params(labelsize=small, length=0)
    if size <= LARGEST_WITH_COUNTS:
        _write_counts(axes, counts, shares)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02, ticks=[0, 50, 100])
    bar.ax.tick_params(labelsize=8, colors=MUTED, length=0)
    bar.set_label("share of the row (%)", fontsize=8, color=MUTED)
    bar.outline.set_visible(False)
    headline(figure, title)
    return png(figure)


def reliability(predictions: Predictions, calibration: Calibration, title: str) -> bytes:
    """How often a run is right by how sure it is, before and after temperature scaling; PNG.

    Bars are the accuracy of the images in one bin of confidence, the diagonal is perfect calibration; below, how many
    of the images lie in each bin.

    Args:
        predictions: on the test split.
        calibration: of the same run.
        title: such as the run's key.
    """
    figure = new_figure(8.0, 4.2)
    above, below = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=[4, 1])
    scaled = rescale(predictions.probabilities, calibration.temperature)
    panels = (
        ("As trained", predictions.probabilities, calibration.ece),
        (f"At temperature {calibration.temperature:.2f}", scaled, calibration.ece_scaled),
    )
    for axes, counts, (name, probabilities, error) in zip(above, below, panels, strict=True):
        bins = bins_of(*confidences(probabilities, predictions.labels))
        left, width = [100 * one.low for one in bins], [98 * (one.high - one.low) for one in bins]
        heights, shares = [100 * one.accuracy for one in bins], [100 * one.images for one in bins]
        axes.bar(left, heights, width, align="edge", color=VALIDATION_COLOUR, alpha=0.75, label="accuracy")
        axes.plot([0, 100], [0, 100], color=INK, linewidth=0.9, linestyle="--", label="perfectly calibrated")
        counts.bar(left, np.array(shares) / len(predictions.labels), width, align="edge", color=TRAIN_COLOUR)
        quiet_axes(axes, f"{name}: error {100 * error:.1f} points", "", "accuracy (%)" if axes is above[0] else "")
        quiet_axes(counts, "", "confidence (%)", "images (%)" if axes is above[0] else "")
        axes.set(xlim=(0, 100), ylim=(0, 102))
    above[0].legend(frameon=False, fontsize=8, labelcolor=INK, loc="upper left")
    headline(figure, title)
    return png(figure)


def probes(frame: pd.DataFrame, title: str) -> bytes:
    """How well one softmax layer does on the maps at each depth of a network, from θ, θ̂ and random weights; PNG.

    Args:
        frame: a row a depth and kind of weights; the columns weights (`imagenet`, `tuned`, `random`), depth (from 0),
            module, test_accuracy, low and high (its 95 % interval), all in [0, 1].
        title: such as the network and the challenge.
    """
    modules = frame.drop_duplicates("depth").sort_values("depth")["module"].astype(str).tolist()
    figure = new_figure(max(6.0, 1.6 + 0.7 * len(modules)), 4.0)
    axes = figure.subplots()
    for weights, (name, colour, line) in PROBED.items():
        rows = frame[frame["weights"] == weights].sort_values("depth")
        if rows.empty:
            continue
        depth, percent = rows["depth"], 100 * rows["test_accuracy"]
        axes.fill_between(depth, 100 * rows["low"], 100 * rows["high"], color=colour, alpha=0.13, linewidth=0)
        axes.plot(depth, percent, color=colour, linestyle=line, marker="o", markersize=4, linewidth=1.6, label=name)
    many = sum(map(len, modules)) > 12 * len(modules) or len(modules) > 8
    turned: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if many else {}
    axes.set_xticks(range(len(modules)), [_short(name, 18) for name in modules], **turned)
    quiet_axes(axes, "", "read out after", "test accuracy (%), 95 % intervals shaded")
    axes.set_ylim(0, 102)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, handlelength=4)
    headline(figure, title)
    return png(figure)


def _most_frequent(matrix: npt.NDArray[np.int64], classes: Sequence[str]) -> tuple[npt.NDArray[np.int64], list[str]]:
    """The matrix in descending order of support; from LARGEST_CONFUSION classes on, the tail summed into one."""
    order = np.argsort(-matrix.sum(axis=1), kind="stable")
    counts, names = matrix[np.ix_(order, order)], [classes[i] for i in order]
    if len(names) <= LARGEST_CONFUSION:
        return counts, names
    shown = LARGEST_CONFUSION - 1
    counts = np.add.reduceat(np.add.reduceat(counts, range(shown + 1), axis=0), range(shown + 1), axis=1)
    return counts, [*names[:shown], f"{len(names) - shown} others"]


def _write_counts(axes: Axes, counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.55 else INK
            axes.text(column, row, f"{count:,}", ha="center", va="center", fontsize=8, color=colour)


def _short(name: str, longest: int = 26) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
