"""Linear probes: what a softmax layer tells from the maps of each depth of a frozen network (Alain and Bengio 2016)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from rijksnet import protocol
from rijksnet.networks.initialisation import initialise_softmax
from rijksnet.training.batches import Examples, evaluation_batches, fetched, load
from rijksnet.training.classifiers import Standardisation
from rijksnet.training.compute import threads_for
from rijksnet.training.loop import fit_tasks, make_optimiser

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from rijksnet.networks.architectures import Network
    from rijksnet.runs.history import Epoch
    from rijksnet.training.compute import Compute

#: What the last depth is called where it is no map of its own but what the classifier sees of the deepest one.
FEATURES = "features"


@dataclass(frozen=True)
class Depth:
    """Where a network is probed: timm's name of the module, input pixels per step of its map, and its channels."""

    module: str
    reduction: int
    channels: int


def pooled_maps(network: Network, pixels_bhwc: Tensor) -> list[Tensor]:
    """Globally average-pooled maps of every depth, from the input on, float32 (B, C) each.

    The last is what the network's own softmax layer sees.

    Args:
        pixels_bhwc: uint8 (B, H, W, 3).
    """
    last, maps = network.backbone.forward_intermediates(network.normalised(pixels_bhwc))
    pooled = [one.float().mean((2, 3)) for one in maps]  # bfloat16 would round the differences between images away
    return pooled if maps[-1] is last else [*pooled, network.pool(last.float())]


def depths_of(network: Network, size: int) -> list[Depth]:
    """The depths that `pooled_maps` gives, in its order.

    Args:
        size: side of the input square, px.
    """
    network.eval()
    black = torch.zeros(1, size, size, 3, dtype=torch.uint8, device=network.softmax.weight.device)
    with torch.no_grad():
        pooled = pooled_maps(network, black)
    known = [(stage["module"], int(stage["reduction"])) for stage in network.backbone.feature_info]
    if len(pooled) > len(known):
        known.append((FEATURES, known[-1][1]))
    return [Depth(*names, pooled_map.shape[1]) for names, pooled_map in zip(known, pooled, strict=True)]


def extract(
    network: Network, pixels: NDArray[np.uint8], rows: NDArray[np.int64], out: NDArray[np.float32], compute: Compute
) -> Iterator[int]:
    """Fill `out`, float32 (n, C), with the pooled maps of all depths side by side; yields the images done so far.

    Args:
        pixels: uint8 (N, H, W, 3).
        rows: (n,) rows of `pixels`.
    """
    network.eval()
    examples, done = Examples(pixels, rows, np.zeros(len(rows), np.int64)), 0
    batches = evaluation_batches(examples, compute)

    def maps_of(inputs: Tensor) -> Tensor:
        with torch.no_grad(), compute.autocast():
            return torch.cat(pooled_maps(network, inputs), 1)

    for batch in fetched(maps_of(inputs) for inputs, _ in load(examples, batches, compute)):
        out[done : done + len(batch)] = batch
        done += len(batch)
        yield done


def standardise(maps: NDArray[np.float32], train: slice) -> NDArray[np.float32]:
    """Maps (n, C), each channel with mean 0 and standard deviation 1 on the training images."""
    standardised: NDArray[np.float32] = Standardisation.of(maps[train])(maps).astype(np.float32)
    return standardised


class Probes(nn.Module):
    """A softmax layer for each depth; `forward` takes maps side by side, (B, C), and gives logits so, (B, T Q)."""

    def __init__(self, channels: Sequence[int], classes: int, seed: int) -> None:
        """
        Args:
            channels: of the T depths.
            seed: each layer starts from it anew, so that no depth's start depends on the others.
        """
        super().__init__()
        self.channels, self.classes = list(channels), classes
        self.layers = nn.ModuleList()
        for n in channels:
            torch.manual_seed(seed)
            layer = nn.Linear(n, classes)
            initialise_softmax(layer)
            self.layers.append(layer)

    def forward(self, maps: Tensor) -> Tensor:
        parts = maps.split(self.channels, 1)
        return torch.cat([layer(part) for layer, part in zip(self.layers, parts, strict=True)], 1)


def fit_probes(
    probes: Probes, train: Examples, validation: Examples, recipe: protocol.Recipe, seed: int, compute: Compute
) -> list[list[Epoch]]:
    """Train all probes in one pass, each as if alone: none shares a weight, and each stops by its own losses.

    The probes keep the weights that the recipe tests.

    Returns:
        The epochs of each depth up to its own stop.
    """
    depths = range(len(probes.channels))
    histories: list[list[Epoch]] = [[] for _ in depths]
    kept: list[dict[str, Tensor]] = [{} for _ in depths]
    optimiser = make_optimiser(probes, recipe.optimiser)
    until_all_stop = replace(recipe, patience=recipe.max_epochs)
    classes = [probes.classes] * len(depths)
    going = list(depths)
    train, validation = (_for_each(one, len(depths)) for one in (train, validation))
    epochs = fit_tasks(probes, optimiser, train, validation, until_all_stop, seed, compute, classes=classes)
    with threads_for(probes, compute):
        for epoch in epochs:
            for depth in going:
                histories[depth].append(epoch[depth])
                best = protocol.best_epoch(_losses(histories[depth])) == len(histories[depth]) - 1
                if best or recipe.tested_weights == "last":
                    state = probes.layers[depth].state_dict()
                    kept[depth] = {name: tensor.detach().clone() for name, tensor in state.items()}
            going = [depth for depth in going if not protocol.should_stop(_losses(histories[depth]), recipe.patience)]
            if not going:
                break
    for layer, state in zip(probes.layers, kept, strict=True):
        layer.load_state_dict(state)
    return histories


def _for_each(examples: Examples, depths: int) -> Examples:
    """The same labels as so many tasks."""
    return replace(examples, labels=np.repeat(examples.labels[:, np.newaxis], depths, axis=1))


def _losses(history: Sequence[Epoch]) -> list[float]:
    return [epoch.validation_loss for epoch in history]
