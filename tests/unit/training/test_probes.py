from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rijksnet.networks.architectures import Network, design_as_published
from rijksnet.networks.initialisation import initialise_softmax
from rijksnet.protocol import RMSPROP, Recipe, best_epoch
from rijksnet.training.batches import Examples
from rijksnet.training.compute import Compute
from rijksnet.training.loop import fit, make_optimiser, predict
from rijksnet.training.probes import FEATURES, Probes, depths_of, extract, fit_probes, pooled_maps, standardise

CHANNELS, CLASSES, SEED = [3, 5], 3, 4


def network(architecture: str) -> Network:
    torch.manual_seed(0)
    return Network(design_as_published(architecture), 2, "pretrained").eval()


def images(n: int, size: int = 64) -> Tensor:
    return torch.randint(0, 256, (n, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


# --- maps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["test_resnet", "test_densenet", "test_efficientnet"])
def test_each_depth_is_the_mean_of_what_its_module_gives(architecture: str) -> None:
    net, pixels, given = network(architecture), images(3), {}
    modules = dict(net.backbone.named_modules())
    for stage in net.backbone.feature_info:
        module = modules[stage["module"]]
        module.register_forward_hook(lambda _, __, maps, name=stage["module"]: given.setdefault(name, maps.clone()))
    with torch.no_grad():
        features, found = net.features(pixels), pooled_maps(net, pixels)
    depths = depths_of(net, 64)
    assert len(found) == len(depths)
    for depth, pooled in zip(depths, found, strict=True):
        assert pooled.shape == (3, depth.channels)
        if depth.module != FEATURES:
            torch.testing.assert_close(pooled, given[depth.module].sum((2, 3)) / given[depth.module][0, 0].numel())
            assert given[depth.module].shape[-1] == 64 // depth.reduction
    torch.testing.assert_close(found[-1], features)


@pytest.mark.parametrize(
    ("architecture", "channels", "last"),
    [
        ("vgg19", [64, 128, 256, 512, 512, 512], "features.36"),
        ("inception_v3", [64, 192, 288, 768, 2048], "Mixed_7c"),
        ("xception", [64, 128, 256, 728, 2048], "act4"),
        ("resnet50", [64, 256, 512, 1024, 2048], "layer4"),
        ("densenet121", [64, 256, 512, 1024, 1024], "features.norm5"),
        ("mobilenetv2_100", [16, 24, 32, 96, 320, 1280], FEATURES),
        ("vit_tiny_patch16_224", [192] * 13, FEATURES),
    ],
)
def test_every_architecture_has_its_depths(architecture: str, channels: list[int], last: str) -> None:
    with torch.device("meta"):
        depths = depths_of(network(architecture), 299 if architecture in ("xception", "inception_v3") else 224)
    assert [depth.channels for depth in depths] == channels
    assert depths[-1].module == last
    assert [depth.reduction for depth in depths] == sorted(depth.reduction for depth in depths)


def test_maps_are_extracted_in_the_order_of_the_rows(cpu: Compute) -> None:
    net, pixels = network("test_resnet"), images(300, 32).numpy()
    rows = np.random.default_rng(0).permutation(300)[:140]
    out = np.empty((140, 32 + 32 + 48 + 192 + 96), np.float32)
    assert list(extract(net, pixels, rows, out, cpu)) == [70, 140]
    with torch.no_grad():
        expected = torch.cat(pooled_maps(net, torch.from_numpy(pixels[rows])), 1)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)


def test_maps_are_standardised_on_the_training_images_alone() -> None:
    maps = np.random.default_rng(0).normal(5, [1, 1e-3, 100], (50, 3)).astype(np.float32)
    found = standardise(maps, slice(0, 30))
    np.testing.assert_allclose(found[:30].mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(found[:30].std(0), 1, rtol=1e-3)
    np.testing.assert_allclose(found, (maps - maps[:30].mean(0)) / maps[:30].std(0), rtol=2e-2, atol=2e-2)


# --- training ---------------------------------------------------------------------------------------------------------


def splits(n: int = 70) -> tuple[Examples, Examples]:
    """Maps of two depths: the first learns quickly and then overfits, the second goes on learning."""
    generator = np.random.default_rng(0)
    maps = generator.normal(size=(n + 30, sum(CHANNELS))).astype(np.float32)
    labels = (maps[:, 3:].sum(1) > 0).astype(np.int64) + (maps[:, 3] > 1)
    return tuple(Examples(maps, rows, labels[rows]) for rows in np.split(np.arange(n + 30), [n]))  # type: ignore[return-value]


def alone(part: slice, data: Sequence[Examples], recipe: Recipe, cpu: Compute) -> tuple[list[Any], nn.Linear, Tensor]:
    """One probe on its own: its epochs, its layer and its validation logits."""
    train, validation = (replace(one, inputs=one.inputs[:, part]) for one in data)
    torch.manual_seed(SEED)
    layer = nn.Linear(train.inputs.shape[1], CLASSES)
    initialise_softmax(layer)
    epochs, states = [], []
    for epoch in fit(layer, make_optimiser(layer, recipe.optimiser), train, validation, recipe, SEED, cpu):
        epochs.append(epoch)
        states.append({name: tensor.clone() for name, tensor in layer.state_dict().items()})
    last = len(epochs) - 1
    tested = last if recipe.tested_weights == "last" else best_epoch([epoch.validation_loss for epoch in epochs])
    layer.load_state_dict(states[tested])
    return epochs, layer, predict(layer, validation, cpu)


@pytest.mark.parametrize("tested", ["best", "last"])
def test_probes_trained_together_are_those_trained_alone(tested: Any, cpu: Compute) -> None:
    data = splits()
    recipe = Recipe(replace(RMSPROP, learning_rate=0.02), max_epochs=120, patience=3, tested_weights=tested)
    together = Probes(CHANNELS, CLASSES, SEED)
    histories = fit_probes(together, *data, recipe, SEED, cpu)
    logits = predict(together, data[1], cpu).split(CLASSES, 1)
    parts = (slice(0, 3), slice(3, 8))
    for history, layer, its_logits, part in zip(histories, together.layers, logits, parts, strict=True):
        epochs, expected, expected_logits = alone(part, data, recipe, cpu)
        assert len(history) == len(epochs)
        for found, epoch in zip(history, epochs, strict=True):
            assert found.train_loss == pytest.approx(epoch.train_loss, rel=1e-5)
            assert found.validation_loss == pytest.approx(epoch.validation_loss, rel=1e-5)
        torch.testing.assert_close(layer.weight, expected.weight)
        torch.testing.assert_close(its_logits, expected_logits)
    lengths = [len(history) for history in histories]
    assert lengths[0] < lengths[1] < 120, "each stops on its own"


def test_training_ends_with_the_last_probe_that_goes_on(cpu: Compute) -> None:
    recipe = Recipe(RMSPROP, max_epochs=2)
    assert [len(history) for history in fit_probes(Probes(CHANNELS, CLASSES, SEED), *splits(), recipe, 0, cpu)] == [
        2,
        2,
    ]


def test_threads_are_as_before_when_training_ends(cpu: Compute) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        fit_probes(Probes(CHANNELS, CLASSES, SEED), *splits(), Recipe(RMSPROP, max_epochs=1), 0, cpu)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
