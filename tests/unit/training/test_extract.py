from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rijksnet.errors import RunError, WeightsError
from rijksnet.files import sha256_of
from rijksnet.networks.architectures import Network
from rijksnet.networks.weights import Design
from rijksnet.params import Statistics
from rijksnet.training import features
from rijksnet.training.compute import Compute
from rijksnet.training.features import Description, Extraction, features_file, read_description, write_description

N = 70


class Normalising(nn.Module):
    """A batch normalisation between pixels and global average pooling, with statistics of its own."""

    feature_size = 3

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.BatchNorm2d(3, eps=1e-3)
        self.layer.load_state_dict(
            {
                "weight": torch.tensor([1.0, 2.0, 3.0]),
                "bias": torch.tensor([0.5, 0.0, -0.5]),
                "running_mean": torch.tensor([100.0, 120.0, 140.0]),
                "running_var": torch.tensor([400.0, 900.0, 1600.0]),
                "num_batches_tracked": torch.tensor(5),
            }
        )

    def features(self, pixels_bhwc: Tensor) -> Tensor:
        return cast(Tensor, self.layer(pixels_bhwc.permute(0, 3, 1, 2).float())).mean((2, 3))


@pytest.fixture
def pixels() -> Any:
    generator = np.random.default_rng(0)
    brightness = generator.integers(0, 200, (N, 1, 1, 3))
    return (brightness + generator.integers(0, 55, (N, 4, 4, 3))).astype(np.uint8)


def extracted(network: Any, pixels: Any, file: Path, statistics: Statistics, compute: Compute) -> Any:
    extraction = Extraction(network, pixels, statistics, compute, file.stem, "this")
    with extraction.shards.begun():
        done = list(extraction.run(waits=True))
        assert done == sorted(done)
        assert done[-1] == len(pixels)
        extraction.collect().rename(file)
        extraction.shards.clear()
    return np.load(file)


def normalised(x: Any, mean: Any, deviation: Any) -> Any:
    """By hand: statistics, then weight and bias, then the mean over positions."""
    return ((x - mean) / deviation * [1.0, 2.0, 3.0] + [0.5, 0.0, -0.5]).mean((1, 2))


def test_running_statistics_are_the_networks_own(pixels: Any, tmp_path: Path, cpu: Compute) -> None:
    found = extracted(Normalising(), pixels, tmp_path / "f.npy", "running", cpu)
    expected = normalised(pixels.astype(float), [100.0, 120.0, 140.0], np.sqrt([400.001, 900.001, 1600.001]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_batch_statistics_are_those_of_each_batch_none_much_smaller_than_another(
    pixels: Any, tmp_path: Path, cpu: Compute
) -> None:
    network = Normalising()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = extracted(network, pixels, tmp_path / "f.npy", "batch", cpu)
    batches = [part.astype(float) for part in (pixels[:24], pixels[24:47], pixels[47:])]
    by_hand = [normalised(x, x.mean((0, 1, 2)), np.sqrt(x.var((0, 1, 2)) + 1e-3)) for x in batches]
    np.testing.assert_allclose(found, np.concatenate(by_hand), rtol=1e-4, atol=1e-4)
    for name in ("running_mean", "running_var"):
        assert torch.equal(network.state_dict()[f"layer.{name}"], before[f"layer.{name}"])


@pytest.mark.parametrize("statistics", ["running", "batch"])
def test_features_of_a_network_are_those_it_gives(statistics: Statistics, tmp_path: Path, cpu: Compute) -> None:
    torch.manual_seed(0)
    network = Network(Design("test_resnet"), 2, "unit")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items() if "tracked" not in name}
    pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    found = extracted(network, pixels, tmp_path / "f.npy", statistics, cpu)
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())
    network.train(statistics == "batch")
    with torch.no_grad():
        expected = torch.cat([network.features(torch.from_numpy(some)) for some in (pixels[:20], pixels[20:])])
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_running_features_can_follow_batch_features(pixels: Any, tmp_path: Path, cpu: Compute) -> None:
    network = Normalising()
    running = extracted(network, pixels, tmp_path / "a.npy", "running", cpu)
    batch = extracted(network, pixels, tmp_path / "b.npy", "batch", cpu)
    again = extracted(network, pixels, tmp_path / "c.npy", "running", cpu)
    np.testing.assert_array_equal(running, again)
    assert not np.allclose(running, batch)


def extraction(network: Any, pixels: Any, compute: Compute, identity: str = "this") -> Extraction:
    found = Extraction(network, pixels, "batch", compute, "f", identity)
    with found.shards.begun():
        return found


@pytest.mark.parametrize("seen", [1, 2])
def test_what_is_interrupted_goes_on_with_whole_shards_to_the_same_bytes(
    pixels: Any, tmp_path: Path, cpu: Compute, seen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = extracted(Normalising(), pixels, tmp_path / "w.npy", "batch", cpu)
    monkeypatch.setattr(features, "IMAGES", 24)
    run = extraction(Normalising(), pixels, cpu).run(waits=True)
    assert [next(run) for _ in range(seen)] == [24, 47][:seen]
    cast("Generator[int]", run).close()  # as an interruption does
    rest = extraction(Normalising(), pixels, cpu)
    assert list(rest.run(waits=True)) == [[24, 47, 70], [47, 70]][seen - 1], "a shard that was not whole is begun again"
    rest.collect().rename(tmp_path / "f.npy")
    assert (tmp_path / "f.npy").read_bytes() == (tmp_path / "w.npy").read_bytes()
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), whole)
    assert extraction(Normalising(), pixels, cpu).shards.done() == 0, "what has been taken away is no more"


def test_other_weights_take_up_nothing_of_what_is_there(
    pixels: Any, cpu: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "IMAGES", 24)
    run = extraction(Normalising(), pixels, cpu).run(waits=True)
    assert [next(run), next(run)] == [24, 47]
    cast("Generator[int]", run).close()
    assert list(extraction(Normalising(), pixels, cpu, "that").run(waits=True)) == [24, 47, 70]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# --- descriptions -----------------------------------------------------------------------------------------------------


def test_a_description_comes_back(tmp_path: Path) -> None:
    design = Design("test_resnet", {"pad_type": "same"}, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    weights = tmp_path / "weights"
    weights.write_bytes(b"some")
    description = Description(design, sha256_of(weights), 64, "unit", 96, 372_688)
    write_description(tmp_path, description)
    assert read_description(tmp_path, weights) == description
    weights.write_bytes(b"others")
    with pytest.raises(WeightsError, match="extract them again with `rijksnet features`"):
        read_description(tmp_path, weights)


def test_features_without_one_are_not_complete(tmp_path: Path) -> None:
    features_file(tmp_path, "running").touch()
    with pytest.raises(RunError, match="holds no complete features: run `rijksnet features`, or `dvc repro`, first"):
        read_description(tmp_path, tmp_path / "weights")


def test_statistics_have_a_file_each(tmp_path: Path) -> None:
    names = {features_file(tmp_path, "running").name, features_file(tmp_path, "batch").name, features.DESCRIPTION}
    assert names == {"running.npy", "batch.npy", "network.json"}
