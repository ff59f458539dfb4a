"""Splits of a collection's objects, one per challenge: drawn 80/10/10, the official one, or a shared one."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rijksnet.collections.catalogue import read_catalogue
from rijksnet.data import duplicates, folds, sharing
from rijksnet.data.labelled import digest_of, pairs_of, read_images
from rijksnet.data.official import creator_class, kept_classes, kept_creators
from rijksnet.errors import SplitError
from rijksnet.files import replacing, replacing_folder
from rijksnet.protocol import REST, SPLITS, TEST, TRAIN, classes_in_all_splits, label_of, split_in_fold, split_sizes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from rijksnet.params import Challenge, Splits
    from rijksnet.paths import CollectionPaths

#: Which column of the catalogue holds a challenge's values.
COLUMN_OF: dict[Challenge, str] = {"material": "material", "type": "type", "artist": "creator"}

#: Columns of splits/<challenge>.parquet, sorted by (object_id, image). `values` are all classes that the object lists:
#: on an official split any number of them, else just the label.
SCHEMA = pa.schema(
    [
        ("object_id", pa.string()),
        ("image", pa.string()),
        ("label", pa.dictionary(pa.int32(), pa.string())),
        ("split", pa.dictionary(pa.int32(), pa.string())),
        ("values", pa.list_(pa.string())),
    ]
)

#: Where there are several folds, also the fold that tests an object, from 0; `split` is then that of the first fold.
FOLD = pa.field("fold", pa.int8())

#: The rows of a split, with columns of `SCHEMA`, and what splits.json says of it.
Split = tuple[pd.DataFrame, dict[str, Any]]


def split_collection(
    paths: CollectionPaths, challenges: Iterable[Challenge], splits: Splits
) -> tuple[dict[str, Any], dict[Challenge, str]]:
    """Split a collection's packed images for each challenge: `splits/<challenge>.parquet`, and `splits.json`.

    A challenge that cannot be split does not cost those that can.

    Returns:
        What splits.json holds: for each challenge the rule, what `summarise` says, and the digest of the split;
        `near_duplicates` where they were kept together: their groups, and the objects in these; `absent` and
        `unassigned` where the split was imported: the objects that it names in vain, and those with a label that it
        does not name; `official`, see `official_split`. And of the challenges that cannot be split, why.

    Raises:
        CollectionError: there is no catalogue, or no pixels.
        SplitError: none can be: fewer than two of its classes occur in all three splits, the collection has no
            official split, or a shared one cannot be used.
    """
    catalogue = read_catalogue(paths.catalogue)
    packed = set(pairs_of(read_images(paths.images)))
    catalogue = catalogue.filter(pa.array([pair in packed for pair in pairs_of(catalogue)], pa.bool_()))
    together = splits.rule == "paper" and splits.together == "near_duplicates"
    group_of = _group_of(paths) if together else None
    paths.splits_summary.unlink(missing_ok=True)
    summary: dict[str, Any] = {}
    refused: dict[Challenge, str] = {}
    with replacing_folder(paths.splits) as folder:
        for challenge in challenges:
            file = folder / paths.split(challenge).name
            try:
                if splits.rule == "paper":
                    rows, said = drawn_split(catalogue, challenge, splits, group_of)
                elif splits.rule == "imported":
                    rows, said = imported_split(catalogue, challenge, paths)
                else:
                    rows, said = official_split(catalogue, challenge, paths)
            except SplitError as error:
                refused[challenge] = str(error)
                continue
            schema = SCHEMA if splits.folds == 1 else SCHEMA.append(FOLD)
            pq.write_table(pa.Table.from_pandas(rows, schema, preserve_index=False), file)
            summary[challenge] = {"rule": splits.rule, **said, "digest": digest_of(file, paths.images)}
        if refused and not summary:
            raise SplitError("; ".join(refused.values()))
    with replacing(paths.splits_summary) as part:
        part.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return summary, refused


def _group_of(paths: CollectionPaths) -> dict[str, int]:
    """For each packed object, the number of its group of near-duplicates."""
    object_ids = sorted(set(read_images(paths.images)["object_id"].to_pylist()))
    return dict(zip(object_ids, duplicates.groups(object_ids, duplicates.near_duplicates(paths)).tolist(), strict=True))


# --- the paper's rule, on a drawn or a shared split -------------------------------------------------------------------


def drawn_split(catalogue: pa.Table, challenge: Challenge, splits: Splits, group_of: Mapping[str, int] | None) -> Split:
    """80/10/10, drawn, or folds; then only the classes that occur in every split, or in every fold."""
    labelled = labels_of(catalogue, challenge)
    if splits.folds == 1 and not splits.stratified:
        everything = assign(labelled, challenge, splits.seed, group_of)
    else:
        everything = labelled.assign(fold=folds.deal(labelled, challenge, splits, group_of))
        parts = [split_in_fold(part, 0, everything["fold"].max() + 1) for part in everything["fold"]]
        everything = everything.assign(split=pd.array(parts, dtype="str"))
    if splits.folds == 1:
        everything = everything.drop(columns="fold", errors="ignore")
    rows, said = _by_the_papers_rule(everything, challenge)
    if splits.folds > 1:
        said |= {"folds": splits.folds}
        said["majority"]["share"] = _majority_over_folds(rows, splits.folds)
    if splits.stratified:
        said["stratified"] = True
    if group_of is not None:
        sizes = Counter(group_of[object_id] for object_id in everything["object_id"].unique())
        joined = [size for size in sizes.values() if size > 1]
        said["near_duplicates"] = {"groups": len(joined), "objects": sum(joined)}
    return rows, said


def imported_split(catalogue: pa.Table, challenge: Challenge, paths: CollectionPaths) -> Split:
    """The split that the shared file says; then only the classes that occur in every split.

    Raises:
        SplitError: see `sharing.read`; or it names no object that is here.
    """
    labelled, file = labels_of(catalogue, challenge), paths.shared_split(challenge)
    shared = sharing.read(file)
    here = set(labelled["object_id"])
    if not here & shared.keys():
        raise SplitError(
            f"{file} names {len(shared)} objects, such as {next(iter(shared), None)!r}, and none of the {len(here)} "
            f"with a label in collection {paths.collection!r}, such as {min(here, default=None)!r}: their ids have to "
            "be spelt as in its catalogue"
        )
    everything = labelled.assign(split=labelled["object_id"].map(shared).astype("str")).dropna(subset="split")
    rows, said = _by_the_papers_rule(everything, challenge)
    return rows, {**said, "absent": len(shared.keys() - here), "unassigned": len(here - shared.keys())}


def _majority_over_folds(rows: pd.DataFrame, folds: int) -> float:
    """The share of all images that are of the most frequent training class, of equals the first, in their fold."""
    hits = 0
    for fold in range(folds):
        splits = rows["fold"].map(lambda part, fold=fold: split_in_fold(part, fold, folds))
        majority = rows.loc[splits == TRAIN, "label"].value_counts().sort_index().idxmax()
        hits += int((rows.loc[splits == TEST, "label"] == majority).sum())
    return hits / len(rows)


def _by_the_papers_rule(everything: pd.DataFrame, challenge: Challenge) -> Split:
    kept = keep_common_classes(everything, challenge)
    return kept.assign(values=kept["label"].map(lambda label: [label])), summarise(everything, kept)


def labels_of(catalogue: pa.Table, challenge: Challenge) -> pd.DataFrame:
    """object_id, image, label of every image that has a label."""
    labels = [label_of(challenge, values) for values in catalogue[COLUMN_OF[challenge]].to_pylist()]
    frame: pd.DataFrame = catalogue.select(["object_id", "image"]).to_pandas()
    return frame.assign(label=pd.array(labels, dtype="str")).dropna(subset="label")


def assign(
    labelled: pd.DataFrame, challenge: Challenge, seed: int, group_of: Mapping[str, int] | None = None
) -> pd.DataFrame:
    """`labelled` with the column `split`: objects, not images, are drawn, so that no object is in two splits.

    Neither is a group of objects, where `group_of` gives each object's (see `_deal`). The draw depends on the set of
    object ids, their groups, the challenge and the seed, not on the order of the rows; without groups of more than one
    object it is the same as without `group_of`.
    """
    objects = np.unique(labelled["object_id"].to_numpy(dtype=object))
    generator = np.random.default_rng((seed, *challenge.encode()))
    drawn = generator.permutation(objects)
    dealt = np.repeat(SPLITS, split_sizes(len(objects)))
    if group_of is not None:
        dealt = np.array(SPLITS)[_deal([group_of[object_id] for object_id in drawn], generator)]
    splits = pd.Series(dealt, index=drawn, dtype="str")
    return labelled.assign(split=labelled["object_id"].map(splits))


def _deal(group_of: list[int], generator: np.random.Generator) -> NDArray[np.int64]:
    """The split (0, 1, 2) of each of n objects in drawn order, whose groups stay whole.

    Groups of several objects come first, the largest before the others. Each is drawn into one of the splits that have
    room for all of it, with probabilities as their room, so that the test split has its share of them; if none has, it
    goes where most room is. Objects on their own then fill the splits up to 80/10/10 of the objects.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for i, group in enumerate(group_of):
        members[group].append(i)
    split_of = np.full(len(group_of), -1)
    room = np.array(split_sizes(len(group_of)))
    for places in sorted(members.values(), key=len, reverse=True):
        if len(places) == 1:
            break
        fits = np.where(room >= len(places), room, 0)
        split = generator.choice(3, p=fits / fits.sum()) if fits.any() else room.argmax()
        split_of[places] = split
        room[split] -= len(places)
    alone, room = np.flatnonzero(split_of < 0), room.clip(0)
    while room.sum() > len(alone):  # a group took more than there was room for
        room[room.argmax()] -= 1
    split_of[alone] = np.repeat(range(3), room)
    return split_of


