"""How large networks are: Table 2's "Params" and feature size."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

from rijksnet.paths import REFERENCE

#: The paper's networks, counted once: building them takes longer than all else that a report does.
COUNTED = REFERENCE / "network_sizes.csv"


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
    """The size of an architecture: the paper's from `COUNTED`, others counted here.

    Raises:
        ParamsError: timm knows no such architecture.
    """
    return _counted().get(architecture) or count(architecture)


@cache
def _counted() -> dict[str, Size]:
    if not COUNTED.is_file():
        return {}
    with COUNTED.open(newline="", encoding="utf-8") as file:
        return {
            row["architecture"]: Size(int(row["backbone"]), int(row["feature_size"])) for row in csv.DictReader(file)
        }


def count(architecture: str) -> Size:
    """Build an architecture on the meta device, where no weights are read or drawn, and count."""
    import torch

    from rijksnet.networks.architectures import Network, design_as_published, parameter_count

    with torch.device("meta"):
        network = Network(design_as_published(architecture), 1, "unit")
    return Size(parameter_count(network.backbone), network.feature_size)
