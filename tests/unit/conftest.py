"""A project of synthetic runs, and parameters for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import synthetic
from rijksnet import params as rijksnet_params
from rijksnet.params import Params

ROOT = Path(__file__).parents[2]


@pytest.fixture
def runs_root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of runs_root and data_root as a project's root, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def write_run(runs_root: Path) -> Callable[..., Path]:
    """(key, correct, classes=…, first_object=…, epochs=…) → the run's folder, in runs_root."""
    return partial(synthetic.write_run, runs_root)


@pytest.fixture
def write_splits(data_root: Path) -> Callable[..., None]:
    """Into data_root: (collection, challenge → (objects, class names))."""
    return partial(synthetic.write_splits, data_root)


@pytest.fixture(scope="session")
def reference() -> Path:
    """The project's own copy of the paper's figures."""
    return ROOT / "reference"


@pytest.fixture(scope="session")
def params() -> Params:
    """The project's own params.yaml: drawn collections, test_resnet and test_densenet, scratch on test_resnet."""
    return rijksnet_params.load(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def paper_params(params: Params) -> Params:
    """Two of the paper's networks on collections named as the paper's."""
    content = params.model_dump()
    table = {"reader": "table", "raw": "raw", "table": "table.csv", "images": ".", "columns": {}}
    content["collections"] = {"rijksmuseum": table, "antwerp": table}
    content["source"] = {"collection": "rijksmuseum", "challenges": ["type", "artist"]}
    content["drawn"] = []
    content["target"] = {"collection": "antwerp", "challenges": ["type"], "architectures": ["inception_v3", "vgg19"]}
    content["architectures"] = ["inception_v3", "vgg19"]
    content["imagenet"]["timm"] = ["inception_v3", "vgg19"]
    content["imagenet"]["pretrain"] |= {"collection": "rijksmuseum", "architectures": []}
    content["scratch"] = {"architecture": "inception_v3", "challenges": ["type"]}
    content["seeds"] |= {"target_challenges": [], "architectures": []}
    content["side_experiments"] |= {"challenges": [], "architectures": [], "common_classes": [], "multi_task": []}
    content["exploration"] |= {"challenges": [], "architectures": [], "strategies": []}
    return Params.model_validate(content)
