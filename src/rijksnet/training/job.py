"""One training, from its first epoch to its run folders: what every strategy has in common once it has been settled."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from rich.console import Console
from rich.markup import escape

from rijksnet import paths, protocol
from rijksnet.data.subsets import at
from rijksnet.errors import TrainingError
from rijksnet.networks import weights
from rijksnet.progress import OtherWork, Pace, progress
from rijksnet.runs import lineage, writing
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.history import write_history
from rijksnet.runs.live import Live, followed
from rijksnet.runs.predictions import Predictions
from rijksnet.training import checkpoint, compute, soundness
from rijksnet.training.batches import Examples
from rijksnet.training.loop import fit_tasks, make_optimiser, predict
from rijksnet.training.multi_task import blocks, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from rijksnet.data.labelled import LabelledRows
    from rijksnet.data.subsets import LabelledSplits
    from rijksnet.networks.weights import Ancestry, Design
    from rijksnet.params import Params
    from rijksnet.runs.history import Epoch
    from rijksnet.runs.key import RunKey
    from rijksnet.runs.live import Follower

console = Console(stderr=True, highlight=False, soft_wrap=True)

#: Inputs of up to so many bytes are read to be told from others before a training starts: they take a second at most.
READ_AT_ONCE = 2**28


@dataclass(frozen=True)
class Task:
    """One challenge that a model learns, and the run folder that it leaves."""

    key: RunKey
    data: LabelledSplits
    tensors: Callable[[], dict[str, Tensor]]  #: what to save of the model once it is trained
    parameters: int  #: of the backbone and this challenge's softmax layer
    at: RunFolder

    @property
    def classes(self) -> list[str]:
        return list(self.data[protocol.TRAIN].classes)


@dataclass(frozen=True)
class Job:
    """What is to be trained, once the strategy has been settled: on one task, or on several of one collection."""

    tasks: Sequence[Task]  #: in the order of the model's logits
    recipe: protocol.Recipe
    model: nn.Module
    design: Design
    inputs: NDArray[Any]  #: what the model reads, for the whole collection
    inputs_while_training: NDArray[Any]  #: the same, but where training images are read otherwise
    initial_weights: str  #: sha256 of the file the run starts from; empty for random weights
    input_size: int  #: px
    feature_size: int
    start: Ancestry  #: of the weights the run starts from

    def examples(self, split: str) -> Examples:
        return Examples(self.inputs_while_training, *joined([task.data[split] for task in self.tasks]))

    @property
    def sizes(self) -> list[int]:
        """How many classes each task has."""
        return [len(task.classes) for task in self.tasks]

    @property
    def key(self) -> RunKey:
        """The first task's: what the training as a whole goes by."""
        return self.tasks[0].key


def carry_out(params: Params, job: Job) -> None:
    """Train, test and leave a run folder for each task; an interrupted run goes on where its last checkpoint stands.

    The checkpoint of a fold's run stays until all folds are pooled (`forget`): DVC removes what a stage that did not
    end has written.
    """
    origin = lineage.origin()
    computed = compute.choose(params.training)
    job.model.to(computed.device)
    folder = paths.CHECKPOINTS / job.tasks[0].at.root
    with ExitStack() as stack:
        stack.enter_context(_alone(job, folder))
        for task in job.tasks:
            task.at.run.unlink(missing_ok=True)  # what stands here is not complete until it is written again
        stack.enter_context(compute.threads_for(job.model, computed))
        flat = [_flat(params, job, task, computed) for task in job.tasks]
        pad = checkpoint.Checkpoint(folder, _identity(job, flat, origin["code"]))
        optimiser = make_optimiser(job.model, job.recipe.optimiser, job.recipe.layer_rate)
        state = pad.load(job.model, optimiser)
        if state.why_anew:
            console.print(f"[yellow]warning[/]: {job.key} is trained from its beginning: {escape(state.why_anew)}")
        followers = [
            stack.enter_context(_followed(params, task, state.started_ms, its_flat, pad.folder))
            for task, its_flat in zip(job.tasks, flat, strict=True)
        ]
        _train(job, computed, optimiser, state, pad, followers)
        if job.key.fold is not None:
            pad.save(job.model, optimiser, state, at_once=True)
        tested = protocol.best_epoch(state.validation_losses)
        if job.recipe.tested_weights == "best":
            job.model.load_state_dict(state.kept)
        else:
            tested = len(state.history) - 1
        histories = zip(*state.history, strict=True)
        for task, block, its_flat, history in zip(job.tasks, blocks(job.sizes), flat, histories, strict=True):
            doubts = _write_results(params, job, task, block, computed, tested, history)
            writing.complete(
                task.key,
                task.at,
                task.data,
                started_ms=state.started_ms,
                flat=its_flat,
                parameters=task.parameters,
                feature_size=job.feature_size,
                best_epoch=tested,
                initial_weights=job.initial_weights,
                doubts=doubts,
                origin=origin,
                start=job.start,
            )
        if job.key.fold is None:
            pad.clear()


def forget(key: RunKey) -> None:
    """Remove the checkpoints of a run's folds."""
    for folder in (paths.CHECKPOINTS / RunFolder.of(key).root).glob("fold*"):
        shutil.rmtree(folder)


