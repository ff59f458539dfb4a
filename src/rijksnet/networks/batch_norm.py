"""A network's batch normalisation; light to import."""

from __future__ import annotations

from torch import nn

BatchNorm = nn.modules.batchnorm._BatchNorm


def batch_norms(network: nn.Module) -> list[BatchNorm]:
    """Every batch normalisation of a network, in its order; VGG19 has none."""
    return [layer for layer in network.modules() if isinstance(layer, BatchNorm)]


def set_epsilon(network: nn.Module, epsilon: float) -> None:
    """What is added to every variance before its root is taken."""
    for layer in batch_norms(network):
        layer.eps = epsilon


def set_momentum(network: nn.Module, momentum: float) -> None:
    """Let running statistics keep this share of themselves at every training step; torch counts what they give up."""
    for layer in batch_norms(network):
        layer.momentum = 1 - momentum
