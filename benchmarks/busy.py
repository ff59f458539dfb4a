"""What other processes at work cost a training, by how many threads it computes with: python benchmarks/busy.py

Two small networks train alone and beside busy loops, with a thread a core (`training.threads: auto`) and with one. The
baseline is `auto` alone, in the same run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the command line does

import numpy as np
import torch

from rijksnet import protocol
from rijksnet.networks.architectures import Network, design_as_published
from rijksnet.params import load
from rijksnet.training import compute
from rijksnet.training.batches import Examples
from rijksnet.training.loop import fit, make_optimiser

CLASSES, IMAGES, SIDE, EPOCHS = 20, 640, 64, 3
PARAMS = Path(__file__).parents[1] / "params.yaml"


@contextmanager
def neighbours(n: int) -> Iterator[None]:
    """So many processes that do nothing but work."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def speed(architecture: str, threads: int, computed: compute.Compute) -> list[float]:
    """Images per second of each epoch."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (IMAGES, SIDE, SIDE, 3), dtype=np.uint8)
    labels = random.integers(0, CLASSES, IMAGES)
    recipe = replace(protocol.recipe("fine_tuning", load(PARAMS).training), max_epochs=EPOCHS)
    torch.set_num_threads(threads)
    model = Network(design_as_published(architecture), CLASSES, "unit")
    few = Examples(pixels, np.arange(protocol.BATCH_SIZE), labels[: protocol.BATCH_SIZE])
    examples = Examples(pixels, np.arange(IMAGES), labels)
    epochs = fit(model, make_optimiser(model, recipe.optimiser), examples, few, recipe, 0, computed)
    return [epoch.images_per_s for epoch in epochs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neighbours", type=int, nargs="+", default=[0, 1, 2], help="busy loops beside the training")
    chosen = parser.parse_args()
    computed, cores = compute.choose(load(PARAMS).training), torch.get_num_threads()
    print(f"{torch.backends.cpu.get_cpu_capability()}, {os.cpu_count()} cores, {computed}")
    for architecture in ("test_resnet", "test_densenet"):
        speed(architecture, cores, computed)  # warms up
        baseline = 0.0
        for n in chosen.neighbours:
            for threads in dict.fromkeys((cores, 1)):
                with neighbours(n):
                    epochs = speed(architecture, threads, computed)
                baseline = baseline or median(epochs)
                listed = ", ".join(f"{one:.0f}" for one in epochs)
                print(
                    f"{architecture}, {n} busy loops, {threads} threads: {listed} images/s; "
                    f"ratio {median(epochs) / baseline:.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
