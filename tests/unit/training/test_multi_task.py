from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from rijksnet.data.labelled import LabelledRows
from rijksnet.protocol import SGD_AS_WRITTEN, Recipe
from rijksnet.runs.history import Epoch
from rijksnet.training.batches import UNLABELLED, Examples
from rijksnet.training.compute import Compute
from rijksnet.training.loop import fit, fit_tasks, make_optimiser
from rijksnet.training.multi_task import blocks, joined, softmax_of

RECIPE = Recipe(replace(SGD_AS_WRITTEN, learning_rate=0.1), max_epochs=3)
SIZES = [3, 2]


def task(rows: list[int], labels: list[int]) -> LabelledRows:
    names = tuple(map(str, rows))
    return LabelledRows(names, names, np.array(rows), np.array(labels), tuple((i,) for i in labels), ("a", "b", "c"))


def layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(4, sum(SIZES))


def examples(n: int, seed: int, unlabelled: float = 0.5) -> Examples:
    generator = np.random.default_rng(seed)
    labels = np.stack([generator.integers(0, size, n) for size in SIZES], 1)
    labels[generator.random(labels.shape) < unlabelled] = UNLABELLED
    return Examples(generator.normal(size=(n, 4)).astype(np.float32), np.arange(n), labels)


def trained(model: nn.Module, train: Examples, validation: Examples, cpu: Compute) -> list[tuple[Epoch, ...]]:
    optimiser = make_optimiser(model, RECIPE.optimiser)
    return list(fit_tasks(model, optimiser, train, validation, RECIPE, 0, cpu, classes=SIZES))


def by_hand(model: nn.Module, data: Examples, t: int) -> tuple[float, float]:
    """Mean cross-entropy and accuracy of one task over the examples that have its label, in float64."""
    with torch.no_grad():
        logits = model(torch.from_numpy(data.inputs[data.rows])).double().numpy()[:, list(blocks(SIZES))[t]]
    has = np.flatnonzero(data.labels[:, t] >= 0)
    logits, labels = logits[has], data.labels[has, t]
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(has)), labels]
    return losses.mean(), (logits.argmax(1) == labels).mean()


def test_each_task_is_measured_on_the_images_that_have_its_label(cpu: Compute) -> None:
    model, train, validation = layer(), examples(100, 1), examples(50, 2)
    for epoch in fit_tasks(
        model, make_optimiser(model, RECIPE.optimiser), train, validation, RECIPE, 0, cpu, (), SIZES
    ):
        for t, of_task in enumerate(epoch):
            assert (of_task.validation_loss, of_task.validation_accuracy) == pytest.approx(
                by_hand(model, validation, t)
            )


def test_training_measures_are_those_of_the_images_trained_on(cpu: Compute) -> None:
    """With a learning rate so small that the weights stay, they are those of the whole split."""
    model, train = layer(), examples(100, 1)
    recipe = replace(RECIPE, optimiser=replace(SGD_AS_WRITTEN, learning_rate=1e-12))
    epochs = fit_tasks(model, make_optimiser(model, recipe.optimiser), train, train, recipe, 0, cpu, (), SIZES)
    for t, of_task in enumerate(next(epochs)):
        assert (of_task.train_loss, of_task.train_accuracy) == pytest.approx(by_hand(model, train, t))


def test_the_step_is_that_of_the_summed_losses(cpu: Compute) -> None:
    """One batch, one step of plain descent, against the gradient of the definition."""
    model, train = layer(), examples(20, 1)
    expected = layer()
    logits, labels = expected(torch.from_numpy(train.inputs)), torch.from_numpy(train.labels)
    loss = sum(
        nn.functional.cross_entropy(logits[labels[:, t] >= 0][:, block], labels[:, t][labels[:, t] >= 0])
        for t, block in enumerate(blocks(SIZES))
    )
    assert isinstance(loss, torch.Tensor)
    loss.backward()
    recipe = replace(RECIPE, max_epochs=1, optimiser=replace(SGD_AS_WRITTEN, momentum=0.0, nesterov=False))
    list(fit_tasks(model, make_optimiser(model, recipe.optimiser), train, train, recipe, 0, cpu, (), SIZES))
    for mine, theirs in zip(model.parameters(), expected.parameters(), strict=True):
        assert theirs.grad is not None
        torch.testing.assert_close(mine.data, theirs.data - 0.001 * theirs.grad)


