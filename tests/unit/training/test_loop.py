from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import chain, pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rijksnet.errors import TrainingError
from rijksnet.protocol import RMSPROP, SGD_AS_WRITTEN, Optimiser, Recipe, optimiser
from rijksnet.runs.history import Epoch
from rijksnet.training.batches import Examples, batches_of, evaluation_batches, fetched, load, resident
from rijksnet.training.compute import Compute
from rijksnet.training.loop import fit, make_optimiser, predict

RECIPE = Recipe(SGD_AS_WRITTEN, max_epochs=30)


def examples(n: int) -> Examples:
    """Each input names its row; the rows are those of a larger collection, in no order."""
    rows = np.random.default_rng(0).permutation(3 * n)[:n]
    inputs = np.arange(3 * n, dtype=np.float32)[:, np.newaxis]
    return Examples(inputs, rows, (rows % 2).astype(np.int64))


class Scripted(nn.Module):
    """Answers so that the validation loss is the next of a list, whatever it has learnt."""

    def __init__(self, losses: list[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.losses = list(losses)
        self.seen: list[list[float]] = []  #: rows of each training batch

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            self.seen.append(inputs[:, 0].tolist())
            return self.weight.expand(len(inputs), 2)
        loss = self.losses.pop(0)
        odd = inputs[:, 0] % 2
        margin = -math.log(math.expm1(loss))  # cross-entropy log(1 + e^-margin) = loss
        return torch.stack([(1 - odd) * margin, odd * margin], 1)


def train(model: Scripted, compute: Compute, recipe: Recipe = RECIPE, seed: int = 0, n: int = 70) -> list[Epoch]:
    optimiser = make_optimiser(model, recipe.optimiser)
    return list(fit(model, optimiser, examples(n), examples(10), recipe, seed, compute))


# --- when training ends -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("losses", "trained"),
    [
        pytest.param([1.0, 0.9] + [0.95] * 7, 9, id="seven in a row without a decrease"),
        pytest.param([1.0] * 8, 8, id="equal is no decrease"),
        pytest.param([1.0] + [1.1] * 6 + [0.5] + [0.6] * 7, 15, id="the seventh decreases"),
        pytest.param([1 / n for n in range(1, 31)], 30, id="at most thirty"),
    ],
)
def test_training_ends_when_the_protocol_says(losses: list[float], trained: int, cpu: Compute) -> None:
    epochs = train(Scripted([*losses, *[9.0] * 30]), cpu)
    assert [epoch.epoch for epoch in epochs] == list(range(trained))
    assert [epoch.validation_loss for epoch in epochs] == pytest.approx(losses[:trained], rel=1e-5)


def test_a_resumed_run_counts_the_epochs_before(cpu: Compute) -> None:
    model = Scripted([1.1] * 30)
    optimiser = make_optimiser(model, RECIPE.optimiser)
    before = [1.0, 1.1, 1.1, 1.1, 1.1]
    epochs = list(fit(model, optimiser, examples(70), examples(10), RECIPE, 0, cpu, before))
    assert [epoch.epoch for epoch in epochs] == [5, 6, 7]


@pytest.mark.parametrize("before", [[1.0] * 8, [1 / n for n in range(1, 31)]])
def test_a_run_that_had_ended_trains_no_more(before: list[float], cpu: Compute) -> None:
    model = Scripted([])
    assert list(fit(model, make_optimiser(model, RMSPROP), examples(70), examples(10), RECIPE, 0, cpu, before)) == []


def test_an_epochs_figures_are_those_of_its_split(cpu: Compute) -> None:
    (epoch,) = train(Scripted([0.5]), cpu, replace(RECIPE, max_epochs=1))
    assert epoch.validation_accuracy == 1.0
    assert 0 < epoch.train_loss < 1
    assert 0 <= epoch.train_accuracy <= 1
    assert epoch.images_per_s > 0
    (epoch,) = train(Scripted([0.7]), cpu, replace(RECIPE, max_epochs=1))  # above log 2: the wrong class is ahead
    assert epoch.validation_accuracy == 0.0


# --- a loss that is not finite ----------------------------------------------------------------------------------------


class Diverging(Scripted):
    """Gives `value` as a logit in one training step."""

    def __init__(self, at: int, value: float) -> None:
        super().__init__([0.5] * 9)
        self.at, self.value = at, value

    def forward(self, inputs: Tensor) -> Tensor:
        logits = super().forward(inputs)
        return logits * self.value if self.training and len(self.seen) - 1 == self.at else logits


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(("at", "where"), [(0, "epoch 0, step 0 of 3"), (4, "epoch 1, step 1 of 3")])
def test_a_training_loss_that_is_not_finite_ends_the_run(value: float, at: int, where: str, cpu: Compute) -> None:
    with pytest.raises(TrainingError, match=rf"the loss is nan at {where}: lower the learning rate, or set training"):
        train(Diverging(at, value), cpu)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_validation_loss_that_is_not_finite_ends_the_run(loss: float, cpu: Compute) -> None:
    with pytest.raises(TrainingError, match=r"the validation loss is (nan|inf) after epoch 2: lower the learning rate"):
        train(Scripted([0.5, 0.4, loss]), cpu)


# --- batches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "drop_last", "sizes"),
    [
        (70, False, [24, 23, 23]),
        (65, False, [22, 22, 21]),
        (33, False, [17, 16]),
        (1441, False, [32] * 15 + [31] * 31),
        (70, True, [32, 32]),
        (65, True, [32, 32]),
        (64, False, [32, 32]),
        (64, True, [32, 32]),
        (20, False, [20]),
        (20, True, [20]),  # the only one is kept
        (0, False, []),
        (0, True, []),
    ],
)
def test_batches_follow_the_order(n: int, drop_last: bool, sizes: list[int]) -> None:
    order = np.arange(n)[::-1]
    batches = batches_of(order, 32, drop_last)
    assert [len(batch) for batch in batches] == sizes
    assert [row for batch in batches for row in batch] == order[: sum(sizes)].tolist()