def keep_common_classes(everything: pd.DataFrame, challenge: Challenge) -> pd.DataFrame:
    """The rows whose class occurs in all three splits, or in every fold; sorted by (object_id, image).

    Raises:
        SplitError: fewer than two classes do: there is nothing to tell apart.
    """
    part, parts = ("fold", sorted(everything["fold"].unique())) if "fold" in everything else ("split", SPLITS)
    by_part = {one: set(everything.loc[everything[part] == one, "label"]) for one in parts}
    classes = classes_in_all_splits(by_part)
    if len(classes) < 2:
        raise SplitError(
            f"challenge {challenge!r}: only the classes {sorted(classes)} occur in all "
            f"{'three splits' if part == 'split' else f'{len(parts)} folds'}, and at least two "
            f"are needed; {everything['object_id'].nunique()} objects have a label, of {everything['label'].nunique()} "
            "classes. Leave the challenge out for this collection, or give it more labelled objects"
        )
    return everything[everything["label"].isin(classes)].sort_values(["object_id", "image"], ignore_index=True)


# --- the official split -----------------------------------------------------------------------------------------------


def official_split(catalogue: pa.Table, challenge: Challenge, paths: CollectionPaths) -> Split:
    """The collection's own split and the class filters of the Rijksmuseum Challenge (`rijksnet.data.official`).

    Every object with an official split stays in it. Its label is its first listed value that is a kept class (an
    artist's: its first creator, if kept), or `rest`; its `values` are all its listed values that are kept classes. So
    a class may be listed and nobody's label. In the summary, `labelled` are objects that list anything,
    `removed_classes` the listed values that are no class; `official` counts the objects of `rest` and those without an
    official split (`unassigned`), and names the classes that are nobody's label (`never_first`).

    Raises:
        SplitError: there is no official split, it parts an object's images, or it keeps fewer than two classes.
    """
    everything: pd.DataFrame = catalogue.select(["object_id", "image", "split"]).to_pandas()
    listed = [_without_blanks(values) for values in catalogue[COLUMN_OF[challenge]].to_pylist()]
    everything = everything.assign(values=pd.Series(listed, dtype=object))
    rows = everything[everything["split"].isin(SPLITS)].sort_values(["object_id", "image"], ignore_index=True)
    objects = rows.drop_duplicates("object_id")
    _require_official(rows, objects, paths)
    filters = kept_creators if challenge == "artist" else kept_classes
    kept = filters(objects["values"].tolist(), objects["split"].tolist())
    _require_classes(kept, challenge, paths)

    def label(values: list[str]) -> str:
        return creator_class(values, kept) if challenge == "artist" else next((v for v in values if v in kept), REST)

    def classes(values: list[str]) -> list[str]:
        return [value for value in values if value in kept]

    labels = pd.array([label(values) for values in rows["values"]], dtype="str")
    split = rows.assign(label=labels, values=rows["values"].map(classes))
    lists = rows["values"].map(len) > 0
    first = pd.array([values[0] for values in rows.loc[lists, "values"]], dtype="str")
    said = summarise(rows[lists].assign(label=first), split)
    removed = Counter(value for values in objects["values"] for value in values if value not in kept)
    said |= {
        "class_names": sorted({*said["class_names"], *kept}),
        "removed_classes": dict(sorted(removed.items())),
        "official": {
            "rest": split.loc[split["label"] == REST, "object_id"].nunique(),
            "unassigned": everything["object_id"].nunique() - len(objects),
            "never_first": sorted(kept - set(labels)),
        },
    }
    return split, said


