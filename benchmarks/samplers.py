"""Is the sampler worth it? Studies of softmax layers by the tree-structured Parzen estimator and by random draws.

    python benchmarks/samplers.py COLLECTION CHALLENGE ARCHITECTURE [--trials 200] [--seeds 5]

To be run in a project in which `rijksnet features` has run. Both samplers get the same number of trials, the same space
(exploration.space in params.yaml), the same features and split, and each seed of a sampler is a study of its own in a
temporary file. What is compared is what a study is for: the validation accuracy, and of equals the loss, of the best
recipe after so many trials. The test split is not opened.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import optuna
from numpy.typing import NDArray
from scipy import stats

from rijksnet import params as rijksnet_params
from rijksnet.exploration.board import Board
from rijksnet.exploration.display import shown
from rijksnet.params import Params
from rijksnet.runs.key import RunKey
from rijksnet.stages.explore import Ending, subject_of, work

AFTER = (20, 50, 100, 200, 500)


def study(params: Params, key: RunKey, sampler: str, seed: int, trials: int) -> tuple[NDArray[np.float64], float]:
    """Validation accuracy and minus loss of the best trial after each trial, (trials, 2); seconds."""
    with tempfile.TemporaryDirectory() as folder:
        changed = {"sampler": sampler, "seed": seed, "storage": f"sqlite:///{folder}/studies.db"}
        exploration = params.exploration.model_copy(update=changed)
        subject = subject_of(params.model_copy(update={"exploration": exploration}), key)
        started = time.perf_counter()
        with closing(Board.open(exploration, subject.name, trials, {})) as board, shown(None, trials) as display:
            work(board, subject, display, Ending())
            places = board.places()
        seconds = time.perf_counter() - started
    found = [
        (place.outcome.accuracy, -place.outcome.loss) if place.state == "complete" and place.outcome else (0.0, -np.inf)
        for place in places
    ]
    best = [max(found[: i + 1]) for i in range(len(found))]
    return np.array(best), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection")
    parser.add_argument("challenge")
    parser.add_argument("architecture")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    chosen = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    params = rijksnet_params.load(Path("params.yaml"))
    key = RunKey(chosen.collection, chosen.challenge, chosen.architecture, "off_the_shelf", "imagenet", 0)
    curves: dict[str, list[NDArray[np.float64]]] = {"random": [], "tpe": []}
    for seed in range(chosen.seeds):
        for sampler, made in curves.items():
            best, seconds = study(params, key, sampler, seed, chosen.trials)
            made.append(best)
            accuracy, loss = best[-1]
            print(f"{sampler:6} seed {seed}: {100 * accuracy:.2f} %, loss {-loss:.4f}, {seconds:.1f} s", flush=True)
    print(f"\nvalidation accuracy of the best trial, %, mean over {chosen.seeds} seeds")
    print("after   random      tpe   tpe − random (95 % t interval over seeds)      loss: tpe − random")
    for n in (*(n for n in AFTER if n < chosen.trials), chosen.trials):
        at = {name: np.array([one[n - 1] for one in made]) for name, made in curves.items()}
        difference = 100 * (at["tpe"][:, 0] - at["random"][:, 0])
        margin = stats.sem(difference) * stats.t.ppf(0.975, len(difference) - 1)
        means = [100 * at[name][:, 0].mean() for name in ("random", "tpe")]
        loss = -(at["tpe"][:, 1] - at["random"][:, 1]).mean()
        print(f"{n:5d} {means[0]:8.2f} {means[1]:8.2f}   {difference.mean():+.2f} (± {margin:.2f}) {loss:+35.4f}")


if __name__ == "__main__":
    main()
