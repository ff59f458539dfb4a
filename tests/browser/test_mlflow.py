"""What a person sees in the MLflow UI of a published project: in a real browser, from a real server.

Where SCREENSHOTS names a folder, each test leaves a picture of its last page there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers import COLLECTION, KEY, write_run
from processes import Warm
from rijksnet.params import load
from rijksnet.publishing import publish
from rijksnet.runs.findings import FindingPaths
from rijksnet.tracking import views
from stores import MODEL, make_project, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

#: (strategy, initialisation, right of ten), the best first.
RUNS = [("fine_tuning", "imagenet", 9), ("off_the_shelf", "imagenet", 7), ("scratch", "random", 4)]
TABLE, CHARTS, CURVES = views.VIEWS


@dataclass(frozen=True)
class Project:
    """A published project and the address of its UI."""

    address: str
    shown: dict[str, dict[str, str]]  #: published.json

    def run(self, strategy: str, initialisation: str) -> dict[str, str]:
        return self.shown[str(replace(KEY, strategy=strategy, initialisation=initialisation))]

    def page(self, strategy: str, tab: str = "") -> str:
        run = self.run(strategy, "imagenet")
        return f"{self.address}/#/experiments/{run['experiment_id']}/runs/{run['run_id']}{tab}"


@pytest.fixture(scope="module")
def project(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory, blank_store: Path, warm: Warm
) -> Iterator[Project]:
    """Three runs, evidence, a registered champion; `browser` first, so that nothing is made where there is none."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
            patch.delenv(name, raising=False)
        patch.chdir(folder)
        make_project(folder, blank_store)
        for strategy, initialisation, right in RUNS:
            write_run(replace(KEY, strategy=strategy, initialisation=initialisation), right=right, n_epochs=6)
        publish.publish(load(Path("params.yaml")))
        _add_findings(folder)
        publish.publish(load(Path("params.yaml")))
        shown = json.loads(Path("published.json").read_text())
    with served(folder, warm) as address:
        yield Project(address, shown)


def _add_findings(folder: Path) -> None:
    saliency = FindingPaths(COLLECTION, "type", "test_resnet").saliency
    saliency.mkdir()
    drawn = next((folder / "mlartifacts").rglob("confusion_matrix.png"))
    shutil.copyfile(drawn, saliency / "gallery.png")
    (saliency / "saliency.json").write_text("{}")


