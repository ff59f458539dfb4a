"""What a network says of all pictures of a collection: probabilities and features, kept as they are computed."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from rijksnet.data.labelled import open_pixels
from rijksnet.errors import RunError
from rijksnet.files import replacing, sha256_of
from rijksnet.paths import CHECKPOINTS
from rijksnet.progress import progress
from rijksnet.runs.code import digest
from rijksnet.serving.classifier import Classifier
from rijksnet.training import compute
from rijksnet.training.batches import Examples, evaluation_batches, load

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from rijksnet.models.lookup import TrainedModel
    from rijksnet.networks.architectures import Network
    from rijksnet.networks.fusion import Fused
    from rijksnet.params import Params
    from rijksnet.paths import CollectionPaths
    from rijksnet.training.compute import Compute

#: Pictures after which what has been computed is kept.
SHARD = 4096


@dataclass(frozen=True)
class Answers:
    """Of each of M rows of a collection's pixel files: `probabilities` (M, Q), `features` (M, F); both float32."""

    probabilities: NDArray[np.float32]
    features: NDArray[np.float32]


def answers_to(params: Params, model: TrainedModel, paths: CollectionPaths) -> Answers:
    """What the network says of every packed picture: computed as its evaluation was, with the same precision.

    Raises:
        RunError: it reads other squares than those that are packed.
        CollectionError: pictures of its size are not packed.
    """
    inputs = model.run.inputs
    if inputs["squares"] != params.squares:
        raise RunError(
            f"{model.name} was trained on {inputs['squares']} squares, and {paths.collection} is packed as "
            f"{params.squares!r}: set squares in params.yaml, and run the stage `pixels`"
        )
    pixels = open_pixels(paths.pixels_of_size(inputs["input_size"]))
    computed = compute.choose(params.training)
    said = [model.identity, sha256_of(paths.images), inputs, str(computed), len(pixels), digest("features")]
    identity = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
    folder = CHECKPOINTS / "suggestions" / f"{paths.collection}-{identity}"
    starts = range(0, len(pixels), SHARD)
    missing = [start for start in starts if not _shard(folder, start).is_file()]
    if missing:
        network = Classifier(model.weights, **inputs).network.to(computed.device)
        with (
            compute.threads_for(network, computed),
            progress(f"asking {model.name} of {paths.collection}", len(pixels)) as report,
        ):
            begun, before = time.perf_counter(), len(pixels) - sum(len(pixels[at : at + SHARD]) for at in missing)
            done = before
            for start in missing:
                part = _answers(network, pixels[start : start + SHARD], computed)
                with replacing(_shard(folder, start)) as partial, partial.open("wb") as file:
                    np.savez(file, probabilities=part.probabilities, features=part.features)
                done += len(part.features)
                speed = (done - before) / (time.perf_counter() - begun)
                report(done, f"{speed:.0f} images/s on {computed}")
    parts = [np.load(_shard(folder, start)) for start in starts]
    return Answers(*(np.concatenate([part[name] for part in parts]) for name in ("probabilities", "features")))


def _shard(folder: Path, start: int) -> Path:
    return folder / f"{start}.npz"


@torch.no_grad()
def _answers(network: Network, pixels: NDArray[np.uint8], computed: Compute) -> Answers:
    """Of pictures (m, H, W, 3)."""
    asked = compute.in_use(network.eval(), computed)
    everything = np.arange(len(pixels))
    examples = Examples(pixels, everything, np.zeros(len(pixels), np.int64))
    probabilities, features = [], []
    for inputs, _ in load(examples, evaluation_batches(examples, computed), computed):
        part = answer(asked, inputs, computed)
        probabilities.append(part.probabilities)
        features.append(part.features)
    return Answers(np.concatenate(probabilities), np.concatenate(features))


@torch.no_grad()
def answer(network: Network | Fused, pixels: Tensor, computed: Compute) -> Answers:
    """Of one batch (B, H, W, 3) on the device, as the network's evaluation computes it.

    Args:
        network: as it is in use (`compute.in_use`).
    """
    with computed.autocast():
        features = network.features(pixels)
        logits = network.softmax(features)
    return Answers(logits.float().cpu().softmax(1).numpy(), features.float().cpu().numpy())
