"""An interruption at any moment leaves every place of a study to whoever comes next."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
from optuna.study import Study
from optuna.trial import Trial

from rijksnet.exploration import trials
from rijksnet.exploration.board import Board
from rijksnet.exploration_params import Exploration
from rijksnet.stages import explore as worker

DISPLAY: Any = SimpleNamespace(update=lambda _: None, note=lambda _: None)


def interrupting(function: Callable[..., Any], *, before: bool = False) -> Callable[..., Any]:
    """The function, during the first call of which Ctrl-C is pressed."""
    pressed = iter([True])

    def call(*args: Any, **options: Any) -> Any:
        press = next(pressed, False)
        if press and before:
            os.kill(os.getpid(), signal.SIGINT)
        answer = function(*args, **options)
        if press and not before:
            os.kill(os.getpid(), signal.SIGINT)
        return answer

    return call


@pytest.mark.parametrize(
    ("owner", "name", "before"),
    [
        (Study, "ask", True),
        (Study, "ask", False),
        (Trial, "set_user_attr", False),
        (Study, "tell", True),
        (Study, "tell", False),
        (Study, "add_trial", True),
        (trials, "carry_out", False),
    ],
)
def test_no_place_is_left_running(
    owner: Any, name: str, before: bool, exploration: Callable[..., Exploration], monkeypatch: pytest.MonkeyPatch
) -> None:
    def carry_out(board: Board, taken: list[Trial], *_: Any) -> None:
        raise RuntimeError("the training failed")

    if name in ("tell", "add_trial"):  # of the giving back, while the worker ends by a fault of its own
        monkeypatch.setattr(trials, "carry_out", carry_out)
    else:
        monkeypatch.setattr(trials, "carry_out", lambda *_: None)
    monkeypatch.setattr(trials, "at_once", lambda _: 2)
    with closing(Board.open(exploration(), "a study", 4, {})) as board:
        monkeypatch.setattr(owner, name, interrupting(getattr(owner, name), before=before))
        with pytest.raises(KeyboardInterrupt), worker._interruptible() as ending:
            worker.work(board, DISPLAY, DISPLAY, ending)
        assert [place.state for place in board.places()] == ["waiting"] * 4
