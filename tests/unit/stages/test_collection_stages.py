"""What the stages of a collection ask of the parameters."""

from __future__ import annotations

from typing import Any

import pytest

from rijksnet.errors import ParamsError
from rijksnet.params import Params
from rijksnet.stages.draw import draw
from rijksnet.stages.pixels import sizes
from rijksnet.stages.splits import challenges_of


def test_a_collection_is_split_for_what_is_asked_of_it(content: dict[str, Any]) -> None:
    params = Params.model_validate(content)
    assert challenges_of(params, "source") == ["material", "type"]
    assert challenges_of(params, "target") == ["type"]
    assert challenges_of(params, "photographs") == ["type"]
    assert challenges_of(params, "elsewhere") == []
    content["imagenet"]["pretrain"]["collection"] = "source"
    assert challenges_of(Params.model_validate(content), "source") == ["material", "type"]


def test_photographs_of_which_nothing_is_made_are_not_split(content: dict[str, Any]) -> None:
    content["imagenet"]["pretrain"]["architectures"] = []
    content["imagenet"]["timm"] = ["test_resnet"]
    assert challenges_of(Params.model_validate(content), "photographs") == []


def test_pixels_are_packed_for_architectures_that_are_only_pretrained_too(content: dict[str, Any]) -> None:
    assert sizes(Params.model_validate(content)) == [32]
    content["input_size"] = "native"
    content["imagenet"]["pretrain"]["architectures"] = ["inception_v3", "test_resnet"]
    assert sizes(Params.model_validate(content)) == [160, 299]


def test_a_museum_s_collection_is_not_drawn(content: dict[str, Any]) -> None:
    columns = {"reader": "table", "raw": "museum", "table": "a.csv", "images": ".", "columns": {}}
    content["collections"]["museum"] = columns
    with pytest.raises(ParamsError, match=r"collections\.museum has reader 'table': only a `miniature` can be drawn"):
        draw(Params.model_validate(content), "museum")
