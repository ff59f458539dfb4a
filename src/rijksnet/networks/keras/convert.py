"""From Keras' layers to timm's tensors: each array in its place, its shape checked, what differs refused by name."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from rijksnet.errors import ParamsError, WeightsError
from rijksnet.networks.architectures import Network
from rijksnet.networks.batch_norm import BatchNorm
from rijksnet.networks.keras.files import read
from rijksnet.networks.keras.layouts import CAFFE_MEAN, LAYOUTS, TORCH_MEAN, TORCH_STD, todays_name
from rijksnet.networks.weights import Design

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from rijksnet.networks.keras.files import KerasModel, Layer
    from rijksnet.networks.keras.form import KerasForm
    from rijksnet.networks.keras.layouts import Layout, Place


@dataclass(frozen=True)
class Imported:
    """A backbone out of a file of Keras'."""

    design: Design
    tensors: dict[str, Tensor]  #: timm's names
    left_out: tuple[str, ...]  #: layers with arrays that are not the backbone's: a head
    notes: tuple[str, ...] = field(default=())  #: what the file does not say, and what was taken instead


def load(path: Path, architecture: str) -> Imported:
    """The backbone of one of keras.applications' networks, out of any file that Keras writes.

    Args:
        architecture: one of `LAYOUTS`.

    Raises:
        ParamsError: it is not.
        WeightsError: the file is damaged, or a layer is missing or other than the network's.
    """
    if architecture not in LAYOUTS:
        raise ParamsError(f"of Keras' networks only {sorted(LAYOUTS)} can be read, not {architecture!r}")
    layout = LAYOUTS[architecture]()
    models = read(path)
    model = max(models, key=lambda one: sum(layer.kind in ("convolution", "separable") for layer in one.layers))
    placed = _placed(model, layout, path)
    used = {id(layer) for layer in placed.values()}
    left_out = tuple(layer.name for one in models for layer in one.layers if id(layer) not in used)
    form = _form(model, architecture)
    epsilon = _epsilon(placed, layout, model, path)
    mean, std, notes = _pixel_scale(placed, layout, models)
    options: dict[str, Any] = dict(layout.options)
    design = Design(architecture, options, mean, std, epsilon, form)
    if epsilon is not None and not any("epsilon" in layer.config for layer in placed.values()):
        notes = (
            *notes,
            f"the file does not say epsilon of batch normalisation: {epsilon:g}, as keras.applications has it",
        )
    with torch.device("meta"):  # for its shapes alone
        network = Network(design, classes=1, normalisation="unit").backbone
    tensors = dict(_converted(network, placed, layout, path))
    if layout.pixel_scale == "caffe":  # blue comes first there
        first = f"{layout.places[0].module}.weight"
        tensors[first] = tensors[first].flip(1)
    return Imported(design, tensors, left_out, notes)


# --- which layer is which ---------------------------------------------------------------------------------------------


def _placed(model: KerasModel, layout: Layout, path: Path) -> dict[Place, Layer]:
    """The layer at each place: by name where the file keeps names, else by class and order."""
    found: dict[Place, Layer] = {}
    by_name = {todays_name(layer.name): layer for layer in model.layers}
    for kind in {place.kind for place in layout.places}:
        places = [place for place in layout.places if place.kind == kind]
        of_kind = [layer for layer in model.layers if layer.kind == kind]
        if model.named:
            found |= {place: by_name[place.name] for place in places if place.name in by_name}
            places = sorted((place for place in places if not place.name), key=lambda place: place.created)
            of_kind = sorted((layer for layer in of_kind if _is_numbered(layer)), key=_number)
        found |= dict(zip(places, of_kind, strict=False))
    missing = [place for place in layout.places if place not in found]
    if missing:
        there = [layer.name for layer in model.layers]
        raise WeightsError(
            f"{path} is not Keras' {layout.title}: it lacks {len(missing)} of its {len(layout.places)} layers, the "
            f"first {_called(missing[0])}; it has {len(there)}: {', '.join(there[:4])}, …{_perhaps(model, layout)}"
        )
    return found


