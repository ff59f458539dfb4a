from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from rijksnet.errors import WeightsError
from rijksnet.networks import weights
from rijksnet.networks.weights import Design

DESIGN = Design("test_resnet", {"pad_type": "same"}, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
CLASSES = ["prent", "schilderij – olieverf"]

#: Makes the same file in a process of its own.
SCRIPT = """
import sys
from pathlib import Path
import torch
from rijksnet.networks import weights
from rijksnet.networks.weights import Design
tensors = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.ones(4, dtype=torch.int64)}
design = Design("test_resnet", {"pad_type": "same"}, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
weights.save(Path(sys.argv[1]), tensors, design, ["prent", "schilderij – olieverf"])
"""


def backbone() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    return {"b": torch.arange(6.0).reshape(2, 3), "a": torch.ones(4, dtype=torch.int64)}


def test_what_is_saved_is_read_back(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    path = tmp_path / "made" / "a.safetensors"
    weights.save(path, tensors, DESIGN, CLASSES)
    read, header = weights.read(path)
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensors[name]) and read[name].dtype == tensors[name].dtype for name in tensors)
    assert weights.design_in(header, path) == (DESIGN, CLASSES)
    assert list(path.parent.iterdir()) == [path]


def test_tensors_that_are_views_or_channels_last_are_saved_by_value(tmp_path: Path) -> None:
    convolution = torch.rand(4, 3, 2, 2).to(memory_format=torch.channels_last)
    column = torch.rand(5, 4)[:, 1]
    weights.save(tmp_path / "a", {"convolution": convolution, "column": column}, DESIGN, [])
    read, _ = weights.read(tmp_path / "a")
    assert torch.equal(read["convolution"], convolution)
    assert torch.equal(read["column"], column)


def test_the_same_weights_are_the_same_bytes_in_every_process(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    here, again, there = (tmp_path / name for name in ("here", "again", "there"))
    weights.save(here, tensors, DESIGN, CLASSES)
    weights.save(again, dict(reversed(tensors.items())), DESIGN, CLASSES)
    subprocess.run([sys.executable, "-c", SCRIPT, str(there)], check=True)
    assert here.read_bytes() == again.read_bytes() == there.read_bytes()
    weights.save(again, tensors, replace(DESIGN, options={}), CLASSES)
    assert here.read_bytes() != again.read_bytes()


# --- files that will not do -------------------------------------------------------------------------------------------


def test_an_absent_file_is_answered_with_what_brings_it(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no\.safetensors does not exist; `dvc repro` or `dvc pull` brings it"):
        weights.read(tmp_path / "no.safetensors")


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_truncated_file_is_refused(kept: int, tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    path = tmp_path / "a.safetensors"
    weights.save(path, tensors, DESIGN, CLASSES)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(WeightsError, match=r"a\.safetensors is not a readable safetensors file: .*make it again"):
        weights.read(path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    torch.save({}, path)
    with pytest.raises(WeightsError, match="is not a readable safetensors file"):
        weights.read(path)


@pytest.mark.parametrize("metadata", [None, {"architecture": "test_resnet"}])
def test_a_file_that_was_not_written_here_is_refused(
    metadata: dict[str, str] | None, tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    path = tmp_path / "a.safetensors"
    save_file(tensors, path, metadata)
    _, header = weights.read(path)
    with pytest.raises(WeightsError, match=r"a\.safetensors was not written by rijksnet: import it as θ"):
        weights.design_in(header, path)


# --- loading ----------------------------------------------------------------------------------------------------------


def test_a_backbone_is_loaded_whole_and_classification_layers_are_left_behind() -> None:
    source, target = backbone(), backbone()
    source[1].running_mean.fill_(3)
    extra = {"softmax.weight": torch.ones(2, 4), "classifier.bias": torch.ones(2)}
    weights.load_backbone(target, {**source.state_dict(), **extra}, Path("a"))
    assert all(torch.equal(target.state_dict()[name], tensor) for name, tensor in source.state_dict().items())


def test_another_architectures_weights_are_refused() -> None:
    other = nn.Sequential(nn.Linear(3, 4))
    with pytest.raises(
        WeightsError, match=r"^a does not fit the network: 5 tensors are missing and 1 have another shape, of 7; the"
    ):
        weights.load_backbone(backbone(), other.state_dict(), Path("a"))


def test_weights_of_another_shape_are_refused_and_nothing_is_loaded() -> None:
    network = backbone()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    changed = {**network.state_dict(), "0.bias": torch.zeros(4), "0.weight": torch.zeros(4, 3, 5, 5)}
    with pytest.raises(WeightsError, match=r"0 tensors are missing and 1 have another shape, of 7; the first is '0\.w"):
        weights.load_backbone(network, changed, Path("a"))
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())


def test_a_softmax_layer_is_loaded() -> None:
    layer = nn.Linear(3, 2)
    found = {"softmax.weight": torch.rand(2, 3), "softmax.bias": torch.rand(2), "other": torch.rand(1)}
    weights.load_softmax(layer, found, Path("a"))
    assert torch.equal(layer.weight, found["softmax.weight"])
    assert torch.equal(layer.bias, found["softmax.bias"])


@pytest.mark.parametrize("names", [[], ["softmax.weight"], ["softmax.bias"]])
def test_a_file_without_a_whole_softmax_layer_is_refused(names: list[str]) -> None:
    with pytest.raises(WeightsError, match=r"^a holds no softmax layer of shape \(2, 3\)"):
        weights.load_softmax(nn.Linear(3, 2), {name: torch.zeros(2, 3) for name in names}, Path("a"))


def test_a_softmax_layer_for_other_classes_is_refused() -> None:
    found = {"softmax.weight": torch.zeros(5, 3), "softmax.bias": torch.zeros(5)}
    with pytest.raises(WeightsError, match=r"^a holds no softmax layer of shape \(2, 3\)"):
        weights.load_softmax(nn.Linear(3, 2), found, Path("a"))
