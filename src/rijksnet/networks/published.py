"""A run's network as others know it: plain timm, with its own layer and configuration; and ONNX."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import timm
import torch
from torch import nn

from rijksnet.errors import WeightsError
from rijksnet.networks.architectures import timm_name

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from rijksnet.networks.architectures import Network
    from rijksnet.networks.weights import Design
    from rijksnet.protocol import InputNormalisation


#: How far apart logits of the two forms may be, relative to the largest: rounding, since both compute the same.
TOLERANCE = 1e-4


def write(
    network: Network,
    design: Design,
    classes: list[str],
    size: int,
    normalisation: InputNormalisation,
    licence: str,
    folder: Path,
) -> float:
    """Write config.json and model.safetensors, which `timm.create_model('local-dir:FOLDER', pretrained=True)` loads.

    Preprocessing is the network's own: the image stretched to `size` px, bicubic, and normalised as it was trained.

    Args:
        network: of that design and normalisation, as it is used.
        licence: of the weights that these were trained from.

    Returns:
        The largest difference between logits of the two forms, relative to the largest logit, on images of noise.

    Raises:
        WeightsError: timm's own head is more than global average pooling and one linear layer, so that it cannot give
            the same answers.
    """
    from timm.models import save_for_hf

    if design.form is not None:
        raise WeightsError(
            f"this {design.architecture} is built as Keras builds it, which timm's is not: it goes out as ONNX "
            "(--as onnx)"
        )
    model: Any = timm.create_model(timm_name(design.architecture), num_classes=len(classes), **design.options)
    head = model.get_classifier()
    missing, unexpected = model.load_state_dict(network.backbone.state_dict(), strict=False)
    of_head = {
        name for name, parameter in model.named_parameters() if any(parameter is one for one in head.parameters())
    }
    fits = isinstance(head, nn.Linear) and head.weight.shape == network.softmax.weight.shape
    if not fits or set(missing) != of_head or unexpected:
        raise WeightsError(
            f"timm's {design.architecture} has more in its head than global average pooling and one linear layer "
            f"({sorted(set(missing) - of_head)[:3] or type(head).__name__}): it cannot give the same answers"
        )
    head.load_state_dict(network.softmax.state_dict())
    if design.batch_norm_epsilon is not None:
        _keep_epsilon(model, design.batch_norm_epsilon)
    mean, std = (design.mean, design.std) if normalisation == "pretrained" else ((0.0,) * 3, (1.0,) * 3)
    data = {
        "input_size": (3, size, size),
        "mean": mean,
        "std": std,
        "interpolation": "bicubic",
        "crop_pct": 1.0,
        "crop_mode": "squash",
    }
    folder.mkdir(parents=True, exist_ok=True)
    # timm's configuration is of the weights that it publishes under this name itself, which these are not
    about = {"label_names": classes, "pretrained_cfg": {"license": licence, "tag": "", "url": ""}}
    save_for_hf(model, str(folder), about, design.options or None, safe_serialization=True, data_config=data)
    return _difference(network, design.architecture, size, folder)


def _keep_epsilon(model: nn.Module, epsilon: float) -> None:
    """Fold an ε that timm's configuration cannot say into the running variances: their sum is what counts."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_var is not None:
            module.running_var += epsilon - module.eps


@torch.no_grad()
def _difference(network: Network, architecture: str, size: int, folder: Path) -> float:
    theirs: Any = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    pixels = _noise(size)
    logits = network(pixels)
    found = float((logits - theirs(network.normalised(pixels))).abs().max() / logits.abs().max().clip(min=1))
    if not found <= TOLERANCE:
        raise WeightsError(
            f"{folder}: timm's {architecture} answers otherwise: its logits differ by {found:.2g} of the largest"
        )
    return found


def _noise(size: int) -> Tensor:
    """Two images of noise, always the same."""
    return torch.randint(0, 256, (2, size, size, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


class _Probabilities(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels_bhwc: Tensor) -> Tensor:
        logits: Tensor = self.network(pixels_bhwc)
        return logits.softmax(1)


def write_onnx(network: Network, classes: list[str], size: int, file: Path) -> float:
    """Write a network as ONNX: `pixels` uint8 (B, size, size, 3) in, `probabilities` float32 (B, Q) out, any B.

    The scale of the pixels is part of it; its metadata has the `labels`, a JSON list.

    Returns:
        The largest difference between probabilities that onnxruntime and torch give, on images of noise.

    Raises:
        WeightsError: the packages for it are not installed, or the two answer otherwise.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  torch exports through it
    except ImportError as error:
        raise WeightsError(f"{error.name} is not installed: `pip install 'rijksnet[onnx]'`") from error
    model = _Probabilities(network).eval()
    pixels = _noise(size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, of what it will do otherwise one day
        torch.onnx.export(
            model,
            (pixels,),
            file,
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("images")},),
            input_names=["pixels"],
            output_names=["probabilities"],
            external_data=False,
            verbose=False,
        )
    written = onnx.load(file)
    onnx.helper.set_model_props(written, {"labels": json.dumps(classes, ensure_ascii=False)})
    onnx.save(written, file)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    more = pixels.repeat(2, 1, 1, 1)[:3]
    with torch.no_grad():
        found = float(np.abs(session.run(None, {"pixels": more.numpy()})[0] - model(more).numpy()).max())
    if not found <= TOLERANCE:
        raise WeightsError(f"{file}: onnxruntime answers otherwise than torch, by {found:.2g} in a probability")
    return found
