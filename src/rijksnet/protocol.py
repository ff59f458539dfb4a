"""The paper's protocol: every rule that Sabatelli et al. 2018 state (or their released code uses), as pure functions.

Sections are those of the paper. Nothing here touches a file, a network or a tensor, so that each rule can be read,
tested by hand and cited on its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from rijksnet.exploration_params import HeadRecipe, OptimiserName
    from rijksnet.params import Strategy, Training

#: How inputs are scaled: to [0,1], or by the mean and standard deviation that weights were trained with, too.
InputNormalisation = Literal["unit", "pretrained"]

TRAIN, VALIDATION, TEST = SPLITS = ("train", "validation", "test")

#: Makers that name nobody (section 3: the artist challenge is about known makers), lower case.
UNNAMED_MAKERS = frozenset({"anoniem", "anonymous", "unknown", "onbekend"})

#: Batch size of every run (section 4).
BATCH_SIZE = 32

#: Epochs in a row without a smaller validation loss after which training stops (section 4).
PATIENCE = 7


# --- labels and splits (section 3) ---------------------------------------------------------------------------------


def label_of(challenge: str, values: Sequence[str]) -> str | None:
    """The one label of an object: the first value listed; None where there is none, or the maker is not named.

    The paper does not state this rule; it is the one that reproduces the sample counts of its Table 1 on the real
    ground truth (docs/decisions.md).
    """
    if not values or not values[0].strip():
        return None
    first = values[0].strip()
    if challenge == "artist" and first.lower() in UNNAMED_MAKERS:
        return None
    return first


#: The class of all objects whose own classes an official split leaves out, as in the Rijksmuseum Challenge.
REST = "rest"


def ranked_classes(classes: Sequence[str]) -> list[int]:
    """Indices of the classes that mean average precision averages over: all but `rest`."""
    return [i for i, name in enumerate(classes) if name != REST]


def split_sizes(n: int) -> tuple[int, int, int]:
    """Numbers of training, validation and test objects among `n`: 80/10/10 (section 3), the remainder to training."""
    held_out = n // 10
    return n - 2 * held_out, held_out, held_out


#: A split drawn otherwise than the paper's is one of so many folds: a tenth to validation, a tenth to the test.
DRAWN_OF_TEN = 10


def split_in_fold(part: int, fold: int, folds: int) -> str:
    """The split, in one of several folds, of the objects that were dealt to `part`: each part is tested once, and
    validates in the fold before. Ten folds are the paper's 80/10/10, ten times."""
    return {fold: TEST, (fold + 1) % folds: VALIDATION}.get(part, TRAIN)


def classes_in_all_splits(classes_per_split: Mapping[Any, Collection[str]]) -> set[str]:
    """The classes that occur at least once in every split, or in every fold; only these are kept (section 3)."""
    return set.intersection(*map(set, classes_per_split.values()))


# --- training (section 4) ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Optimiser:
    """An optimiser and its settings.

    `decay` is RMSprop's ρ and Adam's β₂, `momentum` SGD's and Adam's β₁; `weight_decay` reaches weights, not biases and
    normalisation.
    """

    name: OptimiserName
    learning_rate: float
    decay: float = 0.0
    epsilon: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """How one run trains: what remains once protocol, strategy and parameters are settled."""

    optimiser: Optimiser
    max_epochs: int
    patience: int = PATIENCE
    batch_size: int = BATCH_SIZE
    drop_last: bool = False
    tested_weights: Literal["best", "last"] = "best"
    label_smoothing: float = 0.0
    unfrozen: float = 1.0  #: share of the backbone's layers that train, counted from its end
    layer_rate: float = 1.0  #: learning rate of a layer over that of the layer after it
    study: str = ""  #: the study that it was adopted from; empty: it is the protocol's


#: Off the shelf: RMSprop, lr 0.001, ρ 0.9, ε 1e-8 (section 4).
RMSPROP = Optimiser("rmsprop", learning_rate=1e-3, decay=0.9, epsilon=1e-8)

#: Fine tuning and from scratch: SGD, lr 0.001, Nesterov momentum 0.9 (section 4).
SGD_AS_WRITTEN = Optimiser("sgd", learning_rate=1e-3, momentum=0.9, nesterov=True)

