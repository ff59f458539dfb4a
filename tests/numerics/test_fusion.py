"""A network in use, its convolutions fused with what follows them, answers as the network does."""

from __future__ import annotations

import operator
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rijksnet.networks.architectures import Network, design_as_published
from rijksnet.networks.fusion import Fused, fused
from rijksnet.training import compute
from rijksnet.training.batches import Examples
from rijksnet.training.compute import Compute
from rijksnet.training.loop import predict

pytestmark = pytest.mark.skipif(not compute.has_native_bf16("cpu"), reason="this processor does not multiply bf16")

BF16, FP32 = (Compute(torch.device("cpu"), dtype) for dtype in (torch.bfloat16, torch.float32))

#: Blocks of every kind.
NETWORKS = ("test_resnet", "test_densenet", "inception_v3", "xception", "mobilenetv2_100", "gcresnext26ts")


def trained(architecture: str) -> Network:
    """A network whose normalisation has statistics, weights and biases of its own."""
    torch.manual_seed(0)
    network = Network(design_as_published(architecture), 7, "unit")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            module.momentum = 1.0
    network.train()
    with torch.no_grad():
        network(pixels())
    return network.eval()


def pixels(seed: int = 0) -> Tensor:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 12, 12, 3))
    return torch.from_numpy(coarse.repeat(8, 1).repeat(8, 2).astype(np.uint8))


def answers(of: Any, images: Tensor, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    with torch.no_grad(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        return cast("Tensor", of(images)).float()


def distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("architecture", NETWORKS)
def test_answers_are_as_near_to_float32_as_the_network_s_own_in_bf16(architecture: str) -> None:
    network = trained(architecture)
    one = fused(network)
    assert isinstance(one, Fused)
    exact = answers(network, pixels(1), torch.float32)
    own = distance(answers(network, pixels(1)), exact)
    assert distance(answers(one, pixels(1)), exact) < 1.5 * own + 1e-4
    assert 0 < own < 0.5


def operations(network: Network) -> set[object]:
    """What is left in the graph of a network that is fused."""
    one = fused(network)
    assert isinstance(one, Fused)
    nodes, modules = one._forward.graph.nodes, dict(one._forward.named_modules())
    return {type(modules[node.target]) if node.op == "call_module" else node.target for node in nodes}


@pytest.mark.parametrize(("architecture", "left"), [("resnet26", set()), ("xception", {nn.ReLU})])
def test_what_follows_a_convolution_is_part_of_it(architecture: str, left: set[object]) -> None:
    network = Network(design_as_published(architecture), 7, "unit").eval()
    assert operations(network) & {nn.Conv2d, nn.BatchNorm2d, nn.ReLU, operator.iadd, operator.add} == left


def test_present_weights_answer() -> None:
    network = trained("test_resnet")
    before = answers(fused(network), pixels(1))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.1)
    after = answers(fused(network), pixels(1))
    assert distance(after, answers(network, pixels(1), torch.float32)) < 0.1
    assert distance(after, before) > 0.1


@pytest.mark.parametrize("architecture", ["resnet26", "mobilenetv2_100"])
def test_answers_do_not_depend_on_how_many_are_asked_for(architecture: str) -> None:
    one = fused(trained(architecture))
    together = answers(one, pixels(1))
    for n in (1, 3, 7):
        assert torch.equal(answers(one, pixels(1)[:n]), together[:n])


class Toy(nn.Module):
    """The input of a convolution is changed before what it makes is added."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.one, self.two = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(2))

    def forward_features(self, x: Tensor) -> Tensor:
        a = x - 0.5
        first = self.one(x)
        other = self.two(a)
        changed = self.relu(a)
        return first + other + changed


def test_an_input_that_is_changed_in_place_is_read_before() -> None:
    torch.manual_seed(0)
    network = Network(design_as_published("test_resnet"), 7, "unit").eval()
    network.backbone = Toy().to(memory_format=torch.channels_last)
    one = fused(network)
    assert isinstance(one, Fused)
    with torch.no_grad():
        exact = network.features(pixels())
        with torch.autocast("cpu", torch.bfloat16):
            assert distance(one.features(pixels()).float(), exact) < 0.05


def test_a_network_that_is_no_graph_answers_itself() -> None:
    network = Network(design_as_published("test_resnet"), 7, "unit").eval()

    def forward_features(x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x

    network.backbone.forward_features = forward_features
    assert fused(network) is network


def test_evaluation_is_fused_where_bf16_is_native_and_leaves_the_network_as_it_was() -> None:
    network = trained("test_resnet")
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    images = pixels(1).numpy()
    examples = Examples(images, np.arange(8), np.zeros(8, np.int64))
    assert torch.equal(predict(network, examples, BF16), answers(fused(network), pixels(1)))
    assert torch.equal(predict(network, examples, FP32), answers(network, pixels(1), torch.float32))
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
