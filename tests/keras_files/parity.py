"""How closely backbones out of Keras' files answer like Keras: `python parity.py FOLDER`, after make_files.py."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from rijksnet.networks.architectures import Network
from rijksnet.networks.keras.convert import load


def difference(file: Path, architecture: str) -> float:
    """Largest difference between features, relative to the largest of Keras'."""
    with np.load(file.with_name(file.name + ".npz")) as expected:
        pixels, wanted = torch.from_numpy(expected["pixels"]), expected["features"]
    imported = load(file, architecture)
    network = Network(imported.design, classes=1, normalisation="pretrained")
    network.backbone.load_state_dict(imported.tensors)
    network.eval()
    with torch.no_grad():
        found = network.features(pixels).numpy()
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def main(folder: Path) -> None:
    worst: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for file in sorted(folder.glob("*.npz")):
        file = file.with_suffix("")
        architecture, keras, rest = file.name.split(".", 2)
        try:
            worst[architecture, keras][rest] = difference(file, architecture)
        except Exception as error:  # all are to be seen
            print(f"{file.name}: {type(error).__name__}: {error}")
            worst[architecture, keras][rest] = float("nan")
    for (architecture, keras), found in worst.items():
        for rest, value in found.items():
            print(f"{architecture:16} {keras} {rest:20} {value:.1e}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
