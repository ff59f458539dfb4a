"""What the report says, before it is put into words: tables and verdicts first, and all that the page adds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rijksnet.audit.write import FACTS
from rijksnet.errors import RunError
from rijksnet.paths import DATA, PUBLISHED, REFERENCE, RUNS, CollectionPaths
from rijksnet.report import challenge, tables
from rijksnet.report.classes import class_table
from rijksnet.report.confusions import confusions
from rijksnet.report.measures import statistics
from rijksnet.report.scorecard import scorecard
from rijksnet.report.theta_hat import other_origins
from rijksnet.runs.findings import FindingPaths
from rijksnet.runs.plan import all_keys, source_keys, target_keys
from rijksnet.runs.result import load_asked, read_splits
from rijksnet.statistics import seeds
from rijksnet.statistics.claims import claims_of, judge
from rijksnet.statistics.side_experiments import side_claims

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from rijksnet.params import Params
    from rijksnet.report.confusions import Confusions
    from rijksnet.runs.key import RunKey
    from rijksnet.runs.result import RunResult, SplitSummary
    from rijksnet.statistics.claims import Verdict


@dataclass(frozen=True)
class Results:
    """The tables and verdicts of the runs that `params` asks for; `keys` are those of the paper's tables."""

    params: Params
    keys: list[RunKey]
    runs: dict[RunKey, RunResult]
    splits: Mapping[str, Mapping[str, SplitSummary]]
    paper: tables.Paper
    table1: pd.DataFrame
    table2: pd.DataFrame
    table3: pd.DataFrame
    verdicts: list[Verdict]
    class_scores: pd.DataFrame  #: of Tables 2 and 3, where classes are unbalanced; may be empty
    groundtruth: pd.DataFrame  #: Table 1 as counted on the real ground truth
    other_origins: list[str]  #: what θ̂ is where it is not the own run
    measures: pd.DataFrame | None  #: the Rijksmuseum Challenge's own, on its official split only

    @property
    def missing(self) -> list[RunKey]:
        """What is asked for, and not made."""
        return [key for key in all_keys(self.params) if key not in self.runs]


@dataclass(frozen=True)
class Finding:
    """An experiment that is no run: its folder, what its json file says, and whether the runs are still the same."""

    folder: Path
    about: Mapping[str, Any]
    of_these_runs: bool


@dataclass(frozen=True)
class Supplement:
    """What the page and the CSV files add to the tables."""

    scorecard: pd.DataFrame
    errata: pd.DataFrame
    differences: pd.DataFrame
    statistics: pd.DataFrame
    spreads: list[seeds.SeedSpread]
    seed_differences: list[seeds.SeedDifference]
    side_experiments: list[Verdict]
    confusions: list[Confusions]
    saliency: list[Finding]
    probes: list[Finding]
    audits: Mapping[str, Mapping[str, Any]]  #: audit.json of each collection that has one
    published: Mapping[str, Mapping[str, str]]  #: published.json: run key → experiment_id, run_id, run_digest


def gather(params: Params, reference: Path = REFERENCE) -> Results:
    """The tables and verdicts of exactly the runs that `params` asks for, read from the project root.

    Raises:
        RunError: a run is damaged, two runs to be compared were tested on different objects, or the paper's
            figures are absent. A run that has not been made is no error: it is reported as not run.
    """
    runs = load_asked(params, RUNS)
    splits = {name: read_splits(DATA, name) for name in (params.source.collection, params.target.collection)}
    official = params.splits.rule == "challenge"
    paper = tables.Paper({}, {}, {}) if official else tables.read_paper(reference)
    return Results(
        params=params,
        keys=[*source_keys(params), *target_keys(params)],
        runs=runs,
        splits=splits,
        paper=paper,
        table1=tables.table1(params, splits, paper),
        table2=tables.table2(params, runs, paper, splits),
        table3=tables.table3(params, runs, paper),
        verdicts=judge(claims_of(params), runs),
        class_scores=class_table([*source_keys(params), *target_keys(params)], runs),
        groundtruth=tables.groundtruth_table(reference),
        other_origins=other_origins(params, runs),
        measures=challenge.measures_table(params, runs, reference) if official else None,
    )


def gather_supplement(results: Results, reference: Path = REFERENCE) -> Supplement:
    """All that stands beside the tables. What has not been made is left out, and said on the page.

    Raises:
        RunError: as `gather`; or a file of an experiment, an audit or published.json does not read.
    """
    params, runs = results.params, results.runs
    of_tables = (results.table1, results.table2, results.table3, results.groundtruth)
    of_source = [
        FindingPaths(params.source.collection, name, architecture)
        for name in params.side_experiments.challenges
        for architecture in params.side_experiments.architectures
    ]
    return Supplement(
        scorecard=scorecard(params, *of_tables, results.paper),
        errata=tables.errata(reference),
        differences=tables.differences(reference),
        statistics=statistics(runs),
        spreads=seeds.spreads(runs),
        seed_differences=seeds.differences(claims_of(params), runs),
        side_experiments=judge(side_claims(params), runs),
        confusions=[confusions(run) for run in _best(results.keys, runs)],
        saliency=_findings([at.saliency for at in of_source], runs),
        probes=_findings([at.probes for at in of_source], runs),
        audits={name: audit for name in results.splits if (audit := _json(CollectionPaths(name).audit / FACTS))},
        published=_json(PUBLISHED),
    )


def _best(keys: Sequence[RunKey], runs: Mapping[RunKey, RunResult]) -> list[RunResult]:
    """Of each collection and challenge the run that did best on the validation split, of equals the first."""
    best: dict[tuple[str, str], RunResult] = {}
    for run in (runs[key] for key in keys if key in runs):
        of = (run.key.collection, run.key.challenge)
        if of not in best or run.validation.accuracy > best[of].validation.accuracy:
            best[of] = run
    return list(best.values())


def _findings(folders: Sequence[Path], runs: Mapping[RunKey, RunResult]) -> list[Finding]:
    digests = {str(key): run.digest for key, run in runs.items()}
    found = []
    for folder in folders:
        about = _json(folder / f"{folder.name}.json")
        if about:
            same = all(digests.get(key) == digest for key, digest in about["run_digests"].items())
            found.append(Finding(folder, about, same))
    return found


def _json(file: Path) -> dict[str, Any]:
    """The file's object; an empty one where there is no such file.

    Raises:
        RunError: it is no JSON object.
    """
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{file} does not read as JSON ({error}): delete it and run `dvc repro`") from error
    if not isinstance(content, dict):
        raise RunError(f"{file} holds {type(content).__name__}, not an object: delete it and run `dvc repro`")
    return content
