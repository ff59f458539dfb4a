"""Weights that others tuned and published as Keras saved them: a version here, and θ̂ once a person says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers import COLLECTION, write_run
from keras_files.hdf5 import layers_of, write_keras2
from rijksnet import paths
from rijksnet.errors import ParamsError, WeightsError
from rijksnet.files import sha256_of
from rijksnet.models import promotion
from rijksnet.models.import_keras import import_keras, register_keras
from rijksnet.networks import weights
from rijksnet.params import Params
from rijksnet.publishing import check, publish
from rijksnet.stages import champions
from rijksnet.tracking import pins, registry
from rijksnet.tracking.stores import Store

MODEL = f"rijksnet-{COLLECTION}-type-densenet121"

pytestmark = pytest.mark.usefixtures("only_weights")


@pytest.fixture
def released(tmp_path: Path) -> Path:
    return write_keras2(tmp_path / "rijks_type_weights.h5", layers_of("densenet121"))


@pytest.fixture
def tuning(params: Params) -> Params:
    """Parameters of a project that tunes DenseNet121 too."""
    return params.model_copy(update={"architectures": [*params.architectures, "densenet121"]})


def test_they_become_a_version_and_θ_hat(
    released: Path, tuning: Params, params: Params, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run()
    publish.publish(params)
    for told in ("version 1 is new", "version 1 is there already"):
        register_keras(tuning, released, "densenet121", "type")
        assert f"{MODEL}: {told} (from {released})" in capsys.readouterr().err
    (version,) = registry.versions(store, MODEL)
    assert version.tags["taken_from"] == f"{released.name} (Keras, sha256 {sha256_of(released)})"
    assert "as others published it" in version.description
    assert registry.champion(store, MODEL) is None
    promotion.promote(tuning, MODEL, "1", None, despite="the authors' own")
    champions.champions(tuning)
    pin = pins.read_pin("type", "densenet121")
    assert pin is not None
    assert (pin.run_key, pin.chosen_by) == (f"published {released.name}", "person")
    champions.tuned(tuning, "type", "densenet121")
    at = paths.tuned_weights(COLLECTION, "type", "densenet121")
    assert sha256_of(at) == pin.weights_sha256
    _, header = weights.read(at)
    assert weights.design_in(header, at)[0].form == "keras"
    assert [step["from"] for step in weights.ancestry_in(header)] == ["keras"]
    publish.publish(params)  # what is no run of the project's is left as it is
    assert check.check(params) == []
    assert registry.is_backed(store, version)


def test_what_this_project_does_not_tune_is_refused(released: Path, params: Params) -> None:
    with pytest.raises(ParamsError, match=r"tunes \[\('type', 'test_resnet'\)\], and not densenet121 for type"):
        register_keras(params, released, "densenet121", "type")


def test_a_file_that_is_away_is_told_and_registers_nothing(tuning: Params, store: Store) -> None:
    with pytest.raises(WeightsError, match="does not exist"):
        register_keras(tuning, Path("away.h5"), "densenet121", "type")
    assert registry.versions(store, MODEL) == []


def test_a_file_of_one_s_own(released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out" / "θ.safetensors"
    import_keras(released, "densenet121", out)
    assert f"densenet121, sha256 {sha256_of(out)}" in capsys.readouterr().err
