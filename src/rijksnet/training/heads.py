"""Many softmax layers on the same cached features, trained side by side: one large matrix product in place of many
small ones. Each trains as the loop would train it alone, by a recipe of its own.

Suffix legend of tensor names: k layers, b images, q classes, f features and, where a bias stands beside them, 1.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rijksnet import protocol
from rijksnet.networks.initialisation import initialise_softmax
from rijksnet.runs.history import Epoch
from rijksnet.training.batches import batches_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from rijksnet.training.batches import Examples
    from rijksnet.training.compute import Compute

#: Weights of layers that train side by side: more gain nothing and take memory, four float32 values for each.
AT_ONCE = 20_000_000


@dataclass
class Head:
    """What became of one layer. Epochs up to its own early stop; of one that diverged, those before."""

    recipe: protocol.Recipe
    history: list[Epoch] = field(default_factory=list)
    hits: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))  #: of the tested weights, (n,)
    diverged: str = ""  #: where its loss was not finite, if it was not


def fit_heads(
    recipes: Sequence[protocol.Recipe],
    train: Examples,
    validation: Examples,
    classes: int,
    seed: int,
    compute: Compute,
    done: Callable[[int], None] = lambda _: None,
) -> list[Head]:
    """Train a layer by each recipe; layers with the same batches train side by side.

    Args:
        train: inputs float32 (N, F).
        seed: of initialisation and batch order, the same for all.
        done: told how many epochs have ended.
    """
    heads = [Head(recipe) for recipe in recipes]
    features = train.inputs.shape[1]
    chunk = max(1, AT_ONCE // (classes * (features + 1)))
    for batches in sorted({_batches(recipe) for recipe in recipes}):
        # layers of one optimiser stand together, so that its step is one for all of them
        alike = sorted((h for h in heads if _batches(h.recipe) == batches), key=lambda h: h.recipe.optimiser.name)
        for start in range(0, len(alike), chunk):
            _Stack(alike[start : start + chunk], train, validation, classes, seed, compute).fit(done)
    return heads


def _batches(recipe: protocol.Recipe) -> tuple[int, bool]:
    """What divides an epoch."""
    return recipe.batch_size, recipe.drop_last


class _Stack:
    """Layers that see the same batches: weights and biases as one tensor (k, q, f1)."""

    def __init__(
        self,
        heads: Sequence[Head],
        train: Examples,
        validation: Examples,
        classes: int,
        seed: int,
        compute: Compute,
    ) -> None:
        self.going, self.seed, self.compute = list(heads), seed, compute
        self.train_bf, self.train_labels = _load(train, compute)
        self.validation_bf, self.validation_labels = _load(validation, compute)
        torch.manual_seed(seed)
        layer = nn.Linear(self.train_bf.shape[1], classes)
        initialise_softmax(layer)
        start = torch.cat([layer.weight, layer.bias[:, None]], 1).detach().to(compute.device)
        self.weights_kqf1 = start.expand(len(heads), -1, -1).clone()
        self.moments = [torch.zeros_like(self.weights_kqf1) for _ in range(2)]
        self.smoothing = _column([head.recipe.label_smoothing for head in heads], compute)
        self.steps = 0

    def fit(self, done: Callable[[int], None]) -> None:
        epoch = 0
        while self.going:
            started = time.perf_counter()
            losses, accuracies, seen = self._train_epoch(epoch)
            rate = seen / (time.perf_counter() - started)
            validation_losses, hits = self._validate()
            now = time.time_ns() // 1_000_000
            keep = []
            for k, head in enumerate(self.going):
                if not (isfinite(losses[k]) and isfinite(validation_losses[k])):
                    head.diverged = f"the loss is not finite at epoch {epoch}"
                    continue
                measured = (losses[k], accuracies[k], validation_losses[k], float(hits[k].mean()))
                head.history.append(Epoch(epoch, now, *measured, rate))
                recipe, so_far = head.recipe, [one.validation_loss for one in head.history]
                if recipe.tested_weights == "last" or protocol.best_epoch(so_far) == epoch:
                    head.hits = hits[k]
                if epoch + 1 < recipe.max_epochs and not protocol.should_stop(so_far, recipe.patience):
                    keep.append(k)
            self._keep(keep)
            epoch += 1
            done(epoch)

    def _train_epoch(self, epoch: int) -> tuple[list[float], list[float], int]:
        """Mean loss and accuracy of each layer as seen while it trained; images seen."""
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.train_bf))
        batches = batches_of(order, *_batches(self.going[0].recipe))
        losses = torch.zeros(len(self.going), device=self.compute.device)
        hits = torch.zeros_like(losses)
        update = _Update(self.going, self.compute)
        for batch in batches:
            rows = torch.from_numpy(batch).to(self.compute.device)
            x, labels = self.train_bf[rows], self.train_labels[rows]
            logits = self._logits(x)
            targets = F.one_hot(labels, logits.shape[2]).float()
            log_p = logits.log_softmax(2)
            smoothed = targets * (1 - self.smoothing) + self.smoothing / logits.shape[2]
            losses -= (smoothed * log_p).sum((1, 2))
            hits += (logits.argmax(2) == labels).sum(1)
            self.steps += 1
            update(
                self.weights_kqf1, self._gradient((log_p.exp() - smoothed) / len(batch), x), self.moments, self.steps
            )
        seen = sum(map(len, batches))
        return (losses / seen).tolist(), (hits / seen).tolist(), seen

    def _logits(self, x_bf: Tensor) -> Tensor:
        """Float32 (k, b, q): products in the precision of the machine, as under autocast."""
        dtype = self.compute.dtype
        k, q, _ = self.weights_kqf1.shape
        weight, bias = self.weights_kqf1[..., :-1], self.weights_kqf1[..., -1].to(dtype)
        flat = F.linear(x_bf.to(dtype), weight.reshape(k * q, -1).to(dtype), bias.reshape(-1))
        return flat.float().view(len(x_bf), k, q).transpose(0, 1)

    def _gradient(self, errors_kbq: Tensor, x_bf: Tensor) -> Tensor:
        """(k, q, f1) of the mean loss."""
        dtype = self.compute.dtype
        k, b, q = errors_kbq.shape
        errors = errors_kbq.transpose(0, 1).reshape(b, k * q).to(dtype)
        of_weights = (errors.T @ x_bf.to(dtype)).float().view(k, q, -1)
        of_biases = errors.float().sum(0).to(dtype).float().view(k, q, 1)
        return torch.cat([of_weights, of_biases], 2)

    def _validate(self) -> tuple[list[float], NDArray[np.bool_]]:
        """Mean cross-entropy of each layer, without smoothing, and whether each image is classified rightly, (k, n)."""
        total, hits = torch.zeros(len(self.going), device=self.compute.device), []
        size = max(1, AT_ONCE // (len(self.going) * self.weights_kqf1.shape[1]))
        for start in range(0, len(self.validation_bf), size):
            labels = self.validation_labels[start : start + size]
            logits = self._logits(self.validation_bf[start : start + size])
            total -= logits.log_softmax(2).gather(2, labels.expand(len(logits), -1)[..., None]).sum((1, 2))
            hits.append(logits.argmax(2) == labels)
        return (total / len(self.validation_bf)).tolist(), torch.cat(hits, 1).cpu().numpy()

    def _keep(self, layers: Sequence[int]) -> None:
        """Go on with these layers alone."""
        if len(layers) == len(self.going):
            return
        self.going = [self.going[k] for k in layers]
        chosen = torch.tensor(layers, dtype=torch.int64, device=self.compute.device)
        self.weights_kqf1 = self.weights_kqf1[chosen]
        self.moments = [moment[chosen] for moment in self.moments]
        self.smoothing = self.smoothing[chosen]


class _Update:
    """One step of every layer's own optimiser: torch's rules (RMSprop, SGD, Adam, AdamW), a block of layers each."""

    def __init__(self, heads: Sequence[Head], compute: Compute) -> None:
        self.blocks = list(_blocks(heads, compute))

    def __call__(self, weights: Tensor, gradient: Tensor, moments: Sequence[Tensor], step: int) -> None:
        for block, rule, settings in self.blocks:
            rule(settings, weights[block], gradient[block], moments[0][block], moments[1][block], step)


@dataclass(frozen=True)
class _Settings:
    """Those of k layers with the same optimiser; (k, 1, 1), weight decay (k, 1, f1), for biases have none."""

    rate: Tensor
    decay: Tensor
    momentum: Tensor
    weight_decay: Tensor
    epsilon: float
    beta: float  #: Adam's β₁


_Rule = Callable[[_Settings, Tensor, Tensor, Tensor, Tensor, int], None]


def _blocks(heads: Sequence[Head], compute: Compute) -> Iterator[tuple[slice, _Rule, _Settings]]:
    rules: dict[str, _Rule] = {"rmsprop": _rmsprop, "sgd": _sgd, "adam": _adam, "adamw": _adamw}
    names = [head.recipe.optimiser.name for head in heads]
    for name in dict.fromkeys(names):
        start = names.index(name)
        block = slice(start, start + names.count(name))
        chosen = [head.recipe.optimiser for head in heads[block]]
        yield (
            block,
            rules[name],
            _Settings(
                _column([one.learning_rate for one in chosen], compute),
                _column([one.decay for one in chosen], compute),
                _column([one.momentum for one in chosen], compute),
                _column([one.weight_decay for one in chosen], compute),
                chosen[0].epsilon,
                chosen[0].momentum,
            ),
        )


def _rmsprop(of: _Settings, weights: Tensor, gradient: Tensor, squares: Tensor, _: Tensor, step: int) -> None:
    _decay_by_gradient(of, weights, gradient)
    squares.mul_(of.decay).add_((1 - of.decay) * gradient.square())
    weights.sub_(of.rate * gradient / (squares.sqrt() + of.epsilon))


def _sgd(of: _Settings, weights: Tensor, gradient: Tensor, velocity: Tensor, _: Tensor, step: int) -> None:
    """With Nesterov momentum, which without momentum is plain descent."""
    _decay_by_gradient(of, weights, gradient)
    velocity.mul_(of.momentum).add_(gradient)
    weights.sub_(of.rate * (gradient + of.momentum * velocity))


def _adam(of: _Settings, weights: Tensor, gradient: Tensor, mean: Tensor, squares: Tensor, step: int) -> None:
    _decay_by_gradient(of, weights, gradient)
    _adam_step(of, weights, gradient, mean, squares, step)


def _adamw(of: _Settings, weights: Tensor, gradient: Tensor, mean: Tensor, squares: Tensor, step: int) -> None:
    weights[..., :-1].mul_(1 - of.rate * of.weight_decay)
    _adam_step(of, weights, gradient, mean, squares, step)


def _adam_step(of: _Settings, weights: Tensor, gradient: Tensor, mean: Tensor, squares: Tensor, step: int) -> None:
    mean.lerp_(gradient, 1 - of.beta)
    squares.mul_(of.decay).add_((1 - of.decay) * gradient.square())
    first, second = 1 - of.beta**step, 1 - of.decay**step
    weights.sub_(of.rate / first * mean / ((squares / second).sqrt() + of.epsilon))


def _decay_by_gradient(of: _Settings, weights: Tensor, gradient: Tensor) -> None:
    """As a penalty on the square of weights, not of biases."""
    gradient[..., :-1].add_(of.weight_decay * weights[..., :-1])


def _column(values: Sequence[float], compute: Compute) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=compute.device).view(-1, 1, 1)


def _load(examples: Examples, compute: Compute) -> tuple[Tensor, Tensor]:
    """All inputs (n, f) and labels (n,) on the device: features are small beside what they were made from."""
    inputs = torch.from_numpy(np.ascontiguousarray(examples.inputs[examples.rows], dtype=np.float32))
    return inputs.to(compute.device), torch.from_numpy(examples.labels.reshape(-1)).to(compute.device)
