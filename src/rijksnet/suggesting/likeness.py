"""Whether pictures look like those that a network learnt from: what it has never seen it cannot name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rijksnet.data import labelled
from rijksnet.errors import RijksNetError
from rijksnet.paths import CollectionPaths
from rijksnet.protocol import TEST, TRAIN, VALIDATION
from rijksnet.suggesting.answers import answers_to
from rijksnet.suggesting.neighbours import directions, nearest, unlike

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rijksnet.models.lookup import TrainedModel
    from rijksnet.params import Params
    from rijksnet.suggesting.answers import Answers


@dataclass(frozen=True)
class Likeness:
    """Of each of M pictures the cosine to the most similar one learnt from, (M,); below `least` it is unlike all."""

    similarity: NDArray[np.float32]
    least: float

    @property
    def is_unlike(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.similarity < self.least
        return found


def likeness(params: Params, model: TrainedModel, paths: CollectionPaths, answers: Answers) -> Likeness | str:
    """Of a collection's pictures to those that the network learnt from; or why that is not known.

    `least` is what one in a hundred of the pictures of its own collection that it did not learn from stays below.
    """
    key = model.run.key
    home = CollectionPaths(key.collection)
    split = home.split(key.challenge)
    if key.collection not in params.collections or not split.is_file():
        return f"the pictures that it learnt from, of {key.collection}, are not here"
    try:
        if model.run.digests["split"] != labelled.digest_of(split, home.images):
            return f"{split} is another split than it was trained on"
        data = labelled.load(split, home.images, key.fold or 0)
        at_home = answers if home == paths else answers_to(params, model, home)
    except RijksNetError as error:
        return str(error)
    its = directions(at_home.features)
    learnt = its[data[TRAIN].rows]
    names = [str(row) for row in data[TRAIN].rows]
    held_out = its[np.concatenate([data[VALIDATION].rows, data[TEST].rows])]
    least = unlike(nearest(held_out, learnt, names, 1).similarities[:, 0])
    return Likeness(nearest(directions(answers.features), learnt, names, 1).similarities[:, 0], least)