@contextmanager
def _alone(job: Job, folder: Path) -> Iterator[None]:
    """Keep other processes from the same run: they would write the same files.

    Raises:
        TrainingError: one is at it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise TrainingError(
            f"another process is training {job.key}: wait for it, or end it; then the same command goes on where it "
            f"stopped ({lock.lock_file} is its lock, which ends with it)"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _followed(
    params: Params, task: Task, started_ms: int, flat: dict[str, Any], folder: Path
) -> AbstractContextManager[Follower]:
    live = Live(task.key, started_ms, flat, str(task.at.history))
    return followed(live, folder / f"live-{task.key.challenge}.json", params.tracking.live_after_s)


def _train(
    job: Job,
    computed: compute.Compute,
    optimiser: torch.optim.Optimizer,
    state: checkpoint.Progress,
    pad: checkpoint.Checkpoint,
    followers: Sequence[Follower],
) -> None:
    train, validation = job.examples(protocol.TRAIN), job.examples(protocol.VALIDATION)
    losses, seed = state.validation_losses, job.key.seed
    if state.history:  # DVC has taken the files away, and no epoch may be left
        _write_histories(job, state)
    with progress(str(job.key), job.recipe.max_epochs) as report:
        pace = Pace(lambda note: report(len(state.history), note))
        epochs = fit_tasks(job.model, optimiser, train, validation, job.recipe, seed, computed, losses, job.sizes, pace)
        report(len(state.history), "resumed" if state.history else f"starts on {computed}")
        others = OtherWork(torch.get_num_threads() if computed.device.type == "cpu" else 1)
        for epoch in epochs:
            pace.epoch_ended()
            if why := others.warning():
                console.print(f"[yellow]warning[/]: {why}")
            state.history.append(epoch)
            if protocol.best_epoch(state.validation_losses) == len(state.history) - 1:
                state.kept = {name: tensor.detach().clone() for name, tensor in job.model.state_dict().items()}
            _write_histories(job, state)
            pad.save(job.model, optimiser, state)
            for follower in followers:
                follower.epoch_ended()
            report(len(state.history), _note(epoch))
        if len(state.history) < job.recipe.max_epochs:
            report(job.recipe.max_epochs, f"stopped after {len(state.history)} epochs: {_note(state.history[-1])}")


def _write_histories(job: Job, state: checkpoint.Progress) -> None:
    for task, its_history in zip(job.tasks, zip(*state.history, strict=True), strict=True):
        write_history(task.at.history, its_history)


def _note(epoch: Sequence[Epoch]) -> str:
    return "; ".join(
        f"train {task.train_loss:.3f} ({task.train_accuracy:.1%}), validation {task.validation_loss:.3f} "
        f"({task.validation_accuracy:.1%}), {task.images_per_s:.0f} images/s"
        for task in epoch
    )


def _write_results(
    params: Params,
    job: Job,
    task: Task,
    block: slice,
    computed: compute.Compute,
    tested: int,
    history: Sequence[Epoch],
) -> list[str]:
    """Open the test split, now that training has ended, and write what the kept weights answer.

    Returns:
        What makes the run doubtful, if anything does.
    """

    def answers(rows: LabelledRows) -> Tensor:
        return predict(job.model, Examples(job.inputs, rows.rows, rows.labels), computed)[:, block]

    predictions = []
    for split in (protocol.VALIDATION, protocol.TEST):
        rows = task.data[split]
        probabilities = answers(rows).softmax(1).numpy()
        predictions.append(Predictions(split, rows.object_ids, rows.images, rows.labels, probabilities))
    train = task.data[protocol.TRAIN]
    sampled = at(train, soundness.sample(len(train)))
    right = float((answers(sampled).argmax(1).numpy() == sampled.labels).mean())
    in_use = soundness.Accuracy(right, len(sampled))
    writing.evaluate_and_write(params, task.data, predictions, task.at, len(history), tested, asdict(in_use))
    if task.key.fold in (None, 0):  # of several folds the first one's are what is used: θ̂, what is looked into
        weights.save(task.at.weights, task.tensors(), job.design, task.classes, writing.ancestry(job.start, task.key))
    validation, frozen_batch = task.data[protocol.VALIDATION], job.inputs is not job.inputs_while_training
    training = soundness.TrainingOutcome(
        job.model, job.recipe, history, tested, len(train), len(validation), frozen_batch
    )
    found = soundness.doubts(training, in_use)
    for doubt in found:
        console.print(f"[yellow]warning[/]: {task.key} is doubtful: {escape(doubt)}")
    return found


def _flat(params: Params, job: Job, task: Task, computed: compute.Compute) -> dict[str, Any]:
    """Everything that settles how the run trains, as the tracking store shows it."""
    recipe: dict[str, Any] = asdict(job.recipe)
    optimiser = recipe.pop("optimiser")
    return {
        "optimiser": optimiser.pop("name"),
        **optimiser,
        **recipe,
        "device": computed.device.type,
        "precision": str(computed.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        **writing.settings(params, task.key.strategy, task.data, job.input_size),
    }


def _identity(job: Job, flat: Sequence[dict[str, Any]], code: str) -> str:
    """Digest of all that the weights depend on."""
    tasks = [
        (task.key.to_dict(), its_flat, writing.digests(task.data, job.initial_weights))
        for task, its_flat in zip(job.tasks, flat, strict=True)
    ]
    inputs = [_content(array) for array in (job.inputs, job.inputs_while_training)]
    return hashlib.sha256(json.dumps([tasks, inputs, code], sort_keys=True).encode()).hexdigest()


def _content(inputs: NDArray[Any]) -> list[Any]:
    """What tells these inputs from others: their digest, or of a large file its size and the time of its writing."""
    if isinstance(inputs, np.memmap) and inputs.filename is not None and inputs.nbytes > READ_AT_ONCE:
        stat = Path(inputs.filename).stat()
        return [stat.st_size, stat.st_mtime_ns]
    return [hashlib.sha256(np.ascontiguousarray(inputs).data).hexdigest()]
