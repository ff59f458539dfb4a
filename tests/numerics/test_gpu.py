"""What is done otherwise on a GPU gives the same bits: recorded steps, pixels that lie there, features read behind."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from rijksnet import protocol
from rijksnet.networks.architectures import Network, design_as_published
from rijksnet.params import Params
from rijksnet.training import batches, compute, steps
from rijksnet.training.batches import Examples, batches_of, fetched, load, resident
from rijksnet.training.loop import fit, make_optimiser, predict
from workspace import DEVICE

pytestmark = pytest.mark.skipif(DEVICE != "cuda", reason="needs a GPU: RIJKSNET_TEST_DEVICE=cuda")

Make = Callable[..., Params]
RULES = {
    "sgd": protocol.SGD_AS_WRITTEN,
    "rmsprop": protocol.RMSPROP,
    "adam": protocol.optimiser("adam", 1e-4, 0.0, 0.0),
}


@pytest.fixture(autouse=True)
def no_warning() -> Iterator[None]:
    """That a step could not be recorded is one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def drawn(n: int, side: int = 64) -> Examples:
    random = np.random.default_rng(n)
    pixels = random.integers(0, 256, (n + 7, side, side, 3), dtype=np.uint8)
    return Examples(pixels, random.permutation(n), random.integers(0, 5, n))


def trained(make: Make, rule: str, architecture: str, precision: str) -> dict[str, torch.Tensor]:
    computed = compute.choose(make(precision=precision).training)
    torch.manual_seed(0)
    model = Network(design_as_published(architecture), 5, "unit").to(computed.device)
    recipe = protocol.Recipe(RULES[rule], 3)
    optimiser = make_optimiser(model, recipe.optimiser)
    # 135 images in batches of 27: one size; validation of 130 has two
    history = list(fit(model, optimiser, drawn(142), drawn(130), recipe, 0, computed))
    answers = predict(model, drawn(130), computed)
    measured = torch.tensor([[one.train_loss, one.validation_loss, one.train_accuracy] for one in history])
    return {**{name: tensor.cpu() for name, tensor in model.state_dict().items()}, "a": answers, "m": measured}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("rule", "architecture"),
    [("sgd", "resnet50"), ("rmsprop", "test_resnet"), ("adam", "test_densenet"), ("sgd", "mobilenetv2_100")],
)
def test_recorded_steps_are_the_steps_themselves(
    rule: str, architecture: str, precision: str, tiny_params: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = trained(tiny_params, rule, architecture, precision)
    monkeypatch.setattr(steps, "UNRECORDED", 10**9)
    monkeypatch.setattr(batches, "SHARE_OF_GPU", 0.0)
    unrecorded = trained(tiny_params, rule, architecture, precision)
    for name, tensor in recorded.items():
        assert torch.equal(tensor, unrecorded[name]), name


def test_batches_are_the_same_wherever_their_inputs_lie(tiny_params: Make) -> None:
    computed = compute.choose(tiny_params().training)
    examples = drawn(100)
    order = batches_of(np.random.default_rng(1).permutation(100), 32, drop_last=False)
    there = resident(examples, computed)
    assert isinstance(there.inputs, torch.Tensor)
    assert there.inputs.is_cuda
    for ours, theirs in zip(load(examples, order, computed), load(there, order, computed), strict=True):
        assert all(torch.equal(*pair) for pair in zip(ours, theirs, strict=True))


def test_results_are_fetched_in_their_order() -> None:
    results = [torch.full((64, 4096), float(i), device="cuda") for i in range(5)]
    assert [float(one.mean()) for one in fetched(result * 2 for result in results)] == [0, 2, 4, 6, 8]
