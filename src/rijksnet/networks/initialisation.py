"""Where weights start when they come from no file."""

from __future__ import annotations

import torch
from torch import nn


def initialise_softmax(layer: nn.Linear, block: slice = slice(None)) -> None:
    """Glorot-uniform weights and no bias: Keras' default, which the paper leaves unsaid.

    Args:
        block: the classes to initialise, where the layer holds several softmax layers side by side.
    """
    with torch.no_grad():
        nn.init.xavier_uniform_(layer.weight[block])
        nn.init.zeros_(layer.bias[block])


def initialise_he_uniform(network: nn.Module) -> None:
    """He-uniform weights for every convolution and linear layer (section 4, training from scratch).

    Normalisation layers start as the identity; biases at zero.
    """
    for module in network.modules():
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if not isinstance(weight, nn.Parameter):
            continue
        if weight.ndim >= 2:
            nn.init.kaiming_uniform_(weight, nonlinearity="relu")
        else:
            nn.init.ones_(weight)
        if isinstance(bias, nn.Parameter):
            nn.init.zeros_(bias)
