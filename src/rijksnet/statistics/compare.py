"""Two runs on the same test objects: which is better, by how much, and is that more than chance?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rijksnet.errors import RunError
from rijksnet.protocol import TEST, VALIDATION
from rijksnet.rendering.grid import p_value
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.result import SETTINGS, load_run
from rijksnet.statistics import seeds
from rijksnet.statistics.calibration import calibrate, selective_accuracy
from rijksnet.statistics.claims import LEVEL, Claim
from rijksnet.statistics.significance import paired_test, wilson_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Group

    from rijksnet.runs.key import RunKey
    from rijksnet.runs.result import RunResult
    from rijksnet.statistics.calibration import Calibration
    from rijksnet.statistics.seeds import SeedDifference, SeedSpread
    from rijksnet.statistics.significance import PairedTest

#: How a run reads in a sentence; {} is what its weights start from.
STRATEGIES = {
    "off_the_shelf": "off the shelf from {}",
    "fine_tuning": "fine tuned from {}",
    "scratch": "trained from scratch",
    "svm": "with a support vector machine on features from {}",
    "random_forest": "with a random forest on features from {}",
    "multi_task": "multi-task from {}",
    "single_task": "single-task from {}",
}
INITIALISATIONS = {"imagenet": "ImageNet weights (θ)", "random": ""}


@dataclass(frozen=True)
class RunMeasures:
    """One of the two runs, and what is measured of it alone; `spread` is None where it was made with one seed."""

    run: RunResult
    calibration: Calibration
    selective: Mapping[float, float]
    spread: SeedSpread | None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of its test accuracy."""
        return wilson_interval(self.run.test.accuracy, self.run.test.n)


@dataclass(frozen=True)
class Comparison:
    """Runs a and b on the same test images; differences are a − b.

    `seeds` is their difference over the seeds that both were made with, None below two; `warnings` say what else
    differs between them.
    """

    a: RunMeasures
    b: RunMeasures
    test: PairedTest
    seeds: SeedDifference | None
    warnings: tuple[str, ...]


def find(name: str, root: Path) -> RunResult:
    """The run that a person names: by its key, or by its folder.

    Raises:
        RunError: there is no such run; says which are near.
    """
    for folder in (Path(name), root / name):
        if RunFolder(folder).run.is_file():
            return load_run(folder)
    known = [path.parent.relative_to(root).as_posix() for path in sorted(root.glob("*/*/*/*/run.json"))]
    if not known:
        raise RunError(f"there is no complete run under {root}: make the runs (dvc repro) or fetch them (dvc pull)")
    near = get_close_matches(name.removeprefix(f"{root}/"), known, n=5, cutoff=0)
    raise RunError(
        f"{name!r} is neither the key of a complete run nor its folder; the nearest of the {len(known)} "
        "there are:\n" + "\n".join(f"  {key}" for key in near)
    )


def compare(a: RunResult, b: RunResult, others: Mapping[RunKey, RunResult] | None = None) -> Comparison:
    """Put two runs to a paired test, and measure what else there is to say of them.

    Args:
        others: runs among which those of further seeds are looked for; what is not one is ignored.

    Raises:
        RunError: the two do not answer the same question about the same test images.
    """
    if (a.key.collection, a.key.challenge) != (b.key.collection, b.key.challenge):
        raise RunError(
            f"{a.key} and {b.key} do not compare: the first is on {_question(a.key)}, the second on "
            f"{_question(b.key)}; name two runs of one collection and challenge"
        )
    test = paired_test(a.correct(), b.correct())
    _check_same_labels(a, b)
    known = {**(others or {}), a.key: a, b.key: b}
    repeats_a, repeats_b = ({one.key: one for one in _repeats(run, known)} for run in (a, b))
    over_seeds = []
    if replace(a.key, seed=b.key.seed) != b.key:
        over_seeds = seeds.differences([Claim(f"{a.key} beats {b.key}", a.key, b.key)], repeats_a | repeats_b)
    return Comparison(
        _side(a, repeats_a), _side(b, repeats_b), test, over_seeds[0] if over_seeds else None, tuple(_warnings(a, b))
    )


