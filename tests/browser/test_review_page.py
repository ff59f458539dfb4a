"""The review page in a real browser: by keyboard alone, on a narrow screen, and as a screen reader has it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from blanks import BLANK, IN_SPLIT, ODD
from reviews import Page, make_review_project, open_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page as Tab


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("review"))
        yield make_review_project()


@pytest.fixture
def page(folder: Path, tmp_path: Path) -> Iterator[Page]:
    shutil.copytree(folder, tmp_path / "suggestions")
    with open_page(tmp_path / "suggestions") as opened:
        yield opened


@pytest.fixture
def tab(browser: Browser, page: Page) -> Iterator[Tab]:
    """The page on a narrow screen, begun under a name; nothing on it may fail."""
    opened = browser.new_page(viewport={"width": 320, "height": 800})
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.goto(page.url)
    opened.keyboard.type("Anna")
    opened.keyboard.press("Enter")
    opened.wait_for_selector("#work:not([hidden])")
    yield opened
    opened.close()
    assert wrong == []


def decided(tab: Tab, number: int) -> None:
    tab.wait_for_function(f"document.querySelector('#standing').textContent.startsWith('{number} of ')")


def test_everything_is_decided_by_keyboard(tab: Tab, page: Page) -> None:
    tab.keyboard.press("a")
    decided(tab, 1)
    tab.keyboard.press("c")
    tab.keyboard.type("schaal")
    tab.keyboard.press("Enter")
    decided(tab, 2)
    tab.keyboard.press("2")
    decided(tab, 3)
    tab.keyboard.press("u")
    decided(tab, 2)
    skipped = tab.inner_text("#object")
    tab.keyboard.press("s")
    tab.wait_for_function(f"document.querySelector('#object').textContent !== '{skipped}'")
    for number in range(3, BLANK + ODD + 1):  # the one that was skipped comes at the end
        assert (tab.inner_text("#object") == skipped) == (number == BLANK + ODD)
        tab.keyboard.press("ar"[number % 2])
        decided(tab, number)
    tab.wait_for_selector("#work", state="hidden")
    assert tab.inner_text("#alert") == "All are decided. Thank you."
    tab.keyboard.press("u")  # the last one, too, can be taken back
    decided(tab, BLANK + ODD - 1)
    assert tab.inner_text("#object") == skipped
    its = [(one.decision, one.label) for one in page.kept]
    assert its[:4] == [("accept", "blauw"), ("correct", "schaal"), ("correct", "geel"), ("undo", "")]
    assert len(its) == BLANK + ODD + 4
    assert {one.who for one in page.kept} == {"Anna"}


def test_it_fits_a_narrow_screen_and_says_all_to_a_screen_reader(tab: Tab) -> None:
    assert tab.evaluate("document.activeElement.id") == "said"  # what is suggested is read out
    assert tab.evaluate("document.documentElement.scrollWidth") == 320
    tree = tab.locator("body").aria_snapshot()
    for said in (
        'heading "Type of source"',
        'button "Accept"',
        'button "Correct"',
        'button "Reject"',
        'button "Undo the last decision" [disabled]',
    ):
        assert said in tree
    tab.uncheck("#keys")  # single keys can be switched off
    tab.keyboard.press("a")
    tab.wait_for_timeout(200)
    assert tab.inner_text("#standing").startswith("0 of ")
    tab.check("#keys")
    assert f'img "Object source-{IN_SPLIT}"' in tree
