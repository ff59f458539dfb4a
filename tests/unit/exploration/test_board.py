"""Every place of a study is accounted for, whatever becomes of the workers that take it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection

import numpy as np
import pytest
from optuna.trial import Trial

from rijksnet.errors import ExplorationError
from rijksnet.exploration import storage
from rijksnet.exploration.board import DEATHS_AT_MOST, Board, is_over
from rijksnet.exploration.outcome import Outcome
from rijksnet.exploration_params import Exploration
from rijksnet.runs.history import Epoch

Make = Callable[..., Exploration]


def complete(accuracy: float = 0.5, n: int = 10) -> Outcome:
    history = (Epoch(0, 1_700_000_000_000, 1.0, 0.3, 1.1, accuracy, 100.0),)
    return Outcome("complete", history, 0, np.arange(n) < accuracy * n, cost=1e9, seconds=0.5)


def opened(exploration: Exploration, trials: int = 4) -> Board:
    return Board.open(exploration, "a study", trials, {"of": "something"})


def rate_of(trial: Trial) -> float:
    return trial.suggest_float("learning_rate", 1e-4, 0.1, log=True)


def states(board: Board) -> list[str]:
    return [place.state for place in board.places()]


def test_a_study_has_as_many_places_as_asked_for_and_no_more(exploration: Make) -> None:
    board = opened(exploration())
    assert states(board) == ["waiting"] * 4
    first, second = opened(exploration()), opened(exploration())
    taken = [*first.take(3), *second.take(3)]
    assert len(taken) == 4, "who comes last gets what is left"
    assert len({trial.user_attrs["slot"] for trial in taken}) == 4
    assert first.take(1) == []
    for trial in taken:
        rate_of(trial)
        board.finish(trial, complete())
    assert is_over(board.places())
    assert states(opened(exploration(), 6)) == ["complete"] * 4 + ["waiting"] * 2, "a longer study goes on"
    assert states(opened(exploration(), 2)) == ["complete"] * 4 + ["waiting"] * 2, "a shorter one forgets nothing"


def test_what_a_trial_left_is_read_as_it_was(exploration: Make) -> None:
    board = opened(exploration(), 3)
    one, two, three = board.take(3)
    for trial in (one, two, three):
        rate_of(trial)
    outcome = complete(0.7)
    board.finish(one, outcome)
    board.finish(two, Outcome("pruned", outcome.history, None, np.zeros(0, np.bool_), 2e9, 1.0, "given up"))
    board.finish(three, Outcome("diverged", (), None, np.zeros(0, np.bool_), 1e9, 1.0, "not finite"))
    places = board.places()
    assert [place.state for place in places] == ["complete", "pruned", "diverged"]
    found = places[0].outcome
    assert found is not None
    assert (found.accuracy, found.loss, found.history) == (0.7, 1.1, outcome.history)
    np.testing.assert_array_equal(found.hits, outcome.hits)
    assert [place.outcome.note for place in places if place.outcome] == ["", "given up", "not finite"]
    assert places[0].params == {"learning_rate": pytest.approx(rate_of(one))}


def test_what_is_given_back_is_tried_again_with_the_same_recipe(exploration: Make) -> None:
    board = opened(exploration(), 1)
    (trial,) = board.take(1)
    rate = rate_of(trial)
    board.give_back([trial], "interrupted")
    (place,) = board.places()
    assert (place.state, place.attempt) == ("waiting", 1)
    (again,) = board.take(1)
    assert rate_of(again) == rate
    board.finish(again, complete())
    assert [(one.state, one.reason) for one in board.attempts()] == [("failed", "interrupted"), ("complete", "")]


def test_a_trial_without_a_sign_of_life_is_tried_again_and_counts_once(exploration: Make) -> None:
    board = opened(exploration(heartbeat_s=1), 1)
    (lost,) = board.take(1)
    rate = rate_of(lost)
    board.bury()
    assert states(board) == ["running"], "not yet"
    time.sleep(storage.MISSED + 1.2)
    other = opened(exploration(heartbeat_s=1), 1)
    other.bury()
    (again,) = other.take(1)
    assert rate_of(again) == rate
    board.finish(lost, complete(0.9))  # it was alive after all, and comes too late
    other.finish(again, complete(0.4))
    (place,) = board.places()
    assert (place.state, place.attempt) == ("complete", 1)
    assert place.outcome is not None
    assert place.outcome.accuracy == 0.4


def test_a_sign_of_life_keeps_a_long_trial(exploration: Make) -> None:
    board = opened(exploration(heartbeat_s=1), 1)
    taken = board.take(1)
    with board.alive(taken):
        time.sleep(storage.MISSED + 1.5)
        board.bury()
        assert states(board) == ["running"]


def test_a_recipe_that_kills_its_workers_is_given_up(exploration: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "MISSED", 1)
    board = opened(exploration(heartbeat_s=1), 1)
    for _ in range(DEATHS_AT_MOST):
        assert len(board.take(1)) == 1
        time.sleep(2.2)
        board.bury()
    assert board.take(1) == []
    assert is_over(board.places())
    assert states(board) == ["failed"]
    assert states(opened(exploration(heartbeat_s=1), 1)) == ["failed"], "nor is it tried when the study is opened again"


def asked(settings: Exploration, interrupted_at: Collection[int] = ()) -> dict[int, float]:
    """The learning rate of each of 16 places that one worker fills; some trials are interrupted once."""
    board, rates = opened(settings, 16), {}
    while taken := board.take(1):
        (trial,), slot = taken, taken[0].user_attrs["slot"]
        rate = rate_of(trial)
        assert rates.setdefault(slot, rate) == rate
        if slot in interrupted_at and trial.user_attrs["attempt"] == 0:
            board.give_back([trial], "interrupted")
            board = opened(settings, 16)
        else:
            board.finish(trial, complete(0.1 * round(5 + 2 * np.log10(rate))))
    return rates


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_same_seed_asks_for_the_same(sampler: str, exploration: Make) -> None:
    first, same, other = (
        asked(exploration(sampler=sampler, seed=seed, storage=f"sqlite:///{file}.db"))
        for seed, file in ((0, "a"), (0, "b"), (1, "c"))
    )
    assert first == same
    assert first != other
    assert len(set(first.values())) == 16


def test_what_a_place_draws_at_random_depends_on_no_interruption(exploration: Make) -> None:
    whole, interrupted = (
        asked(exploration(sampler="random", storage=f"sqlite:///{file}.db"), at)
        for file, at in (("a", ()), ("b", (2, 7, 12)))
    )
    assert whole == interrupted


def test_two_objectives_keep_both(exploration: Make) -> None:
    board = opened(exploration(objectives=["accuracy", "cost"], pruner="none"), 1)
    (trial,) = board.take(1)
    board.finish(trial, complete(0.6))
    assert board.study.trials[0].values == [0.6, 1e9]
    assert Counter(direction.name for direction in board.study.directions) == {"MAXIMIZE": 1, "MINIMIZE": 1}


def test_a_storage_that_is_away_is_named_without_its_password(exploration: Make) -> None:
    settings = exploration(storage="postgresql://someone:secret@127.0.0.1:1/studies")
    with pytest.raises(
        ExplorationError, match=r"the studies at postgresql://someone:\*\*\*@127\.0\.0\.1:1/studies"
    ) as told:
        opened(settings)
    assert "secret" not in str(told.value)
    assert "RIJKSNET_STUDIES" in str(told.value)


def test_a_study_starts_with_every_value_of_a_choice(exploration: Make) -> None:
    names = ["rmsprop", "sgd", "adam", "adamw"]
    board, drawn = opened(exploration(), 8), Counter()
    for trial in board.take(8):
        drawn[trial.suggest_categorical("optimiser", names)] += 1
    assert drawn == dict.fromkeys(names, 2)
