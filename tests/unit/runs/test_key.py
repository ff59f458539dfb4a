from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rijksnet.paths import CollectionPaths
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.key import RunKey

KEY = RunKey("antwerp", "type", "vgg19", "off_the_shelf", "rijksmuseum")


def test_a_run_is_named_by_all_that_makes_it() -> None:
    assert str(KEY) == "antwerp/type/vgg19/off_the_shelf-rijksmuseum-seed0"
    assert str(replace(KEY, seed=3)) == "antwerp/type/vgg19/off_the_shelf-rijksmuseum-seed3"
    assert RunFolder.of(KEY).run == Path("runs") / str(KEY) / "run.json"


def test_tuned_weights_are_those_of_the_same_challenge() -> None:
    assert KEY.initial_weights == Path("weights/rijksmuseum/type/vgg19.safetensors")
    assert replace(KEY, initialisation="imagenet").initial_weights == Path("weights/imagenet/vgg19.safetensors")
    with pytest.raises(AssertionError, match="random weights come from no file"):
        assert replace(KEY, initialisation="random").initial_weights


def test_features_of_tuned_weights_are_kept_apart_by_challenge() -> None:
    from_theta = replace(KEY, initialisation="imagenet")
    assert KEY.features == Path("features/antwerp/vgg19-rijksmuseum-type")
    assert from_theta.features == Path("features/antwerp/vgg19-imagenet")
    assert replace(from_theta, challenge="artist").features == from_theta.features
    assert replace(KEY, challenge="artist").features != KEY.features


def test_no_two_files_of_a_collection_are_the_same() -> None:
    at = CollectionPaths("antwerp")
    files = [at.catalogue, at.rejects, at.images, at.unreadable, at.splits_summary]
    files += [at.pixels_of_size(32), at.pixels_of_size(64), at.split("type"), at.split("artist")]
    assert len(set(files)) == len(files)
    assert all(file.is_relative_to(at.root) for file in files)
