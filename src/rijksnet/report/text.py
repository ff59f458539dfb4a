"""The report in words: results/README.md, and its tables alone."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rijksnet.rendering.grid import Cell, Grid, signed
from rijksnet.report import challenge, classes, layout, theta_hat
from rijksnet.report.scorecard import RULE
from rijksnet.report.scorecard import summary as scorecard_summary
from rijksnet.runs.plan import source_keys, target_keys
from rijksnet.runs.result import SETTINGS
from rijksnet.statistics import side_experiments
from rijksnet.statistics.claims import LEVEL, OUTCOMES, STATEMENTS, families

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rijksnet.params import Params
    from rijksnet.report.contents import Results, Supplement
    from rijksnet.runs.key import RunKey
    from rijksnet.statistics.claims import Verdict
    from rijksnet.statistics.seeds import SeedDifference, SeedSpread

ACCURACIES = "accuracies.png"
SOURCE_CURVES, TARGET_CURVES = "validation_curves_source.png", "validation_curves_target.png"
FIGURES = (ACCURACIES, SOURCE_CURVES, TARGET_CURVES)

ACCURACIES_EXPLAINED = """\
Hollow: off the shelf; filled: fine tuned; a diamond starts from θ̂. Bars are 95 % Wilson intervals; the dotted line is
what always answering the most frequent training class scores."""

CLAIMS_EXPLAINED = """\
*holds*: better, with p < 0.05 (exact McNemar test, the same test objects for both runs) after Holm's correction over
the networks; *opposite*: worse, likewise; *undecided*: neither; *doubtful*: one of the two runs is. In brackets: the
95 % paired bootstrap interval of the difference. The {families} families of networks are not corrected for one another:
if no network differed at all, up to about {chance:.1f} of them would hold a verdict by chance. Each test compares two
trained networks; how much another seed would change them is another question. [claims.csv](claims.csv) names the runs
compared."""

CLASSES_EXPLAINED = """
Where the most frequent class has more than twice an equal share of the test images, accuracy is mostly that of frequent
classes; beside it stand the differences in what counts every class alike, with 95 % paired bootstrap intervals. The
verdicts are accuracy's, as in the paper; {disagree}."""

FOLDS_EXPLAINED = """
Each run was trained {folds} times, once a fold, and its figures are over all objects, each tested once by networks that
did not train on it. Tests and intervals take the answers as independent, though more than three folds share training
images. *Over folds*: the 95 % interval of the mean difference over folds, by the corrected resampled t-test (Nadeau and
Bengio 2003), which errs on the side of caution: what holds by it too holds for other training images as well."""

DOUBTS_EXPLAINED = """\
**Some runs are doubtful** (†): their figures may not be what their recipe gives, and no comparison with them counts."""

TABLES_EXPLAINED = """\
In brackets after an accuracy: its 95 % Wilson interval. *paper*: what Sabatelli et al. (2018) print for the same
challenge and network, where they have one; in brackets after it: ours − the paper's, which is stated only on their
collections with one of their networks, for elsewhere the two measure different things. `reference/` holds all of the
paper's figures."""

SEEDS_EXPLAINED = """\
Two sources of uncertainty, kept apart. *Between seeds*: standard deviation over trainings that differ in the seed; in
brackets after the mean the 95 % t interval over them. *Test sample*: standard error from the finite number of test
images. All seeds share one split, one θ and one θ̂, so neither says how much another draw of those would change."""

SIDE_EXPLAINED = """\
Tested as the claims are: *holds* and *opposite* mean p < 0.05 after Holm's correction over the networks. Networks for
all challenges at once and their single rivals are compared only with each other: both train on no image that any
challenge holds out, hence on fewer than the runs of the tables."""

GROUNDTRUTH_EXPLAINED = """\
Counted by `rijksnet groundtruth` on the museum's own 112,039 objects (rijksgt.mat, sha256 `{sha256:.12}…`; no images
are needed). *First value*: the label rule that reproduces the printed samples. *In all splits*: the paper's rule that a
class must occur in each split, over several draws; the printed classes are counted before it. One material has no name,
hence the two counts of materials."""

RUNS_EXPLAINED = """\
Each accuracy is that of one run; the CSV files name it in the column that ends in `run`. *majority*: what always
answering the most frequent training class would score."""


def tables_text(results: Results) -> str:
    """The tables and the claims alone, as in README.md."""
    parts = [
        f"# {headline(results.params)}",
        how(results),
        *_doubts_text(results),
        *_origins_text(results),
        *_tables_text(results),
        *_claims_text(results.verdicts),
    ]
    return "\n\n".join(parts) + "\n"


def table_grids(results: Results) -> list[Grid]:
    """Tables 1 and 2, Table 3 where there is a transfer, and what some collections add to them."""
    grids = [layout.grid1(results.table1), layout.grid2(results.table2)]
    if results.params.target.challenges:
        grids.append(layout.grid3(results.table3))
    if len(results.class_scores):
        grids.append(classes.class_grid(results.class_scores))
    if results.measures is not None:
        grids.append(challenge.measures_grid(results.measures))
    return grids


