"""The densely connected network of the paper's future work, at the miniature's size."""

from __future__ import annotations

from pathlib import Path

import timm
import torch
from torch import nn

from rijksnet.networks import weights
from rijksnet.networks.architectures import Network, design_as_published, input_size, parameter_count
from rijksnet.networks.weights import Design


def made(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return Network(design_as_published("test_densenet"), 5, "unit").eval()


def images(n: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (n, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_it_is_a_densenet_with_few_layers_and_without_its_head() -> None:
    network = made()
    theirs = timm.create_model("densenet121", growth_rate=16, block_config=[2, 2, 2, 2], num_classes=0)
    shapes = {name: tensor.shape for name, tensor in network.backbone.state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in theirs.state_dict().items()}
    assert isinstance(network.backbone.classifier, nn.Identity)
    layers = [name for name, _ in network.backbone.named_modules() if name.split(".")[-1].startswith("denselayer")]
    assert len(layers) == 8
    assert parameter_count(network) == parameter_count(network.backbone) + 5 * (network.feature_size + 1)
    assert parameter_count(network) < 500_000
    assert input_size("test_densenet", "native") == 224


def test_each_dense_layer_adds_to_what_it_was_given() -> None:
    given: dict[str, int] = {}
    network = made()
    for name, module in network.backbone.named_modules():
        if name.endswith("conv1"):
            given[name] = module.in_channels
    firsts = [given[f"features.denseblock{block}.denselayer1.conv1"] for block in range(1, 5)]
    seconds = [given[f"features.denseblock{block}.denselayer2.conv1"] for block in range(1, 5)]
    assert [second - first for first, second in zip(firsts, seconds, strict=True)] == [16] * 4


def test_features_are_the_pooled_last_maps() -> None:
    network = made()
    with torch.no_grad():
        maps = network.backbone.forward_features(images().permute(0, 3, 1, 2) / 255)
        torch.testing.assert_close(network.features(images()), maps.sum((2, 3)) / (2 * 2))
        logits = network(images())
    assert maps.shape == (2, network.feature_size, 2, 2)
    assert logits.shape == (2, 5)
    assert not torch.equal(logits[0], logits[1])


def test_its_options_travel_with_its_weights(tmp_path: Path) -> None:
    network, file = made(1), tmp_path / "densenet.safetensors"
    weights.save(file, network.weights(), design_as_published("test_densenet"), list("abcde"))
    tensors, header = weights.read(file)
    design, classes = weights.design_in(header, file)
    assert design == design_as_published("test_densenet")
    assert design.options == {"growth_rate": 16, "block_config": [2, 2, 2, 2]}
    again = Network(Design.from_dict(vars(design)), len(classes), "unit").eval()
    weights.load_backbone(again.backbone, tensors, file)
    weights.load_softmax(again.softmax, tensors, file)
    with torch.no_grad():
        torch.testing.assert_close(again(images()), network(images()), rtol=0, atol=0)