def test_a_batch_without_a_label_of_a_task_teaches_it_nothing(cpu: Compute) -> None:
    model, data = layer(), examples(20, 1, unlabelled=0)
    data.labels[:, 1] = UNLABELLED
    data.labels[0, 1] = 0  # the task has one image, so that nine of ten batches have none
    recipe = replace(RECIPE, batch_size=2)
    before = model.weight.detach().clone()
    optimiser = make_optimiser(model, replace(RECIPE.optimiser, momentum=0.0, nesterov=False))
    (first, second), *_ = fit_tasks(model, optimiser, data, data, recipe, 0, cpu, (), SIZES)
    assert np.isfinite([first.train_loss, second.train_loss]).all()
    assert not torch.equal(model.weight[3:], before[3:])


def test_the_tasks_of_a_linear_layer_do_not_touch_each_other(cpu: Compute) -> None:
    """Without a common backbone, a task learns among others what it learns alone."""
    together, alone = layer(), nn.Linear(4, SIZES[0])
    alone.load_state_dict({name: tensor[: SIZES[0]] for name, tensor in layer().state_dict().items()})
    train, validation = examples(100, 1, unlabelled=0), examples(50, 2, unlabelled=0)
    first = [epoch[0] for epoch in trained(together, train, validation, cpu)]
    its = [replace(split, labels=split.labels[:, 0].copy()) for split in (train, validation)]
    epochs = list(fit(alone, make_optimiser(alone, RECIPE.optimiser), *its, RECIPE, 0, cpu))
    for one, other in zip(first, epochs, strict=True):
        assert one.validation_loss == pytest.approx(other.validation_loss, rel=1e-6)
        assert (one.train_accuracy, one.validation_accuracy) == (other.train_accuracy, other.validation_accuracy)


def test_training_stops_on_the_sum_of_the_validation_losses(cpu: Compute) -> None:
    model, recipe = layer(), replace(RECIPE, max_epochs=30)
    before = [1.3, *[9.0] * 6]
    optimiser = make_optimiser(model, recipe.optimiser)
    (epoch,) = fit_tasks(model, optimiser, examples(100, 1), examples(50, 2), recipe, 0, cpu, before, SIZES)
    losses = [of_task.validation_loss for of_task in epoch]
    assert max(losses) < 1.3 < sum(losses)


# --- what is joined ---------------------------------------------------------------------------------------------------


def test_images_of_several_tasks_are_joined_by_their_row() -> None:
    rows, labels = joined([task([7, 2, 5], [0, 1, 2]), task([5, 9, 7], [1, 0, 1])])
    assert rows.tolist() == [7, 2, 5, 9]
    assert labels.tolist() == [[0, 1], [1, UNLABELLED], [2, 1], [UNLABELLED, 0]]


def test_one_task_joined_is_itself() -> None:
    rows, labels = joined([task([7, 2, 5], [0, 1, 2])])
    assert (rows.tolist(), labels.tolist()) == ([7, 2, 5], [[0], [1], [2]])


def test_a_tasks_softmax_is_its_block_of_the_common_layer() -> None:
    assert list(blocks([3, 2, 4])) == [slice(0, 3), slice(3, 5), slice(5, 9)]
    tensors = {
        "conv.weight": torch.arange(9),
        "softmax.weight": torch.arange(10).view(5, 2),
        "softmax.bias": torch.arange(5),
    }
    found = softmax_of(tensors, slice(3, 5))
    assert found["conv.weight"] is tensors["conv.weight"]
    assert found["softmax.weight"].tolist() == [[6, 7], [8, 9]]
    assert found["softmax.bias"].tolist() == [3, 4]
