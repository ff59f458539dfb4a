"""Stages that train: the paper's strategies, and the experiments that repeat them with something else.

All train in one way (`rijksnet.training.job`); a stage settles which runs there are and on which images.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rijksnet import paths, protocol
from rijksnet.data import labelled
from rijksnet.data.subsets import trained_on_together, with_classes
from rijksnet.errors import ParamsError
from rijksnet.networks import weights
from rijksnet.paths import CollectionPaths
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.key import COMMON_CLASSES, RunKey
from rijksnet.training.job import carry_out
from rijksnet.training.strategies import images_of, network_job, softmax_job

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rijksnet.data.subsets import LabelledSplits
    from rijksnet.params import Params, Strategy


def off_the_shelf(params: Params, key: RunKey, data: LabelledSplits | None = None) -> None:
    """Train a softmax layer on the features of a frozen network (section 4).

    Args:
        data: in place of all images of the key's challenge.
    """
    carry_out(params, softmax_job(params, key, data))


def network(
    params: Params, key: RunKey, recipe: protocol.Recipe | None = None, data: LabelledSplits | None = None
) -> None:
    """Train a whole network: fine tuning from θ or θ̂, or from scratch (section 4).

    Args:
        recipe: in place of the protocol's, for the pretraining of θ, of which the paper says nothing.
        data: in place of all images of the key's challenge.
    """
    networks(params, {key: data or images_of(key)}, recipe)


def networks(params: Params, data: Mapping[RunKey, LabelledSplits], recipe: protocol.Recipe | None = None) -> None:
    """Train one whole network on the challenges of all keys, a softmax layer each; the keys differ in nothing else."""
    carry_out(params, network_job(params, data, recipe))


def pretrain(params: Params, architecture: str) -> None:
    """Make θ by training from random weights on photographs, and keep the backbone of the tested weights."""
    made = params.imagenet.pretrain
    key = RunKey(made.collection, "type", architecture, "scratch", "random", params.training.seed)
    recipe = protocol.recipe("scratch", params.training)
    optimiser = replace(recipe.optimiser, learning_rate=made.learning_rate)
    network(params, key, replace(recipe, optimiser=optimiser, max_epochs=made.max_epochs))
    tensors, header = weights.read(RunFolder.of(key).weights)
    design, _ = weights.design_in(header, RunFolder.of(key).weights)
    backbone = {name: tensor for name, tensor in tensors.items() if not name.startswith(weights.SOFTMAX)}
    weights.save(paths.imagenet_weights(architecture), backbone, design, [], weights.ancestry_in(header))


def seeds(params: Params, collection: str, challenge: str, architecture: str, seed: int) -> None:
    """Off the shelf and fine tuning: on the source from θ, on the target from θ and from θ̂.

    Raises:
        ParamsError: `collection` is neither.
    """
    source = params.source.collection
    starts = {
        params.target.collection: ["imagenet", source],
        source: ["imagenet"],
    }
    if collection not in starts:
        raise ParamsError(f"collection {collection!r} is neither the source nor the target: choose from {list(starts)}")
    for start in starts[collection]:
        off_the_shelf(params, RunKey(collection, challenge, architecture, "off_the_shelf", start, seed))
        network(params, RunKey(collection, challenge, architecture, "fine_tuning", start, seed))


def common_classes(params: Params, challenge: str, architecture: str) -> None:
    """Off the shelf and fine tuning on the target, each from θ and from θ̂, of the classes that the source's split has.

    Raises:
        SplitError: a collection has no such split, or they have fewer than two classes in common.
    """
    source, target = (CollectionPaths(one.collection) for one in (params.source, params.target))
    known = labelled.load(source.split(challenge), source.images)[protocol.TRAIN].classes
    data = with_classes(labelled.load(target.split(challenge), target.images), known)
    of = (target.collection, challenge + COMMON_CLASSES, architecture)
    for start in ("imagenet", params.source.collection):
        off_the_shelf(params, RunKey(*of, "off_the_shelf", start, params.training.seed), data)
        network(params, RunKey(*of, "fine_tuning", start, params.training.seed), data=data)


def multi_task(params: Params, architecture: str) -> None:
    """One network for all of the source's challenges, and one for each alone, from the same images and by one recipe.

    Both train on no object that any challenge holds out, and are validated and tested on each challenge's own objects.

    Raises:
        SplitError: a challenge has no split, or nothing is left to train on.
    """
    challenges = params.source.challenges

    def key(challenge: str, strategy: Strategy) -> RunKey:
        seed = params.training.seed
        return RunKey(params.source.collection, challenge, architecture, strategy, "imagenet", seed)

    data = trained_on_together({challenge: images_of(key(challenge, "single_task")) for challenge in challenges})
    networks(params, {key(challenge, "multi_task"): data[challenge] for challenge in challenges})
    for challenge in challenges:
        network(params, key(challenge, "single_task"), data=data[challenge])
