"""What a worker does with the trials it has taken: softmax layers side by side, networks one after another."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, cast

import numpy as np
from filelock import FileLock

from rijksnet import paths, protocol
from rijksnet.errors import RunError, TrainingError, WeightsError
from rijksnet.exploration import storage
from rijksnet.exploration.outcome import Outcome, tested_epoch
from rijksnet.exploration.space import suggest, unexplored, with_choice
from rijksnet.training import compute, strategies
from rijksnet.training.cost import network_cost, softmax_cost
from rijksnet.training.features import read_description
from rijksnet.training.heads import fit_heads
from rijksnet.training.loop import fit, make_optimiser, predict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from optuna.trial import Trial
    from torch import Tensor

    from rijksnet.data.subsets import LabelledSplits
    from rijksnet.exploration.board import Board
    from rijksnet.exploration.outcome import How
    from rijksnet.exploration.space import Choice
    from rijksnet.exploration_params import ExploredStrategy
    from rijksnet.params import Params
    from rijksnet.runs.folder import RunFolder
    from rijksnet.runs.history import Epoch
    from rijksnet.runs.key import RunKey
    from rijksnet.training.heads import Head
    from rijksnet.training.job import Job

#: Softmax layers of one round: enough to train faster together, few enough for the sampler to learn between rounds.
TOGETHER = 20

Tell = Callable[[str], None]
NOTHING_TRAINED = np.zeros(0, np.bool_)


@dataclass(frozen=True)
class Subject:
    """What a study is of: a run's key, with the fixed choice that its trials vary."""

    params: Params
    key: RunKey
    name: str
    fixed: Choice

    @property
    def strategy(self) -> ExploredStrategy:
        return cast("ExploredStrategy", self.key.strategy)

    @cached_property
    def data(self) -> LabelledSplits:
        return strategies.images_of(self.key)

    def chosen(self, trial: Trial) -> Choice:
        return suggest(trial, self.params.exploration.space, self.strategy, self.fixed, self.name)

    def under(self, choice: Choice) -> Params:
        """Parameters under which the runs' strategy is that choice's."""
        return with_choice(self.params, self.strategy, choice) if choice.recipe.study else unexplored(self.params)

    def job(self, choice: Choice, at: RunFolder | None = None) -> Job:
        """The training by a choice; where the run folder goes matters only to one that is carried out."""
        params = self.under(choice)
        if self.strategy == "off_the_shelf":
            return strategies.softmax_job(params, self.key, self.data, features_for(params, self.key), at)
        return strategies.network_job(params, {self.key: self.data}, at=at)


