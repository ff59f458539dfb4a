"""Parameters with a study's recipe in place of the protocol's, every other line as it was."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Any

from rijksnet.files import replacing
from rijksnet.params import load

if TYPE_CHECKING:
    from pathlib import Path

    from rijksnet.exploration.space import Choice
    from rijksnet.exploration_params import ExploredStrategy


def adopted(params: Path, strategy: ExploredStrategy, choice: Choice) -> str:
    """The text of a params file with a choice adopted; comments stay."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 120
    yaml.representer.add_representer(type(None), _null)
    content: Any = yaml.load(params.read_text(encoding="utf-8"))
    training = content["training"]
    training["recipe"][strategy] = choice.recipe.model_dump()
    training["normalisation"][strategy] = choice.normalisation
    text = StringIO()
    yaml.dump(content, text)
    return text.getvalue()


def write(params: Path, strategy: ExploredStrategy, choice: Choice, out: Path) -> None:
    """Write the text of `adopted`, once it is known to be a params file that loads."""
    text = adopted(params, strategy, choice)
    with replacing(out) as partial:
        partial.write_text(text, encoding="utf-8")
        load(partial)


def _null(representer: Any, _: None) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")
