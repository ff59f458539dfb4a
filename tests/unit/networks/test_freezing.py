from __future__ import annotations

import pytest
import torch

from rijksnet.networks.architectures import Network, design_as_published
from rijksnet.networks.batch_norm import batch_norms
from rijksnet.networks.layers import freeze, layers_of
from rijksnet.protocol import SGD_AS_WRITTEN
from rijksnet.training.loop import make_optimiser


def network(architecture: str = "test_resnet") -> Network:
    torch.manual_seed(0)
    return Network(design_as_published(architecture), 3, "unit")


@pytest.mark.parametrize(
    "architecture", ["test_resnet", "test_densenet", "vgg19", "inception_v3", "xception", "resnet50"]
)
def test_layers_hold_every_parameter_of_the_backbone_once(architecture: str) -> None:
    net = network(architecture)
    layers = layers_of(net)
    assert len(layers) > 2
    held = [id(parameter) for layer in layers for parameter in layer]
    assert sorted(held) == sorted(id(parameter) for parameter in net.backbone.parameters())
    first = next(iter(net.backbone.parameters()))
    assert any(parameter is first for parameter in layers[0])


def test_what_is_frozen_keeps_its_weights_and_its_statistics() -> None:
    net = network()
    freeze(net, 0.5)
    before = {name: tensor.clone() for name, tensor in net.backbone.state_dict().items()}
    optimiser = make_optimiser(net, SGD_AS_WRITTEN)
    net.train()
    pixels = torch.randint(0, 256, (8, 32, 32, 3), dtype=torch.uint8)
    net(pixels).square().sum().backward()
    optimiser.step()
    changed = {name for name, tensor in net.backbone.state_dict().items() if not torch.equal(tensor, before[name])}
    trains = {name for name, parameter in net.backbone.named_parameters() if parameter.requires_grad}
    assert trains
    learnt = {name for name in changed if "running" not in name and "tracked" not in name}
    assert learnt
    assert learnt <= trains
    frozen = {name for name, _ in net.backbone.named_parameters()} - trains
    for name in (name for name in changed if "running" in name):
        assert name.rpartition(".")[0] + ".weight" in trains
    assert any(name.startswith("conv1") for name in frozen), "the first layers are frozen first"
    assert net.softmax.weight.requires_grad


@pytest.mark.parametrize("unfrozen", [0.0, 1.0])
def test_nothing_or_everything(unfrozen: float) -> None:
    net = network()
    freeze(net, unfrozen)
    assert {parameter.requires_grad for parameter in net.backbone.parameters()} == {unfrozen == 1.0}
    net.train()
    assert {layer.training for layer in batch_norms(net)} == {unfrozen == 1.0}
    assert net.softmax.training


def test_each_layer_learns_more_slowly_than_the_one_after_it() -> None:
    net = network()
    layers = layers_of(net)
    groups = make_optimiser(net, SGD_AS_WRITTEN, layer_rate=0.5).param_groups
    rate_of = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    assert rate_of[id(net.softmax.weight)] == 0.001
    for below, layer in enumerate(reversed(layers), 1):
        assert {rate_of[id(parameter)] for parameter in layer} == {0.001 * 0.5**below}
    assert len(rate_of) == len(list(net.parameters()))
