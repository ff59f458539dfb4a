"""Figures as PNG, drawn with matplotlib's objects: no pyplot, hence no global state and no window system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from rijksnet.paths import RunKey

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

DPI = 150
INK, MUTED, RULE = "#222222", "#6b6b6b", "#e3e3e3"
TRAIN_COLOUR, VALIDATION_COLOUR = "#9a9a9a", "#0072b2"

#: One per architecture, in order: Okabe and Ito's palette, told apart by colour-blind readers too; orange is scratch's.
PALETTE = ("#0072b2", "#009e73", "#cc79a7", "#222222", "#56b4e9", "#7a4fa3", "#8c6d31", "#999999")
SCRATCH_COLOUR = "#e8820c"

#: As in the paper's Figures 2 and 3.
LINE_STYLES = {"off_the_shelf": "-.", "fine_tuning": "--", "scratch": "-"}
#: Line widths of runs from θ and from θ̂, points.
THIN, THICK = 1.3, 2.4

#: From this many classes a confusion matrix shows only the most frequent, and the rest as one.
LARGEST_CONFUSION = 25
#: Up to this many rows the cells carry their counts.
LARGEST_WITH_COUNTS = 12


@dataclass(frozen=True)
class Curve:
    """A run's validation accuracy by epoch, [0, 1], from epoch 0."""

    key: RunKey
    accuracy: npt.NDArray[np.float64]


def learning_curve(history: pd.DataFrame, best_epoch: int, title: str) -> bytes:
    """Loss and accuracy by epoch, training and validation, the epoch whose weights are tested marked; PNG.

    Args:
        history: the columns epoch, {train,validation}_{loss,accuracy} of a record's history.csv.
        best_epoch: the epoch, from 0, whose weights are tested: that of the smallest validation loss.
        title: such as the run's key.
    """
    figure = _figure(8.0, 3.4)
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
        _axes(axes, quantity.capitalize(), "epoch", unit)
        _whole_epochs(axes, len(history))
        axes.set_ylim(0, 102 if quantity == "accuracy" else None)
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    _title(figure, title)
    return _png(figure)


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
    figure = _figure(max(side, 4.6) + 1.2, max(side, 4.0))
    axes = figure.subplots()
    image = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100, aspect="equal")
    ticks, small = range(size), 9 if size <= LARGEST_WITH_COUNTS else 7.5
    axes.set_xticks(ticks, [_short(name) for name in names], rotation=50, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, [f"{_short(name)} ({n:,})" for name, n in zip(names, support, strict=True)])
    _axes(axes, "", "prediction", "label (images)")
    axes.grid(visible=False)
    axes.tick_params(labelsize=small, length=0)
    if size <= LARGEST_WITH_COUNTS:
        _write_counts(axes, counts, shares)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02, ticks=[0, 50, 100])
    bar.ax.tick_params(labelsize=8, colors=MUTED, length=0)
    bar.set_label("share of the row (%)", fontsize=8, color=MUTED)
    bar.outline.set_visible(False)
    _title(figure, title)
    return _png(figure)


def validation_curves(curves: Sequence[Curve], title: str) -> bytes:
    """Validation accuracy by epoch in the manner of the paper's Figures 2 and 3: a panel a challenge; PNG.

    Dashed is fine tuning, dash-dotted off the shelf, solid orange from scratch; a colour is an architecture (of more
    than eight, colours repeat). Where runs start from θ̂ too, theirs are the thick lines.

    Args:
        curves: at least one; panels and colours follow their order.
        title: such as the collection's name.
    """
    challenges = list(dict.fromkeys(curve.key.challenge for curve in curves))
    architectures = list(dict.fromkeys(curve.key.architecture for curve in curves if curve.key.strategy != "scratch"))
    colours = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(architectures)}
    figure = _figure(1.2 + 3.4 * max(len(challenges), 2), 4.2)
    panels = figure.subplots(1, len(challenges), sharey=True, squeeze=False)[0]
    for axes, challenge in zip(panels, challenges, strict=True):
        shown = [curve for curve in curves if curve.key.challenge == challenge]
        for curve in shown:
            axes.plot(
                np.arange(len(curve.accuracy)), 100 * curve.accuracy, **_style(curve.key, len(curve.accuracy), colours)
            )
        _axes(axes, challenge.capitalize(), "epoch", "validation accuracy (%)" if axes is panels[0] else "")
        _whole_epochs(axes, max(len(curve.accuracy) for curve in shown))
        axes.set_ylim(0, 102)
    handles = _legend(curves, colours)
    figure.legend(
        handles=handles,
        loc="outside lower left",
        ncols=min(len(handles), 5),
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
    )
    _title(figure, title)
    return _png(figure)


def _style(key: RunKey, epochs: int, colours: dict[str, str]) -> dict[str, Any]:
    """How a run's curve is drawn; one of a single epoch is a dot, for a line has two ends."""
    scratch = key.strategy == "scratch"
    return {
        "color": SCRATCH_COLOUR if scratch else colours[key.architecture],
        "linestyle": LINE_STYLES[key.strategy],
        "linewidth": THICK if key.initialisation == "rijksmuseum" else THIN,
        "marker": "." if epochs == 1 else "",
    }


def _legend(curves: Sequence[Curve], colours: dict[str, str]) -> list[Line2D]:
    """Colours for architectures, line styles for strategies, widths for θ and θ̂; only what is drawn."""
    from matplotlib.lines import Line2D

    def sample(label: str, **style: Any) -> Line2D:
        return Line2D([], [], label=label, **style)

    handles = [sample(name, color=colour, linewidth=4) for name, colour in colours.items()]
    strategies = {curve.key.strategy for curve in curves}
    for strategy in ("fine_tuning", "off_the_shelf"):
        if strategy in strategies:
            handles.append(
                sample(strategy.replace("_", " "), color=INK, linestyle=LINE_STYLES[strategy], linewidth=THIN)
            )
    for name in dict.fromkeys(curve.key.architecture for curve in curves if curve.key.strategy == "scratch"):
        handles.append(
            sample(f"{name} from scratch", color=SCRATCH_COLOUR, linestyle=LINE_STYLES["scratch"], linewidth=THIN)
        )
    if any(curve.key.initialisation == "rijksmuseum" for curve in curves):
        handles.append(sample("from θ (ImageNet)", color=INK, linewidth=THIN))
        handles.append(sample("from θ̂ (source)", color=INK, linewidth=THICK))
    return handles


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


def _whole_epochs(axes: Axes, epochs: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(-0.5, max(epochs - 0.5, 1))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))


def _axes(axes: Axes, title: str, x: str, y: str) -> None:
    """Quiet axes: no box, hairline grid, title at the left."""
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel(x, fontsize=9, color=MUTED)
    axes.set_ylabel(y, fontsize=9, color=MUTED)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8.5, colors=MUTED, length=0)


def _title(figure: Figure, title: str) -> None:
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK)


def _figure(width: float, height: float) -> Figure:
    """A white figure of that many inches, with matplotlib's own layout engine."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Figure) -> bytes:
    """PNG without the Software entry, so that the same data give the same bytes."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
