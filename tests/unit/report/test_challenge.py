"""The Rijksmuseum Challenge's measures: a table of their own, and never the paper's figures beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rijksnet.errors import RunError
from rijksnet.params import Params
from rijksnet.report.write import gather, write_report
from rijksnet.runs.plan import source_keys

pytestmark = pytest.mark.usefixtures("project")


@pytest.fixture
def official(paper_params: Params) -> Params:
    content = paper_params.model_dump()
    content["splits"]["rule"] = "challenge"
    content["target"] |= {"challenges": [], "architectures": []}
    return Params.model_validate(content)


@pytest.fixture
def records(official: Params, write_run: Callable[..., Path]) -> list[Path]:
    folders = [write_run(key, [True] * 7 + [False] * 3) for key in source_keys(official)]
    for folder in folders:
        run = json.loads((folder / "run.json").read_text())
        run["params"]["split_rule"] = "challenge"
        (folder / "run.json").write_text(json.dumps(run))
        metrics = json.loads((folder / "metrics.json").read_text())
        for split in ("test", "validation"):
            metrics[split] |= {"mean_class_accuracy": 0.25, "mean_average_precision": 0.5}
        (folder / "metrics.json").write_text(json.dumps(metrics))
    return folders


def test_each_challenge_has_its_own_measure(official: Params, records: list[Path], reference: Path) -> None:
    table = gather(official, reference).measures
    assert table is not None
    by_challenge = table.groupby("challenge")[["measure", "percent", "baseline"]].first()
    assert by_challenge.loc["artist"].tolist() == ["mean_class_accuracy", 25.0, 51.02]
    assert by_challenge.loc["type"].tolist() == ["mean_average_precision", 50.0, 54.69]


def test_the_paper_s_figures_are_never_beside_them(
    official: Params, records: list[Path], reference: Path, tmp_path: Path
) -> None:
    results = gather(official, reference)
    for table in (results.table1, results.table2, results.table3):
        for column in [name for name in table.columns if str(name).endswith("_paper")]:
            assert table[column].isna().all(), column
    write_report(official, tmp_path / "results", reference)
    assert "mean average precision" in (tmp_path / "results" / "README.md").read_text(encoding="utf-8")
    assert (tmp_path / "results" / "challenge.csv").is_file()


def test_the_paper_s_report_has_no_such_table(paper_params: Params, reference: Path) -> None:
    assert gather(paper_params, reference).measures is None


def test_runs_of_another_split_rule_are_refused(paper_params: Params, records: list[Path], reference: Path) -> None:
    with pytest.raises(RunError, match=r"splits\.rule 'challenge'.*'paper' is asked for"):
        gather(paper_params, reference)
