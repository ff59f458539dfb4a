"""A network in use on a processor: a convolution and the normalisation, addition and ReLU behind it, as one operation.

What a layer leaves is then written to memory once, not three times; for float32 and GPUs it is not done. The network
itself is as it was, and trains on.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import fx, nn

if TYPE_CHECKING:
    from torch import Tensor

    from rijksnet.networks.architectures import Network

#: Under what name a network keeps what it is in use.
KEPT = "_fused"

#: Additions, as torch's graphs name them.
ADDITIONS = (operator.add, operator.iadd, torch.add)


class Fused:
    """The same answers as the network's, but for rounding in bf16; the weights are those of its last `refresh`."""

    def __init__(self, network: Network) -> None:
        self._network = network
        root = _Features(network.backbone)
        graph = _Tracer().trace(root)
        self._layers = _fuse(graph, dict(root.named_modules()))
        for layer in self._layers:
            root.add_module(layer.name, layer)
        self._forward = fx.GraphModule(root, graph)

    def refresh(self) -> None:
        """Take the network's present weights."""
        for layer in self._layers:
            layer.fold()

    @property
    def softmax(self) -> nn.Linear:
        return self._network.softmax

    def features(self, pixels_bhwc: Tensor) -> Tensor:
        """Globally average-pooled features, float (B, F), of uint8 pixels (B, H, W, 3)."""
        return self._network.pool(self._forward(self._network.normalised(pixels_bhwc)))

    def __call__(self, pixels_bhwc: Tensor) -> Tensor:
        """Logits, float (B, Q)."""
        return cast("Tensor", self._network.softmax(self.features(pixels_bhwc)))


def fused(network: Network) -> Network | Fused:
    """The network with its present weights, fused; itself where its graph depends on its inputs."""
    if KEPT not in vars(network):
        try:
            found = Fused(network)
        except Exception:  # of many types: whatever a model does that is no graph
            found = None
        vars(network)[KEPT] = found  # as long as the network itself; no module of it
    one: Fused | None = vars(network)[KEPT]
    if one is None:
        return network
    one.refresh()
    return one


class _Features(nn.Module):
    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, x_bchw: Tensor) -> Tensor:
        return cast("Tensor", self.backbone.forward_features(x_bchw))


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, nn.Conv2d | nn.BatchNorm2d) or super().is_leaf_module(module, name)


