"""The training loop: one for every strategy. Off the shelf it trains a softmax layer on cached features, otherwise a
whole network on pixels; what differs is the model, its inputs and the recipe.
"""

from __future__ import annotations

import inspect
import time
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import torch

from rijksnet import protocol
from rijksnet.errors import TrainingError
from rijksnet.networks.batch_norm import batch_norms
from rijksnet.runs.history import Epoch
from rijksnet.training.batches import UNLABELLED, batches_of, evaluation_batches, load, resident
from rijksnet.training.compute import in_use
from rijksnet.training.steps import Steps, measure

if TYPE_CHECKING:  # timm takes seconds to import, and a run on cached features needs no network
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from rijksnet.networks.architectures import Network
    from rijksnet.training.batches import Examples
    from rijksnet.training.compute import Compute

    Watch = Callable[[int, int], None]

OptimiserType = TypeVar("OptimiserType", bound=torch.optim.Optimizer)


def fit(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    train: Examples,
    validation: Examples,
    recipe: protocol.Recipe,
    seed: int,
    compute: Compute,
    validation_losses: Sequence[float] = (),
) -> Iterator[Epoch]:
    """`fit_tasks` of one task."""
    epochs = fit_tasks(model, optimiser, train, validation, recipe, seed, compute, validation_losses)
    return (epoch for (epoch,) in epochs)


def fit_tasks(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    train: Examples,
    validation: Examples,
    recipe: protocol.Recipe,
    seed: int,
    compute: Compute,
    validation_losses: Sequence[float] = (),
    classes: Sequence[int] | None = None,
    watch: Watch | None = None,
) -> Iterator[tuple[Epoch, ...]]:
    """Train epoch by epoch until the recipe stops it; the caller keeps weights and history.

    The loss is the sum of the tasks' mean cross-entropies, each over the images that have its label. An image weighs
    the same in whichever batch it comes: a batch's sum is divided by how many labels one of its size has on average.

    Args:
        validation_losses: of the epochs already trained, when a run is resumed, summed over the tasks.
        classes: how many of the model's logits belong to each task, in their order; None: all to one task.
        watch: told after each step how many images of the epoch have been trained on, and how many there are.

    Yields:
        What the epoch measured, for each task.

    Raises:
        TrainingError: the loss is not finite (names epoch and step), or a batch of one image is to be normalised.
    """
    losses = list(validation_losses)
    share = torch.from_numpy(_count_labelled(train.labels) / len(train)).float().to(compute.device)
    steps = Steps(model, optimiser, share, classes, recipe.label_smoothing, compute)
    train, validation = resident(train, compute), resident(validation, compute)
    while len(losses) < recipe.max_epochs and not protocol.should_stop(losses, recipe.patience):
        epoch, started = len(losses), time.perf_counter()
        trained, seen = _train_epoch(steps, train, recipe, (seed, epoch), watch)
        elapsed = time.perf_counter() - started
        sums, hits = measure(predict(model, validation, compute), torch.from_numpy(validation.labels), classes)
        labelled = _count_labelled(validation.labels)
        means, accuracies = (sums.numpy() / labelled).tolist(), (hits.numpy() / labelled).tolist()
        losses.append(sum(means))
        if not np.isfinite(losses[-1]):
            raise TrainingError(f"the validation loss is {losses[-1]} after epoch {epoch}: lower the learning rate")
        ended_ms, speed = time.time_ns() // 1_000_000, seen / elapsed
        yield tuple(
            Epoch(epoch, ended_ms, *of_training, loss, accuracy, speed)
            for of_training, loss, accuracy in zip(trained, means, accuracies, strict=True)
        )


