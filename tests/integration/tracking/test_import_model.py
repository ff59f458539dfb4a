"""θ from another project's registry, over a server; pinned, with its ancestry."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers import KEY, write_run
from processes import Warm
from rijksnet.errors import ParamsError, TrackingError, WeightsError
from rijksnet.files import sha256_of
from rijksnet.networks import weights
from rijksnet.params import Params, RegistryWeights
from rijksnet.paths import imagenet_weights
from rijksnet.publishing import publish
from rijksnet.runs.folder import RunFolder
from rijksnet.stages import champions, import_model
from rijksnet.tracking import pins, registry, stores
from stores import free_port

#: The server is one for all tests; others have their own collections there.
LENT = replace(KEY, collection="lender")
MODEL = pins.model_of(LENT).name

pytestmark = pytest.mark.usefixtures("only_weights")


def asking(params: Params, model: str, store: str, sha256: str, architecture: str = "test_resnet") -> Params:
    wanted = {architecture: RegistryWeights(model=model, store=store, sha256=sha256)}
    return params.model_copy(update={"imagenet": params.imagenet.model_copy(update={"registry": wanted})})


def lender(params: Params, uri: str) -> Params:
    tracking = params.tracking.model_copy(update={"uri": uri})
    source = params.source.model_copy(update={"collection": LENT.collection})
    return params.model_copy(update={"tracking": tracking, "source": source})


@pytest.fixture
def theirs(params: Params, server: str) -> dict[str, Any]:
    """A champion in a server's registry: its addresses there, and the identity of its weights."""
    at_server = lender(params, server)
    at = write_run(LENT)
    publish.publish(at_server)
    champions.champions(at_server)
    version = registry.champion(stores.open_store(at_server.tracking), MODEL)
    return {
        "alias": f"models:/{MODEL}@champion",
        "version": f"models:/{MODEL}/{version.version}",
        "run": f"runs:/{version.run_id}/model",
        "sha256": sha256_of(at.weights),
    }


@pytest.mark.parametrize("how", ["alias", "version", "run"])
def test_a_champion_elsewhere_becomes_θ_here(
    params: Params, server: str, theirs: dict[str, Any], how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import_model.import_model(asking(params, theirs[how], server, theirs["sha256"]), "test_resnet")
    tensors, header = weights.read(imagenet_weights("test_resnet"))
    kept, _ = weights.read(RunFolder.of(LENT).weights)
    assert {name: t.tolist() for name, t in tensors.items()} == {
        name: t.tolist() for name, t in kept.items() if not name.startswith("softmax.")
    }
    named = theirs["version"] if how == "alias" else theirs[how]
    assert weights.ancestry_in(header)[-1] == {
        "from": "registry", "name": named, "store": server, "sha256": theirs["sha256"], "licence": "not stated",
    }  # fmt: skip
    assert f"from {named} at {server}" in capsys.readouterr().err


def test_other_weights_than_those_pinned_are_refused(params: Params, server: str, theirs: dict[str, Any]) -> None:
    with pytest.raises(
        TrackingError, match=rf"are {theirs['sha256']}, but imagenet.registry.test_resnet.sha256 pins 0+"
    ):
        import_model.import_model(asking(params, theirs["alias"], server, "0" * 64), "test_resnet")
    assert not imagenet_weights("test_resnet").exists()


def test_another_architecture_is_refused(params: Params, server: str, theirs: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match="is to hold 'test_vit', but its header says 'test_resnet'"):
        import_model.import_model(asking(params, theirs["alias"], server, theirs["sha256"], "test_vit"), "test_vit")


@pytest.mark.parametrize("model", ["models:/nobodys@champion", "models:/nobodys/3", f"runs:/{'0' * 32}/model"])
def test_a_model_that_is_not_there_is_told_in_one_message(params: Params, server: str, model: str) -> None:
    with pytest.raises(TrackingError, match=f"fetching {model}: {server} does not have it") as caught:
        import_model.import_model(asking(params, model, server, "0" * 64), "test_resnet")
    assert len(str(caught.value).splitlines()) == 1


def test_a_server_that_is_away_is_told(params: Params) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(TrackingError, match=f"opening it: the tracking store {away}"):
        import_model.import_model(asking(params, "models:/a@b", away, "0" * 64), "test_resnet")


def test_an_architecture_that_is_not_named_is_told(params: Params) -> None:
    with pytest.raises(ParamsError, match="names no model for 'vgg19'; it has \\[\\]"):
        import_model.import_model(params, "vgg19")


def test_what_is_logged_the_ordinary_way_will_do(
    warm: Warm, params: Params, server: str, theirs: dict[str, Any]
) -> None:
    """MLflow keeps what `log_model` registers beside the artifacts of its run."""
    at = RunFolder.of(LENT)
    code = (
        "import sys, mlflow\n"
        "class Model(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input): return model_input\n"
        "mlflow.set_experiment('another lab')\n"
        "with mlflow.start_run():\n"
        "    mlflow.pyfunc.log_model(name='m', python_model=Model(), artifacts={'w': sys.argv[1]},\n"
        "                            pip_requirements=[], registered_model_name='another-lab')\n"
    )
    environment = os.environ | {"MLFLOW_TRACKING_URI": server}
    warm.run("python", "-c", code, at.weights.absolute().as_uri(), environment=environment)
    import_model.import_model(asking(params, "models:/another-lab/1", server, theirs["sha256"]), "test_resnet")
    assert imagenet_weights("test_resnet").is_file()


def test_a_store_that_is_not_there_is_not_made(params: Params, tmp_path: Path) -> None:
    wanted = asking(params, "models:/a/1", f"sqlite:///{tmp_path}/typo.db", "0" * 64)
    with pytest.raises(TrackingError, match=r"typo\.db is not there: name another project's store"):
        import_model.import_model(wanted, "test_resnet")
    assert not (tmp_path / "typo.db").exists()


def test_a_local_store_will_do(params: Params, tmp_path: Path) -> None:
    at = write_run(LENT)
    own = lender(params, "sqlite:///mlflow.db")
    publish.publish(own)
    champions.champions(own)
    wanted = asking(params, f"models:/{MODEL}@champion", f"sqlite:///{tmp_path}/mlflow.db", sha256_of(at.weights))
    import_model.import_model(wanted, "test_resnet")
    assert imagenet_weights("test_resnet").is_file()