class _FusedConvolution(nn.Module):
    """A convolution, and what follows it."""

    def __init__(self, name: str, convolution: nn.Conv2d, norm: nn.BatchNorm2d | None, then: str) -> None:
        super().__init__()
        self.name, self._of, self._norm, self._then = name, [convolution], [norm], then  # lists: not to be its children
        padding = [0, 0] if isinstance(convolution.padding, str) else list(convolution.padding)  # "same" is not fused
        self._shape: tuple[list[int], ...] = (padding, list(convolution.stride), list(convolution.dilation))
        self._how = (*self._shape, convolution.groups)

    def fold(self) -> None:
        """Take the convolution's weights and the normalisation's as one."""
        (convolution,), (norm,) = self._of, self._norm
        weight = convolution.weight.detach()
        bias = torch.zeros(len(weight)) if convolution.bias is None else convolution.bias.detach()
        if norm is not None:
            assert norm.running_var is not None
            assert norm.running_mean is not None
            scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
            weight = weight * scale.view(-1, 1, 1, 1)
            bias = (bias - norm.running_mean) * scale + norm.bias.detach()
        self._weight = weight.to(torch.bfloat16, memory_format=torch.channels_last)
        self._bias = bias.to(torch.bfloat16)

    def forward(self, x_bchw: Tensor, added_bchw: Tensor | None = None) -> Tensor:
        x = x_bchw.to(torch.bfloat16)
        if added_bchw is not None and added_bchw.shape == self._shape_for(x):  # oneDNN does not look whether it is
            then = None if self._then == "none" else self._then
            added = added_bchw.to(torch.bfloat16)
            done = torch.ops.mkldnn._convolution_pointwise.binary(
                x, added, self._weight, self._bias, *self._how, "add", 1.0, then, [], None
            )
            return cast("Tensor", done)
        then = self._then if added_bchw is None else "none"
        done = torch.ops.mkldnn._convolution_pointwise(x, self._weight, self._bias, *self._how, then, [], "")
        if added_bchw is not None:  # it broadcasts
            done = done + added_bchw
            done = done.relu() if self._then == "relu" else done
        return cast("Tensor", done)

    def _shape_for(self, x_bchw: Tensor) -> tuple[int, ...]:
        """Of what the convolution makes of x."""
        padding, stride, dilation = self._shape
        kernel = self._weight.shape[2:]
        sides = (
            (side + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1
            for i, side in enumerate(x_bchw.shape[2:])
        )
        return (len(x_bchw), len(self._weight), *sides)


def _fuse(graph: fx.Graph, modules: dict[str, nn.Module]) -> list[_FusedConvolution]:
    """Exchange in the graph what can be fused; the layers that stand for it."""
    for node in list(graph.nodes):
        if isinstance(_module(node, modules), nn.Identity | nn.Dropout):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    layers = list[_FusedConvolution]()
    place = {node: i for i, node in enumerate(graph.nodes)}
    for node in list(graph.nodes):
        convolution = _module(node, modules)
        if type(convolution) is not nn.Conv2d or convolution.padding_mode != "zeros" or convolution.padding == "same":
            continue
        chain, arguments = [node], [node.args[0]]
        norm = _module(behind := _only_user(node), modules)
        relu = False
        if isinstance(norm, nn.BatchNorm2d) and norm.track_running_stats and norm.affine and _is_plain(norm):
            chain.append(behind)
            relu = isinstance(getattr(norm, "act", None), nn.ReLU)  # of timm's normalisations with an activation
        else:
            norm = None
        behind = _only_user(chain[-1])
        if not relu and behind is not None and behind.target in ADDITIONS and not behind.kwargs:
            others = [one for one in behind.args if isinstance(one, fx.Node) and one is not chain[-1]]
            if others and place[others[0]] < place[node] and not _changes_between(chain, behind, modules):
                chain.append(behind)
                arguments += others
        behind = _only_user(chain[-1])
        if not relu and _is_relu(behind, modules):
            chain.append(behind)
            relu = True
        name = f"fused{len(layers)}"
        layers.append(_FusedConvolution(name, convolution, norm, "relu" if relu else "none"))
        with graph.inserting_after(chain[-1]):
            one = graph.call_module(name, tuple(arguments))
        place[one] = place[chain[-1]]
        chain[-1].replace_all_uses_with(one)
        for gone in reversed(chain):
            graph.erase_node(gone)
    return layers


def _changes_between(chain: list[fx.Node], behind: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether something between a convolution and where it would move to changes a tensor that it may read."""
    node = chain[0].next
    while node is not behind:
        changes = node.kwargs.get("inplace") or getattr(_module(node, modules), "inplace", False)
        if changes and node not in chain:
            return True
        node = node.next
    return False


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _module(node: fx.Node | None, modules: dict[str, nn.Module]) -> nn.Module | None:
    """What a node calls, if it is a module."""
    return modules.get(str(node.target)) if node is not None and node.op == "call_module" else None


def _is_plain(norm: nn.BatchNorm2d) -> bool:
    """Whether nothing but a ReLU comes with it."""
    return type(norm) is nn.BatchNorm2d or isinstance(getattr(norm, "act", None), nn.ReLU | nn.Identity)


def _is_relu(node: fx.Node | None, modules: dict[str, nn.Module]) -> bool:
    relus = (torch.relu, nn.functional.relu)
    return node is not None and (type(_module(node, modules)) is nn.ReLU or node.target in relus)
