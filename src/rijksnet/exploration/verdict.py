"""A concluded study in words, to be printed, quoted and shown in MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rijksnet.rendering.grid import p_value, signed
from rijksnet.statistics.claims import LEVEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Group

    from rijksnet.runs.study import Study


def verdict(study: Study) -> list[str]:
    """Paragraphs: what was tried, what was chosen and why that flatters, what the test split says, what it cost."""
    return [_tried(study), _chosen(study), _tested(study), _spent(study)]


def recipe(settings: Mapping[str, Any]) -> str:
    """A recipe in one line; what makes no difference to it is left out."""
    shown = {name: value for name, value in settings.items() if name not in ("trial", "normalisation")}
    if shown["optimiser"] != "sgd":
        shown.pop("momentum")
    idle = {"weight_decay": 0.0, "label_smoothing": 0.0, "unfrozen": 1.0, "layer_rate": 1.0}
    parts = [
        f"{name.replace('_', ' ')} {value:.3g}" if isinstance(value, int | float) else str(value)
        for name, value in shown.items()
        if value != idle.get(name)
    ]
    return ", ".join([*parts, f"normalisation {settings['normalisation']}"])


def _tried(study: Study) -> str:
    counts = study.counts
    parts = [f"{counts[state]} {state}" for state in ("complete", "pruned", "diverged", "failed") if counts.get(state)]
    again = counts["attempts"] - counts["places"]
    repeated = f"; {again} attempts were interrupted or died, and were made again" if again > 0 else ""
    return f"{counts['places']} recipes tried for {study.key}: {', '.join(parts)}{repeated}."


def _chosen(study: Study) -> str:
    selection, best = study.selection, study.best
    again = ""
    if selection["again"] != selection["accuracy"]:  # side by side and alone bfloat16 rounds otherwise
        again = f" Trained once more, alone, it has {100 * selection['again']:.1f} %."
    return (
        f"Chosen on the validation split: trial {best['trial']}, {recipe(best)}. It has "
        f"{100 * selection['accuracy']:.1f} % of {selection['images']:,} validation images right, the fixed choice "
        f"({recipe(study.fixed)}) {100 * selection['fixed']:.1f} %. The best of "
        f"{selection['trials']} complete ones flatters itself: corrected for the selection it is worth "
        f"{100 * selection['corrected']:.1f} %, a gain of "
        f"{_points(selection['gain'])} points (95 % interval {_points(selection['low'])} to "
        f"{_points(selection['high'])}).{again}"
    )


def _points(share: float) -> str:
    return signed(100 * share)


def _tested(study: Study) -> str:
    test = study.test
    chance = "more than chance" if test["p"] < LEVEL else "no more than chance may give"
    p = p_value(test["p"])
    text = (
        f"On the test split: {100 * test['accuracy_a']:.1f} % against {100 * test['accuracy_b']:.1f} %, a gain of "
        f"{_points(test['difference'])} points (95 % paired bootstrap interval {_points(test['low'])} to "
        f"{_points(test['high'])}; exact McNemar test, p {p if p.startswith('<') else f'= {p}'}; {test['n']:,} "
        f"images), which is {chance}."
    )
    if len(study.opened) > 1:
        text += (
            f" Mind that this study has opened the test split for {len(study.opened)} choices (trials "
            f"{', '.join(map(str, study.opened))}): the last of them is no longer tested on unseen images alone."
        )
    else:
        text += " The test split was opened for these two alone, after the choice: it needs no correction."
    return " ".join([text, *(f"Mind that it is doubtful: {doubt}." for doubt in study.doubts)])


def _spent(study: Study) -> str:
    cost = study.cost
    return (
        f"It took {study.counts['attempts']} trainings, {cost['seconds']:.0f} s of them, and as many floating-point "
        f"operations as {cost['trials'] / cost['fixed']:.0f} trainings of the fixed choice ({cost['trials']:.3g})."
    )


def render(study: Study) -> Group:
    """The verdict and, with two objectives, the front, to be printed by a rich console."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[Any] = [Text(paragraph + "\n") for paragraph in verdict(study)]
    if study.front:
        table = Table("trial", "validation, %", "operations", "recipe", title="None beats these in both objectives")
        for row in study.front:
            cells = (str(row["trial"]), f"{100 * row['accuracy']:.1f}", f"{row['cost']:.3g}", recipe(row["settings"]))
            table.add_row(*cells)
        parts.append(table)
    return Group(*parts)
