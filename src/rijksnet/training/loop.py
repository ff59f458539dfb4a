"""The training loop: one for every strategy. Off the shelf it trains a softmax layer on cached features, otherwise a
whole network on pixels; what differs is the model, its inputs and the recipe.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from rijksnet import protocol
from rijksnet.errors import TrainingError
from rijksnet.training.compute import Compute
from rijksnet.training.epoch import Epoch

EVALUATION_BATCH_SIZE = 128


@dataclass(frozen=True)
class Examples:
    """Labelled examples of one split, left where they lie until a batch asks for them."""

    inputs: NDArray[Any]  #: (N, ...) of the whole collection: pixels uint8 or features float32, memory-mapped
    rows: NDArray[np.int64]  #: (n,) rows of `inputs`
    labels: NDArray[np.int64]  #: (n,) class indices

    def __len__(self) -> int:
        return len(self.rows)


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
    """Train epoch by epoch until the recipe stops it; the caller keeps weights and history.

    Args:
        validation_losses: of the epochs already trained, when a run is resumed.

    Raises:
        TrainingError: the loss is not finite; names epoch and step.
    """
    losses = list(validation_losses)
    while len(losses) < recipe.max_epochs and not protocol.should_stop(losses, recipe.patience):
        epoch, started = len(losses), time.perf_counter()
        train_loss, train_accuracy, seen = _train_epoch(model, optimiser, train, recipe, (seed, epoch), compute)
        elapsed = time.perf_counter() - started
        logits, labels = predict(model, validation, compute), torch.from_numpy(validation.labels)
        losses.append(F.cross_entropy(logits, labels).item())
        if not np.isfinite(losses[-1]):
            raise TrainingError(f"the validation loss is {losses[-1]} after epoch {epoch}: lower the learning rate")
        accuracy = (logits.argmax(1) == labels).float().mean().item()
        yield Epoch(
            epoch, time.time_ns() // 1_000_000, train_loss, train_accuracy, losses[-1], accuracy, seen / elapsed
        )


def _train_epoch(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    train: Examples,
    recipe: protocol.Recipe,
    order_seed: tuple[int, int],
    compute: Compute,
) -> tuple[float, float, int]:
    """One pass over the training split; mean loss and accuracy over it, as seen while it trained, and images seen."""
    model.train()
    order = np.random.default_rng(order_seed).permutation(len(train))
    batches = batches_of(order, recipe.batch_size, recipe.drop_last)
    # kept on the device and read once an epoch: reading each step would wait for it
    losses = torch.zeros(len(batches), device=compute.device)
    hits = torch.zeros((), device=compute.device)
    for step, (inputs, labels) in enumerate(load(train, batches, compute)):
        with compute.autocast():
            logits = model(inputs).float()
        loss = F.cross_entropy(logits, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses[step] = loss.detach()
        hits += (logits.argmax(1) == labels).sum()
    if not torch.isfinite(losses).all():
        step = int((~torch.isfinite(losses)).nonzero()[0])
        raise TrainingError(
            f"the loss is {losses[step].item()} at epoch {order_seed[1]}, step {step} of {len(batches)}: "
            "lower the learning rate, or set training.precision to fp32"
        )
    sizes = torch.tensor([len(batch) for batch in batches], dtype=torch.float32, device=compute.device)
    seen = int(sizes.sum())
    return (losses @ sizes).item() / seen, hits.item() / seen, seen


def batches_of(order: NDArray[np.int64], size: int, drop_last: bool) -> list[NDArray[np.int64]]:
    """Consecutive batches of an order; `drop_last` leaves out a last one that is not full, unless it is the only."""
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    return batches[:-1] if drop_last and len(batches) > 1 and len(batches[-1]) < size else batches


def load(examples: Examples, batches: Sequence[NDArray[np.int64]], compute: Compute) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and labels of each batch on the device, the next batch read while the current one is worked on."""

    def read(batch: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        inputs = torch.from_numpy(np.ascontiguousarray(examples.inputs[examples.rows[batch]]))
        return inputs, torch.from_numpy(examples.labels[batch])

    with ThreadPoolExecutor(1) as reader:
        ahead = [reader.submit(read, batch) for batch in batches[:1]]
        for following in [*batches[1:], None]:
            inputs, labels = ahead.pop().result()
            if following is not None:
                ahead.append(reader.submit(read, following))
            yield inputs.to(compute.device), labels.to(compute.device)


@torch.no_grad()
def predict(model: nn.Module, examples: Examples, compute: Compute) -> Tensor:
    """Logits of every example, float32 (n, Q), on the processor."""
    model.eval()
    batches = batches_of(np.arange(len(examples)), EVALUATION_BATCH_SIZE, drop_last=False)
    logits = []
    for inputs, _ in load(examples, batches, compute):
        with compute.autocast():
            logits.append(model(inputs).float().cpu())
    return torch.cat(logits)


def make_optimiser(model: nn.Module, settings: protocol.Optimiser) -> torch.optim.Optimizer:
    """The torch optimiser of a protocol's settings."""
    parameters = list(model.parameters())
    if settings.name == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=settings.learning_rate, alpha=settings.decay, eps=settings.epsilon)
    return torch.optim.SGD(
        parameters, lr=settings.learning_rate, momentum=settings.momentum, nesterov=settings.nesterov
    )
