from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import synthetic
from rijksnet.errors import RunError
from rijksnet.params import Params
from rijksnet.report.text import headline, summary
from rijksnet.report.write import gather, tables_text, write_report
from rijksnet.runs.key import RunKey
from rijksnet.runs.plan import all_keys, source_keys, target_keys

pytestmark = pytest.mark.usefixtures("project")

ACCURACY = {"scratch": 0.2, "off_the_shelf": 0.4, "fine_tuning": 0.7}
ACCURACY |= {"svm": 0.5, "random_forest": 0.1, "multi_task": 0.3, "single_task": 0.3}


def write_complete(params: Params, project: Path, left_out: set[RunKey]) -> None:
    """Write every run that params asks for but those left out: θ̂ beats θ, fine tuning beats off the shelf."""
    for key in all_keys(params):
        if key not in left_out:
            share = ACCURACY[key.strategy] + 0.2 * key.is_from_source
            synthetic.write_run(project / "runs", key, list(np.arange(100) < 100 * share))
    classes = ["bust", "drawing", "print"]
    challenges = dict.fromkeys(("material", "type", "artist"), (2000, classes))
    synthetic.write_splits(project / "data", "miniature-rijksmuseum", challenges)
    synthetic.write_splits(
        project / "data", "miniature-antwerp", dict.fromkeys(("type", "artist"), (600, ["bust", "map"]))
    )


@pytest.fixture
def complete(params: Params, tmp_path: Path) -> Callable[..., None]:
    """`write_complete` into the project in which the test runs."""
    return lambda left_out=frozenset(): write_complete(params, tmp_path, left_out)


@pytest.fixture(scope="module")
def whole(params: Params, reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with every run that params asks for, and its report in `results`; not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_complete(params, folder, set())
        write_report(params, folder / "results", reference)
    return folder


def test_a_complete_report(whole: Path, params: Params) -> None:
    out = whole / "results"
    assert {path.name for path in out.iterdir()} == {
        "README.md",
        "report.html",
        "accuracies.png",
        "claims.csv",
        "curves.csv",
        "metrics.json",
        "scorecard.csv",
        "seed_differences.csv",
        "seeds.csv",
        "side_experiments.csv",
        "statistics.csv",
        "table1.csv",
        "table2.csv",
        "table3.csv",
        "validation_curves_source.png",
        "validation_curves_target.png",
    }
    text = (out / "README.md").read_text(encoding="utf-8")
    assert text.splitlines()[0] == (
        "# Results on miniature-rijksmuseum and miniature-antwerp: drawn by RijksNet itself, so these numbers "
        "say nothing about museums"
    )
    settings = (
        "protocol as_written, normalisation unit, batch_norm_constants own, batch_norm_frozen running, input_size 64, "
        "squares stretched, split_rule paper"
    )
    assert f"51 of 51 runs made; seeds 0, 1, 2, {settings}." in text
    assert "**Holds in all 6 comparisons.** Each difference is +30.0 points." in text
    assert "**Holds in all 8 comparisons.**" in text
    assert "not run" not in text.split("## Scorecard")[0].lower()
    assert "| type | test_resnet | 40.0 (30.9–49.8) | 70.0 (60.4–78.1) | 23.5 | 2,048 |" in text
    assert "| type | miniature-antwerp | 600 | 23,797 | 2 | 920 | 50 % | about 15% |" in text
    for key in all_keys(params):
        assert f"`{key}`" in text


def test_doubtful_runs_are_marked_and_come_first(
    whole: Path, write_run: Callable[..., Path], params: Params, tmp_path: Path, reference: Path
) -> None:
    key = RunKey("miniature-rijksmuseum", "type", "test_resnet", "fine_tuning", "imagenet")
    assert "†" not in (whole / "results" / "README.md").read_text(encoding="utf-8")
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "runs" / str(key))
    write_run(key, list(np.arange(100) < 70), doubts=["training accuracy fell; likely cause: <b>haste</b>"])
    write_report(params, tmp_path / "results", reference)
    text = (tmp_path / "results" / "README.md").read_text(encoding="utf-8")
    before, after = text.split(f"- `{key}`: training accuracy fell; likely cause: <b>haste</b>.")
    assert "## The paper's three claims" not in before
    assert "70.0 † (60.4–78.1)" in after
    assert f"| `{key}` |" in after
    assert "**Holds in 5 of 6 comparisons; doubtful in 1.**" in after
    table = pd.read_csv(tmp_path / "results" / "table2.csv")
    (doubt,) = table["fine_tuning_doubts"].dropna()
    assert doubt == "training accuracy fell; likely cause: <b>haste</b>"
    page = (tmp_path / "results" / "report.html").read_text(encoding="utf-8")
    assert page.count("&lt;b&gt;haste&lt;/b&gt;") == 2  # at the top, and on the run's card
    assert f"- `{key}`: training accuracy fell" in tables_text(params, reference)


