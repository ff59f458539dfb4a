from __future__ import annotations

import networkx as nx
import pytest

from rijksnet.params import Params
from rijksnet.scheduling.repro import chains
from rijksnet.scheduling.resources import COMPUTE, LIGHT, Resources, needs_of

MACHINE = Resources(cores=16, gpus=2, memory_mib=64_000)


@pytest.mark.parametrize(
    ("command", "threads", "device", "needs"),
    [
        ("rijksnet splits x", "auto", "auto", Resources(1)),
        ("rijksnet pixels x", "auto", "auto", Resources(16)),
        ("rijksnet fine_tuning a b c", "auto", "cpu", Resources(16)),
        ("rijksnet fine_tuning a b c", 4, "cpu", Resources(4)),
        ("rijksnet fine_tuning a b c", 99, "cpu", Resources(16)),
        ("rijksnet fine_tuning a b c", 4, "auto", Resources(1, gpus=1)),
        ("python something.py", 4, "cpu", Resources(16)),
    ],
)
def test_what_a_stage_asks_for(params: Params, command: str, threads: str, device: str, needs: Resources) -> None:
    training = params.training.model_copy(update={"threads": threads, "device": device})
    assert needs_of(command, training, MACHINE, 0) == needs


def test_the_commands_are_those_of_the_pipeline() -> None:
    from rijksnet.cli import app

    commands = {
        str(command.name or command.callback.__name__) for command in app.registered_commands if command.callback
    }
    assert commands >= COMPUTE | LIGHT


def test_needs_fit_a_machine_that_has_it_all() -> None:
    assert (Resources(8) + Resources(8, 1, 100)).fit(MACHINE)
    assert not (Resources(8) + Resources(9)).fit(MACHINE)
    assert not Resources(1, 3).fit(MACHINE)
    assert not Resources(1, 0, 64_001).fit(MACHINE)


def test_the_longest_chain_of_what_waits_goes_first() -> None:
    class Stage:
        def __init__(self, addressing: str) -> None:
            self.addressing = addressing

    a, b, c, d = (Stage(name) for name in "abcd")
    graph = nx.DiGraph([(d, a), (d, b), (c, b)])  # d needs a and b, c needs b
    found = chains(graph, {"d": 10.0, "a": 2.0, "c": 30.0})
    assert (found[a], found[b], found[c], found[d]) == (12.0, 31.0, 30.0, 10.0)
