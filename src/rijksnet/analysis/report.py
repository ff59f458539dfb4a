"""The report: results/README.md with its tables and figures, and the same tables for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rijksnet.analysis import challenge, layout, tables
from rijksnet.analysis.claims import LEVEL, OUTCOMES, STATEMENTS, Verdict, claims_of, claims_table, judge
from rijksnet.analysis.figures import Curve, validation_curves
from rijksnet.analysis.runs import SETTINGS, RunResult, load_asked, read_splits, source_keys, target_keys
from rijksnet.params import Params
from rijksnet.paths import RunKey

if TYPE_CHECKING:
    from rich.console import Group

CURVES = {"source": "validation_curves_source.png", "target": "validation_curves_target.png"}

BRACKETS = "In brackets: 95 % intervals; after the paper's figure, ours − the paper's."

CLAIMS_EXPLAINED = """\
*holds*: better, with p < 0.05 (exact McNemar test, the same test objects for both runs); *opposite*: worse, with
p < 0.05; *undecided*: neither. In brackets: the 95 % paired bootstrap interval of the difference. The p-values are not
corrected for their number: of {tests} tests of no difference at all, up to about {chance:.1f} would read as decided by
chance. Each test compares two trained networks; it does not say how much another seed would change them.
[claims.csv](claims.csv) names the runs compared."""

TABLES_EXPLAINED = """\
In brackets after an accuracy: its 95 % Wilson interval. *paper*: what Sabatelli et al. (2018) print for the same
challenge and network, where they have one; in brackets after it: ours − the paper's, which is stated only on their
collections with one of their networks, for elsewhere the two measure different things. `reference/` holds all of the
paper's figures."""

GROUNDTRUTH_EXPLAINED = """\
Counted by `rijksnet groundtruth` on the museum's own 112,039 objects (rijksgt.mat, sha256 `{sha256:.12}…`; no images
are needed). *First value*: the label rule that reproduces the printed samples. *In all splits*: the paper's rule that a
class must occur in each split, over several draws; the printed classes are counted before it. One material has no name,
hence the two counts of materials."""

RUNS_EXPLAINED = """\
Each accuracy is that of one run; the CSV files name it in the column that ends in `run`. *majority*: what always
answering the most frequent training class would score."""


@dataclass(frozen=True)
class Results:
    """Everything that the report says, before it is put into words."""

    params: Params
    runs: dict[RunKey, RunResult]
    table1: pd.DataFrame
    table2: pd.DataFrame
    table3: pd.DataFrame
    verdicts: list[Verdict]
    groundtruth: pd.DataFrame  #: Table 1 as counted on the real ground truth
    measures: pd.DataFrame | None  #: the Rijksmuseum Challenge's own, on its official split only


def gather(params: Params, runs_root: Path, data_root: Path, reference: Path = tables.REFERENCE) -> Results:
    """The tables and verdicts of exactly the runs that `params` asks for, with its seed.

    Raises:
        RecordError: a record is damaged, two runs to be compared were tested on different objects, or the paper's
            figures are absent. A run that has not been made is no error: it is reported as not run.
    """
    runs = load_asked(params, runs_root)
    collections = (params.source.collection, params.target.collection)
    splits = {collection: read_splits(data_root, collection) for collection in collections}
    official = params.splits.rule == "challenge"
    paper = tables.Paper({}, {}, {}) if official else tables.read_paper(reference)
    return Results(
        params=params,
        runs=runs,
        table1=tables.table1(params, splits, paper),
        table2=tables.table2(params, runs, paper),
        table3=tables.table3(params, runs, paper),
        verdicts=judge(claims_of(params), runs),
        groundtruth=tables.groundtruth_table(reference),
        measures=challenge.measures_table(params, runs, reference) if official else None,
    )


def write_report(
    params: Params, runs_root: Path, data_root: Path, out: Path, reference: Path = tables.REFERENCE
) -> None:
    """Write table1–3.csv, claims.csv, the validation curves and README.md into folder `out`; the same runs give the
    same bytes.

    Raises:
        RecordError: as `gather`.
    """
    results = gather(params, runs_root, data_root, reference)
    out.mkdir(parents=True, exist_ok=True)
    frames = {
        "table1": results.table1,
        "table2": results.table2,
        "table3": results.table3,
        "claims": claims_table(results.verdicts),
        **({} if results.measures is None else {"challenge": results.measures}),
    }
    for name, frame in frames.items():
        frame.to_csv(out / f"{name}.csv", index=False, float_format="%.4g" if name == "claims" else "%.2f")
    for part, keys in (("source", source_keys(params)), ("target", target_keys(params))):
        figure = out / CURVES[part]
        curves = [_curve(results.runs[key]) for key in keys if key in results.runs]
        if curves:
            figure.write_bytes(validation_curves(curves, f"Validation accuracy, {curves[0].key.collection}"))
        else:
            figure.unlink(missing_ok=True)
    (out / "README.md").write_text(report_text(results), encoding="utf-8")


