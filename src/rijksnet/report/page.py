"""The report as one HTML page: no script, no network, its pictures inside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
from markupsafe import Markup
from PIL import Image

from rijksnet.paths import CollectionPaths
from rijksnet.protocol import TEST, VALIDATION
from rijksnet.rendering import html
from rijksnet.rendering.pictures import Pictures
from rijksnet.report import classes, figures, findings, layout, measures, tables, text, theta_hat
from rijksnet.report.scorecard import RULE
from rijksnet.report.scorecard import summary as scorecard_summary
from rijksnet.runs.result import SETTINGS
from rijksnet.statistics import side_experiments
from rijksnet.statistics.calibration import calibrate
from rijksnet.statistics.claims import STATEMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rijksnet.rendering.grid import Grid
    from rijksnet.rendering.pictures import Picture
    from rijksnet.report.confusions import Confusions, Mistake
    from rijksnet.report.contents import Finding, Results, Supplement
    from rijksnet.runs.result import RunResult
    from rijksnet.statistics.claims import Verdict

TEMPLATE = "report.html.j2"

#: Quality of photographs and maps as WebP; widest picture, px.
QUALITY, WIDEST = 80, 1400


@dataclass(frozen=True)
class Claims:
    """A statement, its verdicts in a sentence, and each of them."""

    statement: str
    summary: Markup
    grid: Grid


@dataclass(frozen=True)
class ConfusionSection:
    """A run's confusions, with pictures."""

    of: Confusions
    strategy: str
    matrix: str
    mistakes: list[tuple[Mistake, list[Picture], list[Picture]]]


@dataclass(frozen=True)
class Card:
    """Where a run's numbers come from; `mlflow` is empty where the run is not published."""

    run: RunResult
    anchor: str
    settings: str  #: empty where all runs have the same: then the page's head says them
    mlflow: str


@dataclass(frozen=True)
class FindingSection:
    """An experiment that is no run: its picture, the tables of its measures, and whether its runs are the present."""

    finding: Finding
    picture: str
    grids: list[Grid]


def page(results: Results, supplement: Supplement, drawn: Mapping[str, bytes]) -> str:
    """The page; the same arguments give the same text.

    Args:
        drawn: PNG of those of `text.FIGURES` that have anything to show.
    """
    params = results.params
    cards = _cards(results, supplement.published)
    collections = list(results.splits)
    anchors = {str(card.run.key): card.anchor for card in cards}
    anchors |= {CollectionPaths(name).splits_summary.as_posix(): f"data-{name}" for name in collections}
    anchors |= {tables.GROUNDTRUTH: "ground-truth"}
    uris = {file: html.data_uri(content, "image/png") for file, content in drawn.items()}
    curves = (("source", text.SOURCE_CURVES), ("target", text.TARGET_CURVES))
    return html.render(
        TEMPLATE,
        title=text.headline(params),
        how=text.how(results),
        doubts=text.doubts(results),
        doubts_explained=_prose(text.DOUBTS_EXPLAINED),
        origins_explained=_prose(theta_hat.EXPLAINED),
        params=params,
        results=results,
        anchors=anchors,
        claims=_claims(results.verdicts, STATEMENTS),
        claims_explained=_prose(text.claims_explained(results.verdicts)),
        seed_grids=[
            grid
            for grid in (text.spread_grid(supplement.spreads), text.seed_difference_grid(supplement.seed_differences))
            if grid.rows
        ],
        seeds_explained=_prose(text.SEEDS_EXPLAINED),
        tables=text.table_grids(results),
        tables_explained=_prose(text.TABLES_EXPLAINED),
        classes_explained=_prose(classes.EXPLAINED) if len(results.class_scores) else "",
        groundtruth=layout.groundtruth_grid(results.groundtruth),
        groundtruth_explained=_prose(
            text.GROUNDTRUTH_EXPLAINED.format(sha256=results.groundtruth["groundtruth_sha256"][0])
        ),
        scorecard=layout.scorecard_grid(supplement.scorecard),
        scorecard_summary=scorecard_summary(supplement.scorecard),
        rule=_prose(RULE),
        errata=layout.errata_grid(supplement.errata),
        differences=layout.differences_grid(supplement.differences),
        accuracies=uris.get(text.ACCURACIES),
        accuracies_explained=_prose(text.ACCURACIES_EXPLAINED),
        curves={part: uris[file] for part, file in curves if file in uris},
        confused=[_confused(one) for one in supplement.confusions],
        statistics=measures.grids(supplement.statistics, results.runs),
        statistics_explained=_prose(measures.explained()),
        reliability=[(one.run, _reliability(one.run)) for one in supplement.confusions],
        saliency=[_saliency(one) for one in supplement.saliency],
        saliency_explained=_prose(findings.SALIENCY_EXPLAINED),
        shift_explained=_prose(findings.SHIFT_EXPLAINED),
        probes=[_probes(one) for one in supplement.probes],
        probes_explained=_prose(findings.PROBES_EXPLAINED),
        side_experiments=_claims(supplement.side_experiments, side_experiments.STATEMENTS),
        side_explained=_prose(text.SIDE_EXPLAINED),
        dense=[name for name in params.architectures if "densenet" in name],
        audits=supplement.audits,
        collections=collections,
        cards=cards,
    )


