"""The paper's Table 2 says how large each network is. Ours are counted."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from rijksnet.report.sizes import Size, count

REFERENCE = Path(__file__).parents[2] / "reference"

#: Classes of the Rijksmuseum's challenges (Table 1).
CLASSES = {
    row["challenge"]: int(row["classes"])
    for row in csv.DictReader((REFERENCE / "paper_table1.csv").read_text().splitlines())
    if row["collection"] == "rijksmuseum"
}

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


@pytest.fixture(scope="module")
def counted() -> dict[str, Size]:
    return {architecture: count(architecture) for architecture in ("xception", "inception_v3", "resnet50", "vgg19")}


def test_the_table_of_sizes_is_what_is_counted(counted: dict[str, Size]) -> None:
    with (REFERENCE / "network_sizes.csv").open() as file:
        rows = {
            row["architecture"]: Size(int(row["backbone"]), int(row["feature_size"])) for row in csv.DictReader(file)
        }
    assert rows == counted


@pytest.mark.parametrize("row", ROWS)
def test_our_networks_are_as_large_as_the_papers(row: dict[str, str], counted: dict[str, Size]) -> None:
    challenge, architecture = row["challenge"], row["architecture"]
    parameters = counted[architecture].parameters(CLASSES[challenge])
    assert parameters == COUNTS[challenge, architecture]
    assert counted[architecture].feature_size == int(row["feature_size"])
    # The paper cuts the digits after the point. Its Keras networks hold up to 0.1 million values more than timm's:
    # biases of convolutions, and moving statistics, which Keras counts.
    assert math.floor(parameters / 1e6 + 0.1) == int(row["parameters_millions"])