def _is_numbered(layer: Layer) -> bool:
    return re.fullmatch(r"[a-z]+(2d)?(_normalization|_conv2d)?(_\d+)?", layer.name) is not None


def _number(layer: Layer) -> int:
    found = re.search(r"_(\d+)$", layer.name)
    return int(found[1]) if found else 0


def _called(place: Place) -> str:
    return repr(place.name or f"{place.kind.replace('_', ' ')} no. {place.created + 1} without a name of its own")


def _perhaps(model: KerasModel, layout: Layout) -> str:
    """Which network a file may be of instead: the one with as many layers of each kind."""
    if not model.named:
        return ""
    names = {todays_name(layer.name) for layer in model.layers}
    for architecture, other in LAYOUTS.items():
        wanted = {place.name for place in other().places if place.name}
        if wanted and wanted <= names and other().title != layout.title:
            return f". It has all of {architecture}'s"
    return ""


# --- how it is built --------------------------------------------------------------------------------------------------


def _form(model: KerasModel, architecture: str) -> KerasForm:
    """ResNet50 padded less in early versions of Keras: its layers without arrays tell, where they are listed."""
    if architecture != "resnet50" or not any(layer.name.startswith("res2a_") for layer in model.layers):
        return "keras"
    if "pool1_pad" in model.listed:
        return "keras"
    return "keras_2.1" if any("pad" in name for name in model.listed) else "keras_2.0"


def _epsilon(placed: dict[Place, Layer], layout: Layout, model: KerasModel, path: Path) -> float | None:
    """The one epsilon of all batch normalisation."""
    found = {
        float(layer.config["epsilon"]): layer.name
        for layer in placed.values()
        if layer.kind == "batch_norm" and "epsilon" in layer.config
    }
    if len(found) > 1:
        said = ", ".join(f"{epsilon:g} in {name!r}" for epsilon, name in found.items())
        raise WeightsError(
            f"{path}: epsilon of batch normalisation differs between layers ({said}): not keras.applications'"
        )
    if found:
        return next(iter(found))
    old_resnet = any(layer.name.startswith("res2a_") for layer in model.layers)
    return 1e-3 if old_resnet else layout.epsilon


Triple = tuple[float, float, float]


def _pixel_scale(
    placed: dict[Place, Layer], layout: Layout, models: list[KerasModel]
) -> tuple[Triple, Triple, tuple[str, ...]]:
    """Mean and standard deviation, in [0,1] and red first, by which Keras' preparation normalises; and notes."""
    if layout.pixel_scale == "caffe":
        red, green, blue = (value / 255 for value in CAFFE_MEAN)
        return (red, green, blue), (1 / 255,) * 3, ()
    if layout.pixel_scale == "tf":
        return (0.5,) * 3, (0.5,) * 3, ()
    if layout.pixel_scale == "torch":
        return TORCH_MEAN, TORCH_STD, ()
    layer = next(layer for place, layer in placed.items() if place.kind == "input_norm")
    mean, variance = (np.asarray(layer.arrays[name], np.float64).reshape(3) for name in ("mean", "variance"))
    scales = [
        np.asarray(config["scale"], np.float64)
        for one in models
        for cls, config in one.configs
        if cls == "Rescaling" and np.size(config["scale"]) == 3
    ]
    notes: tuple[str, ...] = ()
    # keras.applications stored ImageNet's deviations as variances, and made up for it by a second layer that rescales
    rescales = sum(name.startswith("rescaling") for one in models for name in one.listed)
    if not scales and rescales > 1 and not any(one.configs for one in models):
        scales = [1 / np.sqrt(TORCH_STD)]
        notes = ("the file does not say by how much its second layer rescales: as with keras.applications' weights",)
    std = np.sqrt(np.maximum(variance, 1e-14))
    for scale in scales:
        std = std / scale
    red, green, blue = mean.tolist()
    wide, middle, narrow = std.tolist()
    return (red, green, blue), (wide, middle, narrow), notes


