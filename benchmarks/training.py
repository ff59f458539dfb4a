"""Fine tuning and features as `rijksnet` makes them (bf16 where native, channels last, pixels straight from disk order)
against plain float32 loops over NCHW tensors, in the same run:

    python benchmarks/training.py [ARCHITECTURE] [SIDE] [cpu|cuda] [CSV]

A row goes to CSV, if one is named: what benchmarks/projection.py reads.
"""

from __future__ import annotations

import csv
import os
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import numpy as np
import timm
import torch
import torch.nn.functional as F

from rijksnet import protocol
from rijksnet.exploration_params import Recipes
from rijksnet.networks.architectures import Network, design_as_published, timm_name
from rijksnet.params import BatchNorm, Device, MaxEpochs, Normalisation, Training
from rijksnet.training import compute
from rijksnet.training.features import extract
from rijksnet.training.loop import EVALUATION_BATCH_SIZE, Examples, fit, make_optimiser

CLASSES, IMAGES, ROUNDS = 20, 640, 3


def training_on(device: Device) -> Training:
    return Training(
        protocol="as_written",
        normalisation=Normalisation(off_the_shelf="unit", fine_tuning="unit"),
        recipe=Recipes(off_the_shelf=None, fine_tuning=None),
        batch_norm=BatchNorm(constants="own", frozen="running"),
        precision="auto",
        device=device,
        threads="auto",
        max_epochs=MaxEpochs(off_the_shelf=1, fine_tuning=ROUNDS),
        seed=0,
    )


def plain(architecture: str, pixels: np.ndarray, labels: np.ndarray, device: Device) -> float:
    """Images per second of a float32 loop over ready tensors, the best of the rounds."""
    model = timm.create_model(timm_name(architecture), num_classes=CLASSES).train().to(device)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9, nesterov=True)
    inputs = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float().div(255).to(device)
    targets = torch.from_numpy(labels).to(device)
    best = 0.0
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for start in range(0, IMAGES, protocol.BATCH_SIZE):
            batch = slice(start, start + protocol.BATCH_SIZE)
            loss = F.cross_entropy(model(inputs[batch]), targets[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        loss.item()  # a GPU works on after it was asked
        best = max(best, IMAGES / (time.perf_counter() - started))
    return best


@torch.no_grad()
def plain_features(architecture: str, pixels: np.ndarray, device: Device) -> float:
    """Images per second of a float32 network that reads ready tensors, the best of the rounds."""
    model = timm.create_model(timm_name(architecture), num_classes=0).eval().to(device)
    inputs = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float().div(255).to(device)
    best = 0.0
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for batch in inputs.split(EVALUATION_BATCH_SIZE):
            last = model(batch)
        last[0, 0].item()  # a GPU works on after it was asked
        best = max(best, IMAGES / (time.perf_counter() - started))
    return best


def our_features(architecture: str, pixels: np.ndarray, training: Training) -> float:
    computed = compute.choose(training)
    network = Network(design_as_published(architecture), CLASSES, "unit").to(computed.device)
    best = 0.0
    with TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            started = time.perf_counter()
            list(extract(network, pixels, Path(folder) / "features.npy", "running", computed))
            best = max(best, IMAGES / (time.perf_counter() - started))
    return best


def ours(
    architecture: str, pixels: np.ndarray, labels: np.ndarray, training: Training
) -> tuple[float, compute.Compute]:
    """Images per second of the training loop, the best of as many epochs."""
    computed = compute.choose(training)
    model = Network(design_as_published(architecture), CLASSES, "unit").to(computed.device)
    recipe = protocol.recipe("fine_tuning", training)
    train = Examples(pixels, np.arange(IMAGES), labels)
    few = Examples(pixels, np.arange(protocol.BATCH_SIZE), labels[: protocol.BATCH_SIZE])
    epochs = fit(model, make_optimiser(model, recipe.optimiser), train, few, recipe, 0, computed)
    return max(epoch.images_per_s for epoch in epochs), computed


def main() -> None:
    architecture = sys.argv[1] if len(sys.argv) > 1 else "test_resnet"
    side = int(sys.argv[2]) if len(sys.argv) > 2 else 64
    training = training_on(sys.argv[3] if len(sys.argv) > 3 else "cpu")
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (IMAGES, side, side, 3), dtype=np.uint8)
    labels = random.integers(0, CLASSES, IMAGES)
    baseline = plain(architecture, pixels, labels, training.device)
    speed, computed = ours(architecture, pixels, labels, training)
    baseline_reading = plain_features(architecture, pixels, training.device)
    reading = our_features(architecture, pixels, training)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{architecture} at {side} px: training, plain float32 {baseline:.0f} images/s, rijksnet ({computed}) "
        f"{speed:.0f}, ratio {speed / baseline:.2f}; features, plain {baseline_reading:.0f}, rijksnet {reading:.0f}, "
        f"ratio {reading / baseline_reading:.2f}; peak memory {peak:.0f} MiB"
    )
    if len(sys.argv) > 4:
        with Path(sys.argv[4]).open("a", encoding="utf-8", newline="") as file:
            row = [architecture, side, str(computed), baseline, speed, baseline_reading, reading]
            csv.writer(file, lineterminator="\n").writerow(row)


if __name__ == "__main__":
    main()
