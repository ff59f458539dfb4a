from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from rijksnet import paths, protocol
from rijksnet.errors import RunError
from rijksnet.files import sha256_of
from rijksnet.networks.initialisation import initialise_softmax
from rijksnet.params import Params
from rijksnet.runs import code
from rijksnet.runs.findings import FindingPaths
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.key import RunKey
from rijksnet.stages import train
from rijksnet.stages.features import features
from rijksnet.stages.probes import probes
from rijksnet.statistics.significance import wilson_interval
from rijksnet.training.batches import Examples
from rijksnet.training.compute import Compute
from rijksnet.training.features import features_file
from rijksnet.training.loop import fit, make_optimiser

TUNED = RunKey("source", "type", "test_resnet", "fine_tuning", "imagenet")
FOLDER = FindingPaths("source", "type", "test_resnet").probes

pytestmark = pytest.mark.usefixtures("workspace")


@pytest.fixture
def params(tiny_params: Callable[..., Params]) -> Params:
    made = tiny_params(max_epochs={"off_the_shelf": 20, "fine_tuning": 2})
    train.network(made, TUNED)
    return made


def test_every_depth_is_probed_with_every_weights(params: Params) -> None:
    probes(params, "type", "test_resnet")
    assert sorted(file.name for file in FOLDER.iterdir()) == ["probes.csv", "probes.json", "probes.png"]
    frame = pd.read_csv(FOLDER / "probes.csv")
    assert list(frame["weights"]) == ["imagenet"] * 5 + ["tuned"] * 5 + ["random"] * 5
    for _, rows in frame.groupby("weights"):
        assert list(rows["depth"]) == [0, 1, 2, 3, 4]
        assert list(rows["module"]) == ["act1", "layer1", "layer2", "layer3", "layer4"]
        assert list(rows["reduction"]) == [2, 4, 8, 16, 32]
        assert list(rows["channels"]) == [32, 32, 48, 192, 96]
    assert set(frame["n"]) == {10}
    assert frame["epochs"].between(8, 20).all()
    for row in frame.itertuples():
        assert (row.low, row.high) == pytest.approx(wilson_interval(row.test_accuracy, 10))
    means = frame.groupby("weights")["test_accuracy"].mean()
    assert (means > 0.4).all()  # three classes of three colours
    assert len({tuple(rows["validation_accuracy"] + rows["test_accuracy"]) for _, rows in frame.groupby("weights")}) > 1


def test_what_it_was_made_from_is_told(params: Params) -> None:
    probes(params, "type", "test_resnet")
    told = json.loads((FOLDER / "probes.json").read_text(encoding="utf-8"))
    assert told["runs"] == {"tuned": str(TUNED)}
    assert told["lineage"]["code"] == code.digest("probes")
    assert told["run_digests"] == {str(TUNED): RunFolder.of(TUNED).digest()}
    assert told["weights"] == {
        "imagenet": sha256_of(paths.imagenet_weights("test_resnet")),
        "tuned": sha256_of(RunFolder.of(TUNED).weights),
    }
    assert told["split"] == RunFolder.of(TUNED).read(verify=True).digests["split"]
    assert told["files"] == {name: sha256_of(FOLDER / name) for name in ("probes.csv", "probes.png")}
    assert told["settings"].items() >= {"input_size": 32, "normalisation": "unit", "seed": 0}.items()


def test_the_deepest_probe_of_theta_is_a_softmax_on_its_features(params: Params) -> None:
    """The same by way of the cached features, standardised by hand."""
    probes(params, "type", "test_resnet")
    frame = pd.read_csv(FOLDER / "probes.csv").set_index(["weights", "depth"])
    features(params, "source", "test_resnet", None)
    cached = np.load(features_file(paths.features("source", "test_resnet", "imagenet", None), "running"))
    data = train.images_of(TUNED)
    of_training = cached[data["train"].rows].astype(np.float64)
    varies = of_training.std(0) > 0
    inputs = np.where(varies, (cached - of_training.mean(0)) / np.where(varies, of_training.std(0), 1), 0)
    inputs = inputs.astype(np.float32)
    examples = {split: Examples(inputs, rows.rows, rows.labels) for split, rows in data.items()}
    torch.manual_seed(0)
    layer = nn.Linear(96, 3)
    initialise_softmax(layer)
    recipe = protocol.recipe("off_the_shelf", params.training)
    optimiser, cpu = make_optimiser(layer, recipe.optimiser), Compute(torch.device("cpu"), torch.float32)
    epochs = list(fit(layer, optimiser, examples["train"], examples["validation"], recipe, 0, cpu))
    tested = epochs[protocol.best_epoch([epoch.validation_loss for epoch in epochs])]
    found = frame.loc[("imagenet", 4)]
    assert found["epochs"] == len(epochs)
    assert found["validation_accuracy"] == pytest.approx(tested.validation_accuracy)


def test_the_same_record_gives_the_same_files(params: Params) -> None:
    def contents() -> list[bytes]:
        probes(params, "type", "test_resnet")
        return [file.read_bytes() for file in sorted(FOLDER.iterdir())]

    assert contents() == contents()


def test_without_the_fine_tuned_record_nothing_is_probed(params: Params) -> None:
    RunFolder.of(TUNED).run.unlink()
    with pytest.raises(RunError, match="the run is not complete"):
        probes(params, "type", "test_resnet")
    assert not Path(FOLDER).exists()
