"""Speeds are measured by the loop that trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rijksnet.params import Params
from rijksnet.planning.former import FormerRuns
from rijksnet.planning.speed import Speeds
from rijksnet.runs import lineage
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.key import RunKey

KEY = RunKey("source", "type", "test_resnet", "fine_tuning", "imagenet")


def test_a_network_that_never_trained_here_is_measured_once(tiny_params: Callable[..., Params]) -> None:
    speeds = Speeds(tiny_params(), {})
    network = speeds.network("test_resnet")
    assert (network.input_size, network.feature_size) == (32, 96)
    assert network.bytes == pytest.approx(4 * 372_688, rel=0.02), "parameters in float32, and running statistics"
    assert network.speed.training > 0
    assert network.speed.reading > 0
    assert speeds.head(96) > 0
    assert speeds.network("test_resnet") is network


def test_what_has_trained_here_is_not_measured_again(tiny_params: Callable[..., Params]) -> None:
    assert Speeds(tiny_params(), {"test_resnet": 12.5}).network("test_resnet").speed.training == 12.5


@pytest.mark.usefixtures("project")
def test_a_speed_is_of_this_kind_of_machine_and_this_size(
    tiny_params: Callable[..., Params], write_run: Callable[..., Path]
) -> None:
    params = tiny_params()
    at = RunFolder(write_run(KEY, [True]))
    assert FormerRuns(params).images_per_s == {}
    run, here = at.read(verify=False), {"machine": lineage.environment()["machine"]}
    at.write(replace(run, params={**run.params, "input_size": 32}, lineage=here))
    assert FormerRuns(params).images_per_s == {"test_resnet": 100.0}
    at.write(replace(run, params={**run.params, "input_size": 32}, lineage={"machine": "another"}))
    assert FormerRuns(params).images_per_s == {}