def test_every_accuracy_in_the_files_names_its_run(whole: Path, params: Params) -> None:
    named = set()
    for name in ("table2", "table3"):
        table = pd.read_csv(whole / "results" / f"{name}.csv")
        for column in (column for column in table if column.endswith("_percent")):
            runs = table[column.replace("_percent", "_run")]
            assert runs[table[column].notna()].notna().all()
            named |= set(runs.dropna())
    assert named == {str(key) for key in [*source_keys(params), *target_keys(params)]}


def test_the_same_runs_give_the_same_bytes(
    whole: Path, params: Params, tmp_path: Path, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(whole)
    write_report(params, tmp_path / "second", reference)
    for file in (whole / "results").iterdir():
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes()


def test_missing_runs_appear_as_not_run(
    complete: Callable[..., None], params: Params, tmp_path: Path, reference: Path
) -> None:
    missing = RunKey("miniature-rijksmuseum", "type", "test_resnet", "fine_tuning", "imagenet")
    complete({missing})
    write_report(params, tmp_path / "results", reference)
    text = (tmp_path / "results" / "README.md").read_text(encoding="utf-8")
    assert "50 of 51 runs made" in text
    assert "**Holds in 5 of 6 comparisons; 1 not run.**" in text
    assert "**Holds in 2 of 3 comparisons; 1 not run.**" in text
    assert "| type | test_resnet | 40.0 (30.9–49.8) | not run |" in text
    assert f"Not run: `{missing}`." in text


def test_a_report_of_nothing(params: Params, tmp_path: Path, reference: Path) -> None:
    out = tmp_path / "results"
    out.mkdir()
    for name in ("validation_curves_source.png", "accuracies.png", "class_scores.csv"):
        (out / name).write_bytes(b"of runs that are gone")
    write_report(params, out, reference)
    text = (out / "README.md").read_text(encoding="utf-8")
    assert "0 of 51 runs made; seed 0." in text
    assert "Not tested: none of its 6 comparisons has both runs." in text
    assert "On the source: not run." in text
    assert not list(out.glob("*.png"))
    assert not (out / "class_scores.csv").exists()


def test_other_seeds_are_not_reported(
    whole: Path, params: Params, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(whole)
    other = params.model_copy(update={"training": params.training.model_copy(update={"seed": 7})})
    assert {key.seed for key in gather(params, reference).runs} == {0, 1, 2}
    assert {key.seed for key in gather(other, reference).runs} == {1, 2}


def test_different_test_objects_stop_the_report(
    write_run: Callable[..., Path], params: Params, tmp_path: Path, reference: Path
) -> None:
    first, second = source_keys(params)[:2]
    write_run(first, [True] * 4)
    write_run(second, [True] * 4, first_object=1)
    with pytest.raises(RunError, match="were not tested on the same objects"):
        write_report(params, tmp_path / "results", reference)
    assert not (tmp_path / "results").exists()


def test_verdicts_in_words(write_run: Callable[..., Path], params: Params, reference: Path) -> None:
    tuned, shelf = ("fine_tuning", "imagenet"), ("off_the_shelf", "imagenet")
    right = {"material": (20, 10), "type": (10, 20), "artist": (20, 18)}
    for challenge, counts in right.items():
        for how, n in zip((tuned, shelf), counts, strict=True):
            key = RunKey("miniature-rijksmuseum", challenge, "test_resnet", *how)
            write_run(key, [True] * n + [False] * (20 - n))
    verdicts = gather(params, reference).verdicts
    ours = [verdict for verdict in verdicts[:6] if verdict.claim.better.architecture == "test_resnet"]
    assert summary(ours) == (
        "**Holds in 1 of 3 comparisons; opposite in 1, undecided in 1.** The differences lie between −50.0 and "
        "+50.0 points."
    )
    assert summary(ours[:1]) == "**Holds in the one comparison.** The difference is +50.0 points."


def test_headline_says_which_numbers_are_no_museums(params: Params, paper_params: Params) -> None:
    assert headline(paper_params) == "Results on rijksmuseum and antwerp"
    none = params.target.model_copy(update={"challenges": [], "architectures": []})
    assert headline(params.model_copy(update={"target": none})) == (
        "Results on miniature-rijksmuseum: drawn by RijksNet itself, so these numbers say nothing about museums"
    )
    mixed = {**paper_params.collections, "antwerp": params.collections["miniature-antwerp"]}
    assert headline(paper_params.model_copy(update={"collections": mixed})) == (
        "Results on rijksmuseum and antwerp: antwerp is drawn by RijksNet itself, so its numbers say nothing "
        "about museums"
    )


def test_the_tables_alone_are_those_of_the_report(
    whole: Path, params: Params, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(whole)
    report = (whole / "results" / "README.md").read_text(encoding="utf-8")
    text = tables_text(params, reference)
    assert {line for line in text.splitlines() if line.startswith("|")} < set(report.splitlines())
    for title in ("Table 1", "Table 2", "Table 3", "Claim 1", "Claim 3"):
        assert f"### {title}: " in text
