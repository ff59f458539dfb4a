"""What a training costs, in floating-point operations: the same on every machine, however busy it is."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

#: Images of the measured batch: batch normalisation needs more than one.
MEASURED = 2


def softmax_cost(features: int, classes: int) -> float:
    """Operations of one training step of a softmax layer on cached features, per image: logits and their gradient.

    Two for each weight's multiplication and addition, forward and backward; features have no gradient.
    """
    return 4.0 * features * classes


def network_cost(model: nn.Module, pixels: NDArray[np.uint8]) -> float:
    """Operations of one training step of a network, per image, as torch counts those of convolutions and products.

    What is frozen has no gradient and costs its forward pass only.

    Args:
        pixels: uint8 (N, H, W, 3), of which nothing but the size matters.
    """
    from torch.utils.flop_counter import FlopCounterMode

    twin = copy.deepcopy(model).cpu().eval()
    inputs = torch.from_numpy(np.array(pixels[:1])).expand(MEASURED, -1, -1, -1)
    with FlopCounterMode(display=False) as counted:
        logits = twin(inputs)
        F.cross_entropy(logits, torch.zeros(MEASURED, dtype=torch.int64)).backward()
    return float(counted.get_total_flops()) / MEASURED
