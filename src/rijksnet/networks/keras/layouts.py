"""Which layer of a network of keras.applications is which module of timm's, and how Keras prepares pixels for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rijksnet.networks.keras.files import Kind

#: How keras.applications scales pixels: `caffe`, 0 to 255 less a mean, blue first; `tf`, -1 to 1; `torch`, [0,1] by
#: ImageNet's mean and standard deviation; `layers`, the network's own first layers do it.
PixelScale = Literal["caffe", "tf", "torch", "layers"]


@dataclass(frozen=True)
class Place:
    """One layer of Keras' with arrays, and the module of timm's that does the same."""

    kind: Kind
    module: str
    #: as Keras names it; empty: it gets a number, and `created` says in which order
    name: str = ""
    created: int = 0


@dataclass(frozen=True)
class Layout:
    """A network of keras.applications."""

    title: str  #: Keras' name of it
    places: tuple[Place, ...]  #: in the order of Keras' `model.layers`
    pixel_scale: PixelScale
    epsilon: float | None  #: of batch normalisation, where a file does not say it
    options: tuple[tuple[str, str], ...] = ()  #: what timm is asked for


def _vgg(convolutions: Sequence[int]) -> Iterator[Place]:
    at = 0
    for block, count in enumerate(convolutions, 1):
        for i in range(1, count + 1):
            yield Place("convolution", f"features.{at}", f"block{block}_conv{i}")
            at += 2  # the activation after it
        at += 1  # the pooling


def _resnet50() -> Iterator[Place]:
    yield Place("convolution", "conv1", "conv1_conv")
    yield Place("batch_norm", "bn1", "conv1_bn")
    for stage, blocks in enumerate((3, 4, 6, 3), 1):
        for block in range(blocks):
            here, name = f"layer{stage}.{block}", f"conv{stage + 1}_block{block + 1}"
            for i in (1, 2):
                yield Place("convolution", f"{here}.conv{i}", f"{name}_{i}_conv")
                yield Place("batch_norm", f"{here}.bn{i}", f"{name}_{i}_bn")
            if block == 0:
                yield Place("convolution", f"{here}.downsample.0", f"{name}_0_conv")
            yield Place("convolution", f"{here}.conv3", f"{name}_3_conv")
            if block == 0:
                yield Place("batch_norm", f"{here}.downsample.1", f"{name}_0_bn")
            yield Place("batch_norm", f"{here}.bn3", f"{name}_3_bn")


def _xception() -> Iterator[Place]:
    for i in (1, 2):
        yield Place("convolution", f"conv{i}", f"block1_conv{i}")
        yield Place("batch_norm", f"bn{i}", f"block1_conv{i}_bn")
    widens = {2: 0, 3: 1, 4: 2, 13: 3}
    for block in range(2, 14):
        count = 2 if block in widens else 3
        first = 0 if block == 2 else 1  # from block 3 on an activation stands first
        for i in range(count):
            at = f"block{block - 1}.rep.{first + 3 * i}"
            yield Place("separable", at, f"block{block}_sepconv{i + 1}")
            norm = f"block{block - 1}.rep.{first + 3 * i + 1}"
            yield Place("batch_norm", norm, f"block{block}_sepconv{i + 1}_bn")
        if block in widens:
            yield Place("convolution", f"block{block - 1}.skip", created=widens[block])
            yield Place("batch_norm", f"block{block - 1}.skipbn", created=widens[block])
    for i in (1, 2):
        yield Place("separable", f"conv{i + 2}", f"block14_sepconv{i}")
        yield Place("batch_norm", f"bn{i + 2}", f"block14_sepconv{i}_bn")


def _densenet121() -> Iterator[Place]:
    yield Place("convolution", "features.conv0", "conv1_conv")
    yield Place("batch_norm", "features.norm0", "conv1_bn")
    for stage, layers in enumerate((6, 12, 24, 16), 1):
        for i in range(1, layers + 1):
            here, name = f"features.denseblock{stage}.denselayer{i}", f"conv{stage + 1}_block{i}"
            yield Place("batch_norm", f"{here}.norm1", f"{name}_0_bn")
            yield Place("convolution", f"{here}.conv1", f"{name}_1_conv")
            yield Place("batch_norm", f"{here}.norm2", f"{name}_1_bn")
            yield Place("convolution", f"{here}.conv2", f"{name}_2_conv")
        if stage < 4:
            yield Place("batch_norm", f"features.transition{stage}.norm", f"pool{stage + 1}_bn")
            yield Place("convolution", f"features.transition{stage}.conv", f"pool{stage + 1}_conv")
    yield Place("batch_norm", "features.norm5", "bn")


def _efficientnet_b0() -> Iterator[Place]:
    yield Place("input_norm", "")
    yield Place("convolution", "conv_stem", "stem_conv")
    yield Place("batch_norm", "bn1", "stem_bn")
    for stage, blocks in enumerate((1, 2, 2, 3, 3, 4, 1)):
        for block in range(blocks):
            here, name = f"blocks.{stage}.{block}", f"block{stage + 1}{'abcd'[block]}"
            expands = stage > 0
            if expands:
                yield Place("convolution", f"{here}.conv_pw", f"{name}_expand_conv")
                yield Place("batch_norm", f"{here}.bn1", f"{name}_expand_bn")
            yield Place("depthwise", f"{here}.conv_dw", f"{name}_dwconv")
            yield Place("batch_norm", f"{here}.bn{1 + expands}", f"{name}_bn")
            yield Place("convolution", f"{here}.se.conv_reduce", f"{name}_se_reduce")
            yield Place("convolution", f"{here}.se.conv_expand", f"{name}_se_expand")
            yield Place("convolution", f"{here}.conv_pw{'l' * expands}", f"{name}_project_conv")
            yield Place("batch_norm", f"{here}.bn{2 + expands}", f"{name}_project_bn")
    yield Place("convolution", "conv_head", "top_conv")
    yield Place("batch_norm", "bn2", "top_bn")


#: Branches of Inception-V3's blocks, in the order in which Keras and timm create their convolutions.
_A = ("branch1x1", "branch5x5_1", "branch5x5_2", "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3", "branch_pool")
_B = ("branch3x3", "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")
_C = ("branch1x1", *(f"branch7x7_{i}" for i in (1, 2, 3)), *(f"branch7x7dbl_{i}" for i in range(1, 6)), "branch_pool")
_D = ("branch3x3_1", "branch3x3_2", *(f"branch7x7x3_{i}" for i in (1, 2, 3, 4)))
_E = (
    *("branch1x1", "branch3x3_1", "branch3x3_2a", "branch3x3_2b", "branch3x3dbl_1", "branch3x3dbl_2"),
    *("branch3x3dbl_3a", "branch3x3dbl_3b", "branch_pool"),
)

#: And the order in which `model.layers` lists them: by their distance from the end.
_INCEPTION_V3 = (
    *((f"Mixed_5{block}", _A, (3, 1, 4, 0, 2, 5, 6)) for block in "bcd"),
    ("Mixed_6a", _B, (1, 2, 0, 3)),
    *((f"Mixed_6{block}", _C, (4, 5, 1, 6, 2, 7, 0, 3, 8, 9)) for block in "bcde"),
    ("Mixed_7a", _D, (2, 3, 0, 4, 1, 5)),
    *((f"Mixed_7{block}", _E, (4, 1, 5, 2, 3, 6, 7, 0, 8)) for block in "bc"),
)


def _inception_v3() -> Iterator[Place]:
    stem = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")
    order = [(i, module) for i, module in enumerate(stem)]
    for block, branches, listed in _INCEPTION_V3:
        first = len(order)
        order += [(first + i, f"{block}.{branches[i]}") for i in listed]
    for created, module in order:
        yield Place("convolution", f"{module}.conv", created=created)
        yield Place("batch_norm", f"{module}.bn", created=created)


#: By architecture.
LAYOUTS: dict[str, Callable[[], Layout]] = {
    "vgg16": lambda: Layout("VGG16", tuple(_vgg((2, 2, 3, 3, 3))), "caffe", None),
    "vgg19": lambda: Layout("VGG19", tuple(_vgg((2, 2, 4, 4, 4))), "caffe", None),
    "resnet50": lambda: Layout("ResNet50", tuple(_resnet50()), "caffe", 1.001e-5),
    "inception_v3": lambda: Layout("InceptionV3", tuple(_inception_v3()), "tf", 1e-3),
    "xception": lambda: Layout("Xception", tuple(_xception()), "tf", 1e-3),
    "densenet121": lambda: Layout("DenseNet121", tuple(_densenet121()), "torch", 1.001e-5),
    "efficientnet_b0": lambda: Layout(
        "EfficientNetB0", tuple(_efficientnet_b0()), "layers", 1e-3, (("pad_type", "same"),)
    ),
}

#: ImageNet's mean and standard deviation as Keras has them, red first.
CAFFE_MEAN = (123.68, 116.779, 103.939)
TORCH_MEAN, TORCH_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

#: How ResNet50's layers were named until Keras 2.3.
_OLD_RESNET = re.compile(r"^(?P<kind>res|bn)(?P<stage>\d)(?P<block>[a-f])_branch(?P<branch>1|2[abc])$")


def todays_name(name: str) -> str:
    """A layer's name as Keras gives it today: ResNet50's and DenseNet's were others."""
    if found := _OLD_RESNET.match(name):
        block = f"conv{found['stage']}_block{'abcdef'.index(found['block']) + 1}"
        branch = {"1": 0, "2a": 1, "2b": 2, "2c": 3}[found["branch"]]
        return f"{block}_{branch}_{'conv' if found['kind'] == 'res' else 'bn'}"
    return {"conv1": "conv1_conv", "bn_conv1": "conv1_bn"}.get(name, name.replace("/", "_"))
