"""Parts of a challenge's images, for experiments that leave some out on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rijksnet.data.labelled import LabelledRows
from rijksnet.errors import SplitError
from rijksnet.protocol import TEST, TRAIN, VALIDATION, classes_in_all_splits

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

#: A challenge's images, by split.
LabelledSplits = Mapping[str, LabelledRows]


def at(rows: LabelledRows, positions: NDArray[np.int64]) -> LabelledRows:
    """The images at these positions, in this order."""
    return replace(
        rows,
        object_ids=tuple(rows.object_ids[i] for i in positions),
        images=tuple(rows.images[i] for i in positions),
        rows=rows.rows[positions],
        labels=rows.labels[positions],
        relevant=tuple(rows.relevant[i] for i in positions),
    )


def only(rows: LabelledRows, keep: NDArray[np.bool_]) -> LabelledRows:
    """Those of the n images for which `keep` (n,) is true."""
    return at(rows, np.flatnonzero(keep))


def with_classes(data: LabelledSplits, names: Collection[str]) -> dict[str, LabelledRows]:
    """The images whose class is among `names`, with these as the only classes.

    Raises:
        SplitError: fewer than two of these classes are left: there is nothing to tell apart.
    """
    classes = data[TRAIN].classes
    occurring = {name: {classes[label] for label in rows.labels.tolist()} for name, rows in data.items()}
    kept = sorted(classes_in_all_splits(occurring) & set(names))
    if len(kept) < 2:
        raise SplitError(
            f"only the classes {kept} are common, of {sorted(names)} there and {list(classes)} here, and at least two "
            "are needed: leave the challenge out of side_experiments.common_classes"
        )
    new_index = {classes.index(name): i for i, name in enumerate(kept)}
    restricted = {}
    for name, rows in data.items():
        part = only(rows, np.isin(rows.labels, list(new_index)))
        restricted[name] = replace(
            part,
            labels=np.array([new_index[label] for label in part.labels.tolist()], np.int64),
            relevant=tuple(tuple(new_index[i] for i in listed if i in new_index) for listed in part.relevant),
            classes=tuple(kept),
        )
    return restricted


def trained_on_together(data: Mapping[str, LabelledSplits]) -> dict[str, dict[str, LabelledRows]]:
    """Several challenges, by name, without the training images of objects that any of them validates or tests on.

    Splits are drawn a challenge at a time, so that an object may be held out for one and trained on for another; a
    network that learns both has to leave it out. Validation and test splits stay as they are, and so do the classes.

    Raises:
        SplitError: nothing is left to train on for a challenge.
    """
    held_out = {
        object_id for splits in data.values() for split in (VALIDATION, TEST) for object_id in splits[split].object_ids
    }
    together = {}
    for challenge, splits in data.items():
        train = splits[TRAIN]
        kept = only(train, np.array([object_id not in held_out for object_id in train.object_ids], bool))
        if not len(kept):
            raise SplitError(
                f"challenge {challenge!r}: each of its {len(train)} training images is held out for another of "
                f"{list(data)}: leave side_experiments.multi_task empty"
            )
        together[challenge] = {**splits, TRAIN: kept}
    return together
