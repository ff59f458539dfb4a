"""Folds: every labelled object of a collection is tested once, by networks that did not train on it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rijksnet.errors import SplitError
from rijksnet.protocol import DRAWN_OF_TEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rijksnet.params import Challenge, Splits


def deal(labelled: pd.DataFrame, challenge: Challenge, splits: Splits, group_of: Mapping[str, int] | None) -> pd.Series:
    """The fold of each row of `labelled` (object_id, image, label), int64 from 0.

    An object's images stay together, and so do groups of objects, where `group_of` gives each object's. Stratified
    folds have their share of each class, as far as groups allow. The draw depends on the set of object ids, their
    labels and groups, the challenge and the seed, not on the order of the rows.

    Raises:
        SplitError: there are fewer objects than folds.
    """
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    folds = splits.folds if splits.folds > 1 else DRAWN_OF_TEN
    objects = labelled.drop_duplicates("object_id").sort_values("object_id", ignore_index=True)
    groups = objects["object_id"] if group_of is None else objects["object_id"].map(group_of)
    if groups.nunique() < folds:
        way_out = "set splits.folds lower" if splits.folds > 1 else "set splits.stratified to false"
        raise SplitError(
            f"challenge {challenge!r}: {groups.nunique()} objects with a label cannot be dealt into {folds} folds: "
            f"{way_out}, or leave the challenge out for this collection"
        )
    seed = int(np.random.default_rng((splits.seed, *challenge.encode())).integers(2**31))
    kind = StratifiedGroupKFold if splits.stratified else GroupKFold
    dealer = kind(n_splits=folds, shuffle=True, random_state=seed)
    fold_of = pd.Series(-1, index=objects["object_id"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes with fewer objects than folds: they are removed, and said so
        for fold, (_, tested) in enumerate(dealer.split(objects["object_id"], objects["label"], groups)):
            fold_of.iloc[tested] = fold
    return labelled["object_id"].map(fold_of)
