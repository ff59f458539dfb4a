from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rijksnet import paths
from rijksnet.errors import RunError, WeightsError
from rijksnet.files import sha256_of
from rijksnet.networks import weights
from rijksnet.networks.architectures import Network
from rijksnet.params import Params
from rijksnet.paths import CollectionPaths
from rijksnet.stages.features import features
from rijksnet.training.features import read_description

pytestmark = pytest.mark.usefixtures("workspace")

FOLDER = Path("features/source/test_resnet-imagenet")
Make = Callable[..., Params]


@pytest.mark.parametrize(
    ("normalisation", "used"), [("unit", "unit"), ("pretrained", "pretrained"), ("protocol", "unit")]
)
def test_every_image_has_its_features(normalisation: str, used: str, tiny_params: Make) -> None:
    features(tiny_params(normalisation=normalisation), "source", "test_resnet", None)
    theta = paths.imagenet_weights("test_resnet")
    tensors, header = weights.read(theta)
    design, _ = weights.design_in(header, theta)
    network = Network(design, 1, used).eval()
    weights.load_backbone(network.backbone, tensors, theta)
    images = torch.from_numpy(np.load(CollectionPaths("source").pixels_of_size(32)))
    with torch.no_grad():
        expected = network.features(images)
    np.testing.assert_allclose(np.load(FOLDER / "running.npy"), expected, rtol=1e-4, atol=1e-5)
    assert not (FOLDER / "batch.npy").exists()
    description = read_description(FOLDER, theta)
    assert (description.design, description.weights) == (design, sha256_of(theta))
    assert (description.input_size, description.feature_size, description.backbone_parameters) == (32, 96, 372_688)


def test_batch_statistics_come_beside_running_ones(tiny_params: Make) -> None:
    features(tiny_params(batch_norm={"constants": "own", "frozen": "batch"}), "source", "test_resnet", None)
    running, batch = (np.load(FOLDER / f"{kind}.npy") for kind in ("running", "batch"))
    assert running.shape == batch.shape == (100, 96)
    assert not np.allclose(running, batch)


def test_tuned_weights_have_features_of_their_own(tiny_params: Make) -> None:
    tensors, header = weights.read(paths.imagenet_weights("test_resnet"))
    design, _ = weights.design_in(header, Path())
    tuned = {**tensors, "softmax.weight": torch.ones(2, 96), "softmax.bias": torch.ones(2)}
    tuned["conv1.0.weight"] = tensors["conv1.0.weight"] * 2
    weights.save(paths.tuned_weights("source", "type", "test_resnet"), tuned, design, ["a", "b"])
    for challenge in (None, "type"):
        features(tiny_params(), "source", "test_resnet", challenge)
    folders = [FOLDER, Path("features/source/test_resnet-source-type")]
    one, other = (np.load(folder / "running.npy") for folder in folders)
    assert not np.allclose(one, other)
    file = paths.tuned_weights("source", "type", "test_resnet")
    assert read_description(folders[1], file).weights == sha256_of(file)


def test_features_that_could_not_be_made_again_are_not_complete(tiny_params: Make) -> None:
    features(tiny_params(), "source", "test_resnet", None)
    paths.imagenet_weights("test_resnet").unlink()
    with pytest.raises(WeightsError, match="does not exist"):
        features(tiny_params(), "source", "test_resnet", None)
    with pytest.raises(RunError, match="holds no complete features"):
        read_description(FOLDER, paths.imagenet_weights("test_resnet"))
