"""Validation curves in the manner of the paper's Figures 2 and 3, and the paper's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rijksnet.errors import RunError
from rijksnet.rendering.canvas import (
    INK,
    MUTED,
    PALETTE,
    SCRATCH_COLOUR,
    headline,
    new_figure,
    png,
    quiet_axes,
    whole_epochs,
)
from rijksnet.runs.key import RunKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

#: As in the paper's Figures 2 and 3.
LINE_STYLES = {"off_the_shelf": "-.", "fine_tuning": "--", "scratch": "-"}
#: Line widths of runs from θ and from θ̂, points.
THIN, THICK = 1.3, 2.4
#: Width of a letter of the legend, about, and of what stands beside a label, inches.
LETTER, SAMPLE = 0.073, 0.62
#: Opacity of the paper's own curves, and their colour where ours have no such network.
FAINT, THEIRS = 0.5, "#777777"


@dataclass(frozen=True)
class Curve:
    """A run's validation accuracy by epoch, [0, 1], from epoch 0."""

    key: RunKey
    accuracy: npt.NDArray[np.float64]


def paper_curves(reference: Path, collection: str, challenges: Sequence[str]) -> list[Curve]:
    """The curves that the paper's authors released, without the last value's repetitions after a run had stopped.

    Args:
        reference: the folder of paper_curves.csv.
        collection: `rijksmuseum`, whose curves are Figures 2 and 3, or `antwerp`, whose networks are not named.
        challenges: the challenges wanted; those that were not released are left out.

    Raises:
        RunError: the file is absent.
    """
    path = reference / "paper_curves.csv"
    if not path.is_file():
        raise RunError(f"{path} is not a file: the paper's curves come with the project; run from its root")
    table = pd.read_csv(path)
    table = table[(table["collection"] == collection) & table["challenge"].isin(challenges)]
    names = ["collection", "challenge", "architecture", "strategy", "initialisation"]
    curves = []
    for _, run in table.sort_values("epoch", kind="stable").groupby(names, sort=False):
        key = RunKey(*run[names].iloc[0])
        curves.append(Curve(key, _without_padding(run["validation_accuracy"].to_numpy(np.float64))))
    return curves


def validation_curves(curves: Sequence[Curve], title: str, paper: Sequence[Curve] = ()) -> bytes:
    """As `validation_figure`; PNG."""
    return png(validation_figure(curves, title, paper))


def validation_figure(curves: Sequence[Curve], title: str, paper: Sequence[Curve] = ()) -> Figure:
    """Validation accuracy by epoch in the manner of the paper's Figures 2 and 3: a panel a challenge.

    Dashed is fine tuning, dash-dotted off the shelf, solid orange from scratch; a colour is an architecture (of more
    than eight, colours repeat). Where runs start from θ̂ too, theirs are the thick lines.

    Args:
        curves: at least one; panels and colours follow their order.
        title: such as the collection's name.
        paper: the paper's own, a faint layer behind ours: in our colour of the same network, else grey.
    """
    challenges = list(dict.fromkeys(curve.key.challenge for curve in curves))
    architectures = list(dict.fromkeys(curve.key.architecture for curve in curves if curve.key.strategy != "scratch"))
    colours = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(architectures)}
    theirs = [curve for curve in paper if curve.key.challenge in challenges]
    width = 1.2 + 3.4 * max(len(challenges), 2)
    figure = new_figure(width, 4.2)
    panels = figure.subplots(1, len(challenges), sharey=True, squeeze=False)[0]
    for axes, challenge in zip(panels, challenges, strict=True):
        shown = [(_faint, curve) for curve in theirs if curve.key.challenge == challenge]
        shown += [(_style, curve) for curve in curves if curve.key.challenge == challenge]
        for style, curve in shown:
            epochs = len(curve.accuracy)
            axes.plot(np.arange(epochs), 100 * curve.accuracy, **style(curve.key, epochs, colours))
        quiet_axes(axes, challenge.capitalize(), "epoch", "validation accuracy (%)" if axes is panels[0] else "")
        whole_epochs(axes, max(len(curve.accuracy) for _, curve in shown))
        axes.set_ylim(0, 102)
    handles = _legend(curves, colours, theirs)
    figure.legend(
        handles=handles,
        loc="outside lower left",
        ncols=min(
            len(handles), int(width / (LETTER * max(len(str(handle.get_label())) for handle in handles) + SAMPLE))
        ),
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
    )
    headline(figure, title)
    return figure


def _without_padding(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The values up to the first of those that repeat the last one to the end."""
    changes = np.flatnonzero(values != values[-1])
    return values[: changes[-1] + 2] if len(changes) else values[:1]


def _style(key: RunKey, epochs: int, colours: Mapping[str, str]) -> dict[str, Any]:
    """How a run's curve is drawn; one of a single epoch is a dot, for a line has two ends."""
    scratch = key.strategy == "scratch"
    return {
        "color": SCRATCH_COLOUR if scratch else colours[key.architecture],
        "linestyle": LINE_STYLES[key.strategy],
        "linewidth": THICK if key.is_from_source else THIN,
        "marker": "." if epochs == 1 else "",
    }


def _faint(key: RunKey, epochs: int, colours: Mapping[str, str]) -> dict[str, Any]:
    """How a curve of the paper is drawn: as ours, but faint and behind."""
    ours = _style(key, epochs, {key.architecture: THEIRS, **colours})
    return {**ours, "alpha": FAINT, "zorder": 1, "linewidth": ours["linewidth"] - 0.4}


def _legend(curves: Sequence[Curve], colours: Mapping[str, str], paper: Sequence[Curve] = ()) -> list[Line2D]:
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
    if any(curve.key.is_from_source for curve in curves):
        handles.append(sample("from θ (ImageNet)", color=INK, linewidth=THIN))
        handles.append(sample("from θ̂ (source)", color=INK, linewidth=THICK))
    if paper:
        handles.append(sample("the paper's own, faint", color=MUTED, alpha=FAINT, linewidth=THIN))
    return handles
