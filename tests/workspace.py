"""A project in the working directory in which anything can be trained at once: three collections, and θ."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rijksnet import paths
from rijksnet.paths import CollectionPaths
from rijksnet.protocol import SPLITS

Content = dict[str, Any]

#: What `training.device` is in tests: `RIJKSNET_TEST_DEVICE=cuda` runs tests/numerics on a GPU.
DEVICE = os.environ.get("RIJKSNET_TEST_DEVICE", "cpu")


def tiny_content() -> Content:
    """Three drawn collections, `test_resnet` at 32 px on `DEVICE`, a few epochs."""
    return {
        "collections": {
            name: {"reader": "miniature", "raw": f"data/{name}/raw", "museum": museum, "objects": 20, "seed": 0}
            for name, museum in {"source": "rijksmuseum", "target": "antwerp", "photographs": "photographs"}.items()
        },
        "drawn": ["source", "target", "photographs"],
        "source": {"collection": "source", "challenges": ["material", "type"]},
        "target": {"collection": "target", "challenges": ["type"], "architectures": ["test_resnet"]},
        "architectures": ["test_resnet"],
        "input_size": 32,
        "squares": "stretched",
        "imagenet": {
            "timm": [],
            "file": {},
            "registry": {},
            "pretrain": {
                "collection": "photographs",
                "architectures": ["test_resnet"],
                "learning_rate": 0.05,
                "max_epochs": 3,
            },
        },
        "scratch": {"architecture": "test_resnet", "challenges": ["type"]},
        "splits": {"rule": "paper", "seed": 0, "together": "object", "folds": 1, "stratified": False},
        "training": {
            "protocol": "as_written",
            "normalisation": {"off_the_shelf": "protocol", "fine_tuning": "protocol"},
            "recipe": {"off_the_shelf": None, "fine_tuning": None},
            "batch_norm": {"constants": "own", "frozen": "running"},
            "precision": "fp32",
            "device": DEVICE,
            "threads": "auto",
            "max_epochs": {"off_the_shelf": 20, "fine_tuning": 4},
            "seed": 0,
        },
        "seeds": {"further": [], "source_challenges": [], "target_challenges": [], "architectures": []},
        "side_experiments": {
            "challenges": [],
            "architectures": [],
            "common_classes": [],
            "multi_task": [],
            "objects": 4,
        },
        "exploration": {
            "challenges": ["type"],
            "architectures": ["test_resnet"],
            "strategies": ["off_the_shelf", "fine_tuning"],
            "trials": {"off_the_shelf": 6, "fine_tuning": 3},
            "seed": 0,
            "sampler": "tpe",
            "pruner": "median",
            "objectives": ["accuracy"],
            "storage": "sqlite:///studies.db",
            "heartbeat_s": 1,
            "space": {
                "optimiser": ["rmsprop", "sgd", "adam", "adamw"],
                "learning_rate": {"low": 1e-4, "high": 0.1},
                "momentum": {"low": 0.5, "high": 0.99},
                "weight_decay": {"low": 1e-6, "high": 0.01},
                "label_smoothing": {"low": 0.0, "high": 0.2},
                "batch_size": [16, 32],
                "normalisation": ["unit", "pretrained"],
                "unfrozen": {"low": 0.25, "high": 1.0},
                "layer_rate": {"low": 0.5, "high": 1.0},
            },
        },
        "paper_curves": False,
        "tracking": {
            "uri": "sqlite:///mlflow.db",
            "ui": "http://127.0.0.1:5000",
            "artifacts": "mlartifacts",
            "live_after_s": 3600,
        },
        "cluster": None,
        "service": {"hosts": [], "megabytes": 20, "seconds": 30, "requests": 64},
    }


def make_workspace() -> None:
    """The three collections, split and packed, and θ of `test_resnet`, in the working directory."""
    import torch

    from rijksnet.networks import weights
    from rijksnet.networks.architectures import Network
    from rijksnet.networks.weights import Design

    for seed, collection in enumerate(("source", "target", "photographs")):
        write_collection(collection, seed)
    torch.manual_seed(100)
    design = Design("test_resnet", {}, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
    backbone = Network(design, 1, "unit").backbone
    weights.save(paths.imagenet_weights("test_resnet"), backbone.state_dict(), design, [])


def write_collection(collection: str, seed: int, size: int = 32) -> None:
    """100 images, 80/10/10, in three classes of different colours; their rows are in no order."""
    at, generator = CollectionPaths(collection), np.random.default_rng(seed)
    at.pixels.mkdir(parents=True)
    at.splits.mkdir()
    labels, rows = np.arange(100) % 3, generator.permutation(100)
    pixels = generator.integers(0, 150, (100, size, size, 3), dtype=np.uint8)
    pixels[rows, ..., labels] += np.uint8(105)
    np.save(at.pixels_of_size(size), pixels)
    images = {"object_id": [f"{collection}-{i:03}" for i in range(100)], "image": [f"{i:03}.jpg" for i in range(100)]}
    pq.write_table(pa.table({**images, "row": pa.array(rows, pa.int64())}), at.images)
    names = np.array(["blauw", "geel", "rood"])[labels]
    for challenge in ("material", "type"):
        split = np.repeat(SPLITS, (80, 10, 10))[generator.permutation(100)]
        columns = {"label": pa.array(names).dictionary_encode(), "split": pa.array(split).dictionary_encode()}
        columns["values"] = pa.array([[name] for name in names.tolist()])
        pq.write_table(pa.table({**images, **columns}), at.split(challenge))
