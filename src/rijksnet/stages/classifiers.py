"""The stage that puts other classifiers beside the softmax: on the same features, each with a folder of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rijksnet import protocol
from rijksnet.networks import weights
from rijksnet.progress import progress
from rijksnet.runs import lineage, writing
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.key import RunKey
from rijksnet.runs.predictions import Predictions
from rijksnet.training import classifiers as machines
from rijksnet.training import folds
from rijksnet.training.features import features_file, read_description
from rijksnet.training.strategies import images_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rijksnet.data.subsets import LabelledSplits
    from rijksnet.params import Params
    from rijksnet.training.features import Description


def classifiers(params: Params, challenge: str, architecture: str) -> None:
    """Train a linear support vector machine and a random forest on the source's features of θ (footnote 7).

    The features are those of running statistics whatever `training.batch_norm.frozen` says: neither is trained through
    a network, and their runs say so.
    """
    origin = lineage.origin("classifiers")
    of = (params.source.collection, challenge, architecture)
    svm = RunKey(*of, "svm", "imagenet", params.training.seed)
    forest = RunKey(*of, "random_forest", "imagenet", params.training.seed)
    folder, theta = svm.features, svm.initial_weights
    description, (backbone, header) = read_description(folder, theta), weights.read(theta)
    features: NDArray[np.float32] = np.load(features_file(folder, "running"), mmap_mode="r")
    for key, train in ((svm, _support_vector_machine), (forest, _random_forest)):
        parts = folds.of(params, key)
        for one in parts:
            train(Inputs(params, images_of(one), features, description, backbone, header, origin), one)
        folds.pool(key, parts, images_of)


@dataclass(frozen=True)
class Inputs:
    """What both learn from."""

    params: Params
    data: LabelledSplits
    features: NDArray[np.float32]  #: (n, F) of all images
    description: Description
    backbone: dict[str, torch.Tensor]  #: θ
    header: dict[str, str]
    origin: dict[str, Any]


def _support_vector_machine(given: Inputs, key: RunKey) -> None:
    """Its run holds the whole network, as an off-the-shelf one does: the machine is a linear layer."""
    at, started_ms = _begin(key)
    data, features, description = given.data, given.features, given.description
    train, validation = data[protocol.TRAIN], data[protocol.VALIDATION]
    with progress(str(key), 1) as report:
        svm = machines.fit_svm(
            features[train.rows], train.labels, features[validation.rows], validation.labels, len(train.classes)
        )
        report(1, f"C {svm.cost:g}, temperature {svm.temperature:.3g}")
    layer = {"weight": torch.from_numpy(svm.weight), "bias": torch.from_numpy(svm.bias)}
    tensors = {name: tensor for name, tensor in given.backbone.items() if not name.startswith(weights.SOFTMAX)}
    tensors |= {weights.SOFTMAX + name: tensor for name, tensor in layer.items()}
    ancestry = writing.ancestry(weights.ancestry_in(given.header), key)
    weights.save(at.weights, tensors, description.design, train.classes, ancestry)
    answers = []
    for split in (protocol.VALIDATION, protocol.TEST):
        inputs = torch.from_numpy(features[data[split].rows])
        logits = torch.nn.functional.linear(inputs, layer["weight"], layer["bias"])
        answers.append(_answers(split, data, logits.softmax(1).numpy()))
    writing.evaluate_and_write(given.params, data, answers, at, epochs=0, best_epoch=None)
    own = {"C": svm.cost, "temperature": svm.temperature, "loss": "squared_hinge", "standardised": True}
    parameters = description.backbone_parameters + svm.weight.size + svm.bias.size
    _complete(given, key, own, started_ms, parameters)


def _random_forest(given: Inputs, key: RunKey) -> None:
    """Its run holds answers, but no weights: a forest is no network."""
    at, started_ms = _begin(key)
    data, features = given.data, given.features
    train, held_out = data[protocol.TRAIN], (protocol.VALIDATION, protocol.TEST)
    asked = np.concatenate([features[data[split].rows] for split in held_out])
    with progress(str(key), machines.TREES) as report:
        forest = machines.answer_by_forest(
            features[train.rows], train.labels, asked, len(train.classes), key.seed, report
        )
    parts = np.split(forest.probabilities, [len(data[protocol.VALIDATION])])
    answers = [_answers(split, data, part) for split, part in zip(held_out, parts, strict=True)]
    writing.evaluate_and_write(given.params, data, answers, at, epochs=0, best_epoch=None)
    own = {"trees": machines.TREES, "nodes": forest.nodes, "max_features": "sqrt", "min_samples_leaf": 1}
    _complete(given, key, own, started_ms, given.description.backbone_parameters)


def _begin(key: RunKey) -> tuple[RunFolder, int]:
    """A run folder, which is not complete until run.json is written again, and the time, ms since 1970."""
    at = RunFolder.of(key)
    at.root.mkdir(parents=True, exist_ok=True)
    at.run.unlink(missing_ok=True)
    return at, time.time_ns() // 1_000_000


def _answers(split: str, data: LabelledSplits, probabilities: NDArray[np.float32]) -> Predictions:
    rows = data[split]
    return Predictions(split, rows.object_ids, rows.images, rows.labels, probabilities)


def _complete(given: Inputs, key: RunKey, own: dict[str, Any], started_ms: int, parameters: int) -> None:
    from sklearn import __version__

    writing.complete(
        key,
        RunFolder.of(key),
        given.data,
        started_ms=started_ms,
        flat={
            **own,
            "scikit_learn": __version__,
            "device": "cpu",
            **writing.settings(given.params, key.strategy, given.data, given.description.input_size),
            "batch_norm_frozen": "running",
        },
        parameters=parameters,
        feature_size=given.description.feature_size,
        best_epoch=None,
        initial_weights=given.description.weights,
        origin=given.origin,
        start=weights.ancestry_in(given.header),
    )