def test_every_epoch_sees_every_example_once_in_an_order_of_its_own(cpu: Compute) -> None:
    model = Scripted([0.5, 0.4, 0.3])
    train(model, cpu, replace(RECIPE, max_epochs=3))
    assert [len(batch) for batch in model.seen] == [24, 23, 23] * 3
    epochs = [list(chain(*model.seen[start : start + 3])) for start in (0, 3, 6)]
    rows = [float(row) for row in examples(70).rows]
    assert all(sorted(epoch) == sorted(rows) for epoch in epochs)
    assert rows not in epochs
    assert all(one != following for one, following in pairwise(epochs))


def test_the_order_follows_from_the_seed(cpu: Compute) -> None:
    one, same, other = Scripted([0.5, 0.4]), Scripted([0.5, 0.4]), Scripted([0.5, 0.4])
    for model, seed in ((one, 1), (same, 1), (other, 2)):
        train(model, cpu, replace(RECIPE, max_epochs=2), seed)
    assert one.seen == same.seen
    assert one.seen[0] != other.seen[0]
    assert one.seen[3] != other.seen[0]  # epoch 1 of seed 1 is not epoch 0 of seed 2


def test_the_remainder_is_dropped_where_the_recipe_says(cpu: Compute) -> None:
    model = Scripted([0.5, 0.4])
    train(model, cpu, replace(RECIPE, max_epochs=2, drop_last=True))
    assert [len(batch) for batch in model.seen] == [32, 32] * 2
    assert set(chain(*model.seen[:2])) != set(chain(*model.seen[2:]))  # another remainder each epoch


def test_batches_hold_inputs_and_labels_of_their_rows(cpu: Compute) -> None:
    some = examples(5)
    batches = [np.array([4, 0]), np.array([2, 2, 1])]
    loaded = list(load(some, batches, cpu))
    for batch, (inputs, labels) in zip(batches, loaded, strict=True):
        assert inputs[:, 0].tolist() == some.rows[batch].tolist()
        assert labels.tolist() == (some.rows[batch] % 2).tolist()
        assert (inputs.dtype, labels.dtype) == (torch.float32, torch.int64)


def test_a_failure_while_reading_is_not_lost(cpu: Compute) -> None:
    with pytest.raises(IndexError):
        list(load(examples(5), [np.array([0]), np.array([99])], cpu))


def test_a_training_that_is_left_early_can_be_left(cpu: Compute) -> None:
    batches = load(examples(70), batches_of(np.arange(70), 32, drop_last=False), cpu)
    next(batches)
    batches.close()


# --- predictions ------------------------------------------------------------------------------------------------------