@pytest.fixture(scope="module")
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """One visitor for all tests: the UI's megabytes are fetched once."""
    context = browser.new_context(viewport={"width": 1500, "height": 900})
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def page(visitor: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A new page, MLflow's assistant closed; in the end it has asked nobody else and met no error."""
    made, wrong = visitor.new_page(), list[str]()
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("request", lambda asked: None if "127.0.0.1" in asked.url else wrong.append(asked.url))
    made.on("response", lambda got: wrong.append(f"{got.status} {got.url}") if got.status >= 500 else None)
    made.add_locator_handler(made.get_by_text("Ask questions about your"), _close_assistant)
    yield made
    if folder := os.environ.get("SCREENSHOTS"):
        made.screenshot(path=Path(folder) / f"{request.node.name.replace('/', '-')}.png")
    made.close()
    assert not [what for what in wrong if not what.startswith(("data:", "blob:"))]


def _close_assistant(shown: Locator) -> None:
    shown.page.get_by_role("button", name="Close").first.click()


def open_view(page: Page, project: Project, view: views.View) -> None:
    page.goto(view.address(project.address, project.run(*RUNS[0][:2])["experiment_id"]))


def cells(page: Page, column: str) -> list[str]:
    """A column of the run list, from the top."""
    found = page.locator(f".ag-center-cols-container .ag-row [col-id='{column}']")
    rows = [(int(str(one.locator("..").get_attribute("row-index"))), one.inner_text().strip()) for one in found.all()]
    return [text for _, text in sorted(rows)]


def test_the_run_list_shows_what_a_run_is_before_what_it_scores(page: Page, project: Project) -> None:
    open_view(page, project, TABLE)
    page.get_by_text("3 matching runs").wait_for()
    headings = page.locator(".ag-center-cols-viewport, .ag-header-viewport").locator(".ag-header-cell[col-id]")
    headings.first.wait_for()
    by_place = sorted((one.bounding_box() or {"x": 0})["x"] for one in headings.all())
    assert by_place == sorted(set(by_place))
    order = [one.get_attribute("col-id") for one in sorted(headings.all(), key=_left)]
    assert order[: len(TABLE.state["selectedColumns"])] == TABLE.state["selectedColumns"]
    assert cells(page, "params.`strategy`") == [strategy for strategy, _, _ in RUNS]
    assert [float(cell) for cell in cells(page, "metrics.`test/accuracy`")] == [0.9, 0.7, 0.4]
    assert page.get_by_text("what kind of object it is").is_visible()  # the description
    assert not page.get_by_role("dialog").count()  # such as one that asks for the kind of the experiment


def _left(heading: Locator) -> float:
    box = heading.bounding_box()
    return box["x"] if box else 0.0


def test_the_views_are_in_the_menu_in_their_order(page: Page, project: Project) -> None:
    page.goto(f"{project.address}/#/experiments/{project.run(*RUNS[0][:2])['experiment_id']}/runs")
    page.get_by_role("button", name="Views").click()
    menu = page.get_by_role("menu")
    menu.get_by_text(TABLE.name).wait_for()
    text = menu.inner_text()
    assert sorted(views.VIEWS, key=lambda view: text.index(view.name)) == list(views.VIEWS)


def test_parallel_coordinates_lead_from_network_and_strategy_to_accuracy(page: Page, project: Project) -> None:
    open_view(page, project, CHARTS)
    chart = page.locator(".parcoords")
    chart.get_by_text("test/accuracy").wait_for()
    axes = [axis.text_content() for axis in sorted(chart.locator("text.label").all(), key=_left)]
    assert axes == ["architecture", "strategy", "initialisation", "test/accuracy"]
    for name in ("test_resnet", "fine_tuning", "off_the_shelf", "scratch", "imagenet", "random"):
        assert chart.get_by_text(name, exact=True).is_visible()
    assert page.get_by_text(re.compile(r"What decides accuracy\s*\(1\)")).is_visible()
    assert page.get_by_text(re.compile(r"Run by run\s*\(3\)")).is_visible()


def test_learning_curves_are_drawn_by_epoch(page: Page, project: Project) -> None:
    open_view(page, project, CURVES)
    page.get_by_text(re.compile(r"Learning curves\s*\(4\)")).wait_for()
    curve = page.locator(".js-plotly-plot").first
    curve.locator("path.js-line").first.wait_for()
    drawn: Any = curve.evaluate("plot => plot.data.map(line => [line.name, Array.from(line.x)])")
    names = [f"test_resnet/{strategy}-{start}-seed0" for strategy, start, _ in RUNS]
    assert {name: epochs for name, epochs in drawn if name in names} == {name: list(range(6)) for name in names}


def test_two_runs_are_compared(page: Page, project: Project) -> None:
    runs = [project.run(strategy, start) for strategy, start, _ in RUNS[:2]]
    asked = json.dumps([run["run_id"] for run in runs]), json.dumps([runs[0]["experiment_id"]])
    page.goto(f"{project.address}/#/compare-runs?runs={asked[0]}&experiments={asked[1]}")
    page.get_by_text("Comparing 2 Runs from 1 Experiment").wait_for()
    page.get_by_text("test/accuracy", exact=True).first.wait_for()
    text = page.get_by_role("main").inner_text()
    for strategy, start, _ in RUNS[:2]:
        assert f"test_resnet/{strategy}-{start}-seed0" in text
    assert "strategy\tfine_tuning\toff_the_shelf" in text
    assert "0.9\n0.7\n" in text


@pytest.mark.parametrize("artifact", ["learning_curve.png", "saliency/gallery.png"])
def test_a_picture_among_the_artifacts_is_seen(page: Page, project: Project, artifact: str) -> None:
    page.goto(project.page("fine_tuning", f"/artifacts/{artifact}"))
    page.get_by_text(artifact.split("/")[-1], exact=True).first.wait_for()
    picture = page.locator("img[src^='blob:'], img[src*='get-artifact']").first
    picture.wait_for()
    width: Any = picture.evaluate("image => image.decode().then(() => image.naturalWidth)")
    assert width > 500


def test_the_registry_shows_the_champion_and_where_it_comes_from(page: Page, project: Project) -> None:
    page.goto(f"{project.address}/#/models/{MODEL}")
    row = page.get_by_role("row").filter(has=page.get_by_text("Version 1"))
    row.get_by_text("champion").wait_for()
    assert page.get_by_text("gives the target its θ̂").first.is_visible()
    row.get_by_text("Version 1").click()
    page.get_by_text("weights_sha256").first.wait_for()
    page.get_by_role("heading", name="Measured").wait_for()  # the version's card
    assert page.get_by_text("90.0%", exact=True).first.is_visible()
    page.get_by_role("link", name="test_resnet/fine_tuning-imagenet-seed0").first.wait_for()
