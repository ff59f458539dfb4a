"""A trained network as a museum uses it: image files in, ranked labels out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from rijksnet.data.decode import UnreadableError, decode
from rijksnet.networks import SETTLED, weights
from rijksnet.networks.architectures import Network

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from rijksnet.params import Squares
    from rijksnet.protocol import InputNormalisation


@dataclass(frozen=True)
class LabelProbability:
    """A label and its probability, in [0,1]."""

    label: str
    probability: float


class Classifier:
    """Preprocessing and network in one, as they were trained."""

    def __init__(self, file: Path, input_size: int, squares: Squares, normalisation: InputNormalisation) -> None:
        """
        Args:
            file: a run's weights.safetensors.
            input_size: side of the square it was trained on, px.
            squares: how images become squares, as it was trained.
            normalisation: of its inputs, as it was trained.

        Raises:
            WeightsError: the file is damaged or not a run's.
        """
        tensors, header = weights.read(file)
        self.design, self.classes = weights.design_in(header, file)
        self.input_size, self.squares = input_size, squares
        self.network = Network(self.design, len(self.classes), normalisation).eval()
        weights.load_backbone(self.network.backbone, tensors, file)
        weights.load_softmax(self.network.softmax, tensors, file)

    @torch.no_grad()
    def rank(self, images: Sequence[bytes]) -> list[list[LabelProbability] | UnreadableError]:
        """All classes of each image, the most probable first, as the network's evaluation in float32 gave them; or why
        it cannot be read: the others have their answers all the same.

        Args:
            images: encoded image files, as a museum keeps them.
        """
        decoded = [self._decoded(image) for image in images]
        pixels = [one for one in decoded if not isinstance(one, UnreadableError)]
        ranked = iter(self._rank(np.stack(pixels)) if pixels else ())
        return [one if isinstance(one, UnreadableError) else next(ranked) for one in decoded]

    def _decoded(self, image: bytes) -> NDArray[np.uint8] | UnreadableError:
        stretched, padded = ([self.input_size], []) if self.squares == "stretched" else ([], [self.input_size])
        try:
            return decode(image, stretched, padded)[0]
        except UnreadableError as error:
            return error

    def _rank(self, pixels: NDArray[np.uint8]) -> list[list[LabelProbability]]:
        probabilities = self.network(torch.from_numpy(settled(pixels)))[: len(pixels)].softmax(1)
        order = probabilities.argsort(1, descending=True)
        return [
            [LabelProbability(self.classes[column], row[column].item()) for column in columns]
            for row, columns in zip(probabilities, order.tolist(), strict=True)
        ]


def settled(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures (n, H, W, 3), and so many black ones behind them that answers in float32 do not depend on n."""
    if len(pixels) >= SETTLED:
        return pixels
    return np.concatenate([pixels, np.zeros((SETTLED - len(pixels), *pixels.shape[1:]), np.uint8)])