def test_predictions_are_in_the_order_of_the_examples_and_change_nothing(cpu: Compute) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)).train()
    inputs = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)
    rows = np.random.default_rng(1).permutation(400)[:300]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    logits = predict(model, Examples(inputs, rows, np.zeros(300, np.int64)), cpu)
    model.eval()
    one_by_one = torch.cat([model(torch.from_numpy(inputs[[row]])) for row in rows])
    torch.testing.assert_close(logits, one_by_one.detach())
    assert logits.shape == (300, 3)
    assert not logits.requires_grad
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_half_precision_computes_in_bfloat16_and_keeps_weights_and_losses_in_float32() -> None:
    compute = Compute(torch.device("cpu"), torch.bfloat16)
    dtypes = []

    class Spy(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            y = super().forward(x)
            dtypes.append(y.dtype)
            return y

    model = Spy(1, 2)
    list(
        fit(
            model,
            make_optimiser(model, RMSPROP),
            examples(70),
            examples(10),
            replace(RECIPE, max_epochs=1),
            0,
            compute,
        )
    )
    assert set(dtypes) == {torch.bfloat16}
    assert model.weight.dtype == torch.float32
    assert predict(model, examples(10), compute).dtype == torch.float32


# --- optimisers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "torchs"),
    [
        (SGD_AS_WRITTEN, partial(torch.optim.SGD, lr=1e-3, momentum=0.9, nesterov=True, weight_decay=0.0)),
        (RMSPROP, partial(torch.optim.RMSprop, lr=1e-3, alpha=0.9, eps=1e-8, weight_decay=0.0)),
        (optimiser("adam", 1e-3, 0.0, 0.0), partial(torch.optim.Adam, lr=1e-3, eps=1e-8, weight_decay=0.0)),
        (optimiser("adamw", 1e-3, 0.0, 0.0), partial(torch.optim.AdamW, lr=1e-3, eps=1e-8, weight_decay=0.0)),
    ],
    ids=["sgd", "rmsprop", "adam", "adamw"],
)
def test_optimisers_are_torchs_own(settings: Optimiser, torchs: Callable[..., torch.optim.Optimizer]) -> None:
    found = []
    for make in (lambda model: make_optimiser(model, settings), lambda model: torchs(model.parameters())):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        optimiser = make(model)
        for _ in range(5):
            optimiser.zero_grad()
            model(torch.rand(5, 4)).square().sum().backward()
            optimiser.step()
        found.append((model.state_dict(), optimiser.state_dict()))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_training_does_not_import_torchs_compiler() -> None:
    """It takes longer than training a softmax layer."""
    code = """if True:
        import sys
        import numpy as np
        from torch import nn
        from rijksnet.exploration_params import Recipes
        from rijksnet.params import BatchNorm, MaxEpochs, Normalisation, Training
        from rijksnet.protocol import RMSPROP, Recipe
        from rijksnet.training import compute
        from rijksnet.training.batches import Examples
        from rijksnet.training.loop import fit, make_optimiser
        settings = {"protocol": "as_written", "precision": "bf16", "device": "cpu", "threads": "auto"}
        settings["normalisation"] = Normalisation(off_the_shelf="unit", fine_tuning="unit")
        settings["recipe"] = Recipes(off_the_shelf=None, fine_tuning=None)
        settings["batch_norm"] = BatchNorm(constants="own", frozen="running")
        training = Training(**settings, max_epochs=MaxEpochs(off_the_shelf=1, fine_tuning=1), seed=0)
        model, data = nn.Linear(4, 2), Examples(np.ones((8, 4), np.float32), np.arange(8), np.arange(8) % 2)
        optimiser = make_optimiser(model, RMSPROP)
        assert len(list(fit(model, optimiser, data, data, Recipe(RMSPROP, 2), 0, compute.choose(training)))) == 2
        assert optimiser.state_dict()["state"]
        print(sorted({"torch._dynamo", "sympy", "triton"} & sys.modules.keys()))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_results_are_fetched_in_their_order() -> None:
    assert [one.tolist() for one in fetched(torch.full((2,), float(i)) for i in range(3))] == [[0, 0], [1, 1], [2, 2]]
    assert list(fetched(iter([]))) == []


def test_without_a_gpu_inputs_stay_where_they_are(cpu: Compute) -> None:
    examples = Examples(np.zeros((4, 2), np.float32), np.arange(4), np.zeros(4, np.int64))
    assert resident(examples, cpu) is examples
    assert list(load(examples, [], cpu)) == []


def test_evaluated_batches_fit_the_caches_and_none_is_small(cpu: Compute) -> None:
    def sizes(n: int, *shape: int) -> list[int]:
        inputs = np.zeros((1, *shape), np.uint8)
        batches = evaluation_batches(Examples(inputs, np.zeros(n, np.int64), np.zeros(n, np.int64)), cpu)
        assert np.array_equal(np.concatenate([np.zeros(0), *batches]), np.arange(n))
        return [len(batch) for batch in batches]

    assert set(sizes(1600, 299, 299, 3)) == {16}
    assert all(16 <= min(sizes(n, 224, 224, 3)) <= max(sizes(n, 224, 224, 3)) < 32 for n in range(16, 100))
    assert set(sizes(640, 128, 128, 3)) == {32}
    assert set(sizes(1280, 64, 64, 3)) == {128}
    assert sizes(5, 224, 224, 3) == [5]
    assert sizes(0, 224, 224, 3) == []
    assert sizes(200, 2048) == [100, 100]


def test_a_row_that_is_not_there_is_an_error(cpu: Compute) -> None:
    for rows in ([0, 4], [-1, 0]):
        examples = Examples(np.zeros((4, 2), np.float32), np.array(rows), np.zeros(2, np.int64))
        with pytest.raises(IndexError, match="of 4"):
            next(load(examples, [np.arange(2)], cpu))
