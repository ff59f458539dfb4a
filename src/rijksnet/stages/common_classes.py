"""The stage that repeats the transfer on only the classes that both collections have, as in the released results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rijksnet.data import labelled
from rijksnet.data.subsets import with_classes
from rijksnet.paths import COMMON_CLASSES, CollectionPaths, RunKey
from rijksnet.protocol import TRAIN
from rijksnet.stages import train

if TYPE_CHECKING:
    from rijksnet.params import Params


def common_classes(params: Params, challenge: str, architecture: str) -> None:
    """Off the shelf and fine tuning on the target, each from θ and from θ̂, of the classes that the source's split has.

    Raises:
        SplitError: a collection has no such split, or they have fewer than two classes in common.
    """
    source, target = (CollectionPaths(one.collection) for one in (params.source, params.target))
    known = labelled.load(source.split(challenge), source.images)[TRAIN].classes
    data = with_classes(labelled.load(target.split(challenge), target.images), known)
    of = (target.collection, challenge + COMMON_CLASSES, architecture)
    for start in ("imagenet", "rijksmuseum"):
        train.off_the_shelf(params, RunKey(*of, "off_the_shelf", start, params.training.seed), data)
        train.network(params, RunKey(*of, "fine_tuning", start, params.training.seed), data=data)
