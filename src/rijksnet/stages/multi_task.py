"""The stage that asks whether one network can learn all challenges at once (the paper's future work)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rijksnet.data.subsets import trained_on_together
from rijksnet.paths import RunKey
from rijksnet.stages import train

if TYPE_CHECKING:
    from rijksnet.params import Params, Strategy


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

    data = trained_on_together({challenge: train.images_of(key(challenge, "single_task")) for challenge in challenges})
    train.networks(params, {key(challenge, "multi_task"): data[challenge] for challenge in challenges})
    for challenge in challenges:
        train.network(params, key(challenge, "single_task"), data=data[challenge])
