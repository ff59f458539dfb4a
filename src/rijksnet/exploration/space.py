"""From the space in params.yaml to one recipe: what a trial tries, and what it keeps of the protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from rijksnet import protocol
from rijksnet.exploration_params import HeadRecipe, NetworkRecipe, Recipes
from rijksnet.params import Normalisation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rijksnet.exploration_params import ExploredStrategy, Range, Space
    from rijksnet.params import Params
    from rijksnet.protocol import InputNormalisation

#: Searched by their order of magnitude.
LOGARITHMIC = ("learning_rate", "weight_decay")


class Suggests(Protocol):
    """What is used of an Optuna trial."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


@dataclass(frozen=True)
class Choice:
    """One point of the space: a recipe, and how the network's inputs are scaled."""

    recipe: HeadRecipe
    normalisation: InputNormalisation

    def settings(self) -> Mapping[str, Any]:
        """Its values by name, without the study's."""
        return {**self.recipe.model_dump(exclude={"study"}), "normalisation": self.normalisation}


def fixed_choice(params: Params, strategy: ExploredStrategy) -> Choice:
    """What the chosen protocol fixes, whatever has been adopted."""
    training = unexplored(params).training
    fixed = protocol.fixed_recipe(strategy, training)
    momentum = fixed.optimiser.momentum or protocol.SGD_AS_WRITTEN.momentum  # in case SGD is chosen
    values: dict[str, Any] = {
        "study": "",
        "optimiser": fixed.optimiser.name,
        "learning_rate": fixed.optimiser.learning_rate,
        "momentum": momentum,
        "weight_decay": fixed.optimiser.weight_decay,
        "label_smoothing": fixed.label_smoothing,
        "batch_size": fixed.batch_size,
    }
    normalisation = protocol.normalisation(training, strategy)
    if strategy == "off_the_shelf":
        return Choice(HeadRecipe(**values), normalisation)
    return Choice(NetworkRecipe(**values, unfrozen=fixed.unfrozen, layer_rate=fixed.layer_rate), normalisation)


def suggest(trial: Suggests, space: Space, strategy: ExploredStrategy, fixed: Choice, study: str) -> Choice:
    """A trial's choice; what the space does not vary is as fixed. Momentum is asked for only where SGD is chosen."""
    values = {**fixed.recipe.model_dump(), "study": study}
    values["optimiser"] = _one_of(trial, "optimiser", space.optimiser, values["optimiser"])
    varied = ["learning_rate", "weight_decay", "label_smoothing"]
    varied += ["momentum"] if values["optimiser"] == "sgd" else []
    varied += ["unfrozen", "layer_rate"] if strategy == "fine_tuning" else []
    for name in varied:
        values[name] = _number(trial, name, getattr(space, name), values[name])
    values["batch_size"] = _one_of(trial, "batch_size", space.batch_size, values["batch_size"])
    normalisation = _one_of(trial, "normalisation", space.normalisation, fixed.normalisation)
    return Choice(type(fixed.recipe)(**values), normalisation)


def _number(trial: Suggests, name: str, chosen: Range | None, fixed: float) -> float:
    if chosen is None:
        return fixed
    return trial.suggest_float(name, chosen.low, chosen.high, log=name in LOGARITHMIC)


def _one_of(trial: Suggests, name: str, values: Sequence[Any], fixed: Any) -> Any:
    if len(values) > 1:
        return trial.suggest_categorical(name, values)
    return values[0] if values else fixed


# --- parameters that hold a choice ------------------------------------------------------------------------------------


def unexplored(params: Params) -> Params:
    """Parameters with the protocol's own recipes and normalisation."""
    normalisation = Normalisation(off_the_shelf="protocol", fine_tuning="protocol")
    recipes = Recipes(off_the_shelf=None, fine_tuning=None)
    return _with(params, normalisation=normalisation, recipe=recipes)


def with_choice(params: Params, strategy: ExploredStrategy, choice: Choice) -> Params:
    """Parameters under which runs of a strategy train by a choice, as if it had been adopted."""
    training = params.training
    return _with(
        params,
        normalisation=training.normalisation.model_copy(update={strategy: choice.normalisation}),
        recipe=training.recipe.model_copy(update={strategy: choice.recipe}),
    )


def _with(params: Params, **training: Any) -> Params:
    return params.model_copy(update={"training": params.training.model_copy(update=training)})