def _without_blanks(values: list[str]) -> list[str]:
    return list(dict.fromkeys(value.strip() for value in values if value.strip()))


def _require_official(rows: pd.DataFrame, objects: pd.DataFrame, paths: CollectionPaths) -> None:
    present = [split for split in SPLITS if (rows["split"] == split).any()]
    if len(present) < len(SPLITS):
        raise SplitError(
            f"splits.rule is `challenge`, but the official split of collection {paths.collection!r} (column `split` of "
            f"{paths.catalogue}) has objects in {present}, and it needs all of {list(SPLITS)}: set splits.rule to "
            "`paper` or `imported`, or read a collection that has one, as the ground truth of reader `rijks_challenge`"
        )
    parted = rows.drop_duplicates(["object_id", "split"])["object_id"]
    if len(parted) > len(objects):
        raise SplitError(
            f"the official split of collection {paths.collection!r} parts the images of object "
            f"{parted[parted.duplicated()].iloc[0]!r}: an object belongs to one split"
        )


def _require_classes(kept: set[str], challenge: Challenge, paths: CollectionPaths) -> None:
    if len(kept) < 2 or REST in kept:
        raise SplitError(
            f"challenge {challenge!r}: the class filters keep {sorted(kept)} of collection {paths.collection!r}; they "
            f"have to keep two classes, and none called {REST!r}, which is the name of all others. Leave the challenge "
            "out for this collection, or set splits.rule to `paper`"
        )


