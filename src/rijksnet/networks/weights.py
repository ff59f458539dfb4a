"""Weights on disk: safetensors whose header says how to build the network; θ, θ̂ and every run's own.

Backbone tensors keep timm's names, so that any timm model can read them; the softmax layer is `softmax.weight` and
`softmax.bias`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from rijksnet.errors import WeightsError
from rijksnet.files import replacing

if TYPE_CHECKING:  # a model that is served needs no parameters
    from pathlib import Path

    from torch import Tensor, nn

    from rijksnet.networks.keras.form import KerasForm
    from rijksnet.protocol import BatchNormConstants

#: The one header key of files written here. One key, because safetensors writes several in random order, and the same
#: weights should be the same bytes.
HEADER = "rijksnet"

SOFTMAX = "softmax."


@dataclass(frozen=True)
class Design:
    """What it takes to build a network, kept in the header of its weights file."""

    architecture: str
    options: dict[str, Any] = field(default_factory=dict)  #: extra arguments of timm.create_model
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)  #: pixel mean the weights were trained with, in [0,1]
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)  #: and standard deviation
    #: of every batch normalisation, which the weights were trained with; None: as timm builds the network
    batch_norm_epsilon: float | None = None
    form: KerasForm | None = None  #: None: as timm builds the network

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Design:
        mean, std = tuple(content["mean"]), tuple(content["std"])
        return cls(**{**content, "mean": mean, "std": std})

    def to_dict(self) -> dict[str, Any]:
        """For the header; a form is in it only where there is one, so that other weights keep their bytes."""
        return {name: value for name, value in asdict(self).items() if name != "form" or value is not None}

    def normalising(self, batch_norm: BatchNormConstants | None) -> Design:
        """The same network with these constants of batch normalisation; None: its own."""
        return self if batch_norm is None else replace(self, batch_norm_epsilon=batch_norm.epsilon)


#: How weights came to be, the first step first: each says `from` what (`timm`, `file`, `registry`, `training`) and its
#: `name`; what others published has its `licence`, what was fetched its `sha256`.
Ancestry = Sequence[Mapping[str, str]]


def save(
    path: Path, tensors: Mapping[str, Tensor], design: Design, classes: Sequence[str], ancestry: Ancestry = ()
) -> None:
    """Write weights: the same tensors and the same said of them give the same bytes."""
    about = {"design": design.to_dict(), "classes": list(classes), "ancestry": list(ancestry)}
    header = json.dumps(about, ensure_ascii=False, sort_keys=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, partial, {HEADER: header})


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors and the header of a safetensors file.

    Raises:
        WeightsError: the file is absent or damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError as error:
        raise WeightsError(f"weights file {path} does not exist; `dvc repro` or `dvc pull` brings it") from error
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a readable safetensors file: {error}; fetch or make it again") from error


def design_in(header: Mapping[str, str], path: Path) -> tuple[Design, list[str]]:
    """Design and classes that the header of a file written by `save` tells."""
    if HEADER not in header:
        raise WeightsError(f"{path} was not written by rijksnet: import it as θ (imagenet.file in params.yaml)")
    content = json.loads(header[HEADER])
    return Design.from_dict(content["design"]), content["classes"]


def ancestry_in(header: Mapping[str, str]) -> Ancestry:
    """How weights written by `save` came to be; empty for others."""
    found: Ancestry = json.loads(header.get(HEADER, "{}")).get("ancestry", [])
    return found


def load_backbone(backbone: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copy a weights file's backbone into a network's; classification layers in the file are left behind.

    Raises:
        WeightsError: a tensor of the backbone is missing, or has another shape: the file is another architecture's.
    """
    wanted = backbone.state_dict()
    missing = [name for name in wanted if name not in tensors]
    wrong = [name for name in wanted if name in tensors and tensors[name].shape != wanted[name].shape]
    if missing or wrong:
        raise WeightsError(
            f"{path} does not fit the network: {len(missing)} tensors are missing and {len(wrong)} have another shape, "
            f"of {len(wanted)}; the first is {(missing + wrong)[0]!r}. Is it the same architecture and options?"
        )
    backbone.load_state_dict({name: tensors[name] for name in wanted})


def load_softmax(layer: nn.Linear, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copy a weights file's softmax layer; it must be for as many classes."""
    found = {name.removeprefix(SOFTMAX): t for name, t in tensors.items() if name.startswith(SOFTMAX)}
    if set(found) != {"weight", "bias"} or found["weight"].shape != layer.weight.shape:
        raise WeightsError(f"{path} holds no softmax layer of shape {tuple(layer.weight.shape)}")
    layer.load_state_dict(found)
