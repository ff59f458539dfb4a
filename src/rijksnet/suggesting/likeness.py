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
from rijksnet.suggesting.neighbours import closest, directions, unlike

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rijksnet.models.lookup import TrainedModel
    from rijksnet.params import Params
    from rijksnet.suggesting.answers import Answers


@dataclass(frozen=True)
class Learnt:
    """The pictures that a network learnt from, as `directions` (L, F); what is less similar than `least` to all of them
    is unlike them."""

    directions: NDArray[np.float32]
    least: float

    def similarity(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Of pictures, by their features (M, F), the cosine to the most similar one learnt from, (M,)."""
        return closest(directions(features), self.directions)


def learnt(params: Params, model: TrainedModel, paths: CollectionPaths, answers: Answers) -> Learnt | str:
    """What the network learnt from, where that is here; or why it is not known.

    `least` is what one in a hundred of the pictures of its own collection that it did not learn from stays below.

    Args:
        answers: to a collection's pictures, which are used if it is the network's own.
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
    known = its[data[TRAIN].rows]
    held_out = its[np.concatenate([data[VALIDATION].rows, data[TEST].rows])]
    return Learnt(known, unlike(closest(held_out, known)))
