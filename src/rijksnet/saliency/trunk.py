"""The trunk of a convolutional network: the layers that an image passes one after another, found by watching it pass.

A module counts as the sequence of its children where each child was given exactly what the one before it returned,
untouched in between; otherwise, as with residual, inception and dense blocks, it is one layer.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from rijksnet.errors import ParamsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Pair = tuple[int, int]

POOLS = (nn.MaxPool2d, nn.AvgPool2d)


@dataclass(frozen=True)
class Layer:
    """One layer of a trunk: a convolution or a block, with the activation that follows it; or a pooling layer.

    Sizes and geometry are (height, width); `before` and `after` are those of its input and output, `padding` is what
    was added at the top and at the left.
    """

    module: str  #: the last module of the layer, under `named_modules`' name: its output is the layer's
    averaged: bool  #: whether its maps say what was seen; a pooling layer's only repeat those before it
    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: Pair
    before: Pair
    after: Pair


@dataclass
class _Call:
    """One call of a module, with its input and output and how often each had been changed in place by then."""

    path: str
    module: nn.Module
    given: Tensor | None
    given_version: int
    returned: Tensor | None = None
    returned_version: int = -1
    calls: list[_Call] = field(default_factory=list)


def trunk_of(backbone: Any, x_bchw: Tensor) -> list[Layer]:
    """The layers that `backbone.forward_features` leads an input through, in order.

    Args:
        x_bchw: one input, float (1, 3, H, W), of the size that maps are wanted for.

    Raises:
        ParamsError: this is no convolutional network, or its forward pass is no sequence of its modules.
    """
    root = _watched(backbone, x_bchw)
    maps = root.returned
    if maps is None or maps.ndim != 4 or getattr(backbone, "output_fmt", "NCHW") != "NCHW":
        raise ParamsError(
            f"{type(backbone).__name__} gives no maps of shape (B, C, H, W): saliency is for convolutional networks; "
            "leave this architecture out of side_experiments.architectures"
        )
    if not _is_sequence(root):
        raise ParamsError(
            f"{type(backbone).__name__} is no sequence of its modules: VisualBackProp cannot tell which layer follows "
            "which; leave this architecture out of side_experiments.architectures"
        )
    layers: list[Layer] = []
    for call in _parts(root):
        found = _layer(call)
        if found is not None:
            layers.append(found)
        elif layers:  # an activation or a normalisation belongs to the layer before it
            layers[-1] = Layer(**{**vars(layers[-1]), "module": call.path})
    return layers


@contextmanager
def observing(backbone: nn.Module, names: list[str], see: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Tell `see` what the named modules return as soon as they do: later ones may change it in place."""

    def hook(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda _module, _given, returned: see(name, returned)

    handles = [backbone.get_submodule(name).register_forward_hook(hook(name)) for name in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def _watched(backbone: Any, x: Tensor) -> _Call:
    """The calls of one forward pass, nested as they were made."""
    root = _Call("", backbone, x, x._version)
    open_calls = [root]

    def begin(path: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(module: nn.Module, given: tuple[Any, ...]) -> None:
            first = given[0] if given and isinstance(given[0], Tensor) else None
            call = _Call(path, module, first, -1 if first is None else first._version)
            open_calls[-1].calls.append(call)
            open_calls.append(call)

        return hook

    def end(_module: nn.Module, _given: object, returned: object) -> None:
        call = open_calls.pop()
        if isinstance(returned, Tensor):
            call.returned, call.returned_version = returned, returned._version

    handles = []
    for path, module in backbone.named_modules():
        if path:
            handles += [module.register_forward_pre_hook(begin(path)), module.register_forward_hook(end)]
    try:
        maps = backbone.forward_features(x)
    finally:
        for handle in handles:
            handle.remove()
    root.returned, root.returned_version = maps, maps._version
    return root


def _is_sequence(call: _Call) -> bool:
    """Whether what the call was given went from child to child, untouched in between, and was then returned."""
    at, version = call.given, call.given_version
    for child in call.calls:
        if child.given is not at or child.given_version != version or child.returned is None:
            return False
        at, version = child.returned, child.returned_version
    return bool(call.calls) and call.returned is at and call.returned_version == version


def _parts(call: _Call) -> list[_Call]:
    return [part for child in call.calls for part in _parts(child)] if _is_sequence(call) else [call]


def _layer(call: _Call) -> Layer | None:
    """The call as a layer; None if it works on each position alone."""
    assert call.given is not None
    assert call.returned is not None
    before, after = cast("Pair", tuple(call.given.shape[2:])), cast("Pair", tuple(call.returned.shape[2:]))
    module = call.module
    if isinstance(module, (nn.Conv2d, *POOLS)):
        dilation = _pair(getattr(module, "dilation", 1))
        kernel, stride = _pair(module.kernel_size), _pair(module.stride)
        averaged, ceils = isinstance(module, nn.Conv2d), getattr(module, "ceil_mode", False)
        padding = _pair(0 if isinstance(module.padding, str) else module.padding)
        if padding == (0, 0) and not ceils:
            padding = _added_at_run_time(before, after, kernel, stride, dilation)
        return Layer(call.path, averaged, kernel, stride, dilation, padding, before, after)
    averaged = any(isinstance(part, nn.Conv2d) for part in module.modules())
    if not averaged and before == after:
        return None
    block = [_geometry_of_block(b, a) for b, a in zip(before, after, strict=True)]
    kernel, stride, padding = (cast("Pair", pair) for pair in zip(*block, strict=True))
    return Layer(call.path, averaged, kernel, stride, (1, 1), padding, before, after)


def _geometry_of_block(before: int, after: int) -> tuple[int, int, int]:
    """Kernel, stride and padding of the convolution that a block counts as: of three pixels, or its stride if more."""
    for stride in range(1, before + 1):
        kernel = max(3, stride)
        for padding in (1, 0):
            if (before + 2 * padding - kernel) // stride + 1 == after:
                return kernel, stride, padding
    raise AssertionError(f"no convolution takes {before} px to {after}")


def _pair(value: int | tuple[int, ...]) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _added_at_run_time(before: Pair, after: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Pair:
    """Padding at the top and at the left of a layer that pads as far as it needs (TensorFlow's SAME), else 0."""
    return cast(
        "Pair",
        tuple(
            max((a - 1) * s + (k - 1) * d + 1 - b, 0) // 2
            for b, a, k, s, d in zip(before, after, kernel, stride, dilation, strict=True)
        ),
    )
