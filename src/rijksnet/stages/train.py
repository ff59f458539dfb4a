"""Stages that train: off the shelf, fine tuning, from scratch, and the pretraining of θ."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rijksnet import paths, protocol
from rijksnet.analysis import metrics
from rijksnet.data import labelled
from rijksnet.errors import WeightsError
from rijksnet.files import sha256_of
from rijksnet.networks import weights
from rijksnet.networks.initialisation import initialise_he_uniform, initialise_softmax
from rijksnet.networks.weights import Design
from rijksnet.params import Params
from rijksnet.paths import CollectionPaths, RecordPaths, RunKey
from rijksnet.progress import progress
from rijksnet.tracking import lineage, record
from rijksnet.tracking.live import Live, followed
from rijksnet.training import checkpoint, compute
from rijksnet.training.epoch import Epoch
from rijksnet.training.features import features_file, read_description
from rijksnet.training.loop import Examples, fit, make_optimiser, predict


@dataclass(frozen=True)
class Job:
    """What is to be trained, once the strategy has been settled."""

    key: RunKey
    recipe: protocol.Recipe
    model: nn.Module
    tensors: Callable[[], dict[str, Tensor]]  #: what to save of the model once it is trained
    design: Design
    inputs: NDArray[Any]  #: what the model reads, for the whole collection
    data: dict[str, labelled.LabelledRows]  #: by split
    initial_weights: str  #: sha256 of the file the run starts from; empty for random weights
    input_size: int  #: px
    parameters: int
    feature_size: int

    def examples(self, split: str) -> Examples:
        return Examples(self.inputs, self.data[split].rows, self.data[split].labels)

    @property
    def classes(self) -> list[str]:
        return list(self.data[protocol.TRAIN].classes)


def off_the_shelf(params: Params, key: RunKey) -> None:
    """Train a softmax layer on the features of a frozen network (section 4)."""
    folder, file = paths.features_of(key), paths.initial_weights(key)
    description = read_description(folder)
    backbone, _ = weights.read(file)
    if description.weights != sha256_of(file):
        raise WeightsError(
            f"the features in {folder} were extracted with weights {description.weights[:12]}…, but {file} is "
            f"{sha256_of(file)[:12]}…: extract them again with `rijksnet features`"
        )
    data = _labelled(key)
    torch.manual_seed(key.seed)
    layer = nn.Linear(description.feature_size, len(data[protocol.TRAIN].classes))
    initialise_softmax(layer)
    _carry_out(
        params,
        Job(
            key,
            protocol.recipe(key.strategy, params.training),
            layer,
            lambda: {
                **{name: tensor for name, tensor in backbone.items() if not name.startswith(weights.SOFTMAX)},
                **{weights.SOFTMAX + name: tensor for name, tensor in layer.state_dict().items()},
            },
            description.design,
            _inputs_by_split(folder, params, data),
            data,
            description.weights,
            description.input_size,
            description.backbone_parameters + sum(p.numel() for p in layer.parameters()),
            description.feature_size,
        ),
    )


def _inputs_by_split(folder: Path, params: Params, data: dict[str, labelled.LabelledRows]) -> NDArray[np.float32]:
    """Features (N, F), those of the training split as the frozen network gave them while its softmax trained."""
    features: NDArray[np.float32] = np.load(features_file(folder, "running"), mmap_mode="r")
    if params.training.batch_norm == "running":
        return features
    features, rows = np.array(features), data[protocol.TRAIN].rows
    features[rows] = np.load(features_file(folder, "batch"), mmap_mode="r")[rows]
    return features


def network(params: Params, key: RunKey, recipe: protocol.Recipe | None = None) -> None:
    """Train a whole network: fine tuning from θ or θ̂, or from scratch (section 4).

    Args:
        recipe: in place of the protocol's, for the pretraining of θ, of which the paper says nothing.
    """
    from rijksnet.networks.architectures import (
        Network,
        design_as_published,
        input_size,
        parameter_count,
    )

    data = _labelled(key)
    classes = data[protocol.TRAIN].classes
    scale = protocol.pixel_scale(params.training.protocol, params.training.pixels)
    size = input_size(key.architecture, params.input_size)
    torch.manual_seed(key.seed)
    if key.initialisation == "random":
        start, design = "", design_as_published(key.architecture)
        model = Network(design, len(classes), scale)
        initialise_he_uniform(model)
    else:
        file = paths.initial_weights(key)
        tensors, header = weights.read(file)
        start, (design, _) = sha256_of(file), weights.design_in(header, file)
        model = Network(design, len(classes), scale)
        weights.load_backbone(model.backbone, tensors, file)
        initialise_softmax(model.softmax)
    _carry_out(
        params,
        Job(
            key,
            recipe or protocol.recipe(key.strategy, params.training),
            model,
            model.weights,
            design,
            labelled.open_pixels(CollectionPaths(key.collection).pixels_of_size(size)),
            data,
            start,
            size,
            parameter_count(model),
            model.feature_size,
        ),
    )


def pretrain(params: Params, architecture: str) -> None:
    """Make θ by training from random weights on photographs, and keep the backbone of the tested weights."""
    made = params.imagenet.pretrain
    key = RunKey(made.collection, "type", architecture, "scratch", "random", params.training.seed)
    recipe = protocol.recipe("scratch", params.training)
    optimiser = replace(recipe.optimiser, learning_rate=made.learning_rate)
    network(params, key, replace(recipe, optimiser=optimiser, max_epochs=made.max_epochs))
    tensors, header = weights.read(RecordPaths.of(key).weights)
    design, _ = weights.design_in(header, RecordPaths.of(key).weights)
    backbone = {name: tensor for name, tensor in tensors.items() if not name.startswith(weights.SOFTMAX)}
    weights.save(paths.imagenet_weights(architecture), backbone, design, classes=[])


def _labelled(key: RunKey) -> dict[str, labelled.LabelledRows]:
    at = CollectionPaths(key.collection)
    return labelled.load(at.split(key.challenge), at.images)


def _carry_out(params: Params, job: Job) -> None:
    """Train, test and leave a record; an interrupted run goes on where its last checkpoint stands."""
    computed = compute.choose(params.training)
    job.model.to(computed.device)
    at = RecordPaths.of(job.key)
    at.run.unlink(missing_ok=True)  # what stands here is not complete until it is written again
    flat = _flat(params, job, computed)
    digests = {"split": labelled.digest(job.data), "initial_weights": job.initial_weights}
    scratch_pad = checkpoint.Checkpoint(paths.CHECKPOINTS / str(job.key), _identity(job.key, flat, digests))
    optimiser = make_optimiser(job.model, job.recipe.optimiser)
    state = scratch_pad.load(job.model, optimiser)
    live = Live(job.key, state.started_ms, flat, str(at.history))
    with followed(live, scratch_pad.folder / "live.json", params.tracking.live_after_s) as follower:
        _train(job, computed, optimiser, state, scratch_pad, follower.epoch_ended)
        tested = protocol.best_epoch(state.validation_losses)
        if job.recipe.tested_weights == "best":
            job.model.load_state_dict(state.kept)
        else:
            tested = len(state.history) - 1
        _write_results(params, job, computed, at, tested, len(state.history))
        record.complete(
            at,
            record.Run(
                key=job.key,
                started_ms=state.started_ms,
                ended_ms=time.time_ns() // 1_000_000,
                params=flat,
                classes=job.classes,
                parameters=job.parameters,
                feature_size=job.feature_size,
                best_epoch=tested,
                digests=digests,
                lineage=lineage.git_state() | lineage.environment(),
                files={},
            ),
        )
    scratch_pad.clear()


def _train(
    job: Job,
    computed: compute.Compute,
    optimiser: torch.optim.Optimizer,
    state: checkpoint.Progress,
    scratch_pad: checkpoint.Checkpoint,
    epoch_ended: Callable[[], None],
) -> None:
    history_file = RecordPaths.of(job.key).history
    train, validation = job.examples(protocol.TRAIN), job.examples(protocol.VALIDATION)
    epochs = fit(job.model, optimiser, train, validation, job.recipe, job.key.seed, computed, state.validation_losses)
    with progress(str(job.key), job.recipe.max_epochs) as report:
        report(len(state.history), "resumed" if state.history else f"starts on {computed}")
        for epoch in epochs:
            state.history.append(epoch)
            if protocol.best_epoch(state.validation_losses) == epoch.epoch:
                state.kept = {name: tensor.detach().clone() for name, tensor in job.model.state_dict().items()}
            record.write_history(history_file, state.history)
            scratch_pad.save(job.model, optimiser, state)
            epoch_ended()
            report(epoch.epoch + 1, _note(epoch))
        if len(state.history) < job.recipe.max_epochs:
            report(job.recipe.max_epochs, f"stopped after {len(state.history)} epochs: {_note(state.history[-1])}")


def _note(epoch: Epoch) -> str:
    return (
        f"train {epoch.train_loss:.3f} ({epoch.train_accuracy:.1%}), validation {epoch.validation_loss:.3f} "
        f"({epoch.validation_accuracy:.1%}), {epoch.images_per_s:.0f} images/s"
    )


def _write_results(
    params: Params, job: Job, computed: compute.Compute, at: RecordPaths, tested: int, epochs: int
) -> None:
    """Open the test split, now that training has ended, and write what the kept weights answer."""
    answers = []
    for split in (protocol.VALIDATION, protocol.TEST):
        rows = job.data[split]
        probabilities = predict(job.model, job.examples(split), computed).softmax(1).numpy()
        answers.append(record.Predictions(split, rows.object_ids, rows.images, rows.labels, probabilities))
    record.write_predictions(at.predictions, answers)
    measured: dict[str, Any] = {
        answer.split: metrics.evaluate(answer.probabilities, answer.labels) | {"n": len(answer.labels)}
        for answer in reversed(answers)
    }
    if params.splits.rule == "challenge":
        for answer in answers:
            relevant = job.data[answer.split].relevant
            measured[answer.split]["mean_average_precision"] = metrics.mean_average_precision(
                answer.probabilities, relevant, protocol.ranked_classes(job.classes)
            )
    measured["majority_accuracy"] = metrics.majority_accuracy(
        job.data[protocol.TRAIN].labels, job.data[protocol.TEST].labels
    )
    record.write_metrics(at.metrics, measured | {"epochs": epochs, "best_epoch": tested})
    weights.save(at.weights, job.tensors(), job.design, job.classes)


def _flat(params: Params, job: Job, computed: compute.Compute) -> dict[str, Any]:
    """Everything that settles how the run trains, as the tracking store shows it."""
    recipe: dict[str, Any] = asdict(job.recipe)
    optimiser = recipe.pop("optimiser")
    return {
        "optimiser": optimiser.pop("name"),
        **optimiser,
        **recipe,
        "protocol": params.training.protocol,
        "pixels": protocol.pixel_scale(params.training.protocol, params.training.pixels),
        "batch_norm": params.training.batch_norm,
        "device": computed.device.type,
        "precision": str(computed.dtype).removeprefix("torch."),
        "input_size": job.input_size,
        "split_rule": params.splits.rule,
        "split_seed": params.splits.seed,
        "classes": len(job.classes),
        **{f"{split}_images": len(rows.rows) for split, rows in job.data.items()},
    }


def _identity(key: RunKey, flat: dict[str, Any], digests: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps([asdict(key), flat, digests], sort_keys=True).encode()).hexdigest()
