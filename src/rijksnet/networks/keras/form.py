"""Networks built as keras.applications builds them, where timm's of the same name compute something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import torch
import torch.nn.functional as F
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.pool2d_same import MaxPool2dSame
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

#: Keras', and ResNet50's before Keras 2.2.3 (no padding before its pooling) and before 2.1 (uneven before its first
#: convolution).
KerasForm = Literal["keras", "keras_2.1", "keras_2.0"]


class UnpaddedAverage(nn.Conv2d):
    """A 1×1 convolution after an average over 3×3 that counted padding as zeros: it takes that back.

    TensorFlow averages over what is there.
    """

    def forward(self, x_bchw: Tensor) -> Tensor:
        there = torch.ones_like(x_bchw[:1, :1])
        share = F.avg_pool2d(there, 3, stride=1, padding=1)  # of the 3×3 window that is no padding
        return super().forward(x_bchw / share)


def build_as_keras(backbone: nn.Module, architecture: str, form: KerasForm) -> None:
    """Change a new network of timm's in place; its tensors keep their names and shapes.

    - ResNet50 halves its maps in the first convolution of a block, of 1×1; timm's in the second, of 3×3.
    - Xception's pooling pads at the end where a side is even.
    - Inception-V3 averages without counting padding.
    """
    if architecture == "resnet50":
        _stride_first(backbone)
        if form != "keras":
            backbone.maxpool = nn.MaxPool2d(3, stride=2)
        if form == "keras_2.0":
            first = cast("nn.Conv2d", backbone.conv1)
            first.padding = (0, 0)
            _become(first, Conv2dSame)
    elif architecture == "xception":
        for blocks in [module for module in backbone.modules() if isinstance(module, nn.Sequential)]:
            for i in [i for i, one in enumerate(blocks) if isinstance(one, nn.MaxPool2d)]:
                blocks[i] = MaxPool2dSame(3, stride=2)
    elif architecture == "inception_v3":
        for convolution in [one for name, one in backbone.named_modules() if name.endswith("branch_pool.conv")]:
            _become(convolution, UnpaddedAverage)


def _stride_first(backbone: nn.Module) -> None:
    for stage in (2, 3, 4):
        block = cast("nn.ModuleList", backbone.get_submodule(f"layer{stage}"))[0]
        first, second = cast("nn.Conv2d", block.conv1), cast("nn.Conv2d", block.conv2)
        first.stride, second.stride = second.stride, first.stride


def _become(module: nn.Module, cls: type[nn.Module]) -> None:
    """Let a module compute otherwise: its tensors, names and hooks stay."""
    module.__class__ = cls
