"""How long the whole of the paper's experiment takes at measured speeds: python benchmarks/projection.py CSV [IMAGES/S]

CSV has a row a network, of one machine, as benchmarks/training.py writes them. Images and epochs are the paper's own:
Table 1, and the epochs of its released curves (an upper bound: what early stopping cut off is padded there). Softmax
layers on features, a small part, are left out; so is decoding, unless its speed is given.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path

REFERENCE = Path(__file__).parents[1] / "reference"

#: Shares of the images that train, and that are looked at after each epoch.
TRAIN, VALIDATION = 0.8, 0.1


def speeds(file: Path) -> dict[str, tuple[float, float]]:
    """Images/s of training and of features, by network."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    if len(machines := {row["machine"] for row in rows}) > 1:
        raise SystemExit(f"{file} has rows of {sorted(machines)}: keep one machine's")
    return {row["network"]: (float(row["training"]), float(row["features"])) for row in rows}


def epochs() -> dict[tuple[str, str], int]:
    """Of fine tuning, by collection and challenge."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    for row in read("paper_curves.csv"):
        key = row["collection"], row["challenge"]
        if row["strategy"] == "fine_tuning":
            found[key] = max(found[key], int(row["epoch"]) + 1)
    return found


def read(name: str) -> list[dict[str, str]]:
    with (REFERENCE / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def main() -> None:
    measured, decoding = speeds(Path(sys.argv[1])), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    networks = [row["architecture"] for row in read("network_sizes.csv")]
    if missing := [name for name in networks if name not in measured]:
        raise SystemExit(
            f"{sys.argv[1]} lacks {missing}: python benchmarks/training.py NETWORK:SIDE --csv {sys.argv[1]}"
        )
    counts = {(row["collection"], row["challenge"]): int(row["samples"]) for row in read("paper_table1.csv")}
    of_epochs, hours = epochs(), defaultdict[str, float](float)
    for (collection, challenge), images in counts.items():
        for network in networks:
            training, reading = measured[network]
            once = images * of_epochs[collection, challenge]
            tuning = once * (TRAIN / training + VALIDATION / reading) / 3600
            starts = 2 if collection == "antwerp" else 1  # there from θ and from θ̂
            hours[f"fine tuning, {collection}"] += starts * tuning
            hours["features"] += starts * images / reading / 3600
            if collection == "rijksmuseum" and network == "inception_v3":
                hours["from scratch"] += tuning
    if decoding:
        largest = {name: max(n for (one, _), n in counts.items() if one == name) for name, _ in counts}
        hours["decoding"] = sum(largest.values()) / decoding / 3600
    for part, its in hours.items():
        print(f"{part}: {its:.1f} h")
    print(f"the paper's experiment: {sum(hours.values()):.1f} h")


if __name__ == "__main__":
    main()