def _claims(verdicts: Sequence[Verdict], statements: Mapping[str, str]) -> list[Claims]:
    return [
        Claims(statements[name], _prose(text.summary(group)), layout.claim_grid(statements[name], group))
        for name, group in text.by_claim(verdicts, statements)
    ]


def _prose(markdown: str) -> Markup:
    """Paragraphs of our own words, in which emphasis and file names are marked up."""
    from markdown_it import MarkdownIt

    rendered = MarkdownIt("commonmark", {"html": False}).render(markdown)
    return Markup(re.sub(r'<a href="[^"]*">(.*?)</a>', r"<code>\1</code>", rendered))  # the page may travel alone


def anchor(key: object) -> str:
    """Where a run's card stands on the page."""
    return "run-" + re.sub(r"[^A-Za-z0-9_-]+", "-", str(key))


def _cards(results: Results, published: Mapping[str, Mapping[str, str]]) -> list[Card]:
    alike = len({tuple(run.settings.values()) for run in results.runs.values()}) == 1
    return [_card(run, published, results.params.tracking.ui, alike) for run in results.runs.values()]


def _card(run: RunResult, published: Mapping[str, Mapping[str, str]], ui: str, alike: bool) -> Card:
    shown = published.get(str(run.key), {})
    address = ""
    if shown.get("run_digest") == run.digest:
        address = f"{ui.rstrip('/')}/#/experiments/{shown['experiment_id']}/runs/{shown['run_id']}"
    settings = ", ".join(f"{name.replace('_', ' ')} {run.settings[name]}" for name in SETTINGS)
    return Card(run, anchor(run.key), "" if alike else settings, address)


def _confused(confusions: Confusions) -> ConfusionSection:
    run = confusions.run
    pictures = Pictures(CollectionPaths(run.key.collection))
    shown = [
        (
            mistake,
            [pictures.of(*image) for image in mistake.examples],
            [pictures.of(*image) for image in mistake.rightly],
        )
        for mistake in confusions.mistakes
        if pictures.size is not None
    ]
    matrix = figures.confusion(confusions.matrix, run.classes, str(run.key))
    return ConfusionSection(confusions, layout.strategy_of(run.key), html.data_uri(matrix, "image/png"), shown)


def _reliability(run: RunResult) -> str:
    test = run.predictions(TEST)
    calibration = calibrate(run.predictions(VALIDATION), test)
    return html.data_uri(figures.reliability(test, calibration, str(run.key)), "image/png")


def _saliency(finding: Finding) -> FindingSection:
    grids = [findings.faithfulness_grid(finding.about), findings.shift_grid(finding.about)]
    return FindingSection(finding, _as_webp(finding, "gallery.png"), grids)


def _probes(finding: Finding) -> FindingSection:
    frame = pd.read_csv(finding.folder / "probes.csv")
    return FindingSection(finding, _as_webp(finding, "probes.png"), [findings.probes_grid(frame, finding.about)])


def _as_webp(finding: Finding, name: str) -> str:
    """A picture that an experiment left, several times smaller."""
    with Image.open(finding.folder / name) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((WIDEST, 10 * WIDEST), Image.Resampling.LANCZOS)
    return html.encoded(picture, "WEBP", QUALITY)
