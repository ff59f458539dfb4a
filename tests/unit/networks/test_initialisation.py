from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from rijksnet.networks.initialisation import initialise_he_uniform, initialise_softmax

LAYERS = [
    pytest.param(nn.Conv2d(16, 64, 3), 16 * 9, id="convolution"),
    pytest.param(nn.Conv2d(16, 64, (1, 7), groups=4), 4 * 7, id="grouped"),
    pytest.param(nn.Conv2d(512, 512, 3, groups=512), 9, id="depthwise"),
    pytest.param(nn.Linear(100, 50), 100, id="linear"),
]


@pytest.mark.parametrize(("layer", "fan_in"), LAYERS)
def test_he_uniform_weights_fill_their_bounds(layer: nn.Module, fan_in: int) -> None:
    torch.manual_seed(0)
    layer.bias.data.fill_(1)
    initialise_he_uniform(nn.Sequential(layer))
    _is_uniform(layer.weight, math.sqrt(6 / fan_in))
    assert not layer.bias.any()


def test_the_softmax_layer_is_glorot_uniform() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(300, 40)
    initialise_softmax(layer)
    _is_uniform(layer.weight, math.sqrt(6 / (300 + 40)))
    assert not layer.bias.any()


def _is_uniform(weight: torch.Tensor, bound: float) -> None:
    values = weight.detach().flatten()
    assert values.abs().max() <= bound
    assert values.max() > 0.99 * bound
    assert values.min() < -0.99 * bound
    assert abs(values.mean()) < 0.05 * bound
    assert values.var() == pytest.approx(bound**2 / 3, rel=0.05)


def test_normalisation_starts_as_the_identity() -> None:
    layers = nn.Sequential(nn.BatchNorm2d(3), nn.GroupNorm(1, 3), nn.LayerNorm(3), nn.BatchNorm2d(3, affine=False))
    for parameter in layers.parameters():
        nn.init.constant_(parameter, 5)
    initialise_he_uniform(layers)
    for layer in layers[:3]:
        assert torch.equal(layer.weight, torch.ones(3))
        assert torch.equal(layer.bias, torch.zeros(3))


def test_all_of_a_network_starts_anew() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)), nn.Linear(8, 2))
    for parameter in network.parameters():
        nn.init.constant_(parameter, 5)
    initialise_he_uniform(network)
    assert not any((parameter == 5).any() for parameter in network.parameters())
