"""80/10/10 splits of a collection's objects, one per challenge. Only this stage splits."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rijksnet.collections.catalogue import read_catalogue
from rijksnet.data.labelled import digest, load, pairs_of, read_images
from rijksnet.errors import SplitError
from rijksnet.files import replacing, replacing_folder
from rijksnet.params import Challenge
from rijksnet.paths import CollectionPaths
from rijksnet.protocol import SPLITS, TEST, classes_in_all_splits, label_of, split_sizes

#: Which column of the catalogue holds a challenge's values.
COLUMN_OF: dict[Challenge, str] = {"material": "material", "type": "type", "artist": "creator"}

#: Columns of splits/<challenge>.parquet, sorted by (object_id, image).
SCHEMA = pa.schema(
    [
        ("object_id", pa.string()),
        ("image", pa.string()),
        ("label", pa.dictionary(pa.int32(), pa.string())),
        ("split", pa.dictionary(pa.int32(), pa.string())),
    ]
)


def split_collection(paths: CollectionPaths, challenges: Iterable[Challenge], seed: int) -> dict[str, Any]:
    """Split a collection's packed images for each challenge: `splits/<challenge>.parquet`, and `splits.json`.

    Returns:
        What splits.json holds: for each challenge what `summarise` says, and the digest of the split.

    Raises:
        CollectionError: there is no catalogue, or no pixels.
        SplitError: fewer than two classes of a challenge occur in all three splits.
    """
    catalogue = read_catalogue(paths.catalogue)
    packed = set(pairs_of(read_images(paths.images)))
    catalogue = catalogue.filter(pa.array([pair in packed for pair in pairs_of(catalogue)], pa.bool_()))
    paths.splits_summary.unlink(missing_ok=True)
    summary: dict[str, Any] = {}
    with replacing_folder(paths.splits) as folder:
        for challenge in challenges:
            file = folder / paths.split(challenge).name
            everything = assign(labels_of(catalogue, challenge), challenge, seed)
            kept = keep_common_classes(everything, challenge)
            pq.write_table(pa.Table.from_pandas(kept, SCHEMA, preserve_index=False), file)
            summary[challenge] = {**summarise(everything, kept), "digest": digest(load(file, paths.images))}
    with replacing(paths.splits_summary) as part:
        part.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return summary


def labels_of(catalogue: pa.Table, challenge: Challenge) -> pd.DataFrame:
    """object_id, image, label of every image that has a label."""
    labels = [label_of(challenge, values) for values in catalogue[COLUMN_OF[challenge]].to_pylist()]
    frame: pd.DataFrame = catalogue.select(["object_id", "image"]).to_pandas()
    return frame.assign(label=pd.array(labels, dtype="str")).dropna(subset="label")


def assign(labelled: pd.DataFrame, challenge: Challenge, seed: int) -> pd.DataFrame:
    """`labelled` with the column `split`: objects, not images, are drawn, so that no object is in two splits.

    The draw depends on the set of object ids, the challenge and the seed, not on the order of the rows.
    """
    objects = np.unique(labelled["object_id"].to_numpy(dtype=object))
    generator = np.random.default_rng((seed, *challenge.encode()))
    splits = pd.Series(np.repeat(SPLITS, split_sizes(len(objects))), index=generator.permutation(objects), dtype="str")
    return labelled.assign(split=labelled["object_id"].map(splits))


def keep_common_classes(everything: pd.DataFrame, challenge: Challenge) -> pd.DataFrame:
    """The rows whose class occurs in all three splits, sorted by (object_id, image).

    Raises:
        SplitError: fewer than two classes do: there is nothing to tell apart.
    """
    by_split = {split: set(everything.loc[everything["split"] == split, "label"]) for split in SPLITS}
    classes = classes_in_all_splits(by_split)
    if len(classes) < 2:
        raise SplitError(
            f"challenge {challenge!r}: only the classes {sorted(classes)} occur in all three splits, and at least two "
            f"are needed; {everything['object_id'].nunique()} objects have a label, of {everything['label'].nunique()} "
            "classes. Leave the challenge out for this collection, or give it more labelled objects"
        )
    return everything[everything["label"].isin(classes)].sort_values(["object_id", "image"], ignore_index=True)


def summarise(everything: pd.DataFrame, kept: pd.DataFrame) -> dict[str, Any]:
    """What a split says about itself.

    `labelled` and `kept`: numbers of objects, images and classes before and after the rule that a class must occur
    in every split (the paper's N_t and Q_t); `splits`: those of each split; `class_names`, sorted; `removed_classes`:
    their numbers of objects; `majority`: the most frequent class of the test split and its share of the images, which
    is the accuracy of always guessing it.
    """
    classes = sorted(kept["label"].unique())
    removed = everything[~everything["label"].isin(classes)].groupby("label")["object_id"].nunique()
    test = kept.loc[kept["split"] == TEST, "label"].value_counts(normalize=True).sort_index()
    return {
        "labelled": _counts(everything),
        "kept": _counts(kept),
        "splits": {split: _counts(kept[kept["split"] == split]) for split in SPLITS},
        "majority": {"class": test.idxmax(), "share": float(test.max())},
        "class_names": classes,
        "removed_classes": {label: int(n) for label, n in removed.sort_index().items()},
    }


def _counts(rows: pd.DataFrame) -> dict[str, int]:
    return {"objects": rows["object_id"].nunique(), "images": len(rows), "classes": rows["label"].nunique()}
