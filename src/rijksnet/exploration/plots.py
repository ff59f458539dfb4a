"""A study in pictures: how it went, what mattered, where the good recipes lie."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import optuna

from rijksnet.exploration.space import LOGARITHMIC
from rijksnet.rendering.canvas import INK, MUTED, PALETTE, RULE, headline, new_figure, png, quiet_axes, whole_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from optuna.trial import FrozenTrial

    from rijksnet.exploration.board import Attempt

GOOD, OTHER, FIXED = PALETTE[0], "#b5b5b5", "#e8820c"

#: The share of complete trials, the best ones, that pictures set off against the rest.
BEST = 0.1

#: Complete trials that have to have a parameter before anything is said of its importance.
ENOUGH = 10


def pictures(study: optuna.Study, places: Sequence[Attempt], fixed: float, title: str) -> dict[str, bytes]:
    """PNG files by name: history, importance, slice and parallel coordinates; without a complete trial none.

    Args:
        places: of the study, in order.
        fixed: accuracy of the protocol's own choice on the validation split, in [0, 1].
    """
    complete = [place for place in places if place.state == "complete"]
    if not complete:
        return {}
    drawn = {"history.png": _history(places, fixed, title)}
    varied = list(dict.fromkeys(name for place in complete for name in place.params))
    if varied:
        drawn["slice.png"] = _slices(complete, varied, fixed, title)
        drawn["parallel_coordinates.png"] = _parallel(complete, varied, title)
    if shares := importances(study, complete):
        drawn["importance.png"] = _importance(shares, title)
    return drawn


def importances(study: optuna.Study, complete: Sequence[Attempt]) -> dict[str, float]:
    """How much each parameter matters for being among the best tenth, shares that sum to 1 (PED-ANOVA, Watanabe 2023).

    Of parameters that enough complete trials have; empty where there is none, or where all trials are equally good.
    """
    counts = Counter(name for place in complete for name in place.params)
    known = [name for name, n in counts.items() if n >= ENOUGH]
    if not known:
        return {}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "PedAnovaImportanceEvaluator computes", UserWarning)  # hence the minus
            return dict(optuna.importance.get_param_importances(study, params=known, target=_negative))
    except (ValueError, RuntimeError):  # no parameter is in all trials, or none explains anything
        return {}


def _negative(trial: FrozenTrial) -> float:
    return -float(trial.values[0])


def _history(places: Sequence[Attempt], fixed: float, title: str) -> bytes:
    figure = new_figure(8.0, 3.4)
    axes = figure.subplots()
    colours = {"complete": GOOD, "pruned": OTHER, "diverged": "#a33a00"}
    for state, colour in colours.items():
        of = [(place.slot, _last_accuracy(place)) for place in places if place.state == state]
        if points := [(x, y) for x, y in of if y is not None]:
            marker = "x" if state == "diverged" else "o"
            axes.plot(*zip(*points, strict=True), marker, color=colour, markersize=4, alpha=0.8, label=state)
    accuracies = [place.outcome.accuracy if _is_complete(place) else np.nan for place in places if place.outcome]
    slots = [place.slot for place in places if place.outcome]
    best = 100 * np.fmax.accumulate(np.array(accuracies))
    axes.plot(slots, best, color=INK, linewidth=1.4, label="best so far", drawstyle="steps-post")
    axes.axhline(
        100 * fixed, color=FIXED, linewidth=1.2, linestyle="--", label=f"the fixed choice: {100 * fixed:.1f} %"
    )
    quiet_axes(axes, "Trials", "trial", "validation accuracy (%)")
    whole_numbers(axes)
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="lower right")
    headline(figure, title)
    return png(figure)


def _importance(shares: dict[str, float], title: str) -> bytes:
    figure = new_figure(8.0, 0.9 + 0.32 * len(shares))
    axes = figure.subplots()
    names = sorted(shares, key=lambda name: shares[name])
    bars = axes.barh([_words(name) for name in names], [100 * shares[name] for name in names], color=GOOD, height=0.6)
    axes.bar_label(bars, fmt="%.0f %%", fontsize=8, color=MUTED, padding=3)
    quiet_axes(axes, "What matters for being among the best tenth", "share (%), PED-ANOVA", "")
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.12)
    headline(figure, title)
    return png(figure)


def _slices(complete: Sequence[Attempt], varied: Sequence[str], fixed: float, title: str) -> bytes:
    columns = min(4, len(varied))
    lines = -(-len(varied) // columns)
    figure = new_figure(2.6 * columns, 2.5 * lines + 0.3)
    panels = cast("list[Axes]", np.ravel(figure.subplots(lines, columns, sharey=True, squeeze=False)).tolist())
    good = _good(complete)
    for name, axes in zip(varied, panels, strict=False):
        having = [(i, place) for i, place in enumerate(complete) if name in place.params]
        x, labels = _coordinates([place.params[name] for _, place in having], name)
        y = [100 * place.outcome.accuracy for _, place in having if place.outcome]
        colours = [GOOD if i in good else OTHER for i, _ in having]
        axes.scatter(x, y, s=12, c=colours, linewidths=0)
        axes.axhline(100 * fixed, color=FIXED, linewidth=1, linestyle="--")
        quiet_axes(axes, _words(name), "", "validation accuracy (%)" if axes in panels[::columns] else "")
        if labels:
            axes.set_xticks(range(len(labels)), labels)
            axes.set_xlim(-0.6, len(labels) - 0.4)
        elif name in LOGARITHMIC:
            axes.set_xscale("log")
    for axes in panels[len(varied) :]:
        axes.set_visible(False)
    headline(figure, f"{title}: blue, the best tenth; dashed, the fixed choice")
    return png(figure)


def _parallel(complete: Sequence[Attempt], varied: Sequence[str], title: str) -> bytes:
    """Accuracy first, then what all recipes have, and last what only some have, so that no line breaks between."""
    common = [name for name in varied if all(name in place.params for place in complete)]
    columns = [*common, *(name for name in varied if name not in common)]
    figure = new_figure(1.5 * (len(columns) + 1) + 0.6, 4.2)
    axes = figure.subplots()
    heights = np.full((len(complete), len(columns) + 1), np.nan)
    accuracies = np.array([100 * place.outcome.accuracy for place in complete if place.outcome])
    heights[:, 0], ends = _to_unit(accuracies, "{:.1f}", [])
    _name_heights(axes, 0, ends)
    for column, name in enumerate(columns, 1):
        having = [i for i, place in enumerate(complete) if name in place.params]
        x, labels = _coordinates([complete[i].params[name] for i in having], name)
        heights[having, column], ends = _to_unit(np.asarray(x, float), "{:.2g}", labels, name in LOGARITHMIC)
        _name_heights(axes, column, ends)
    good = _good(complete)
    for i in [*(i for i in range(len(complete)) if i not in good), *sorted(good)]:
        style: dict[str, Any] = {"color": GOOD, "alpha": 0.7} if i in good else {"color": OTHER, "alpha": 0.35}
        axes.plot(range(len(columns) + 1), heights[i], linewidth=1, marker=".", markersize=3, **style)
    quiet_axes(axes, "Blue: the best tenth", "", "")
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=RULE)
    axes.set_xticks(range(len(columns) + 1), ["validation\naccuracy (%)", *map(_words, columns)])
    axes.set_yticks([])
    axes.set_ylim(-0.05, 1.08)
    axes.margins(x=0.06)
    headline(figure, title)
    return png(figure)


def _name_heights(axes: Axes, column: int, ends: Sequence[tuple[float, str]]) -> None:
    for height, text in ends:
        at: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7.5, "color": INK}
        axes.annotate(text, (column, height), (4, 3), **at)


def _good(complete: Sequence[Attempt]) -> set[int]:
    accuracies = [place.outcome.accuracy for place in complete if place.outcome]
    order = sorted(range(len(accuracies)), key=lambda i: -accuracies[i])
    return set(order[: max(1, round(BEST * len(complete)))])


def _coordinates(values: Sequence[object], name: str) -> tuple[list[float], list[str]]:
    """Numbers as they are; choices as their places among those that occur, and what these are called."""
    if all(isinstance(value, float) for value in values):
        return [float(cast("float", value)) for value in values], []
    known = sorted(set(values), key=lambda value: (str(type(value)), cast("Any", value)))
    return [float(known.index(value)) for value in values], [str(value) for value in known]


def _to_unit(
    x: np.ndarray[Any, Any], form: str, labels: Sequence[str], logarithmic: bool = False
) -> tuple[Any, list[tuple[float, str]]]:
    """Heights in [0, 1], and which heights are called what."""
    if labels:
        step = 1 / max(1, len(labels) - 1)
        return x * step, [(i * step, label) for i, label in enumerate(labels)]
    drawn = np.log10(x) if logarithmic else x
    low, high = drawn.min(), drawn.max()
    return (drawn - low) / ((high - low) or 1.0), [(0.0, form.format(x.min())), (1.0, form.format(x.max()))]


def _last_accuracy(place: Attempt) -> float | None:
    """Of the tested weights where there are any, else of the last epoch; percent."""
    if place.outcome is None:
        return None
    if _is_complete(place):
        return 100 * place.outcome.accuracy
    return 100 * place.outcome.history[-1].validation_accuracy if place.outcome.history else None


def _is_complete(place: Attempt) -> bool:
    return place.state == "complete" and place.outcome is not None


def _words(name: str) -> str:
    return name.replace("_", " ")