def render_tables(params: Params, runs_root: Path, data_root: Path, reference: Path = tables.REFERENCE) -> Group:
    """The report's first line, Tables 1–3 and the claims, to be printed by a rich console.

    Raises:
        RecordError: as `gather`.
    """
    from rich.console import Group
    from rich.text import Text

    results = gather(params, runs_root, data_root, reference)
    grids = [layout.grid1(results.table1), layout.grid2(results.table2)]
    if params.target.challenges:
        grids.append(layout.grid3(results.table3))
    if results.measures is not None:
        grids.append(challenge.measures_grid(results.measures))
    grids += [
        layout.claim_grid(f"Claim: {STATEMENTS[name]}", verdicts) for name, verdicts in _by_claim(results.verdicts)
    ]
    return Group(Text(headline(params)), *(grid.rich() for grid in grids), Text(BRACKETS))


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


def report_text(results: Results) -> str:
    """README.md: claims, tables, curves, and where each number comes from."""
    params = results.params
    asked = [*source_keys(params), *target_keys(params)]
    missing = [key for key in asked if key not in results.runs]
    parts = [
        f"# {headline(params)}",
        _how(params.training.seed, asked, [results.runs[key] for key in asked if key in results.runs]),
        "## The paper's three claims",
        *_claims_text(results.verdicts),
        "## Tables",
        *_table_text(layout.grid1(results.table1), "table1.csv"),
        *_groundtruth_text(results),
        *_table_text(layout.grid2(results.table2), "table2.csv"),
        *(_table_text(layout.grid3(results.table3), "table3.csv") if params.target.challenges else []),
        TABLES_EXPLAINED,
        *_measures_text(results),
        "## Validation curves",
        *_curves_text(results),
        "## Where each number comes from",
        RUNS_EXPLAINED,
        layout.run_grid(results.runs[key] for key in asked if key in results.runs).markdown(),
        *([f"Not run: {', '.join(f'`{key}`' for key in missing)}."] if missing else []),
    ]
    return "\n\n".join(parts) + "\n"


def _how(seed: int, asked: Sequence[RunKey], runs: Sequence[RunResult]) -> str:
    """How many runs there are, and the settings that they themselves say they were trained with."""
    said = [f"{name} {', '.join(sorted({run.settings[name] for run in runs}))}" for name in SETTINGS if runs]
    return f"{len(runs)} of {len(asked)} runs made; {', '.join([f'seed {seed}', *said])}."


def _claims_text(verdicts: Sequence[Verdict]) -> list[str]:
    tests = sum(verdict.test is not None for verdict in verdicts)
    parts: list[str] = []
    for i, (name, group) in enumerate(_by_claim(verdicts), start=1):
        parts += [f"### Claim {i}: {STATEMENTS[name]}", summary(group), layout.claim_grid(name, group).markdown()]
    return [*parts, CLAIMS_EXPLAINED.format(tests=tests, chance=LEVEL * tests)]


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
        others = [f"{outcome} in {counts[outcome]}" for outcome in OUTCOMES[1:3] if counts[outcome]]
        others += [f"{counts['not run']} not run"] if counts["not run"] else []
        text = f"**Holds in {counts['holds']} of {total} comparisons; {', '.join(others)}.**"
    differences = [100 * test.difference for test in tests]
    low, high = (f"{value:+z.1f}".replace("-", "−") for value in (min(differences), max(differences)))
    if low == high:
        return f"{text} {'The' if len(tests) == 1 else 'Each'} difference is {low} points."
    return f"{text} The differences lie between {low} and {high} points."


def _table_text(grid: layout.Grid, file: str) -> list[str]:
    return [f"### {grid.title}", grid.markdown(), f"[{file}]({file})"]


def _groundtruth_text(results: Results) -> list[str]:
    table = results.groundtruth
    grid = layout.groundtruth_grid(table)
    return [f"### {grid.title}", grid.markdown(), GROUNDTRUTH_EXPLAINED.format(sha256=table["groundtruth_sha256"][0])]


def _measures_text(results: Results) -> list[str]:
    if results.measures is None:
        return []
    return [*_table_text(challenge.measures_grid(results.measures), "challenge.csv"), challenge.EXPLAINED]


def _curves_text(results: Results) -> list[str]:
    texts = []
    for part, keys in (("source", source_keys(results.params)), ("target", target_keys(results.params))):
        if any(key in results.runs for key in keys):
            texts.append(f"![Validation accuracy by epoch on the {part}]({CURVES[part]})")
        elif keys:
            texts.append(f"On the {part}: not run.")
    return texts


def _by_claim(verdicts: Sequence[Verdict]) -> list[tuple[str, list[Verdict]]]:
    grouped = [(name, [verdict for verdict in verdicts if verdict.claim.name == name]) for name in STATEMENTS]
    return [(name, group) for name, group in grouped if group]


def _curve(run: RunResult) -> Curve:
    return Curve(run.key, run.history()["validation_accuracy"].to_numpy(dtype=np.float64))
