"""What tests of several rooms share: a params file's content, small, and parameters made from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rijksnet.params import Params

Content = dict[str, Any]


@pytest.fixture
def content() -> Content:
    """What a params file holds: three drawn collections, `test_resnet` at 32 px on the processor, a few epochs.

    Each test has its own, to change at will.
    """
    return {
        "collections": {
            name: {"reader": "miniature", "raw": f"data/{name}/raw", "museum": museum, "objects": 20, "seed": 0}
            for name, museum in {"source": "rijksmuseum", "target": "antwerp", "photographs": "photographs"}.items()
        },
        "drawn": ["source", "target", "photographs"],
        "source": {"collection": "source", "challenges": ["material", "type"]},
        "target": {"collection": "target", "challenges": ["type"], "architectures": ["test_resnet"]},
        "architectures": ["test_resnet"],
        "input_size": 32,
        "imagenet": {
            "timm": [],
            "file": {},
            "pretrain": {
                "collection": "photographs",
                "architectures": ["test_resnet"],
                "learning_rate": 0.05,
                "max_epochs": 3,
            },
        },
        "scratch": {"architecture": "test_resnet", "challenges": ["type"]},
        "splits": {"seed": 0},
        "training": {
            "protocol": "as_written",
            "pixels": "protocol",
            "batch_norm": "running",
            "precision": "fp32",
            "device": "cpu",
            "max_epochs": {"off_the_shelf": 20, "fine_tuning": 4},
            "seed": 0,
        },
        "tracking": {"uri": "sqlite:///mlflow.db", "artifacts": "mlartifacts", "live_after_s": 3600},
    }


@pytest.fixture
def tiny_params(content: Content) -> Callable[..., Params]:
    """A factory of parameters: `content`, with keywords in place of fields of `training`."""

    def make(**training: Any) -> Params:
        return Params.model_validate({**content, "training": {**content["training"], **training}})

    return make