def headline(params: Params) -> str:
    """Which collections the figures are of, and whether a museum's."""
    source, target = params.source.collection, params.target.collection
    names = [source, target] if params.target.challenges else [source]
    drawn = [name for name in names if params.collections[name].reader == "miniature"]
    said = " and ".join(names)
    if not drawn:
        return f"Results on {said}"
    if drawn == names:
        return f"Results on {said}: drawn by RijksNet itself, so these numbers say nothing about museums"
    return f"Results on {said}: {drawn[0]} is drawn by RijksNet itself, so its numbers say nothing about museums"


def report_text(results: Results, supplement: Supplement) -> str:
    """README.md: claims, tables, scorecard, curves, and where each number comes from."""
    params = results.params
    parts = [
        f"# {headline(params)}",
        how(results),
        *_doubts_text(results),
        *_origins_text(results),
        "`report.html`, which `dvc repro` writes beside this file, is the whole report as one page: "
        "what networks confuse and look at, all measures, the side experiments, and for every number its run.",
        *_claims_text(results.verdicts),
        *_accuracies_text(results),
        *_seeds_text(supplement),
        *_tables_text(results),
        "## Scorecard",
        f"{scorecard_summary(supplement.scorecard)} Each of them: [scorecard.csv](scorecard.csv).",
        RULE,
        *_side_text(supplement),
        "## Validation curves",
        *_curves_text(results),
        "## Where each number comes from",
        RUNS_EXPLAINED,
        layout.run_grid(results.runs.values()).markdown(),
        *([f"Not run: {', '.join(f'`{key}`' for key in results.missing)}."] if results.missing else []),
    ]
    return "\n\n".join(parts) + "\n"


def how(results: Results) -> str:
    """How many runs there are, and the settings that they themselves say they were trained with."""
    runs = list(results.runs.values())
    said = [f"{name} {', '.join(sorted({run.settings[name] for run in runs}))}" for name in SETTINGS if runs]
    seeds = sorted({run.key.seed for run in runs}) or [results.params.training.seed]
    named = f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
    folds = results.params.splits.folds
    dealt = f" Each was trained {folds} times, once a fold: every object is tested once." if folds > 1 else ""
    return f"{len(runs)} of {len(runs) + len(results.missing)} runs made; {', '.join([named, *said])}.{dealt}"


def doubts(results: Results) -> list[tuple[RunKey, str]]:
    """What makes runs doubtful, each with its run."""
    return [(run.key, doubt) for run in results.runs.values() for doubt in run.doubts]


def _doubts_text(results: Results) -> list[str]:
    found = doubts(results)
    if not found:
        return []
    return [DOUBTS_EXPLAINED, "\n".join(f"- `{key}`: {doubt}." for key, doubt in found)]


def _origins_text(results: Results) -> list[str]:
    if not results.other_origins:
        return []
    return [theta_hat.EXPLAINED, "\n".join(f"- θ̂ of {origin}." for origin in results.other_origins)]


def _tables_text(results: Results) -> list[str]:
    return [
        "## Tables",
        *_table_text(layout.grid1(results.table1), "table1.csv"),
        *_groundtruth_text(results),
        *_table_text(layout.grid2(results.table2), "table2.csv"),
        *(_table_text(layout.grid3(results.table3), "table3.csv") if results.params.target.challenges else []),
        TABLES_EXPLAINED,
        *_classes_text(results),
        *_measures_text(results),
    ]


def _claims_text(verdicts: Sequence[Verdict]) -> list[str]:
    parts = ["## The paper's three claims"]
    for i, (name, group) in enumerate(by_claim(verdicts), start=1):
        parts += [f"### Claim {i}: {STATEMENTS[name]}", summary(group), layout.claim_grid(name, group).markdown()]
    return [*parts, claims_explained(verdicts)]


def claims_explained(verdicts: Sequence[Verdict]) -> str:
    """How the verdicts came about, and how many of them chance alone would give."""
    tested = families(verdicts)
    folds = max((verdict.over_folds.folds for verdict in verdicts if verdict.over_folds), default=0)
    explained = CLAIMS_EXPLAINED.format(families=tested, chance=LEVEL * tested)
    if any(verdict.each_class_alike for verdict in verdicts):
        other = [verdict.claim.better for verdict in verdicts if verdict.disagrees]
        named = ", ".join(f"{key.challenge} {key.architecture} {key.strategy.replace('_', ' ')}" for key in other)
        disagree = (
            f"balanced accuracy answers otherwise (≠) for {named}" if other else "balanced accuracy agrees with all"
        )
        explained += f"\n{CLASSES_EXPLAINED.format(disagree=disagree)}"
    return explained + (f"\n{FOLDS_EXPLAINED.format(folds=folds)}" if folds else "")


