"""report.html in a real browser: at a desk, on a telephone and on paper."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers import KEY, write_run
from rijksnet.params import load
from rijksnet.report.write import write_report
from stores import PROJECT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTHS = {"desk": 1200, "telephone": 400}


@pytest.fixture(scope="module")
def report(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of three runs of the project's own parameters; `browser` first, as nothing is made without one."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for strategy, initialisation, right in (("fine_tuning", "imagenet", 9), ("off_the_shelf", "imagenet", 4)):
            write_run(replace(KEY, strategy=strategy, initialisation=initialisation), right=right)
        write_report(load(PROJECT / "params.yaml"), folder / "results", PROJECT / "reference")
    return folder / "results" / "report.html"


@pytest.fixture(params=WIDTHS)
def page(request: pytest.FixtureRequest, browser: Browser, report: Path) -> Iterator[Page]:
    """The report, opened; in the end it has asked nobody for anything and met no error."""
    made, wrong = browser.new_page(viewport={"width": WIDTHS[request.param], "height": 900}), list[str]()
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("console", lambda said: wrong.append(said.text))
    made.on("request", lambda asked: wrong.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None)
    made.goto(report.as_uri())
    yield made
    if folder := os.environ.get("SCREENSHOTS"):
        made.screenshot(path=Path(folder) / f"report-{request.param}.png", full_page=True)
    made.close()
    assert not wrong


def test_nothing_sticks_out_of_the_page(page: Page) -> None:
    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    wide: Any = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1]


def test_a_number_leads_to_its_run(page: Page) -> None:
    link = page.locator("table").get_by_role("link", name=re.compile(r"^90\.0 \(")).first
    link.click()
    card = page.locator(".card:target")
    assert card.get_by_role("heading").inner_text().replace("\n", "") == str(KEY)
    assert card.get_by_text("not published").is_visible()


def test_every_part_has_a_heading_and_the_headings_are_in_order(page: Page) -> None:
    assert page.locator("section").count() == page.locator("section:has(> h2)").count() > 5
    levels: Any = page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(one => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_who_cannot_see_is_told(page: Page) -> None:
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("img").count() > 2
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("thead th:not([scope=col])").count() == 0
    # what scrolls can be reached by keyboard, and has a name
    assert page.locator(".scroll:not([tabindex]), .scroll:not([aria-label])").count() == 0


def test_text_stands_out_from_what_is_behind_it(page: Page) -> None:
    """WCAG 2's contrast of 4.5 for each colour of text that is used."""
    colours: Any = page.locator("p, a, td, th, dt, dd, li, h1, h2, h3, caption, summary, code").evaluate_all(
        "all => [...new Set(all.map(one => getComputedStyle(one).color))]"
    )
    assert len(colours) >= 3
    assert min(_contrast(_rgb(colour), (0xFD, 0xFC, 0xF9)) for colour in colours) >= 4.5


def test_it_prints(page: Page, tmp_path: Path) -> None:
    printed = page.pdf(format="A4", print_background=True)
    assert printed.startswith(b"%PDF")
    if folder := os.environ.get("SCREENSHOTS"):
        (Path(folder) / "report.pdf").write_bytes(printed)


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", colour)[:3])


def _contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(rgb: tuple[int, ...]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in rgb)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