def features_for(params: Params, key: RunKey) -> Path:
    """The folder of features of inputs normalised as the parameters say: the pipeline's, or one made for studies."""
    from rijksnet.training.extraction import extract_collection  # timm takes seconds to import

    normalisation, ordinary = protocol.normalisation(params.training, key.strategy), key.features
    if read_description(ordinary, key.initial_weights).normalisation == normalisation:
        return ordinary
    folder = (
        paths.STUDIES / "features" / ordinary.relative_to(paths.FEATURES).with_name(f"{ordinary.name}-{normalisation}")
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        try:
            read_description(folder, key.initial_weights)
        except (RunError, WeightsError):
            extract_collection(params, key.collection, key.architecture, key.initial_weights, folder)
    return folder


def at_once(subject: Subject) -> int:
    """How many trials a worker takes together."""
    return TOGETHER if subject.strategy == "off_the_shelf" else 1


def carry_out(board: Board, trials: Sequence[Trial], subject: Subject, told: Tell) -> None:
    """Choose recipes for all trials, train by them, and keep what came out."""
    choices = [subject.chosen(trial) for trial in trials]
    if subject.strategy == "off_the_shelf":
        outcomes = train_heads(subject, choices, told)
    else:
        outcomes = [train_network(subject, choice, trial, told) for choice, trial in zip(choices, trials, strict=True)]
    for trial, outcome in zip(trials, outcomes, strict=True):
        board.finish(trial, outcome)


def train_heads(subject: Subject, choices: Sequence[Choice], told: Tell) -> list[Outcome]:
    """Outcomes of softmax layers, in the order of their choices; those on the same features train side by side."""
    computed = compute.choose(subject.params.training)
    outcomes: dict[int, Outcome] = {}
    for normalisation in dict.fromkeys(choice.normalisation for choice in choices):
        alike = [i for i, choice in enumerate(choices) if choice.normalisation == normalisation]
        jobs = [subject.job(choices[i]) for i in alike]
        started = time.perf_counter()
        training, validation = (jobs[0].examples(split) for split in (protocol.TRAIN, protocol.VALIDATION))
        (classes,), seed = jobs[0].sizes, subject.key.seed
        heads = fit_heads(
            [job.recipe for job in jobs],
            training,
            validation,
            classes,
            seed,
            computed,
            partial(_tell, told, len(alike)),
        )
        share = (time.perf_counter() - started) / len(heads)
        per_epoch = len(training) * softmax_cost(jobs[0].feature_size, classes)
        outcomes |= {i: _of_head(head, per_epoch, share) for i, head in zip(alike, heads, strict=True)}
    return [outcomes[i] for i in range(len(choices))]


def _tell(told: Tell, heads: int, epoch: int) -> None:
    told(f"{heads} side by side, epoch {epoch}")


def _of_head(head: Head, per_epoch: float, seconds: float) -> Outcome:
    history, epochs = tuple(head.history), len(head.history) + bool(head.diverged)
    if head.diverged:
        return Outcome("diverged", history, None, NOTHING_TRAINED, epochs * per_epoch, seconds, head.diverged)
    best = tested_epoch(head.recipe, history)
    return Outcome("complete", history, best, head.hits, epochs * per_epoch, seconds)


def train_network(subject: Subject, choice: Choice, trial: Trial, told: Tell) -> Outcome:
    """Fine-tune a network; the study's pruner is asked after each epoch whether it is worth going on."""
    job = subject.job(choice)
    recipe, computed = job.recipe, compute.choose(subject.params.training)
    training, validation = (job.examples(split) for split in (protocol.TRAIN, protocol.VALIDATION))
    per_epoch = len(training) * network_cost(job.model, job.inputs)
    job.model.to(computed.device)
    optimiser = make_optimiser(job.model, recipe.optimiser, recipe.layer_rate)
    history: list[Epoch] = []
    kept: dict[str, Tensor] = {}
    how: How = "complete"
    note, started = "", time.perf_counter()
    with compute.threads_for(job.model, computed):
        try:
            for epoch in fit(job.model, optimiser, training, validation, recipe, subject.key.seed, computed):
                history.append(epoch)
                told(f"trial {trial.number}, epoch {epoch.epoch}: validation {epoch.validation_accuracy:.1%}")
                if tested_epoch(recipe, history) == epoch.epoch:
                    kept = {name: tensor.detach().clone() for name, tensor in job.model.state_dict().items()}
                if _is_hopeless(subject, trial, recipe, history):
                    how, note = "pruned", f"given up after epoch {epoch.epoch}"
                    break
        except TrainingError as error:
            how, note = "diverged", str(error)
        cost, seconds = (len(history) + (how == "diverged")) * per_epoch, time.perf_counter() - started
        if how != "complete":
            return Outcome(how, tuple(history), None, NOTHING_TRAINED, cost, seconds, note)
        job.model.load_state_dict(kept)
        hits = predict(job.model, validation, computed).argmax(1).numpy() == validation.labels.reshape(-1)
    return Outcome(how, tuple(history), tested_epoch(recipe, history), hits, cost, seconds)


def _is_hopeless(subject: Subject, trial: Trial, recipe: protocol.Recipe, history: Sequence[Epoch]) -> bool:
    """Whether the pruner gives a trial up that would go on; single-objective studies only, as Optuna has it."""
    losses = [epoch.validation_loss for epoch in history]
    if subject.params.exploration.pruner == "none":
        return False
    storage.patiently(partial(trial.report, history[-1].validation_accuracy, history[-1].epoch))
    goes_on = len(history) < recipe.max_epochs and not protocol.should_stop(losses, recipe.patience)
    return goes_on and storage.patiently(trial.should_prune)
