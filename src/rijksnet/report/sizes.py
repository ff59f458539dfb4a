"""How large networks are, computed from their designs: Table 2's "Params" and feature size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Size:
    """`backbone`: trainable values without the softmax layer; `feature_size`: length of the feature vector."""

    backbone: int
    feature_size: int

    def parameters(self, classes: int) -> int:
        """Trainable values of the network with its softmax layer over that many classes."""
        return self.backbone + (self.feature_size + 1) * classes


@cache
def size_of(architecture: str) -> Size:
    """The size of an architecture, built on the meta device: no weights are read or drawn.

    Raises:
        ParamsError: timm knows no such architecture.
    """
    import torch

    from rijksnet.networks.architectures import Network, design_as_published, parameter_count

    with torch.device("meta"):
        network = Network(design_as_published(architecture), 1, "unit")
    return Size(parameter_count(network.backbone), network.feature_size)
