from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from rijksnet import protocol
from rijksnet.exploration import adopt
from rijksnet.exploration.space import fixed_choice, suggest, with_choice
from rijksnet.exploration_params import HeadRecipe, NetworkRecipe, Space
from rijksnet.params import Params, load

Content = dict[str, Any]
ROOT = Path(__file__).parents[3]
NOTHING: Content = {
    "optimiser": [],
    "learning_rate": None,
    "momentum": None,
    "weight_decay": None,
    "label_smoothing": None,
    "batch_size": [],
    "normalisation": [],
    "unfrozen": None,
    "layer_rate": None,
}


class Highest:
    """Suggests the highest of every range and the last of every list, and notes what was asked for."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        self.asked[name] = (low, high, log)
        return high

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.asked[name] = list(choices)
        return choices[-1]


@pytest.mark.parametrize("strategy", ["off_the_shelf", "fine_tuning"])
def test_nothing_varied_is_the_protocol_s_own(strategy: Any, tiny_params: Callable[..., Params]) -> None:
    params, trial = tiny_params(), Highest()
    fixed = fixed_choice(params, strategy)
    found = suggest(trial, Space.model_validate(NOTHING), strategy, fixed, "a study")
    assert trial.asked == {}
    assert found.settings() == fixed.settings()
    assert found.normalisation == "unit"
    recipe = protocol.recipe(strategy, with_choice(params, strategy, found).training)
    own = protocol.fixed_recipe(strategy, params.training)
    assert recipe.optimiser == own.optimiser
    assert (recipe.batch_size, recipe.label_smoothing, recipe.unfrozen, recipe.layer_rate) == (32, 0.0, 1.0, 1.0)
    assert recipe.study == "a study"


def test_all_that_params_vary_is_asked_for(tiny_params: Callable[..., Params]) -> None:
    params, trial = tiny_params(), Highest()
    space = params.exploration.space.model_copy(update={"optimiser": ["rmsprop", "sgd"]})
    found = suggest(trial, space, "fine_tuning", fixed_choice(params, "fine_tuning"), "a study")
    assert trial.asked == {
        "optimiser": ["rmsprop", "sgd"],
        "learning_rate": (1e-4, 0.1, True),
        "momentum": (0.5, 0.99, False),
        "weight_decay": (1e-6, 0.01, True),
        "label_smoothing": (0.0, 0.2, False),
        "batch_size": [16, 32],
        "normalisation": ["unit", "pretrained"],
        "unfrozen": (0.25, 1.0, False),
        "layer_rate": (0.5, 1.0, False),
    }
    assert found.recipe == NetworkRecipe(
        study="a study", optimiser="sgd", learning_rate=0.1, momentum=0.99, weight_decay=0.01, label_smoothing=0.2,
        batch_size=32, unfrozen=1.0, layer_rate=1.0,
    )  # fmt: skip
    assert found.normalisation == "pretrained"


def test_momentum_is_sgd_s_and_depth_is_fine_tuning_s(tiny_params: Callable[..., Params]) -> None:
    params, trial = tiny_params(), Highest()
    found = suggest(trial, params.exploration.space, "off_the_shelf", fixed_choice(params, "off_the_shelf"), "s")
    assert not {"momentum", "unfrozen", "layer_rate"} & set(trial.asked)
    assert type(found.recipe) is HeadRecipe
    assert found.recipe.optimiser == "adamw"


@pytest.mark.parametrize(
    ("name", "optimiser"),
    [
        ("rmsprop", {"name": "rmsprop", "decay": 0.9, "epsilon": 1e-8, "momentum": 0.0}),
        ("sgd", {"name": "sgd", "momentum": 0.5, "nesterov": True}),
        ("adam", {"name": "adam", "decay": 0.999, "epsilon": 1e-8, "momentum": 0.9}),
        ("adamw", {"name": "adamw", "decay": 0.999, "epsilon": 1e-8, "momentum": 0.9}),
    ],
)
def test_an_optimiser_is_as_usual_in_all_that_is_not_asked_for(name: Any, optimiser: Content) -> None:
    found = vars(protocol.optimiser(name, 0.01, 0.5, 1e-4))
    assert found.items() >= {**optimiser, "learning_rate": 0.01, "weight_decay": 1e-4}.items()


# --- adoption ---------------------------------------------------------------------------------------------------------


def test_adopting_changes_four_lines_and_keeps_comments(tmp_path: Path) -> None:
    file, out = tmp_path / "params.yaml", tmp_path / "adopted.yaml"
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    params, trial = load(file), Highest()
    found = suggest(trial, params.exploration.space, "off_the_shelf", fixed_choice(params, "off_the_shelf"), "a study")
    adopt.write(file, "off_the_shelf", found, out)
    adopted = out.read_text(encoding="utf-8")
    comments = [line.split("#")[1] for line in text.splitlines() if "#" in line]
    assert comments
    assert all(comment in adopted for comment in comments)
    both = load(out), params
    assert both[0].training.recipe.off_the_shelf == found.recipe
    assert both[0].training.normalisation.off_the_shelf == "pretrained"
    before, after = (YAML(typ="safe").load(one) for one in (text, adopted))
    before["training"]["recipe"]["off_the_shelf"] = after["training"]["recipe"]["off_the_shelf"]
    before["training"]["normalisation"]["off_the_shelf"] = after["training"]["normalisation"]["off_the_shelf"]
    assert before == after
    assert protocol.recipe("off_the_shelf", both[0].training).study == "a study"
    assert protocol.recipe("fine_tuning", both[0].training) == protocol.recipe("fine_tuning", params.training)
