"""What params.yaml says of exploration: the space of recipes, how it is searched, and recipes adopted from it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rijksnet.collection_params import Frozen

OptimiserName = Literal["rmsprop", "sgd", "adam", "adamw"]
ExploredStrategy = Literal["off_the_shelf", "fine_tuning"]
Sampler = Literal["tpe", "random"]
Pruner = Literal["median", "halving", "none"]
Objective = Literal["accuracy", "cost"]

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Images = Annotated[int, Field(ge=1)]


class HeadRecipe(Frozen):
    """How a softmax layer trains in place of the protocol's choice."""

    study: str = Field(description="the study that it was adopted from")
    optimiser: OptimiserName = Field(description="what moves the weights")
    learning_rate: Positive = Field(description="of the softmax layer")
    momentum: BelowOne = Field(description="SGD's, Nesterov's kind; the others have their own")
    weight_decay: NotNegative = Field(description="of weights, not of biases and normalisation; AdamW's is decoupled")
    label_smoothing: BelowOne = Field(description="share of a label's probability given to all classes alike")
    batch_size: Images = Field(description="images")


class NetworkRecipe(HeadRecipe):
    """How a whole network trains in place of the protocol's choice."""

    unfrozen: Share = Field(description="share of the backbone's layers that train, counted from its end; 1: all")
    layer_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        description="a layer's learning rate is that of the layer after it times this; 1: all alike"
    )


class Recipes(Frozen):
    """By strategy; null is the protocol's own."""

    off_the_shelf: HeadRecipe | None = Field(description="off the shelf; null: the protocol's")
    fine_tuning: NetworkRecipe | None = Field(description="fine tuning; null: the protocol's")


# --- the space --------------------------------------------------------------------------------------------------------


class Range(Frozen):
    """Both ends belong to it."""

    low: float = Field(description="smallest value")
    high: float = Field(description="largest value")

    @model_validator(mode="after")
    def _is_not_empty(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} must be smaller than high {self.high:g}; null keeps the protocol's")
        return self


class Space(Frozen):
    """What varies and how far; null, or an empty list, keeps what the protocol fixes."""

    optimiser: list[OptimiserName] = Field(description="optimisers to choose from")
    learning_rate: Range | None = Field(description="on a logarithmic scale")
    momentum: Range | None = Field(description="SGD's")
    weight_decay: Range | None = Field(description="on a logarithmic scale")
    label_smoothing: Range | None = Field(description="share of a label's probability given to all classes alike")
    batch_size: list[Images] = Field(description="batch sizes to choose from, images")
    normalisation: list[Literal["unit", "pretrained"]] = Field(description="of inputs, to choose from")
    unfrozen: Range | None = Field(description="share of the backbone's layers that train; fine tuning only")
    layer_rate: Range | None = Field(description="learning rate of a layer over that of the next; fine tuning only")

    @model_validator(mode="after")
    def _is_within_what_a_recipe_may_be(self) -> Space:
        for name in ("optimiser", "batch_size", "normalisation"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"exploration.space.{name} is {values}: name each value once")
        for name, (lowest, highest, ends) in LIMITS.items():
            chosen: Range | None = getattr(self, name)
            if chosen is None:
                continue
            above = chosen.low >= lowest if ends[0] == "[" else chosen.low > lowest
            below = chosen.high <= highest if ends[1] == "]" else chosen.high < highest
            if not (above and below):
                raise ValueError(
                    f"exploration.space.{name} goes from {chosen.low:g} to {chosen.high:g}, but must lie in "
                    f"{ends[0]}{lowest:g}, {highest:g}{ends[1]}"
                )
        return self


#: What a recipe may hold: lowest and highest value, and whether they belong to it ([]) or not (()).
LIMITS: dict[str, tuple[float, float, str]] = {
    "learning_rate": (0, float("inf"), "()"),
    "momentum": (0, 1, "[)"),
    "weight_decay": (0, float("inf"), "()"),
    "label_smoothing": (0, 1, "[)"),
    "unfrozen": (0, 1, "[]"),
    "layer_rate": (0, 1, "(]"),
}


class Trials(Frozen):
    off_the_shelf: int = Field(ge=1, description="softmax layers to train, side by side")
    fine_tuning: int = Field(ge=1, description="networks to fine-tune")


class Exploration(Frozen):
    """What the paper fixed after preliminary experiments, searched; selection is by the validation split alone."""

    challenges: list[Literal["material", "type", "artist"]] = Field(
        description="source challenges of the DVC stage `explore`"
    )
    architectures: list[str] = Field(description="architectures of the DVC stage `explore`")
    strategies: list[ExploredStrategy] = Field(description="strategies of the DVC stage `explore`")
    trials: Trials = Field(description="recipes to try in a study")
    seed: int = Field(ge=0, description="seed of the sampler; that of each trial's training is training.seed")
    sampler: Sampler = Field(description="tpe: tree-structured Parzen estimator; random: independent draws")
    pruner: Pruner = Field(
        description="when fine tuning is given up: median: below the median of earlier trials at the same epoch; "
        "halving: successive halving; none: never"
    )
    objectives: list[Objective] = Field(
        min_length=1,
        description="accuracy: on the validation split; cost: floating-point operations of the training, as a second",
    )
    storage: str = Field(
        pattern=r"^(sqlite:///|postgresql(\+psycopg)?://)",
        description="where studies live: sqlite:///FILE, or postgresql://USER:PASSWORD@HOST/DATABASE for several "
        "machines; RIJKSNET_STUDIES in the environment goes before it",
    )
    heartbeat_s: int = Field(
        ge=1, description="seconds between two signs of life of a trial; after three without any it is tried again"
    )
    space: Space = Field(description="what varies, and how far")

    @model_validator(mode="after")
    def _accuracy_comes_first(self) -> Exploration:
        if self.objectives not in (["accuracy"], ["accuracy", "cost"]):
            raise ValueError(
                f"exploration.objectives is {self.objectives}: choose [accuracy], or [accuracy, cost] for both"
            )
        if len(self.objectives) > 1 and self.pruner != "none":
            raise ValueError(
                f"exploration.pruner is {self.pruner!r}, but with two objectives no trial can be called worse while it "
                "trains: set it to none, or exploration.objectives to [accuracy]"
            )
        return self
