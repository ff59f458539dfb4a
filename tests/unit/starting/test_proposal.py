"""Networks and sizes that a machine trains in a night."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rijksnet.params import Params
from rijksnet.planning import speed
from rijksnet.starting.outlook import Outlook
from rijksnet.starting.proposal import NIGHT_H, PAPERS, SMALL_NETWORK, networks_for, parameters
from rijksnet.starting.write import commented

COLLECTION = {"reader": "table", "raw": ".", "table": "t.csv", "images": "i", "columns": {"type": "kind"}}


def chosen(
    monkeypatch: pytest.MonkeyPatch, images: int, pixels_per_s: float, device: str = "cpu", **weights: Path
) -> Any:
    """For a machine that trains so many pixels a second."""

    class Speeds:
        def __init__(self, params: Params, trained: Any) -> None:
            self.side = 224 if params.input_size == "native" else params.input_size
            self.computed = SimpleNamespace(device=torch.device(device))

        def network(self, architecture: str) -> Any:
            rate = pixels_per_s / self.side**2
            return SimpleNamespace(speed=speed.Speed(rate, 4 * rate))

    monkeypatch.setattr(speed, "Speeds", Speeds)
    return networks_for("own", COLLECTION, ["type"], Outlook(images, images, {}, {}), weights)


def test_the_largest_size_that_a_night_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    fast, slow = (chosen(monkeypatch, 2000, rate * 224**2) for rate in (100, 3.0))
    assert (fast.architectures, fast.input_size) == ((SMALL_NETWORK,), 224)
    assert slow.input_size in (160, 128)
    assert fast.hours < slow.hours <= NIGHT_H
    assert chosen(monkeypatch, 100_000, 224**2).input_size == 96, "the smallest, even if a night is not enough"


def test_a_gpu_trains_the_papers_networks_at_their_own_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = chosen(monkeypatch, 2000, 1e9, device="cuda")
    assert (found.architectures, found.input_size) == (PAPERS, "native")


def test_weights_at_hand_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    found = chosen(monkeypatch, 2000, 1e9, xception=Path("x.keras"))
    assert (found.architectures, found.weights) == (("xception",), {"xception": "x.keras"})
    params = parameters("own", COLLECTION, ["type"], Outlook(2000, 2000, {}, {}), found)
    assert (params.imagenet.timm, params.imagenet.file) == ([], {"xception": "x.keras"})
    assert "x.keras" in commented(params, "x")
