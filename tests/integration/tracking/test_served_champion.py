"""A service follows the champion: what the registry names now answers next, and what serves goes on meanwhile."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from helpers import KEY, write_run
from rijksnet.errors import TrackingError
from rijksnet.files import sha256_of
from rijksnet.params import Params
from rijksnet.publishing import publish
from rijksnet.runs.folder import RunFolder
from rijksnet.service.desk import Desk, Follower, load_adviser
from rijksnet.tracking import registry
from rijksnet.tracking.stores import Store
from stores import MODEL, free_port

pytestmark = pytest.mark.usefixtures("only_weights")


@pytest.fixture
def two_versions(params: Params, store: Store) -> list[RunFolder]:
    runs = [write_run(replace(KEY, seed=n), seed=n) for n in range(2)]
    publish.publish(params)
    return runs


@pytest.fixture
def desk(params: Params, two_versions: list[RunFolder]) -> Desk:
    return Desk(load_adviser(params, MODEL, 0.9))


def promote(store: Store, number: str) -> None:
    (version,) = (one for one in registry.versions(store, MODEL) if str(one.version) == number)
    registry.move(store, MODEL, version, "person")


def test_the_champion_is_served_and_followed(
    params: Params, store: Store, desk: Desk, two_versions: list[RunFolder]
) -> None:
    follower = Follower(desk, params, MODEL, 60)
    follower.look()
    assert (desk.adviser.name, desk.adviser.weights) == (f"{MODEL}/1", sha256_of(two_versions[0].weights))
    first = desk.adviser
    promote(store, "2")
    follower.look()
    assert (desk.adviser.name, desk.adviser.weights) == (f"{MODEL}/2", sha256_of(two_versions[1].weights))
    assert first.name == f"{MODEL}/1"  # who asked it has its answer
    store.client.delete_registered_model_alias(MODEL, "champion")
    follower.look()
    assert (desk.adviser.name, follower.exchanges) == (f"{MODEL}/2", 1)


def test_it_looks_by_itself(params: Params, store: Store, desk: Desk) -> None:
    with Follower(desk, params, f"{MODEL}@champion", 0.05) as follower:
        promote(store, "2")
        for _ in range(400):
            if follower.exchanges:
                break
            time.sleep(0.05)
    assert desk.adviser.name == f"{MODEL}/2"


def test_where_the_registry_is_away_what_serves_goes_on(params: Params, desk: Desk) -> None:
    away = params.tracking.model_copy(update={"uri": f"http://127.0.0.1:{free_port()}"})
    elsewhere = params.model_copy(update={"tracking": away})
    with pytest.raises(TrackingError):
        Follower(desk, elsewhere, MODEL, 60).look()
    with Follower(desk, elsewhere, MODEL, 0.01) as follower:
        for _ in range(400):
            if follower.said:
                break
            time.sleep(0.05)
    assert "cannot be used" in follower.said
    assert desk.adviser.name == f"{MODEL}/1"


def test_what_is_no_model_is_refused(params: Params, desk: Desk) -> None:
    with pytest.raises(TrackingError, match=r"is neither a run here nor a registered model with such a version"):
        load_adviser(params, f"{MODEL}/7", 0.9)
