"""Features of a frozen network: every image of a collection once, shared by all challenges (paper, section 4)."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass, fields
from itertools import chain
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from rijksnet.errors import RunError, WeightsError
from rijksnet.files import replacing, sha256_of
from rijksnet.networks.batch_norm import batch_norms, set_momentum
from rijksnet.networks.weights import Design
from rijksnet.protocol import BATCH_SIZE
from rijksnet.shards import IMAGES, Shards
from rijksnet.training.batches import Examples, batches_of, evaluation_batches, fetched, load
from rijksnet.training.compute import in_use

if TYPE_CHECKING:  # timm takes seconds to import, and a run on cached features needs no network
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from rijksnet.networks.architectures import Network
    from rijksnet.params import Statistics
    from rijksnet.training.compute import Compute


DESCRIPTION = "network.json"

#: The features of a shard's images, as they lie in memory.
SHARD = "features"


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


class Extraction:
    """The features of all pixels (N, H, W, 3) by a frozen network, in shards of whole batches.

    `batch` normalises with the statistics of each batch of 32, as old Keras did while a softmax layer trained on a
    frozen network; the running statistics stay as they were.

    Args:
        name: of the work; a folder's name.
        identity: of all that the features depend on.
    """

    def __init__(
        self,
        network: Network,
        pixels: NDArray[np.uint8],
        statistics: Statistics,
        compute: Compute,
        name: str,
        identity: str,
    ) -> None:
        self._network, self._statistics, self._compute = network, statistics, compute
        everything = np.arange(len(pixels))
        self._examples = Examples(pixels, everything, np.zeros(len(pixels), np.int64))
        if statistics == "batch":
            batches = batches_of(everything, BATCH_SIZE, drop_last=False)
        else:
            batches = evaluation_batches(self._examples, compute)
        some = max(1, IMAGES // len(batches[0]))
        self._batches = [batches[start : start + some] for start in range(0, len(batches), some)]
        self.shards = Shards(f"{name}-{statistics}", identity, [sum(map(len, part)) for part in self._batches])

    def run(self, *, waits: bool) -> Iterator[int]:
        """Do what is not done; yields the images done so far, by whoever.

        Args:
            waits: at last for shards that others hold, and takes them over if these are lost.
        """
        self._network.eval()
        self._asked = in_use(self._network, self._compute)
        if self._statistics == "batch":
            self._asked = self._network
            set_momentum(self._network, 1.0)  # the running statistics are not to move
            for layer in batch_norms(self._network):
                layer.train()
        try:
            for shard in chain(self.shards.take(waits=False), self.shards.take(waits=True) if waits else ()):
                features = np.empty((self.shards.sizes[shard], self._network.feature_size), np.float32)
                before, done = self.shards.done(), 0
                batches = load(self._examples, self._batches[shard], self._compute)
                for batch in fetched(self._features_of(inputs) for inputs, _ in batches):
                    features[done : done + len(batch)] = batch
                    done += len(batch)
                    yield before + done
                features.tofile(self.shards.part(shard) / SHARD)
                self.shards.put(shard)
        finally:
            self.shards.let_go()

    def _features_of(self, inputs: Tensor) -> Tensor:
        with torch.no_grad(), self._compute.autocast():
            return cast("Tensor", self._asked.features(inputs)).float()

    def collect(self) -> Path:
        """All features as one file, float32 (N, F), still among the shards."""
        stream, count = io.BytesIO(), self._network.feature_size
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(self._examples), count)}
        np.lib.format.write_array_header_1_0(stream, header)
        lengths = [size * count * 4 for size in self.shards.sizes]
        return self.shards.collect({SHARD: (stream.getvalue(), lengths)})[SHARD]