def summary(verdicts: Sequence[Verdict]) -> str:
    """A claim's verdicts in one plain sentence or two."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    tests = [verdict.test for verdict in verdicts if verdict.test is not None]
    total = len(verdicts)
    if not tests:
        return f"Not tested: none of its {total} comparisons has both runs."
    if counts["holds"] == total:
        text = f"**Holds in all {total} comparisons.**" if total > 1 else "**Holds in the one comparison.**"
    else:
        others = [f"{outcome} in {counts[outcome]}" for outcome in OUTCOMES[1:4] if counts[outcome]]
        others += [f"{counts['not run']} not run"] if counts["not run"] else []
        text = f"**Holds in {counts['holds']} of {total} comparisons; {', '.join(others)}.**"
    differences = [100 * test.difference for test in tests]
    low, high = (signed(value) for value in (min(differences), max(differences)))
    if low == high:
        return f"{text} {'The' if len(tests) == 1 else 'Each'} difference is {low} points."
    return f"{text} The differences lie between {low} and {high} points."


def _table_text(grid: Grid, file: str) -> list[str]:
    return [f"### {grid.title}", grid.markdown(), f"[{file}]({file})"]


def _groundtruth_text(results: Results) -> list[str]:
    table = results.groundtruth
    grid = layout.groundtruth_grid(table)
    return [f"### {grid.title}", grid.markdown(), GROUNDTRUTH_EXPLAINED.format(sha256=table["groundtruth_sha256"][0])]


def _classes_text(results: Results) -> list[str]:
    if results.class_scores.empty:
        return []
    return [*_table_text(classes.class_grid(results.class_scores), "class_scores.csv"), classes.EXPLAINED]


def _measures_text(results: Results) -> list[str]:
    if results.measures is None:
        return []
    return [*_table_text(challenge.measures_grid(results.measures), "challenge.csv"), challenge.EXPLAINED]


def _accuracies_text(results: Results) -> list[str]:
    if not any(key in results.runs for key in (*source_keys(results.params), *target_keys(results.params))):
        return []
    return [f"![Test accuracies of Tables 2 and 3 with their intervals]({ACCURACIES})", ACCURACIES_EXPLAINED]


def _curves_text(results: Results) -> list[str]:
    texts, params = [], results.params
    of = (("source", SOURCE_CURVES, source_keys(params)), ("target", TARGET_CURVES, target_keys(params)))
    for part, file, keys in of:
        if any(key in results.runs for key in keys):
            texts.append(f"![Validation accuracy by epoch on the {part}]({file})")
        elif keys:
            texts.append(f"On the {part}: not run.")
    return texts


def _seeds_text(supplement: Supplement) -> list[str]:
    if not supplement.spreads:
        return []
    grids = [spread_grid(supplement.spreads), seed_difference_grid(supplement.seed_differences)]
    files = ["seeds.csv", "seed_differences.csv"]
    shown = [(grid, file) for grid, file in zip(grids, files, strict=True) if grid.rows]
    return [*(part for grid, file in shown for part in _table_text(grid, file)), SEEDS_EXPLAINED]


def spread_grid(spreads: Sequence[SeedSpread]) -> Grid:
    """One row a run that was made with several seeds."""
    headings = ["run", "seeds", "mean accuracy, %", "between seeds, points", "test sample, points"]
    rows = [
        [
            str(one.key).rpartition("-seed")[0],
            ", ".join(map(str, one.seeds)),
            Cell(f"{100 * one.mean:.1f} ({100 * one.low:.1f}–{100 * one.high:.1f})", str(one.key)),
            f"{100 * one.sd:.1f}",
            f"{100 * one.sampling:.1f}",
        ]
        for one in spreads
    ]
    return Grid("Other seeds: accuracy", headings, rows, text_columns=1)


def seed_difference_grid(differences: Sequence[SeedDifference]) -> Grid:
    """One row a comparison that was made with several seeds."""
    headings = ["claim", "of", "seeds", "mean difference, points", "between seeds", "test sample", "seeds that agree"]
    rows = [
        [
            one.claim.name,
            str(one.claim.better).rpartition("-seed")[0],
            ", ".join(map(str, one.seeds)),
            Cell(
                f"{signed(100 * one.mean)} ({signed(100 * one.low)} to {signed(100 * one.high)})",
                str(one.claim.better),
            ),
            f"{100 * one.sd:.1f}",
            f"{100 * one.sampling:.1f}",
            f"{one.agree} of {len(one.seeds)}",
        ]
        for one in differences
    ]
    return Grid("Other seeds: differences", headings, rows, text_columns=2)


def _side_text(supplement: Supplement) -> list[str]:
    groups = by_claim(supplement.side_experiments, side_experiments.STATEMENTS)
    if not groups:
        return []
    parts = [f"- {side_experiments.STATEMENTS[name].capitalize()}: {summary(group)}" for name, group in groups]
    return [
        "## Side experiments",
        "\n".join(parts),
        f"{SIDE_EXPLAINED} Each comparison: [side_experiments.csv](side_experiments.csv).",
    ]


def by_claim(
    verdicts: Sequence[Verdict], statements: Mapping[str, str] = STATEMENTS
) -> list[tuple[str, list[Verdict]]]:
    """The verdicts on each of the statements that has any."""
    grouped = [(name, [verdict for verdict in verdicts if verdict.claim.name == name]) for name in statements]
    return [(name, group) for name, group in grouped if group]