# --- what a split says about itself -----------------------------------------------------------------------------------


def summarise(everything: pd.DataFrame, kept: pd.DataFrame) -> dict[str, Any]:
    """What a split says about itself.

    `labelled` and `kept`: numbers of objects, images and classes before and after the rule that a class must occur
    in every split (the paper's N_t and Q_t); `splits`: those of each split; `class_names`, sorted; `removed_classes`:
    their numbers of objects; `majority`: the most frequent class of the training split, of equals the first, and its
    share of the test images, which is the accuracy of always guessing it.
    """
    classes = sorted(kept["label"].unique())
    removed = everything[~everything["label"].isin(classes)].groupby("label")["object_id"].nunique()
    train, test = (kept.loc[kept["split"] == split, "label"] for split in (TRAIN, TEST))
    majority = train.value_counts().sort_index().idxmax()
    return {
        "labelled": _counts(everything),
        "kept": _counts(kept),
        "splits": {split: _counts(kept[kept["split"] == split]) for split in SPLITS},
        "majority": {"class": majority, "share": float((test == majority).mean())},
        "class_names": classes,
        "removed_classes": {label: int(n) for label, n in removed.sort_index().items()},
    }


def _counts(rows: pd.DataFrame) -> dict[str, int]:
    return {"objects": rows["object_id"].nunique(), "images": len(rows), "classes": rows["label"].nunique()}