#: The released code's optimiser: a tenth of the learning rate, and plain momentum.
SGD_AS_RELEASED = Optimiser("sgd", learning_rate=1e-4, momentum=0.9, nesterov=False)


def recipe(strategy: Strategy, training: Training) -> Recipe:
    """The recipe of a strategy: one adopted from a study, else that of the chosen protocol.

    Off the shelf and fine tuning may be adopted; what is from scratch or beside the tables keeps the protocol's.
    """
    fixed = fixed_recipe(strategy, training)
    adopted: HeadRecipe | None = getattr(training.recipe, strategy, None)
    if adopted is None:
        return fixed
    return replace(
        fixed,
        optimiser=optimiser(adopted.optimiser, adopted.learning_rate, adopted.momentum, adopted.weight_decay),
        batch_size=adopted.batch_size,
        label_smoothing=adopted.label_smoothing,
        unfrozen=getattr(adopted, "unfrozen", 1.0),  # of a softmax layer alone there is nothing to say
        layer_rate=getattr(adopted, "layer_rate", 1.0),
        study=adopted.study,
    )


def fixed_recipe(strategy: Strategy, training: Training) -> Recipe:
    """The recipe that the chosen protocol fixes for a strategy.

    `as_released` differs from `as_written` in the fine-tuning optimiser, drops the remainder batch and tests the last
    weights instead of those with the smallest validation loss.
    """
    assert strategy not in ("svm", "random_forest"), f"{strategy} is not trained by epochs"
    released = training.protocol == "as_released"
    if strategy == "off_the_shelf":
        chosen, max_epochs = RMSPROP, training.max_epochs.off_the_shelf
    else:
        chosen, max_epochs = SGD_AS_RELEASED if released else SGD_AS_WRITTEN, training.max_epochs.fine_tuning
    return Recipe(chosen, max_epochs, drop_last=released, tested_weights="last" if released else "best")


def optimiser(name: OptimiserName, learning_rate: float, momentum: float, weight_decay: float) -> Optimiser:
    """An optimiser that the paper does not name, or not so: what is not given is as usual (Kingma and Ba 2015).

    Args:
        momentum: SGD's, Nesterov's kind; the others do without.
    """
    if name == "rmsprop":
        return replace(RMSPROP, learning_rate=learning_rate, weight_decay=weight_decay)
    if name == "sgd":
        return Optimiser(name, learning_rate, momentum=momentum, nesterov=momentum > 0, weight_decay=weight_decay)
    return Optimiser(name, learning_rate, decay=0.999, epsilon=1e-8, momentum=0.9, weight_decay=weight_decay)


@dataclass(frozen=True)
class BatchNormConstants:
    """Constants of batch normalisation; `momentum` is the share of the running statistics that a step keeps."""

    momentum: float
    epsilon: float


#: Keras' defaults, which its ResNet50, Inception-V3 and Xception of the time have in every layer.
KERAS_BATCH_NORM = BatchNormConstants(momentum=0.99, epsilon=1e-3)


def batch_norm(training: Training) -> BatchNormConstants | None:
    """The constants for all networks; None: each network's own. The paper does not state them."""
    return KERAS_BATCH_NORM if training.batch_norm.constants == "keras" else None


def normalisation(training: Training, strategy: Strategy) -> InputNormalisation:
    """Of inputs: [0,1] (section 4: "pixel values in [0,1]"), or the mean and std the weights were trained with."""
    on_features = strategy in ("off_the_shelf", "svm", "random_forest")
    asked = training.normalisation.off_the_shelf if on_features else training.normalisation.fine_tuning
    if asked != "protocol":
        return asked
    return "pretrained" if training.protocol == "as_released" else "unit"


def best_epoch(validation_losses: Sequence[float]) -> int:
    """Index of the smallest validation loss, the first of equals: the weights that are tested (section 4)."""
    return min(range(len(validation_losses)), key=lambda epoch: validation_losses[epoch])


def should_stop(validation_losses: Sequence[float], patience: int = PATIENCE) -> bool:
    """Early stopping: the validation loss has not decreased for `patience` epochs in a row (section 4)."""
    if not validation_losses:
        return False
    return len(validation_losses) - 1 - best_epoch(validation_losses) >= patience
