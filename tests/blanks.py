"""Collections with blank fields whose truth is known, and a network trained on the others."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rijksnet.collections.catalogue import SCHEMA
from rijksnet.params import Params
from rijksnet.paths import CollectionPaths
from rijksnet.protocol import SPLITS
from rijksnet.runs.key import RunKey
from rijksnet.stages import train
from rijksnet.stages.features import features

COLOURS = ("blauw", "geel", "rood")
IN_SPLIT, BLANK, STRANGE, ODD = 300, 40, 12, 6
KEY = RunKey("source", "type", "test_resnet", "off_the_shelf", "imagenet")

#: Working directories as `trained` has left them, by what it was asked for.
TRAINED: dict[str, Path] = {}


def truth(object_id: str) -> str:
    return COLOURS[int(object_id[-3:]) % 3]


def write_museum(collection: str, swapped: Sequence[int] = (), folds: int = 0) -> None:
    """Objects of three colours: IN_SPLIT labelled, then BLANK ones, ODD that are blank and white, STRANGE of a class
    that is too rare. One in ten is of a colour that its label does not say.

    Args:
        swapped: numbers of objects that bear the next colour's name.
    """
    at, generator = CollectionPaths(collection), np.random.default_rng(len(collection))
    n = IN_SPLIT + BLANK + ODD + STRANGE
    shown = np.arange(n) % 3
    pale = generator.random(n) < 0.1
    shown[pale] = generator.integers(0, 3, int(pale.sum()))
    pixels = generator.integers(0, 150, (n, 32, 32, 3), dtype=np.uint8)
    pixels[np.arange(n), ..., shown] += np.uint8(105)
    pixels[IN_SPLIT + BLANK : IN_SPLIT + BLANK + ODD] = 255
    pixels[IN_SPLIT + BLANK : IN_SPLIT + BLANK + ODD, ::2] = 0
    np.save(at.pixels_of_size(32), pixels)
    ids, images = [f"{collection}-{i:03}" for i in range(n)], [f"{i:03}.jpg" for i in range(n)]
    pq.write_table(pa.table({"object_id": ids, "image": images, "row": pa.array(range(n), pa.int64())}), at.images)
    names = [COLOURS[(i + (i in swapped)) % 3] for i in range(IN_SPLIT)]
    listed = [[one] for one in names] + [[]] * (BLANK + ODD) + [["zeldzaam"]] * STRANGE
    nothing: dict[str, Any] = {name: [None] * n for name in SCHEMA.names}
    everything = {"object_id": ids, "image": images, "type": listed, "creator": [[]] * n, "material": [[]] * n}
    pq.write_table(pa.table(nothing | everything, SCHEMA), at.catalogue)
    columns: dict[str, Any] = {"object_id": ids[:IN_SPLIT], "image": images[:IN_SPLIT]}
    columns |= {"label": pa.array(names).dictionary_encode(), "values": [[one] for one in names]}
    split = np.repeat(SPLITS, (180, 60, 60))[generator.permutation(IN_SPLIT)]
    columns["split"] = pa.array(split).dictionary_encode()
    if folds:
        columns["fold"] = pa.array(generator.permutation(IN_SPLIT) % folds, pa.int8())
    pq.write_table(pa.table(columns), at.split("type"))


def trained(content: dict[str, Any], swapped: Sequence[int] = (), folds: int = 0) -> Params:
    """A softmax layer trained on the source's objects; as each is trained once, the working directory gets a copy."""
    content["splits"]["folds"] = folds or 1
    content["training"]["max_epochs"]["off_the_shelf"] = 60
    content["training"]["normalisation"] = {"off_the_shelf": "pretrained", "fine_tuning": "pretrained"}
    params = Params.model_validate(content)
    asked = f"{params!r} {list(swapped)}"
    if asked in TRAINED:
        shutil.copytree(TRAINED[asked], Path(), dirs_exist_ok=True)
        return params
    write_museum("source", swapped, folds)
    write_museum("target")
    features(params, "source", "test_resnet", None)
    train.off_the_shelf(params, KEY)
    kept = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, kept)
    TRAINED[asked] = shutil.copytree(Path(), kept, dirs_exist_ok=True)
    return params
