"""What a person who opens the MLflow UI finds prepared: descriptions of experiments, and saved views of their runs.

MLflow's UI keeps a saved view as an experiment's tag `mlflow.sharedViewState.<id>`: a JSON envelope whose `state` is
the JSON text of what the page remembers of columns, order and charts (MLflow 3.17). It opens from the menu "Views"
above the list of runs, or from an address with `viewStateShareKey=<id>`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rijksnet.runs.key import COMMON_CLASSES, base_challenge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VIEW = "mlflow.sharedViewState."
DESCRIPTION = "mlflow.note.content"
KIND = "mlflow.experimentKind"

#: Tag of a run: `yes` if it shows a run as it is now, `no` if that was made again since.
CURRENT = "current"

#: What makes a run, and what it scores: the columns, in the order of reading, with their widths in px.
PARAMS = {"architecture": 130, "strategy": 120, "initialisation": 115, "seed": 60}
METRICS = {
    "test/accuracy": 115,
    "test/mean_class_accuracy": 185,
    "test/macro_f1": 115,
    "test/top5_accuracy": 150,
    "tested/accuracy": 125,
}

#: Sections of further charts, one per group of metrics, which the prepared views keep folded.
FOLDED = ("run", "test", "tested", "train", "validation")


@dataclass(frozen=True)
class View:
    """A saved view: what its address and its menu entry are called, and what the page shows."""

    id: str
    name: str
    as_charts: bool
    state: Mapping[str, Any]

    def tag(self, rank: int) -> tuple[str, str]:
        """The tag that holds it; the menu lists views by descending time, hence by ascending rank."""
        made_ms = 1_700_000_000_000 - rank
        envelope = {"name": self.name, "createdAt": made_ms, "updatedAt": made_ms, "state": json.dumps(self.state)}
        return VIEW + self.id, json.dumps(envelope)

    def address(self, ui: str, experiment_id: str) -> str:
        query = f"viewStateShareKey={self.id}&workflowType=machine_learning"
        query += "&compareRunsMode=CHART" if self.as_charts else ""
        return f"{ui.rstrip('/')}/#/experiments/{experiment_id}/runs?{query}"


def tags(collection: str, challenge: str, official_split: bool) -> dict[str, str]:
    """All tags of an experiment: its kind, without which the UI asks for it, its description, and its views."""
    return {
        KIND: "custom_model_development",
        DESCRIPTION: description(collection, challenge, official_split),
        **dict(view.tag(rank) for rank, view in enumerate(VIEWS)),
    }


#: What a study varies, and how its trials are judged.
STUDY_PARAMS = {
    "architecture": 110,
    "strategy": 110,
    "optimiser": 95,
    "learning_rate": 110,
    "momentum": 95,
    "weight_decay": 110,
    "label_smoothing": 125,
    "batch_size": 90,
    "normalisation": 90,
    "unfrozen": 85,
    "layer_rate": 90,
}
#: Those that every trial has: the UI's parallel coordinates leave out a run that lacks one.
OF_EVERY_TRIAL = ("optimiser", "learning_rate", "weight_decay", "label_smoothing", "batch_size", "normalisation")
STUDY_METRICS = {"tested/accuracy": 125, "tested/loss": 95, "run/cost": 95}


def study_tags(collection: str, challenge: str) -> dict[str, str]:
    """All tags of an experiment that holds studies."""
    return {
        KIND: "custom_model_development",
        DESCRIPTION: (
            f"Studies of how to train for **{challenge}** on **{collection}**: what the paper fixed, searched.\n\n"
            "One run is one study, and within it one run is one *trial*; its tag `state` says whether it is complete, "
            "was *pruned* (given up early) or *diverged*. `tested/…` is measured on the **validation** split, by which "
            "the winner was chosen; the study's own run has `test/…` of it and of the paper's choice, measured once. "
            "**Views**, above the list of runs, opens the prepared comparisons."
        ),
        **dict(view.tag(rank) for rank, view in enumerate(STUDY_VIEWS)),
    }


def description(collection: str, challenge: str, official_split: bool) -> str:
    """What the runs of an experiment have in common, in Markdown."""
    asked = {
        "material": "what an object is made of",
        "type": "what kind of object it is",
        "artist": "who made an object",
    }[base_challenge(challenge)]
    split = " The split is the museum's official one; figures compare only within it." if official_split else ""
    if challenge.endswith(COMMON_CLASSES):
        split += " Only the classes that the source collection has too."
    return (
        f"**{challenge}** on **{collection}**: {asked}, from its photograph.{split}\n\n"
        "One run is one *architecture*, trained by one *strategy* from one *initialisation* (`imagenet` is the paper's "
        "θ, the source's name its θ̂, tuned on that collection) with one *seed*. `test/…` is measured once, on the "
        "test split, after training; `tested/…` on the validation split, with the weights that are tested. "
        f"A run whose tag `{CURRENT}` is `no` was made again since; the prepared comparisons leave it out. "
        "**Views**, above the list of runs, opens the prepared comparisons."
    )


# --- what the views show ----------------------------------------------------------------------------------------------


def _param(name: str) -> str:
    return f"params.`{name}`"


def _metric(name: str) -> str:
    return f"metrics.`{name}`"


def _state(params: Mapping[str, int] = PARAMS, metrics: Mapping[str, int] = METRICS, **page: Any) -> dict[str, Any]:
    """Columns of these widths, current runs by descending values of the first metric, all of them shown in charts."""
    widths = {_param(name): width for name, width in params.items()}
    widths |= {_metric(name): width for name, width in metrics.items()}
    return {
        "searchFilter": f"tags.{CURRENT} = 'yes'",
        "orderByKey": _metric(next(iter(metrics))),
        "orderByAsc": False,
        "selectedColumns": list(widths),
        "columnOrder": [*widths, "duration"],
        "columnWidths": widths,
        "runsHiddenMode": "SHOW_ALL",
        "viewMaximized": False,
        "runListHidden": False,
        "groupBy": None,
        "groupsExpanded": {},
        "hideEmptyCharts": True,
        "useGroupedValuesInCharts": True,
    } | page


@dataclass(frozen=True)
class Section:
    """Charts under one heading, so many beside each other."""

    name: str
    columns: int
    charts: list[dict[str, Any]]


def _charts(*sections: Section) -> dict[str, Any]:
    """Sections of charts first, and the metrics that they leave out in folded ones after them."""
    common = {"deleted": False, "isGenerated": False, "runsCountToCompare": 100}
    return {
        "compareRunCharts": [
            {**chart, **common, "uuid": f"{section.name}/{i}", "metricSectionId": section.name}
            for section in sections
            for i, chart in enumerate(section.charts)
        ],
        "compareRunSections": [
            *(_section(section.name, display=True, columns=section.columns) for section in sections),
            *(_section(name, display=False) for name in FOLDED),
        ],
        "isAccordionReordered": True,
    }


def _section(name: str, **shown: Any) -> dict[str, Any]:
    return {"uuid": name, "name": name, "isReordered": True, "deleted": False, "isGenerated": False, **shown}


def _bar(metric: str) -> dict[str, Any]:
    return {"type": "BAR", "metricKey": metric, "dataAccessKey": metric}


def _parallel(metric: str) -> dict[str, Any]:
    return {
        "type": "PARALLEL",
        "selectedParams": ["architecture", "strategy", "initialisation"],
        "selectedMetrics": [metric],
        "showAllRuns": True,
    }


def _scatter(x: str, y: str) -> dict[str, Any]:
    axes = {axis: {"key": key, "type": "METRIC"} for axis, key in (("xaxis", x), ("yaxis", y))}
    return {"type": "SCATTER", **axes}


def _line(metric: str) -> dict[str, Any]:
    return {
        "type": "LINE",
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "lineSmoothness": 0,
        "scaleType": "linear",
        "xAxisScaleType": "linear",
        "range": {},
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }


def _views() -> Iterator[View]:
    yield View("rijksnet-table", "Runs by test accuracy", False, _state())
    together = [_parallel("test/accuracy")]
    apart = [
        _bar("test/accuracy"),
        _bar("test/macro_f1"),
        _scatter("tested/accuracy", "test/accuracy"),
    ]
    sections = Section("What decides accuracy", 1, together), Section("Run by run", 2, apart)
    # without the list of runs there is room for whole names on the axes
    yield View("rijksnet-charts", "What decides accuracy", True, _state(**_charts(*sections), runListHidden=True))
    curves = [
        _line("validation/accuracy"),
        _line("validation/loss"),
        _line("train/accuracy"),
        _line("train/loss"),
    ]
    yield View("rijksnet-curves", "Learning curves", True, _state(**_charts(Section("Learning curves", 2, curves))))


def _study_views() -> Iterator[View]:
    trials = _state(STUDY_PARAMS, STUDY_METRICS, searchFilter="")
    yield View("rijksnet-trials", "Trials by validation accuracy", False, trials)
    parallel = {**_parallel("tested/accuracy"), "selectedParams": [*OF_EVERY_TRIAL]}
    charts = _charts(Section("Where the good recipes lie", 1, [parallel]))
    yield View("rijksnet-recipes", "Where the good recipes lie", True, {**trials, **charts, "runListHidden": True})


VIEWS, STUDY_VIEWS = tuple(_views()), tuple(_study_views())


def prepared(tags: Mapping[str, str]) -> list[View]:
    """Those of the views that an experiment with these tags has."""
    return [view for view in (*VIEWS, *STUDY_VIEWS) if VIEW + view.id in tags]
