"""Keras' files of weights, written by h5py alone: in the forms that Keras 2 and 3 write them in."""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from keras_files.drawn_weights import arrays

HERE = Path(__file__).parent

#: Of each network's layers: name, class, shapes of its arrays, settings; in the order of Keras' `model.layers`.
LAYERS: dict[str, list[Any]] = json.loads((HERE / "layers.json").read_text())

VARIABLES = {
    "Conv2D": ("kernel", "bias"),
    "DepthwiseConv2D": ("depthwise_kernel", "bias"),
    "SeparableConv2D": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "Normalization": ("mean", "variance", "count"),
    "Dense": ("kernel", "bias"),
}

Layer = tuple[str, str, list[np.ndarray], dict[str, Any]]


@cache
def layers_of(network: str) -> list[Layer]:
    """Name, class, arrays and settings of every layer."""
    return [
        (name, kind, arrays(network, place, kind, shapes) if shapes else [], settings)
        for place, (name, kind, shapes, settings) in enumerate(LAYERS[network])
    ]


def _variables(kind: str, values: list[np.ndarray]) -> tuple[str, ...]:
    names = VARIABLES.get(kind, ())
    return names[1:] if kind == "BatchNormalization" and len(values) == 3 else names


def write_keras2(path: Path, layers: list[Layer], **attributes: str) -> Path:
    """As `save_weights` of Keras 2 does: layers in groups of their names, arrays listed by attributes."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"keras_version": b"2.1.6", "backend": b"tensorflow", **attributes})
        file.attrs["layer_names"] = [name.encode() for name, *_ in layers]
        for name, kind, values, _ in layers:
            group = file.create_group(name)
            listed = [f"{name}/{variable}:0" for variable, _ in zip(_variables(kind, values), values, strict=False)]
            group.attrs["weight_names"] = [one.encode() for one in listed]
            for one, value in zip(listed, values, strict=True):
                group.create_dataset(one, data=value)
    return path


def write_keras3(path: Path, layers: list[Layer]) -> Path:
    """As `save_weights` of Keras 3 does: a group per layer, named after its class and counted."""
    with h5py.File(path, "w") as file:
        _write_layers(file, layers)
    return path


def write_archive(path: Path, layers: list[Layer]) -> Path:
    """As `save` of Keras 3 does: the layers' settings beside a file of weights."""
    described = [{"class_name": kind, "config": {"name": name, **settings}} for name, kind, _, settings in layers]
    weights = write_keras3(path.with_suffix(".inner"), layers)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.3.3"}))
        archive.writestr("config.json", json.dumps({"class_name": "Functional", "config": {"layers": described}}))
        archive.write(weights, "model.weights.h5")
    return path


def _write_layers(file: h5py.Group, layers: list[Layer]) -> None:
    seen: Counter[str] = Counter()
    for _, kind, values, _ in layers:
        snake = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", kind)).lower()
        group = file.create_group(f"layers/{snake}" + (f"_{seen[snake]}" if seen[snake] else ""))
        seen[snake] += 1
        for i, value in enumerate(values):
            group.create_dataset(f"vars/{i}", data=value)
