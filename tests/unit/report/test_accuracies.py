from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes

from rijksnet.rendering.canvas import PALETTE, SCRATCH_COLOUR
from rijksnet.report.accuracies import accuracies_figure
from rijksnet.runs.key import RunKey
from rijksnet.runs.result import load_run

RUNS = {
    RunKey("met", "material", "vgg19", "off_the_shelf", "imagenet"): 40,
    RunKey("met", "material", "vgg19", "fine_tuning", "imagenet"): 70,
    RunKey("met", "material", "xception", "fine_tuning", "imagenet"): 80,
    RunKey("met", "material", "vgg19", "scratch", "random"): 30,
    RunKey("met", "type", "xception", "fine_tuning", "imagenet"): 60,
    RunKey("harvard", "type", "vgg19", "off_the_shelf", "imagenet"): 50,
    RunKey("harvard", "type", "vgg19", "off_the_shelf", "met"): 55,
}


@pytest.fixture
def panels(write_run: Callable[..., Path]) -> list[Axes]:
    runs = [load_run(write_run(key, list(np.arange(100) < right))) for key, right in RUNS.items()]
    return accuracies_figure(runs).axes


def lines(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def test_a_panel_shows_a_challenge_of_a_collection_and_in_it_each_run(panels: list[Axes]) -> None:
    shown = {axes.get_title("left"): lines(axes) for axes in panels if axes.get_visible()}
    assert shown == {
        "Material of met": ["vgg19, off the shelf", "vgg19, fine tuning", "xception, fine tuning", "vgg19, scratch"],
        "Type of met": ["xception, fine tuning"],
        "Type of harvard": ["vgg19, off the shelf", "vgg19, off the shelf from θ̂"],
    }


def test_a_dot_is_an_accuracy_and_its_bar_the_interval(panels: list[Axes]) -> None:
    dots, bars = panels[0].containers[0].lines[0], panels[0].containers[0].lines[2][0]
    assert dots.get_xdata() == pytest.approx([40])
    ((low, _), (high, _)) = bars.get_segments()[0]
    assert (low, high) == pytest.approx((30.9, 49.8), abs=0.05)
    assert [text.get_text() for text in panels[0].texts] == ["40.0", "70.0", "80.0", "30.0", "always one class"]


def test_dots_tell_networks_strategies_and_starts_apart(panels: list[Axes]) -> None:
    material = [container.lines[0] for container in panels[0].containers]
    assert [dot.get_color() for dot in material] == [PALETTE[0], PALETTE[0], PALETTE[1], SCRATCH_COLOUR]
    assert [dot.get_markerfacecolor() == "white" for dot in material] == [True, False, False, False]
    assert [container.lines[0].get_marker() for container in panels[3].containers] == ["o", "D"]
    assert panels[3].containers[0].lines[0].get_color() == PALETTE[0]  # a network's colour is the same in all panels
