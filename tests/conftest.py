"""What tests of several rooms share: small parameters, and a working directory in which they can be trained with."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rijksnet.params import Params
from workspace import Content, make_workspace, tiny_content

# Some tests send SIGINT, which whoever started this process in the background has made it ignore.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Before torch is imported: networks this small lose more to threads that wait for each other than they gain.
os.environ.setdefault("OMP_NUM_THREADS", "1")

#: The files that take longest, in the order in which they should begin, so that none is waited for at the end. Those
#: that share the reproduced project come once it is likely made.
FIRST = (
    "tests/pipeline/test_repro.py",
    "tests/integration/exploration/",
    "tests/unit/report/",
    "tests/unit/stages/",
    "tests/pipeline/",
    "tests/integration/tracking/",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files begin first; `make test` gives each file to one process."""
    items.sort(key=lambda item: next((i for i, first in enumerate(FIRST) if item.nodeid.startswith(first)), len(FIRST)))


@pytest.fixture
def content() -> Content:
    """What a params file holds; each test has its own, to change at will."""
    return tiny_content()


@pytest.fixture
def tiny_params(content: Content) -> Callable[..., Params]:
    """A factory of parameters: `content`, with keywords in place of fields of `training`; one `normalisation`."""

    def make(**training: Any) -> Params:
        if isinstance(scale := training.get("normalisation"), str):
            training["normalisation"] = {"off_the_shelf": scale, "fine_tuning": scale}
        return Params.model_validate({**content, "training": {**content["training"], **training}})

    return make


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of one test: the three collections, split and packed, and θ of `test_resnet`."""
    monkeypatch.chdir(tmp_path)
    make_workspace()
    return tmp_path
