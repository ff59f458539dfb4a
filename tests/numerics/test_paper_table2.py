"""The paper's Table 2 says how large each network is. Ours are built on the meta device, and counted."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
import torch

from rijksnet.networks.architectures import Network, design_as_published, parameter_count

REFERENCE = Path(__file__).parents[2] / "reference"

#: Classes of the Rijksmuseum's challenges (Table 1).
CLASSES = {
    row["challenge"]: int(row["classes"])
    for row in csv.DictReader((REFERENCE / "paper_table1.csv").read_text().splitlines())
    if row["collection"] == "rijksmuseum"
}

#: Trainable values of each backbone.
BACKBONES = {"xception": 20_806_952, "inception_v3": 21_785_568, "resnet50": 23_508_032, "vgg19": 20_024_384}

COUNTS = {
    ("material", "xception"): 21_229_046,
    ("material", "inception_v3"): 22_207_662,
    ("material", "resnet50"): 23_930_126,
    ("material", "vgg19"): 20_130_062,
    ("type", "xception"): 22_966_598,
    ("type", "inception_v3"): 23_945_214,
    ("type", "resnet50"): 25_667_678,
    ("type", "vgg19"): 20_565_086,
    ("artist", "xception"): 23_257_556,
    ("artist", "inception_v3"): 24_236_172,
    ("artist", "resnet50"): 25_958_636,
    ("artist", "vgg19"): 20_637_932,
}

ROWS = [
    pytest.param(row, id=f"{row['challenge']}-{row['architecture']}")
    for row in csv.DictReader((REFERENCE / "paper_table2.csv").read_text().splitlines())
]


def test_the_paper_has_these_rows() -> None:
    assert CLASSES == {"material": 206, "type": 1054, "artist": 1196}
    assert {(param.values[0]["challenge"], param.values[0]["architecture"]) for param in ROWS} == set(COUNTS)


@pytest.mark.parametrize("row", ROWS)
def test_our_networks_are_as_large_as_the_papers(row: dict[str, str]) -> None:
    challenge, architecture = row["challenge"], row["architecture"]
    with torch.device("meta"):
        network = Network(design_as_published(architecture), CLASSES[challenge], "unit")
    count = parameter_count(network)
    assert count == COUNTS[challenge, architecture]
    assert count == BACKBONES[architecture] + CLASSES[challenge] * (network.feature_size + 1)
    assert network.feature_size == int(row["feature_size"])
    # The paper cuts the digits after the point. Its Keras networks hold up to 0.1 million values more than timm's:
    # biases of convolutions, and moving statistics, which Keras counts.
    assert math.floor(count / 1e6 + 0.1) == int(row["parameters_millions"])