# --- arrays -----------------------------------------------------------------------------------------------------------


def _converted(
    network: nn.Module, placed: dict[Place, Layer], layout: Layout, path: Path
) -> Iterator[tuple[str, Tensor]]:
    wanted = network.state_dict()
    norm_of = {place.module: place for place in layout.places if place.kind == "batch_norm"}
    shifts: dict[str, NDArray[np.float32]] = {}
    for place, layer in placed.items():
        if place.kind == "input_norm":
            continue
        module = network.get_submodule(place.module)
        _check_settings(module, layer, path)
        for name, array in _arrays(place, layer, module):
            if name == "bias" and module.bias is None:  # ResNet50's convolutions have one, before the mean is taken off
                shifts[_norm_after(place.module)] = array
                continue
            full = f"{place.module}.{name}"
            if array.shape != tuple(wanted[full].shape):
                raise WeightsError(
                    f"{path}: layer {layer.name!r} does not fit Keras' {layout.title}: {name} has the shape "
                    f"{tuple(array.shape)}, in timm's order, and should have {tuple(wanted[full].shape)}"
                )
            yield full, torch.from_numpy(np.ascontiguousarray(array, np.float32))
    for module_path, shift in shifts.items():
        mean = placed[norm_of[module_path]].arrays["moving_mean"]
        yield f"{module_path}.running_mean", torch.from_numpy(np.ascontiguousarray(mean - shift, np.float32))
    for module_path in norm_of:
        yield f"{module_path}.num_batches_tracked", torch.zeros((), dtype=torch.int64)


def _norm_after(convolution: str) -> str:
    """ResNet50's batch normalisation after a convolution."""
    return convolution.replace("conv", "bn").replace("downsample.0", "downsample.1")


def _arrays(place: Place, layer: Layer, module: nn.Module) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """A layer's arrays under torch's names and in its order of axes."""
    found = layer.arrays
    if place.kind == "batch_norm":
        size = found["moving_mean"].shape
        yield "weight", found.get("gamma", np.ones(size, np.float32))
        yield "bias", found.get("beta", np.zeros(size, np.float32))
        yield "running_mean", found["moving_mean"]
        yield "running_var", found["moving_variance"]
        return
    if place.kind == "separable":
        yield "conv1.weight", _depthwise(found["depthwise_kernel"])
        yield "pointwise.weight", found["pointwise_kernel"].transpose(3, 2, 0, 1)
    elif place.kind == "depthwise":
        yield "weight", _depthwise(found["kernel"])
    else:
        yield "weight", found["kernel"].transpose(3, 2, 0, 1)  # (H, W, in, out) to (out, in, H, W)
    if "bias" in found:
        yield "bias", found["bias"]


def _depthwise(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W, in, multiplier) to (in · multiplier, 1, H, W)."""
    height, width, channels, multiplier = kernel.shape
    return kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)


def _check_settings(module: nn.Module, layer: Layer, path: Path) -> None:
    """Compare what a file says of a layer with what will be built: weights fit other strides just as well."""
    convolution = module if isinstance(module, nn.Conv2d) else getattr(module, "conv1", None)
    if isinstance(convolution, nn.Conv2d):
        for setting, built in (("strides", convolution.stride), ("dilation_rate", convolution.dilation)):
            said = layer.config.get(setting)
            if said is not None and tuple(np.broadcast_to(said, 2).tolist()) != tuple(built):
                raise WeightsError(
                    f"{path}: layer {layer.name!r} has {setting} {said}, and keras.applications' has {built}"
                )
        if layer.config.get("activation", "linear") not in ("linear", "relu", "swish", "silu", "sigmoid"):
            raise WeightsError(
                f"{path}: layer {layer.name!r} has the activation {layer.config['activation']!r}, which "
                "keras.applications' does not have"
            )
    if isinstance(module, BatchNorm) and not all(math.isfinite(float(v.sum())) for v in layer.arrays.values()):
        raise WeightsError(f"{path}: layer {layer.name!r} holds values that are not finite")
