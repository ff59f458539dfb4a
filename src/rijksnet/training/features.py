"""Features of a frozen network: every image of a collection once, shared by all challenges (paper, section 4)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rijksnet.errors import RunError, WeightsError
from rijksnet.files import replacing, sha256_of
from rijksnet.networks.batch_norm import batch_norms, set_momentum
from rijksnet.networks.weights import Design
from rijksnet.protocol import BATCH_SIZE
from rijksnet.training.batches import Examples, batches_of, evaluation_batches, fetched, load

if TYPE_CHECKING:  # timm takes seconds to import, and a run on cached features needs no network
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from rijksnet.networks.architectures import Network
    from rijksnet.params import Statistics
    from rijksnet.training.compute import Compute


DESCRIPTION = "network.json"


@dataclass(frozen=True)
class Description:
    """The network whose features lie in a folder: what a run on them needs to know without building it."""

    design: Design
    weights: str  #: sha256 of its weights file
    input_size: int  #: px
    normalisation: str  #: of its inputs: `unit` or `pretrained`
    feature_size: int
    backbone_parameters: int


def write_description(folder: Path, description: Description) -> None:
    """Written last: a features folder without it is not complete."""
    with replacing(folder / DESCRIPTION) as partial:
        content = {**asdict(description), "design": description.design.to_dict()}
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_description(folder: Path, weights: Path) -> Description:
    """
    Args:
        weights: the file that the features are to come from.

    Raises:
        RunError: the folder is absent or not complete.
        WeightsError: its features come from other weights.
    """
    file = folder / DESCRIPTION
    if not file.is_file():
        raise RunError(f"{folder} holds no complete features: run `rijksnet features`, or `dvc repro`, first")
    content = json.loads(file.read_text(encoding="utf-8"))
    if {field.name for field in fields(Description)} != set(content):
        raise RunError(f"{file} is another version's: extract the features again with `rijksnet features`")
    description = Description(**{**content, "design": Design.from_dict(content["design"])})
    if description.weights != (there := sha256_of(weights)):
        raise WeightsError(
            f"the features in {folder} were extracted with weights {description.weights[:12]}…, but {weights} is "
            f"{there[:12]}…: extract them again with `rijksnet features`"
        )
    return description


def features_file(folder: Path, statistics: Statistics) -> Path:
    """The array in a features folder that was computed with these statistics."""
    return folder / f"{statistics}.npy"


def extract(
    network: Network, pixels: NDArray[np.uint8], out: Path, statistics: Statistics, compute: Compute
) -> Iterator[int]:
    """Write the features of all pixels (N, H, W, 3) to `out`, float32 (N, F); yields the images done so far.

    `batch` normalises with the statistics of each batch of 32, as old Keras did while a softmax layer trained on a
    frozen network; the running statistics stay as they were.
    """
    network.eval()
    if statistics == "batch":
        set_momentum(network, 1.0)  # the running statistics are not to move
        for layer in batch_norms(network):
            layer.train()
    partial = out.with_name(out.name + ".partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    features: np.memmap[Any, Any] = np.lib.format.open_memmap(
        partial, mode="w+", dtype=np.float32, shape=(len(pixels), network.feature_size)
    )
    everything = np.arange(len(pixels))
    examples = Examples(pixels, everything, np.zeros(len(pixels), np.int64))
    if statistics == "batch":
        batches = batches_of(everything, BATCH_SIZE, drop_last=False)
    else:
        batches = evaluation_batches(examples, compute)

    def features_of(inputs: Tensor) -> Tensor:
        with torch.no_grad(), compute.autocast():
            return network.features(inputs).float()

    done = 0
    for batch in fetched(features_of(inputs) for inputs, _ in load(examples, batches, compute)):
        features[done : done + len(batch)] = batch
        done += len(batch)
        yield done
    features.flush()
    del features
    partial.replace(out)