def _train_epoch(
    steps: Steps,
    train: Examples,
    recipe: protocol.Recipe,
    order_seed: tuple[int, int],
    watch: Watch | None,
) -> tuple[list[tuple[float, float]], int]:
    """One pass over the training split; each task's mean loss and accuracy, as seen while it trained; images seen."""
    model, compute = steps.model.train(), steps.compute
    order = np.random.default_rng(order_seed).permutation(len(train))
    batches = batches_of(order, recipe.batch_size, recipe.drop_last)
    if len(batches[-1]) == 1 and batch_norms(model):
        raise TrainingError(
            f"{len(train)} training images in batches of {recipe.batch_size} leave one alone in its batch, and batch "
            "normalisation has nothing to normalise it by: train on more images, or in larger batches"
        )
    # kept on the device and read once an epoch: reading each step would wait for it
    done, total = 0, sum(map(len, batches))
    losses = torch.zeros((len(batches), len(steps.share)), device=compute.device)
    hits = torch.zeros(len(steps.share), device=compute.device)
    for step, (inputs, labels) in enumerate(load(train, batches, compute)):
        sums, its_hits = steps(inputs, labels)
        losses[step] = sums
        hits += its_hits
        done += len(labels)
        if watch is not None:
            watch(done, total)
    if not torch.isfinite(losses).all():
        step, task = (~torch.isfinite(losses)).nonzero()[0].tolist()
        raise TrainingError(
            f"the loss is {losses[step, task].item()} at epoch {order_seed[1]}, step {step} of {len(batches)}: "
            "lower the learning rate, or set training.precision to fp32"
        )
    n = _count_labelled(train.labels[np.concatenate(batches)]).clip(min=1)
    means, shares = losses.cpu().numpy().sum(0, np.float64) / n, hits.cpu().numpy() / n
    return list(zip(means.tolist(), shares.tolist(), strict=True)), total


def _count_labelled(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many images have a label for each task, (T,)."""
    count: NDArray[np.int64] = (labels.reshape(len(labels), -1) != UNLABELLED).sum(0)
    return count


@torch.no_grad()
def predict(model: nn.Module, examples: Examples, compute: Compute) -> Tensor:
    """Logits of every example, float32 (n, Q), on the processor."""
    model.eval()
    asked, logits = in_use(model, compute), []
    for inputs, _ in load(examples, evaluation_batches(examples, compute), compute):
        with compute.autocast():
            logits.append(asked(inputs).float())
    return torch.cat(logits).cpu()  # read once: each reading would wait for the device


def make_optimiser(model: nn.Module, settings: protocol.Optimiser, layer_rate: float = 1.0) -> torch.optim.Optimizer:
    """The torch optimiser of these settings, over what of the model trains.

    Args:
        layer_rate: learning rate of a layer over that of the layer after it, of a `Network`; its softmax layer has the
            settings' own.
    """
    groups = _groups(model, settings, layer_rate)
    recordable = any(parameter.is_cuda for parameter in model.parameters())  # the count of steps lies on the device
    if settings.name == "rmsprop":
        return RMSprop(
            groups, lr=settings.learning_rate, alpha=settings.decay, eps=settings.epsilon, capturable=recordable
        )
    if settings.name == "sgd":
        return SGD(groups, lr=settings.learning_rate, momentum=settings.momentum, nesterov=settings.nesterov)
    adam = Adam if settings.name == "adam" else AdamW
    betas = (settings.momentum, settings.decay)
    return adam(groups, lr=settings.learning_rate, betas=betas, eps=settings.epsilon, capturable=recordable)


def _groups(model: nn.Module, settings: protocol.Optimiser, layer_rate: float) -> list[dict[str, Any]]:
    """What trains, by learning rate and weight decay: one group, in the model's order, where all have the same."""
    rates: dict[nn.Parameter, float] = {}
    if layer_rate != 1.0:
        from rijksnet.networks.layers import layers_of

        for below, layer in enumerate(reversed(layers_of(cast("Network", model))), 1):
            rates |= dict.fromkeys(layer, layer_rate**below)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            decay = settings.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rates.get(parameter, 1.0), decay), []).append(parameter)
    return [
        {"params": parameters, "lr": settings.learning_rate * rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def eager(optimiser: type[OptimiserType]) -> type[OptimiserType]:
    """An optimiser without what torch wraps around its methods for the sake of `torch.compile`.

    The wrappers import the compiler, SymPy and Triton: 1.7 s in every process, and nothing is compiled here.
    """
    names = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    methods = {name: inspect.unwrap(getattr(optimiser, name)) for name in names}
    step = torch.no_grad()(inspect.unwrap(optimiser.step))
    return type(optimiser.__name__, (optimiser,), {**methods, "step": step})


RMSprop, SGD = eager(torch.optim.RMSprop), eager(torch.optim.SGD)
Adam, AdamW = eager(torch.optim.Adam), eager(torch.optim.AdamW)
