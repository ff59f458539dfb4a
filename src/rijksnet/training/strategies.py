"""How each strategy trains (section 4): what a run's key and params.yaml settle before its first epoch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from rijksnet import protocol
from rijksnet.data import labelled
from rijksnet.errors import RunError
from rijksnet.files import sha256_of
from rijksnet.networks import weights
from rijksnet.networks.batch_norm import set_momentum
from rijksnet.networks.initialisation import initialise_he_uniform, initialise_softmax
from rijksnet.paths import CollectionPaths
from rijksnet.runs.folder import RunFolder
from rijksnet.training.features import features_file, read_description
from rijksnet.training.job import Job, Task
from rijksnet.training.multi_task import blocks, softmax_of

if TYPE_CHECKING:  # timm takes seconds to import, and a run on cached features needs no network
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from rijksnet.data.subsets import LabelledSplits
    from rijksnet.networks.architectures import Network
    from rijksnet.params import Params
    from rijksnet.runs.key import RunKey


def softmax_job(
    params: Params,
    key: RunKey,
    data: LabelledSplits | None = None,
    features: Path | None = None,
    at: RunFolder | None = None,
) -> Job:
    """The training of a softmax layer on cached features.

    Args:
        features: their folder, in place of the pipeline's own.
        at: where the run folder goes, in place of the key's own place.
    """
    folder, file = features or key.features, key.initial_weights
    description, normalisation = read_description(folder, file), protocol.normalisation(params.training, key.strategy)
    if description.normalisation != normalisation:
        raise RunError(
            f"the features in {folder} are of inputs normalised as {description.normalisation!r}, but "
            f"training.normalisation asks for {normalisation!r}: extract them again with `rijksnet features`"
        )
    backbone, header = weights.read(file)
    asked = weights.design_in(header, file)[0].normalising(protocol.batch_norm(params.training))
    if description.design != asked:
        raise RunError(
            f"the features in {folder} are of the network {description.design}, but training.batch_norm.constants asks "
            f"for {asked}: extract them again with `rijksnet features`"
        )
    data = data or images_of(key)
    torch.manual_seed(key.seed)
    layer = nn.Linear(description.feature_size, len(data[protocol.TRAIN].classes))
    initialise_softmax(layer)
    task = Task(
        key,
        data,
        lambda: {
            **{name: tensor for name, tensor in backbone.items() if not name.startswith(weights.SOFTMAX)},
            **{weights.SOFTMAX + name: tensor for name, tensor in layer.state_dict().items()},
        },
        description.backbone_parameters + sum(p.numel() for p in layer.parameters()),
        at or RunFolder.of(key),
    )
    inputs: NDArray[np.float32] = np.load(features_file(folder, "running"), mmap_mode="r")
    return Job(
        [task],
        protocol.recipe(key.strategy, params.training),
        layer,
        description.design,
        inputs,
        inputs if params.training.batch_norm.frozen == "running" else _as_trained(folder, inputs, data),
        description.weights,
        description.input_size,
        description.feature_size,
        weights.ancestry_in(header),
    )


def _as_trained(folder: Path, inputs: NDArray[np.float32], data: LabelledSplits) -> NDArray[np.float32]:
    """Features (N, F), those of training images as the frozen network gave them while its softmax trained."""
    features, rows = np.array(inputs), data[protocol.TRAIN].rows
    features[rows] = np.load(features_file(folder, "batch"), mmap_mode="r")[rows]
    return features


def network_job(
    params: Params,
    data: Mapping[RunKey, LabelledSplits],
    recipe: protocol.Recipe | None = None,
    at: RunFolder | None = None,
) -> Job:
    """The training of one whole network on the challenges of all keys.

    Args:
        recipe: in place of that of the keys' strategy.
        at: where the run folder goes, in place of the key's own place.
    """
    from rijksnet.networks.architectures import (
        Network,
        check_input_size,
        design_as_published,
        input_size,
        parameter_count,
    )
    from rijksnet.networks.layers import freeze

    key = next(iter(data))
    ancestry: weights.Ancestry = []
    recipe = recipe or protocol.recipe(key.strategy, params.training)
    classes = [len(splits[protocol.TRAIN].classes) for splits in data.values()]
    normalisation = protocol.normalisation(params.training, key.strategy)
    size = input_size(key.architecture, params.input_size)
    batch_norm = protocol.batch_norm(params.training)
    torch.manual_seed(key.seed)
    if key.initialisation == "random":
        start, design = "", design_as_published(key.architecture).normalising(batch_norm)
        model = Network(design, sum(classes), normalisation)
        initialise_he_uniform(model)
    else:
        file = key.initial_weights
        tensors, header = weights.read(file)
        start, ancestry = sha256_of(file), weights.ancestry_in(header)
        design = weights.design_in(header, file)[0].normalising(batch_norm)
        model = Network(design, sum(classes), normalisation)
        weights.load_backbone(model.backbone, tensors, file)
        for block in blocks(classes):
            initialise_softmax(model.softmax, block)
    check_input_size(model, key.architecture, size)
    if batch_norm is not None:
        set_momentum(model, batch_norm.momentum)
    freeze(model, recipe.unfrozen)
    backbone = parameter_count(model.backbone)
    pixels = labelled.open_pixels(CollectionPaths(key.collection).pixels_of_size(size))
    return Job(
        [
            Task(
                key,
                splits,
                partial(_weights, model, block),
                backbone + n * (model.feature_size + 1),
                at or RunFolder.of(key),
            )
            for (key, splits), n, block in zip(data.items(), classes, blocks(classes), strict=True)
        ],
        recipe,
        model,
        design,
        pixels,
        pixels,
        start,
        size,
        model.feature_size,
        ancestry,
    )


def _weights(model: Network, block: slice) -> dict[str, Tensor]:
    return softmax_of(model.weights(), block)


def images_of(key: RunKey) -> dict[str, labelled.LabelledRows]:
    """The images of a run's challenge, by split; of several folds those of the run's, or of the first."""
    at = CollectionPaths(key.collection)
    return labelled.load(at.split(key.challenge), at.images, key.fold or 0)
