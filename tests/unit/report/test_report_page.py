"""report.html: every number leads to its run, the page needs nothing but itself, and what is missing is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from rijksnet.errors import RunError
from rijksnet.params import Params
from rijksnet.report.confusions import confusions
from rijksnet.report.page import anchor
from rijksnet.report.write import gather, gather_supplement, write_report
from rijksnet.runs.findings import FindingPaths
from rijksnet.runs.key import RunKey
from rijksnet.runs.plan import all_keys
from rijksnet.runs.result import load_run

pytestmark = pytest.mark.usefixtures("project")

TUNED = RunKey("miniature-rijksmuseum", "type", "test_resnet", "fine_tuning", "imagenet")
SHELF = RunKey("miniature-rijksmuseum", "type", "test_resnet", "off_the_shelf", "imagenet")
VOID = {"meta", "img", "br", "hr", "wbr", "link", "input"}


class Page(HTMLParser):
    """What a page links to, by the text of the link; its anchors, pictures, headings and whole text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: dict[str, set[str]] = {}
        self.ids: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self._link: tuple[str, str] | None = None
        self.feed(html)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "a":
            self._link = (found["href"] or "", "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "a" and self._link:
            self.links.setdefault(self._link[1], set()).add(self._link[0])
            self._link = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._link:
            self._link = (self._link[0], self._link[1] + data)


@pytest.fixture
def written(params: Params, tmp_path: Path, reference: Path) -> Callable[[], Page]:
    def write() -> Page:
        write_report(params, tmp_path / "results", reference)
        return Page((tmp_path / "results" / "report.html").read_text(encoding="utf-8"))

    return write


@pytest.fixture
def two_runs(write_run: Callable[..., Path]) -> None:
    write_run(TUNED, [True] * 7 + [False] * 3)
    write_run(SHELF, [True] * 4 + [False] * 6)


def test_every_accuracy_of_the_tables_leads_to_the_card_of_its_run(
    params: Params, write_run: Callable[..., Path], written: Callable[[], Page]
) -> None:
    accuracies = {}
    for i, key in enumerate(all_keys(params)):
        write_run(key, list(np.arange(500) < 100 + i))
        accuracies[key] = f"{(100 + i) / 5:.1f}"
    page = written()
    assert [key for key in all_keys(params) if anchor(key) not in page.ids] == []
    for key, accuracy in accuracies.items():
        targets = [href for text, found in page.links.items() if text.split(" (")[0] == accuracy for href in found]
        assert f"#{anchor(key)}" in targets, key


def test_links_resolve_and_ids_are_unique(two_runs: None, written: Callable[[], Page]) -> None:
    page = written()
    assert len(page.ids) == len(set(page.ids))
    inner = {href[1:] for found in page.links.values() for href in found if href.startswith("#")}
    assert inner
    assert inner <= set(page.ids)


def test_the_page_needs_nothing_but_itself(two_runs: None, written: Callable[[], Page]) -> None:
    page = written()
    assert "script" not in {tag for tag, _ in page.tags}
    sources = [found["src"] for tag, found in page.tags if tag == "img"]
    assert sources
    assert all((source or "").startswith("data:image/") for source in sources)
    assert all(found.get("alt") for tag, found in page.tags if tag == "img")
    assert not [found for tag, found in page.tags if tag == "link"]


def test_a_card_leads_to_mlflow_only_where_the_record_shown_there_is_this_one(
    two_runs: None, runs_root: Path, tmp_path: Path, written: Callable[[], Page]
) -> None:
    shown = {"experiment_id": "3", "run_id": "f00", "run_digest": load_run(runs_root / str(TUNED)).digest}
    other = {"experiment_id": "3", "run_id": "bar", "run_digest": "of a run before"}
    (tmp_path / "published.json").write_text(json.dumps({str(TUNED): shown, str(SHELF): other}))
    page = written()
    assert page.links["the run in the MLflow UI"] == {"http://127.0.0.1:5000/#/experiments/3/runs/f00"}
    assert page.text.count("not published") == 1


def test_what_is_missing_is_said(written: Callable[[], Page]) -> None:
    page = written()
    assert page.text.count("Not run") >= 4
    assert "No run was repeated with another seed." in page.text
    assert page.text.count("Not audited.") == page.text.count("Not split yet.") == 2


def test_names_of_classes_are_text(two_runs: None, runs_root: Path, written: Callable[[], Page]) -> None:
    file = runs_root / str(TUNED) / "run.json"
    run = json.loads(file.read_text())
    run["classes"] = ["<script>alert(1)</script>", "b & c", "“d”"]
    file.write_text(json.dumps(run))
    page = written()
    assert "<script>alert(1)</script>" in page.text


def test_the_scorecard_keeps_every_digit(two_runs: None, written: Callable[[], Page], tmp_path: Path) -> None:
    written()
    card = pd.read_csv(tmp_path / "results" / "scorecard.csv")
    printed = card[(card["challenge"] == "type") & (card["column"] == "samples")]
    assert printed["paper"].tolist() == [112_012, 23_797]
    assert printed["verdict"].tolist() == ["reproduced", "not run"]


def write_saliency(runs_root: Path) -> Path:
    at = FindingPaths("miniature-rijksmuseum", "type", "test_resnet").saliency
    at.mkdir(parents=True)
    Image.new("RGB", (40, 30), "white").save(at / "gallery.png")
    keys = {"imagenet": str(SHELF), "tuned": str(TUNED)}
    interval = {"mean": 0.25, "low": 0.125, "high": 0.5}
    about = {
        "runs": keys,
        "run_digests": {key: load_run(runs_root / key).digest for key in keys.values()},
        "settings": {"objects": 24},
        "faithfulness": [
            {"weights": weights, "method": "grad_cam", "measure": measure, **interval}
            for weights in keys
            for measure in ("deletion", "insertion")
        ],
        "shift": [
            {"method": "grad_cam", "between": between, "measure": "correlation", **interval, "mean": -0.25}
            for between in ("weights", "images")
        ],
    }
    (at / "saliency.json").write_text(json.dumps(about))
    return at / "saliency.json"


def test_attention_is_shown_with_its_measures(two_runs: None, runs_root: Path, written: Callable[[], Page]) -> None:
    write_saliency(runs_root)
    page = written()
    assert page.links["0.250 (0.125 to 0.500)"] == {f"#{anchor(TUNED)}", f"#{anchor(SHELF)}"}
    assert "−0.250 (0.125 to 0.500)" in page.text
    assert any((found.get("src") or "").startswith("data:image/webp") for _, found in page.tags)
    assert "Made from earlier records" not in page.text


def test_attention_of_other_records_says_so(
    two_runs: None, runs_root: Path, write_run: Callable[..., Path], written: Callable[[], Page]
) -> None:
    file = write_saliency(runs_root)
    about = json.loads(file.read_text())
    about["run_digests"][str(TUNED)] = "of weights before"
    file.write_text(json.dumps(about))
    assert "Made from these runs as they were before" in written().text


def test_a_damaged_file_is_named_and_nothing_is_written(
    two_runs: None, runs_root: Path, tmp_path: Path, written: Callable[[], Page]
) -> None:
    write_saliency(runs_root).write_text('{"runs": ')
    with pytest.raises(RunError, match=r"saliency\.json does not read as JSON .* run `dvc repro`"):
        written()
    assert not (tmp_path / "results").exists()


def test_statistics_are_the_run_s_own(
    params: Params, write_run: Callable[..., Path], reference: Path, two_runs: None
) -> None:
    evidence = gather_supplement(gather(params, reference), reference)
    row = evidence.statistics.set_index("run").loc[str(TUNED)]
    assert (row["accuracy"], row["n"], row["top5_accuracy"]) == (70.0, 10, 100.0)
    assert row["accuracy_at_100"] == 70.0
    # the run's answers are all 0.9 sure, and 0.7 of them right
    assert row["calibration_error"] == pytest.approx(20.0, abs=1e-4)
    assert np.isnan(row["head_accuracy"])  # there is no split file to count training images in


def test_confusions_by_hand(write_run: Callable[..., Path]) -> None:
    # labels 0 1 2 0 1 2 0 1 2 0; a wrong answer is the next class
    right = [True, False, True, False, False, True, False, True, True, True]
    found = confusions(load_run(write_run(TUNED, right)))
    assert found.matrix.tolist() == [[2, 2, 0], [0, 1, 2], [0, 0, 3]]
    assert [(one.name, one.right, one.images, one.answers) for one in found.worst] == [
        ("class 1", 1, 3, (("class 2", 2),)),
        ("class 0", 2, 4, (("class 1", 2),)),
    ]
    assert [(one.label, one.answer, one.images, one.of) for one in found.mistakes] == [
        ("class 1", "class 2", 2, 3),  # as often as the other, but a larger share of its class
        ("class 0", "class 1", 2, 4),
    ]
    assert [object_id for object_id, _ in found.mistakes[0].examples] == ["object 1", "object 4"]
    assert [object_id for object_id, _ in found.mistakes[0].rightly] == ["object 2", "object 5", "object 8"]
