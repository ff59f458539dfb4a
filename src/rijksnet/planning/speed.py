"""How fast networks train and read on this machine: measured for some seconds, by the code that trains them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from rijksnet import protocol
from rijksnet.networks.architectures import Network, design_as_published, input_size
from rijksnet.training import compute
from rijksnet.training.batches import Examples
from rijksnet.training.loop import fit, make_optimiser, predict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from rijksnet.params import Params, Strategy
    from rijksnet.training.compute import Compute

#: Batches that a training is measured over, after as many to warm up.
BATCHES = 3

#: Classes of what is measured: a softmax layer is a small part of any network.
CLASSES = 20

#: Images of one measured epoch of a softmax layer on features.
IMAGES_OF_FEATURES = 3200


@dataclass(frozen=True)
class Speed:
    """Images a second of training, and of reading: features, validation and test."""

    training: float
    reading: float


class Speeds:
    """Speeds by architecture, each measured when it is first asked for.

    Args:
        trained: images a second of training, of architectures that have trained here at this size already: it is not
            measured again, since what else is at work now would be measured with it.
    """

    def __init__(self, params: Params, trained: Mapping[str, float]) -> None:
        self.params, self.trained = params, trained
        self._networks: dict[str, MeasuredNetwork] = {}
        self._heads: dict[int, float] = {}

    @cached_property
    def computed(self) -> Compute:
        return compute.choose(self.params.training)

    @property
    def threads(self) -> int:
        return self.computed.threads or torch.get_num_threads()

    def network(self, architecture: str) -> MeasuredNetwork:
        if architecture not in self._networks:
            self._networks[architecture] = MeasuredNetwork.measure(
                self.params, architecture, self.computed, self.trained.get(architecture)
            )
        return self._networks[architecture]

    def head(self, feature_size: int) -> float:
        """Images a second of a softmax layer that trains on features."""
        if feature_size not in self._heads:
            features = np.zeros((IMAGES_OF_FEATURES, feature_size), np.float32)
            model = nn.Linear(feature_size, CLASSES).to(self.computed.device)
            self._heads[feature_size] = _images_per_s(self.params, model, features, "off_the_shelf", self.computed)
        return self._heads[feature_size]


@dataclass(frozen=True)
class MeasuredNetwork:
    """What an architecture is and how fast it is here."""

    input_size: int  #: px
    feature_size: int
    bytes: int  #: of its weights file, softmax aside
    speed: Speed

    @classmethod
    def measure(cls, params: Params, architecture: str, computed: Compute, training: float | None) -> MeasuredNetwork:
        """Train on some batches of noise, if its `training` speed is not known, then read as many images."""
        size = input_size(architecture, params.input_size)
        network = Network(design_as_published(architecture), CLASSES, "unit").to(computed.device)
        pixels = np.random.default_rng(0).integers(0, 256, (protocol.BATCH_SIZE, size, size, 3), dtype=np.uint8)
        noise = np.concatenate([pixels] * BATCHES)
        if training is None:
            training = _images_per_s(params, network, noise, "fine_tuning", computed)
        examples = _examples(noise)
        with compute.threads_for(network, computed):
            predict(network, _examples(pixels), computed)
            started = time.perf_counter()
            predict(network, examples, computed)
            reading = len(examples) / (time.perf_counter() - started)
        of_weights = sum(tensor.numel() * tensor.element_size() for tensor in network.backbone.state_dict().values())
        return cls(size, network.feature_size, of_weights, Speed(training, reading))


def _images_per_s(
    params: Params, model: nn.Module, inputs: NDArray[np.generic], strategy: Strategy, computed: Compute
) -> float:
    """Of the second of two epochs, as the training loop itself counts them: by then a GPU's steps are recorded."""
    recipe = replace(protocol.recipe(strategy, params.training), max_epochs=2)
    optimiser = make_optimiser(model, recipe.optimiser, recipe.layer_rate)
    few = _examples(inputs[:2])
    with compute.threads_for(model, computed):
        _, epoch = fit(model, optimiser, _examples(inputs), few, recipe, seed=0, compute=computed)
    return epoch.images_per_s


def _examples(inputs: NDArray[np.generic]) -> Examples:
    return Examples(inputs, np.arange(len(inputs)), np.arange(len(inputs)) % CLASSES)
