"""Tables 2 and 3 as one picture: every test accuracy with its interval, and what always answering one class scores."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from rijksnet.rendering.canvas import INK, MUTED, PALETTE, RULE, SCRATCH_COLOUR, new_figure, png, quiet_axes
from rijksnet.report.layout import strategy_of
from rijksnet.statistics.significance import wilson_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rijksnet.runs.key import RunKey
    from rijksnet.runs.result import RunResult

#: Heights of a line and of what else a panel has, and the width of a panel, inches.
LINE, TITLE, PANEL = 0.26, 0.75, 4.6
#: Between two networks, in lines.
GAP = 0.7


def accuracies(runs: Sequence[RunResult]) -> bytes:
    """As `accuracies_figure`; PNG."""
    return png(accuracies_figure(runs))


def accuracies_figure(runs: Sequence[RunResult]) -> Figure:
    """A row of panels a challenge: one for the source, and one for the target where it has runs of that challenge.

    In a panel a line a run, by network, off the shelf (hollow) before fine tuned (filled); a diamond starts from θ̂. The
    bar is the 95 % Wilson interval, the dotted line what always answering the most frequent training class scores.

    Args:
        runs: at least one, the source's before the target's; panels, networks and lines follow their order.
    """
    collections = list(dict.fromkeys(run.key.collection for run in runs))
    challenges = list(dict.fromkeys(run.key.challenge for run in runs))
    networks = list(dict.fromkeys(run.key.architecture for run in runs if run.key.strategy != "scratch"))
    colours = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(networks)}
    shown: dict[tuple[str, str], list[RunResult]] = {}
    for run in runs:
        shown.setdefault((run.key.challenge, run.key.collection), []).append(run)
    lowest = {one: max(_places(of)[-1] for (its, _), of in shown.items() if its == one) for one in challenges}
    heights = [TITLE + LINE * lowest[challenge] for challenge in challenges]
    figure = new_figure(PANEL * len(collections), sum(heights) + TITLE)
    panels = figure.subplots(len(challenges), len(collections), squeeze=False, sharex=True, height_ratios=heights)
    for challenge, row in zip(challenges, panels, strict=True):
        for collection, axes in zip(collections, row, strict=True):
            if of := shown.get((challenge, collection)):
                _panel(axes, f"{challenge.capitalize()} of {collection}", of, colours)
            else:
                axes.set_visible(False)
            axes.set_ylim(lowest[challenge] + 0.7, -1.4)
    for axes in panels[-1]:
        axes.set_xlabel("test accuracy (%)", fontsize=9, color=MUTED)
    return figure


def _panel(axes: Axes, title: str, runs: Sequence[RunResult], colours: Mapping[str, str]) -> None:
    quiet_axes(axes, title, "", "")
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    places = _places(runs)
    for place, run in zip(places, runs, strict=True):
        accuracy, bounds = run.test.accuracy, wilson_interval(run.test.accuracy, run.test.n)
        bar = [[100 * (accuracy - bounds[0])], [100 * (bounds[1] - accuracy)]]
        axes.errorbar(100 * accuracy, place, xerr=bar, markersize=6, elinewidth=1.2, **_style(run.key, colours))
        figure = f"{100 * accuracy:.1f}{'†' if run.doubts else ''}"
        _note(axes, figure, (100 * bounds[1], place), (4, 0), fontsize=8, color=INK, va="center")
    majority = 100 * runs[0].majority_accuracy
    axes.axvline(majority, color=MUTED, linewidth=0.9, linestyle=":")
    _note(axes, "always one class", (majority, -1.4), (3, -2), fontsize=7.5, color=MUTED, va="top")
    axes.set_yticks(places, [f"{run.key.architecture}, {strategy_of(run.key)}" for run in runs])
    for label, run in zip(axes.get_yticklabels(), runs, strict=True):
        label.set_color(_style(run.key, colours)["color"])
    axes.set_xlim(0, 106)


def _note(axes: Axes, text: str, at: tuple[float, float], offset: tuple[float, float], **style: Any) -> None:
    axes.annotate(text, at, xytext=offset, textcoords="offset points", **style)


def _places(runs: Sequence[RunResult]) -> list[float]:
    """Where each run's line stands, from 0 downwards, with a gap before another network's."""
    places = [0.0]
    for before, run in pairwise(runs):
        places.append(places[-1] + (1 if _group(before) == _group(run) else 1 + GAP))
    return places


def _group(run: RunResult) -> tuple[str, bool]:
    return run.key.architecture, run.key.strategy == "scratch"


def _style(key: RunKey, colours: Mapping[str, str]) -> dict[str, Any]:
    colour = SCRATCH_COLOUR if key.strategy == "scratch" else colours[key.architecture]
    return {
        "color": colour,
        "fmt": "D" if key.is_from_source else "o",
        "markerfacecolor": "white" if key.strategy == "off_the_shelf" else colour,
    }
