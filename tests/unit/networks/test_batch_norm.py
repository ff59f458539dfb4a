from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rijksnet.networks import weights
from rijksnet.networks.architectures import Network, design_as_published
from rijksnet.networks.batch_norm import batch_norms, set_momentum
from rijksnet.networks.weights import Design
from rijksnet.protocol import KERAS_BATCH_NORM

KERAS = Design("test_resnet").normalising(KERAS_BATCH_NORM)


def test_every_batch_normalisation_has_keras_constants() -> None:
    network = Network(KERAS, 3, "unit")
    set_momentum(network, KERAS_BATCH_NORM.momentum)
    layers = batch_norms(network)
    assert len(layers) > 10
    assert {layer.eps for layer in layers} == {1e-3}
    assert [layer.momentum for layer in layers] == pytest.approx([0.01] * len(layers))


def test_a_networks_own_constants_stay() -> None:
    network = Network(Design("test_resnet").normalising(None), 3, "unit")
    assert {(layer.eps, layer.momentum) for layer in batch_norms(network)} == {(1e-5, 0.1)}
    assert {layer.eps for layer in batch_norms(Network(design_as_published("inception_v3"), 3, "unit"))} == {1e-3}
    assert batch_norms(Network(design_as_published("test_vit"), 3, "unit")) == []


def test_epsilon_travels_with_the_weights(tmp_path: Path) -> None:
    """A network that was trained with another epsilon is another function of the same weights."""
    torch.manual_seed(0)
    made = Network(KERAS, 3, "unit").eval()
    for layer in batch_norms(made):  # small variances, in which it matters
        torch.nn.init.constant_(layer.running_var, 1e-3)
    weights.save(tmp_path / "w.safetensors", made.weights(), KERAS, ["a", "b", "c"])
    tensors, header = weights.read(tmp_path / "w.safetensors")
    design, _ = weights.design_in(header, tmp_path)
    assert design == KERAS
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8))
    answers = {}
    for name, its in {"as saved": design, "own": Design("test_resnet")}.items():
        again = Network(its, 3, "unit").eval()
        weights.load_backbone(again.backbone, tensors, tmp_path)
        weights.load_softmax(again.softmax, tensors, tmp_path)
        with torch.no_grad():
            answers[name] = again(pixels)
    with torch.no_grad():
        torch.testing.assert_close(answers["as saved"], made(pixels))
    assert not torch.allclose(answers["own"], answers["as saved"], rtol=1e-2)


def test_a_file_of_before_has_its_networks_own() -> None:
    old = {"architecture": "a", "options": {}, "mean": [0, 0, 0], "std": [1, 1, 1]}
    assert Design.from_dict(old).batch_norm_epsilon is None
