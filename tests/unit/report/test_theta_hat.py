"""What is said of θ̂ where it is not the project's own run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helpers import KEY, write_run
from rijksnet.params import Params
from rijksnet.report.theta_hat import other_origins
from rijksnet.runs.key import RunKey
from rijksnet.runs.result import RunResult, load_run
from rijksnet.tracking.pins import Pin

TARGET = replace(KEY, collection="target", initialisation=KEY.collection)


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    source = SimpleNamespace(collection=KEY.collection, challenges=["type"])
    return SimpleNamespace(source=source, architectures=["test_resnet"], training=SimpleNamespace(seed=0))


@pytest.fixture
def runs() -> Callable[[str], dict[RunKey, RunResult]]:
    """The own run, and one on the target that starts from these weights."""

    def make(start: str) -> dict[RunKey, RunResult]:
        own = load_run(write_run(KEY).root)
        target = replace(load_run(write_run(TARGET).root), initial_weights=start or own.weights_digest)
        return {KEY: own, TARGET: target}

    return make


def test_nothing_is_said_where_it_is_the_own_run(params: Params, runs: Any) -> None:
    assert other_origins(params, runs("")) == []
    assert other_origins(params, {}) == []


def test_a_person_s_choice_is_named_with_what_differs(params: Params, runs: Any) -> None:
    made = runs("e" * 64)
    own = made[KEY].folder.read(verify=True)
    Pin("type", "test_resnet", "e" * 64, "m", "another/run", "5" * 64, "person", own.params | {"protocol": "x"}).write()
    (said,) = other_origins(params, made)
    assert said == (
        "type, test_resnet: the run `another/run`, weights eeeeeeeeeeee…, chosen by a person; it is the run "
        "another/run; protocol x rather than as_written"
    )


def test_weights_that_nothing_names_are_told(params: Params, runs: Any) -> None:
    (said,) = other_origins(params, runs("e" * 64))
    assert "weights eeeeeeeeeeee…, which neither the own run nor the pin names" in said


def test_two_starts_are_both_named(params: Params, runs: Any) -> None:
    made = runs("e" * 64)
    other = replace(TARGET, strategy="off_the_shelf")
    made[other] = replace(made[TARGET], key=other, initial_weights=made[KEY].weights_digest)
    assert len(other_origins(params, made)) == 2
