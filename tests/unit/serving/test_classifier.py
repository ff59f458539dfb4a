from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image

from rijksnet.data.decode import UnreadableError, decode
from rijksnet.errors import WeightsError
from rijksnet.networks import weights
from rijksnet.networks.architectures import Network
from rijksnet.networks.weights import Design
from rijksnet.serving.classifier import Classifier

CLASSES = ["prent", "schilderij – olieverf", "tekening"]
DESIGN = Design("test_resnet", {}, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))


def saved(path: Path, scale: Literal["unit", "pretrained"]) -> Network:
    torch.manual_seed(0)
    network = Network(DESIGN, len(CLASSES), scale).eval()
    weights.save(path, network.weights(), DESIGN, CLASSES)
    return network


def files(n: int) -> list[bytes]:
    """Images of other sizes and forms than the network's."""
    generator, encoded = np.random.default_rng(0), []
    for i in range(n):
        stream = io.BytesIO()
        pixels = generator.integers(0, 256, (40 + i, 70, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(stream, "JPEG" if i % 2 else "PNG")
        encoded.append(stream.getvalue())
    return encoded


@pytest.mark.parametrize("scale", ["unit", "pretrained"])
def test_answers_are_those_of_the_network_most_probable_first(
    scale: Literal["unit", "pretrained"], tmp_path: Path
) -> None:
    network, images = saved(tmp_path / "w", scale), files(3)
    pixels = np.stack([decode(image, [32])[0] for image in images])
    with torch.no_grad():
        probabilities = network(torch.from_numpy(pixels)).softmax(1)
    for ranked, row in zip(Classifier(tmp_path / "w", 32, "stretched", scale).rank(images), probabilities, strict=True):
        assert {one.label: one.probability for one in ranked} == pytest.approx(
            dict(zip(CLASSES, row.tolist(), strict=True))
        )
        assert [one.probability for one in ranked] == sorted((one.probability for one in ranked), reverse=True)
        assert sum(one.probability for one in ranked) == pytest.approx(1)


def test_the_scale_makes_a_difference(tmp_path: Path) -> None:
    saved(tmp_path / "w", "unit")
    unit, pretrained = (
        Classifier(tmp_path / "w", 32, "stretched", scale).rank(files(1)) for scale in ("unit", "pretrained")
    )
    assert unit != pretrained


def test_an_image_that_is_none_costs_only_itself(tmp_path: Path) -> None:
    saved(tmp_path / "w", "unit")
    classifier, (first, last) = Classifier(tmp_path / "w", 32, "stretched", "unit"), files(2)
    ranked, broken, ranked_too = classifier.rank([first, b"no image at all", last])
    assert isinstance(broken, UnreadableError)
    assert str(broken) == "not an image: begins with b'no image at all'"
    assert [ranked, ranked_too] == classifier.rank([first, last])
    assert isinstance(classifier.rank([b""])[0], UnreadableError)


def test_answers_do_not_depend_on_how_many_are_asked_for(tmp_path: Path) -> None:
    saved(tmp_path / "w", "unit")
    classifier, images = Classifier(tmp_path / "w", 32, "stretched", "unit"), files(20)
    together = classifier.rank(images)
    assert [classifier.rank([image])[0] for image in images] == together
    assert [one for i in range(0, 20, 3) for one in classifier.rank(images[i : i + 3])] == together


def test_a_theta_is_no_classifier(tmp_path: Path) -> None:
    tensors = Network(DESIGN, 1, "unit").backbone.state_dict()
    weights.save(tmp_path / "θ", tensors, DESIGN, CLASSES)
    with pytest.raises(WeightsError, match=r"holds no softmax layer of shape \(3, 96\)"):
        Classifier(tmp_path / "θ", 32, "stretched", "unit")
