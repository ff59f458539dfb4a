"""Keras' files, read by h5py alone: archives (`.keras`), weights files (`.weights.h5`) and HDF5 files of Keras 2.

What a file says of code (Lambda layers, custom objects) is never looked at: only layers, their settings and arrays.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import h5py

from rijksnet.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

#: What a layer does, as far as it has arrays that are of use here.
Kind = Literal["convolution", "depthwise", "separable", "batch_norm", "input_norm", "dense", "other"]

#: Largest file inside an archive that is unpacked: VGG19 with its head takes 575 MB, an optimiser's state twice that.
_MAX_BYTES = 4 * 1024**3

_KINDS: dict[str, Kind] = {
    "conv2d": "convolution",
    "depthwise_conv2d": "depthwise",
    "separable_conv2d": "separable",
    "batch_normalization": "batch_norm",
    "normalization": "input_norm",
    "dense": "dense",
}

#: Where Keras 3 and Keras 2's own form of it keep the layers of a model.
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")


@dataclass(frozen=True)
class Layer:
    """One layer that has arrays."""

    name: str  #: its own, or where the file keeps no names, its class and a counter: `conv2d_3`
    kind: Kind
    arrays: dict[str, NDArray[np.float32]]  #: by Keras' names: kernel, bias, gamma, ...
    config: dict[str, Any] = field(default_factory=dict)  #: settings; empty where the file does not keep them


@dataclass(frozen=True)
class KerasModel:
    """A model, or one that is nested in another: its layers in the order of `model.layers`."""

    name: str
    layers: tuple[Layer, ...]
    named: bool  #: whether layers have their own names
    listed: tuple[str, ...]  #: names of all layers, those without arrays among them
    configs: tuple[tuple[str, dict[str, Any]], ...] = ()  #: class and settings of each layer; empty: not known


def read(path: Path) -> list[KerasModel]:
    """Every model in a file, the outermost first: a backbone may be nested in a model with a head of its own.

    Raises:
        WeightsError: the file is absent, damaged, or none of Keras' forms.
    """
    try:
        if zipfile.is_zipfile(path):
            return _read_archive(path)
        if not h5py.is_hdf5(path):
            if not path.is_file():
                raise WeightsError(f"weights file {path} does not exist")
            raise WeightsError(
                f"{path} is no file that Keras writes: neither HDF5 (.h5, .weights.h5) nor an archive (.keras)"
            )
        with h5py.File(path, "r") as file:
            return _read_hdf5(file, path)
    except (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path} is a damaged file of Keras' ({_said(error)}): fetch it again") from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else str(error)


# --- Keras 3, and Keras 2 in the same form: a group per layer, named after its class ---------------------------------


def _read_archive(path: Path) -> list[KerasModel]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if "config.json" not in names or "model.weights.h5" not in names:
            raise WeightsError(f"{path} is a zip archive, but not of Keras': it holds {sorted(names)[:5]}")
        if (size := archive.getinfo("model.weights.h5").file_size) > _MAX_BYTES:
            raise WeightsError(
                f"{path} says that its weights take {size / 1024**3:.1f} GiB: that is none of these networks"
            )
        config = json.loads(archive.read("config.json"))
        with h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as file:
            return list(_models(file, str(config["config"].get("name", path.stem)), config["config"]))


def _models(group: h5py.Group, name: str, config: dict[str, Any] | None) -> Iterator[KerasModel]:
    """The model in a group, then those nested in it.

    Args:
        config: of the model; None: the file does not keep it.
    """
    container = next((group[one] for one in _CONTAINERS if one in group), None)
    if container is None:
        return
    described = None if config is None else [(one["class_name"], one["config"]) for one in config["layers"]]
    addresses = _addresses([cls for cls, _ in described]) if described is not None else _by_counter(container)
    layers, nested = [], []
    for i, address in enumerate(addresses):
        if address not in container:
            continue
        settings = described[i][1] if described is not None else {}
        child, own_name = container[address], str(settings.get("name", address))
        if any(one in child for one in _CONTAINERS):
            nested.append(_models(child, own_name, settings if described is not None else None))
        elif len(child.get("vars", ())):
            layers.append(_layer(child["vars"], own_name, _class_of(address), settings))
    listed = addresses if described is None else [str(settings.get("name", "")) for _, settings in described]
    yield KerasModel(name, tuple(layers), described is not None, tuple(listed), tuple(described or ()))
    for models in nested:
        yield from models


def _snake(class_name: str) -> str:
    """A class as Keras' files write it: `SeparableConv2D` is separable_conv2d."""
    name = re.sub(r"\W+", "", class_name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


def _addresses(classes: Sequence[str]) -> list[str]:
    """The group of each layer: its class, counted from the second on."""
    seen: Counter[str] = Counter()
    found = []
    for one in map(_snake, classes):
        found.append(one if not seen[one] else f"{one}_{seen[one]}")
        seen[one] += 1
    return found


def _by_counter(container: h5py.Group) -> list[str]:
    """Groups by class, each in the order in which layers were counted."""
    return sorted(container, key=lambda name: (_class_of(name), _number(name)))


def _class_of(address: str) -> str:
    return re.sub(r"_\d+$", "", address)


def _number(name: str) -> int:
    found = re.search(r"_(\d+)$", name)
    return int(found[1]) if found else 0


def _layer(variables: h5py.Group, name: str, class_name: str, config: dict[str, Any]) -> Layer:
    """A layer whose arrays are numbered, in the order in which its class makes them."""
    arrays = [variables[str(i)][()] for i in range(len(variables))]
    kind = _KINDS.get(class_name, "other")
    names: tuple[str, ...]
    if kind == "batch_norm":
        has_scale = config.get("scale", len(arrays) == 4)
        has_shift = config.get("center", True)
        names = ("gamma",) * has_scale + ("beta",) * has_shift + ("moving_mean", "moving_variance")
    elif kind == "separable":
        names = ("depthwise_kernel", "pointwise_kernel", "bias")
    elif kind == "input_norm":
        names = ("mean", "variance", "count")
    else:
        names = ("kernel", "bias")
    if kind == "other":
        names = tuple(map(str, range(len(arrays))))
    return Layer(name, kind, dict(zip(names, arrays, strict=False)), config)


# --- Keras 2: groups and arrays listed by attributes ------------------------------------------------------------------


def _read_hdf5(file: h5py.File, path: Path) -> list[KerasModel]:
    if any(one in file for one in _CONTAINERS):
        return list(_models(file, path.stem, None))
    root = file.get("model_weights", file)
    names = _listed(root, "layer_names")
    if not names:
        raise WeightsError(f"{path} is an HDF5 file, but not of Keras': it lists no layers (it has {sorted(file)[:5]})")
    version, backend = (_text(root.attrs.get(name, b"")) for name in ("keras_version", "backend"))
    if version.startswith(("0.", "1.")) or backend == "theano":
        raise WeightsError(
            f"{path} was written by Keras {version or '1'} on {backend or 'an unnamed backend'}, which lays kernels "
            "out otherwise: load it into Keras 2 on TensorFlow and save it again"
        )
    config = json.loads(_text(file.attrs["model_config"]))["config"] if "model_config" in file.attrs else None
    return list(_legacy_models(root, names, path.stem, config))


def _legacy_models(
    root: h5py.Group, names: list[str], title: str, config: dict[str, Any] | list[Any] | None
) -> Iterator[KerasModel]:
    described = _described(config)
    layers, nested = [], []
    for name in names:
        group = root[name]
        arrays: dict[str, dict[str, NDArray[np.float32]]] = {}
        for one in _listed(group, "weight_names"):
            owner, _, variable = one.rpartition("/")
            arrays.setdefault(owner, {})[variable.removesuffix(":0")] = group[one][()]
        settings = described.get(name, ("", {}))[1]
        if "layers" in settings or len(arrays) > 1:  # a nested model: its layers' arrays, under their own names
            inner = _described(settings)
            found = [
                _legacy_layer(own, values, inner.get(own, ("", {}))[1])
                for own, values in ((_last(owner, inner), values) for owner, values in arrays.items())
            ]
            order = {one: i for i, one in enumerate(inner)}
            found.sort(key=lambda layer: order.get(layer.name, len(order)))
            nested.append(KerasModel(name, tuple(found), True, tuple(inner), tuple(inner.values())))
        elif arrays:
            layers.append(_legacy_layer(name, next(iter(arrays.values())), settings))
    yield KerasModel(title, tuple(layers), True, tuple(names), tuple(described.values()))
    yield from nested


def _described(config: Any) -> dict[str, tuple[str, dict[str, Any]]]:
    """Class and settings of a model's layers, by name; early versions keep a sequential model as a bare list."""
    listed = config if isinstance(config, list) else (config or {}).get("layers", [])
    return {one["config"].get("name", one.get("name")): (one["class_name"], one["config"]) for one in listed}


def _last(owner: str, known: dict[str, Any]) -> str:
    """The layer that an array of a nested model belongs to; names of layers may have slashes of their own."""
    parts = owner.split("/")
    return next((name for i in range(len(parts)) if (name := "/".join(parts[i:])) in known), parts[-1])


def _legacy_layer(name: str, arrays: dict[str, NDArray[np.float32]], config: dict[str, Any]) -> Layer:
    kind: Kind = "other"
    if "moving_mean" in arrays:
        kind = "batch_norm"
    elif "pointwise_kernel" in arrays:
        kind = "separable"
    elif "depthwise_kernel" in arrays:
        kind = "depthwise"
    elif {"mean", "variance"} <= arrays.keys():
        kind = "input_norm"
    elif "kernel" in arrays:
        kind = "convolution" if arrays["kernel"].ndim == 4 else "dense"
    if kind == "depthwise":
        arrays = {("kernel" if key == "depthwise_kernel" else key): value for key, value in arrays.items()}
    return Layer(name, kind, arrays, config)


def _listed(group: h5py.Group, attribute: str) -> list[str]:
    """Names in an attribute, which Keras spreads over several where they are many."""
    parts = [attribute] if attribute in group.attrs else []
    while f"{attribute}{len(parts)}" in group.attrs:
        parts.append(f"{attribute}{len(parts)}")
    return [_text(one) for part in parts for one in group.attrs[part]]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
