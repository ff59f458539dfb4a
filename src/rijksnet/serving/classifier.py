"""A trained network as a museum uses it: image files in, ranked labels out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from rijksnet.data.decode import decode
from rijksnet.networks import weights
from rijksnet.networks.architectures import Network

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

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
    def rank(self, images: Sequence[bytes]) -> list[list[LabelProbability]]:
        """All classes of each image, the most probable first.

        Args:
            images: encoded image files, as a museum keeps them.

        Raises:
            rijksnet.data.decode.UnreadableError: one of them is no readable image.
        """
        stretched, padded = ([self.input_size], []) if self.squares == "stretched" else ([], [self.input_size])
        pixels = np.stack([decode(image, stretched, padded)[0] for image in images])
        probabilities = self.network(torch.from_numpy(pixels)).softmax(1)
        order = probabilities.argsort(1, descending=True)
        return [
            [LabelProbability(self.classes[column], row[column].item()) for column in columns]
            for row, columns in zip(probabilities, order.tolist(), strict=True)
        ]
