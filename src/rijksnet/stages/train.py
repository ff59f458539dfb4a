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
from rijksnet.training import folds
from rijksnet.training.job import carry_out, forget
from rijksnet.training.strategies import images_of, network_job, softmax_job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rijksnet.data.subsets import LabelledSplits
    from rijksnet.params import Params, Strategy

    Images = Callable[[RunKey], LabelledSplits]


def off_the_shelf(params: Params, key: RunKey, images: Images = images_of) -> None:
    """Train a softmax layer on the features of a frozen network (section 4).

    Args:
        images: of a run; in place of all those of its challenge.
    """
    for one in folds.of(params, key):
        carry_out(params, softmax_job(params, one, images(one)))
    _pool(params, [key], images)


def network(params: Params, key: RunKey, images: Images = images_of) -> None:
    """Train a whole network: fine tuning from θ or θ̂, or from scratch (section 4).

    Args:
        images: as with `off_the_shelf`.
    """
    networks(params, [key], lambda keys: {one: images(one) for one in keys})


def networks(
    params: Params, keys: Sequence[RunKey], data: Callable[[Sequence[RunKey]], Mapping[RunKey, LabelledSplits]]
) -> None:
    """Train one whole network on the challenges of all keys, a softmax layer each; the keys differ in nothing else.

    Args:
        data: the images of each of these runs, or of their runs of one fold.
    """
    for of_fold in zip(*(folds.of(params, key) for key in keys), strict=True):
        carry_out(params, network_job(params, data(of_fold)))
    _pool(params, keys, lambda key: data([replace(one, fold=key.fold) for one in keys])[key])


def _pool(params: Params, keys: Sequence[RunKey], images: Images) -> None:
    """Make one run of each run's folds, and end with what resumes them."""
    for key in keys:
        folds.pool(key, folds.of(params, key), images)
    for key in keys:
        forget(key)


def pretrain(params: Params, architecture: str) -> None:
    """Make θ by training from random weights on photographs, and keep the backbone of the tested weights."""
    made = params.imagenet.pretrain
    key = RunKey(made.collection, "type", architecture, "scratch", "random", params.training.seed)
    recipe = protocol.recipe("scratch", params.training)
    optimiser = replace(recipe.optimiser, learning_rate=made.learning_rate)
    recipe = replace(recipe, optimiser=optimiser, max_epochs=made.max_epochs)
    carry_out(params, network_job(params, {key: images_of(key)}, recipe))  # of several folds the first one's split
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

    def images(key: RunKey) -> LabelledSplits:
        return with_classes(labelled.load(target.split(challenge), target.images, key.fold or 0), known)

    of = (target.collection, challenge + COMMON_CLASSES, architecture)
    for start in ("imagenet", params.source.collection):
        off_the_shelf(params, RunKey(*of, "off_the_shelf", start, params.training.seed), images)
        network(params, RunKey(*of, "fine_tuning", start, params.training.seed), images)


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

    def images(keys: Sequence[RunKey]) -> dict[RunKey, LabelledSplits]:
        fold = keys[0].fold
        everything = {one: replace(key(one, "single_task"), fold=fold) for one in challenges}
        together = trained_on_together({one: images_of(its_key) for one, its_key in everything.items()})
        return {one: together[one.challenge] for one in keys}

    networks(params, [key(challenge, "multi_task") for challenge in challenges], images)
    for challenge in challenges:
        networks(params, [key(challenge, "single_task")], images)