def verdict(comparison: Comparison) -> str:
    """The comparison in one paragraph that a person can quote."""
    a, b, test = comparison.a, comparison.b, comparison.test
    images = f"{test.n:,} test images" + ("" if test.n == test.objects else f" of {test.objects:,} objects")
    parts = [
        f"On the {images} of {_question(a.run.key)}, {name_of(a.run.key)} (A) classifies {_accuracy(a)} rightly, and "
        f"{name_of(b.run.key)} (B) {_accuracy(b)}.",
        _difference(test),
        _over_seeds(comparison),
    ]
    if comparison.warnings:
        parts.append("Mind that " + "; and that ".join(comparison.warnings) + ".")
    return " ".join(parts)


def render(comparison: Comparison) -> Group:
    """The verdict, and a table of what both runs score, to be printed by a rich console; at most 80 columns wide."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for i, heading in enumerate(("on the test split", "A", "B", "A − B")):
        table.add_column(heading, justify="left" if i == 0 else "right")
    for row in _rows(comparison):
        table.add_row(*row)
    legend = [f"{letter}: {side.run.key}" for letter, side in (("A", comparison.a), ("B", comparison.b))]
    return Group(Text(verdict(comparison)), table, *map(Text, legend))


def name_of(key: RunKey) -> str:
    """A run as a sentence names it, without its collection and challenge."""
    start = STRATEGIES[key.strategy].format(INITIALISATIONS.get(key.initialisation, "the source's weights (θ̂)"))
    return f"{key.architecture} {start}, seed {key.seed}"


def _question(key: RunKey) -> str:
    return f"{key.challenge.replace('_', ' ')} of {key.collection}"


def _repeats(run: RunResult, known: Mapping[RunKey, RunResult]) -> list[RunResult]:
    """The run itself, and the same with other seeds, made in the same way from the same split."""
    return [run] + [
        other
        for key, other in known.items()
        if replace(key, seed=run.key.seed) == run.key
        and key != run.key
        and (other.split_digest, other.settings) == (run.split_digest, run.settings)
    ]


def _check_same_labels(a: RunResult, b: RunResult) -> None:
    if a.split_digest == b.split_digest:
        return
    labels_a, labels_b = (
        pd.Series(np.array(run.classes, object)[predictions.labels], index=predictions.index)
        for run, predictions in ((run, run.predictions(TEST)) for run in (a, b))
    )
    if different := int((labels_a != labels_b.reindex(labels_a.index)).sum()):
        raise RunError(
            f"{a.key} and {b.key} do not compare: {different} of their {len(labels_a)} test images have different "
            "labels; train both again from the present split (dvc repro)"
        )


def _side(run: RunResult, repeats: Mapping[RunKey, RunResult]) -> RunMeasures:
    test, spread = run.predictions(TEST), seeds.spreads(repeats)
    calibration = calibrate(run.predictions(VALIDATION), test)
    selective = selective_accuracy(test.probabilities, test.labels)
    return RunMeasures(run, calibration, selective, spread[0] if spread else None)


def _warnings(a: RunResult, b: RunResult) -> list[str]:
    found = []
    if a.digest == b.digest:
        found.append("A and B are the same run")
    found += [f"{letter} is doubtful: {doubt}" for letter, run in (("A", a), ("B", b)) for doubt in run.doubts]
    for name in SETTINGS:
        if a.settings[name] != b.settings[name]:
            found.append(f"they differ in {name}: A {a.settings[name]}, B {b.settings[name]}")
    if a.split_digest != b.split_digest:
        found.append(f"they learned from different splits: A {a.split_digest[:12]}, B {b.split_digest[:12]}")
    return found


def _accuracy(side: RunMeasures) -> str:
    low, high = side.interval
    return f"{100 * side.run.test.accuracy:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"


def _difference(test: PairedTest) -> str:
    counts = (
        f"A alone is right on {test.better_a:,}, B alone on {test.better_b:,}"
        if test.n == test.objects
        else f"A has more images right of {test.better_a:,} objects, B of {test.better_b:,}"
    )
    p = p_value(test.p)
    evidence = f"{counts}; exact McNemar test, p {p if p.startswith('<') else f'= {p}'}"
    interval = f"95 % paired bootstrap interval {_points(test.low)} to {_points(test.high)}"
    if test.difference == 0:
        return f"The two do not differ in accuracy ({interval}; {evidence})."
    better = "better" if test.difference > 0 else "worse"
    chance = "more than chance" if test.p < LEVEL else "no more than chance may give"
    size = f"{100 * abs(test.difference):.1f} points"
    return f"A is {size} {better} ({interval}; {evidence}), which is {chance} between test objects."


def _over_seeds(comparison: Comparison) -> str:
    """What other seeds say, apart from what the choice of test objects says."""
    found = comparison.seeds
    if found is not None:
        return (
            f"Over seeds {_listed(found.seeds)} the difference is {_points(found.mean)} points on average (standard "
            f"deviation between seeds {100 * found.sd:.1f}, 95 % t interval {_points(found.low)} to "
            f"{_points(found.high)}; {found.agree} of {len(found.seeds)} seeds agree in sign); the finite test set "
            f"alone gives it a standard error of {100 * found.sampling:.1f}."
        )
    said = [
        f"{letter} over seeds {_listed(spread.seeds)}: {100 * spread.mean:.1f} % on average, standard deviation "
        f"between seeds {100 * spread.sd:.1f} points."
        for letter, spread in (("A", comparison.a.spread), ("B", comparison.b.spread))
        if spread is not None
    ]
    return " ".join([*said, "What another seed of both would change is not known."])


def _rows(comparison: Comparison) -> list[list[str]]:
    """Measure, A, B, A − B; shares in percent, their differences in points."""
    sides = (comparison.a, comparison.b)

    def row(
        label: str, of: Callable[[RunMeasures], float | None], form: str = "{:.1f}", factor: float = 100
    ) -> list[str]:
        a, b = (of(side) for side in sides)
        cells = ["" if value is None else form.format(factor * value) for value in (a, b)]
        difference = "" if a is None or b is None else form.replace(":", ":+z").format(factor * (a - b))
        return [label, *cells, difference.replace("-", "−")]

    def spread(of: Callable[[SeedSpread], float]) -> Callable[[RunMeasures], float | None]:
        return lambda side: None if side.spread is None else of(side.spread)

    def surest(share: float) -> Callable[[RunMeasures], float]:
        return lambda side: side.selective[share]

    answered = [share for share in comparison.a.selective if share < 1]
    rows = [
        row("accuracy, %", lambda side: side.run.test.accuracy),
        row("top-5 accuracy, %", lambda side: side.run.test.top5_accuracy),
        row("balanced accuracy, %", lambda side: side.run.test.mean_class_accuracy),
        row("macro F1, %", lambda side: side.run.test.macro_f1),
        row("mean average precision, %", lambda side: side.run.test.mean_average_precision),
        row("cross-entropy, nats", lambda side: side.calibration.loss, "{:.3f}", 1),
        row("  after temperature scaling", lambda side: side.calibration.loss_scaled, "{:.3f}", 1),
        row("calibration error, %", lambda side: side.calibration.ece),
        row("  after temperature scaling", lambda side: side.calibration.ece_scaled),
        row("temperature", lambda side: side.calibration.temperature, "{:.2f}", 1)[:3] + [""],
        *(row(f"accuracy on the surest {100 * share:.0f} %, %", surest(share)) for share in answered),
        row("mean over seeds, %", spread(lambda one: one.mean)),
        row("  standard deviation between seeds", spread(lambda one: one.sd))[:3] + [""],
        row("  standard error of the test sample", spread(lambda one: one.sampling))[:3] + [""],
    ]
    return [cells for cells in rows if any(cells[1:])]


def _points(value: float) -> str:
    return f"{100 * value:+z.1f}".replace("-", "−")


def _listed(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values))
