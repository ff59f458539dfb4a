"""Fine tuning and features as `rijksnet` makes them against two loops in plain PyTorch, in the same run:

    python benchmarks/training.py [NETWORK:SIDE ...] [--device cpu|cuda] [--csv benchmarks/speed.csv]

`plain` is float32 over NCHW tensors, eager; `timm` is what timm's own script does where it is asked for speed: autocast
to bf16, channels last. Both read tensors that are ready on the device; `rijksnet` reads pixels as they lie on disk.
Shares are of the ceiling: what a large matrix product in rijksnet's precision makes here. A row a network and machine
goes to CSV: what docs/performance.md shows and benchmarks/projection.py reads.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import numpy as np
import timm
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from rijksnet import protocol
from rijksnet.exploration_params import Recipes
from rijksnet.networks.architectures import Network, design_as_published, timm_name
from rijksnet.params import BatchNorm, Device, MaxEpochs, Normalisation, Training
from rijksnet.training import compute
from rijksnet.training.batches import EVALUATION_BATCH_SIZE, Examples
from rijksnet.training.features import Extraction
from rijksnet.training.loop import fit, make_optimiser

CLASSES, ROUNDS = 20, 3

#: The paper's networks at their own sizes, the one that small museums take, and the miniature's.
NETWORKS = ("vgg19:224", "inception_v3:299", "xception:299", "resnet50:224", "mobilenetv2_100:224", "test_resnet:64")

COLUMNS = ("machine", "network", "side", "precision", "plain_training", "training", "plain_features", "features",
           "timm_training", "timm_features", "gflop", "ceiling_tflop_s", "training_share", "features_share",
           "mib")  # fmt: skip


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


def images_for(device: Device, side: int) -> int:
    """As many as make a few seconds."""
    return 640 if device == "cuda" or side <= 128 else 128


def ready(pixels: np.ndarray, device: Device, as_timm: bool) -> torch.Tensor:
    inputs = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255)
    form = torch.channels_last if as_timm else torch.contiguous_format
    return inputs.contiguous(memory_format=form).to(device)


def as_torch_is() -> None:
    """Undo what `compute.choose` sets for the process, so that a baseline is PyTorch as it comes."""
    torch.set_deterministic_debug_mode("default")
    torch.backends.cudnn.allow_tf32 = True


def plain(architecture: str, pixels: np.ndarray, labels: np.ndarray, device: Device, as_timm: bool) -> float:
    """Images per second of a loop over ready tensors, the best of the rounds."""
    model = timm.create_model(timm_name(architecture), num_classes=CLASSES).train().to(device)
    if as_timm:
        model = model.to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9, nesterov=True)
    inputs, targets = ready(pixels, device, as_timm), torch.from_numpy(labels).to(device)

    def epoch() -> None:
        for start in range(0, len(pixels), protocol.BATCH_SIZE):
            batch = slice(start, start + protocol.BATCH_SIZE)
            with torch.autocast(device, torch.bfloat16, enabled=as_timm):
                loss = F.cross_entropy(model(inputs[batch]), targets[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        loss.item()  # a GPU works on after it was asked

    return len(pixels) / best(epoch)


@torch.no_grad()
def plain_features(architecture: str, pixels: np.ndarray, device: Device, as_timm: bool) -> float:
    """Images per second of a network that reads ready tensors, the best of the rounds."""
    model = timm.create_model(timm_name(architecture), num_classes=0).eval().to(device)
    if as_timm:
        model = model.to(memory_format=torch.channels_last)
    inputs = ready(pixels, device, as_timm)

    def read() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=as_timm):
            for batch in inputs.split(EVALUATION_BATCH_SIZE):
                last = model(batch)
        last[0, 0].item()

    return len(pixels) / best(read)


def best(work: Callable[[], None]) -> float:
    """Seconds, the shortest of the rounds."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def our_features(architecture: str, pixels: np.ndarray, training: Training) -> float:
    computed = compute.choose(training)
    network = Network(design_as_published(architecture), CLASSES, "unit").to(computed.device)
    if computed.device.type == "cuda":  # a GPU has read the others before the file for their features is made
        pixels = np.concatenate([pixels] * 8)

    def extract() -> None:
        extraction = Extraction(network, pixels, "running", computed, "features", "")
        with extraction.shards.begun():
            for _ in extraction.run(waits=True):
                pass
            extraction.collect().rename("features.npy")
            extraction.shards.clear()

    with TemporaryDirectory() as folder, chdir(folder):
        return len(pixels) / best(extract)


def ours(architecture: str, pixels: np.ndarray, labels: np.ndarray, training: Training) -> float:
    """Images per second of the training loop, the best of as many epochs."""
    computed = compute.choose(training)
    model = Network(design_as_published(architecture), CLASSES, "unit").to(computed.device)
    recipe = protocol.recipe("fine_tuning", training)
    train = Examples(pixels, np.arange(len(pixels)), labels)
    few = Examples(pixels, np.arange(protocol.BATCH_SIZE), labels[: protocol.BATCH_SIZE])
    epochs = fit(model, make_optimiser(model, recipe.optimiser), train, few, recipe, 0, computed)
    return max(epoch.images_per_s for epoch in epochs)


def gflop(architecture: str, side: int) -> float:
    """Of one image's features, a multiplication and an addition counted as two."""
    with torch.device("meta"):
        network = timm.create_model(timm_name(architecture), num_classes=0).eval()
        with FlopCounterMode(display=False) as counter:
            network.forward_features(torch.empty(1, 3, side, side))
    return counter.get_total_flops() / 1e9


def ceiling(device: Device, dtype: torch.dtype) -> float:
    """TFLOP/s of a large product of random matrices, the median of several."""
    n = 8192 if device == "cuda" else 2048
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    times = []
    for _ in range(8):
        started = time.perf_counter()
        (a @ b)[0, 0].item()
        times.append(time.perf_counter() - started)
    return 2 * n**3 / statistics.median(times[2:]) / 1e12


def machine(device: Device) -> str:
    """What computes: a GPU's name, or the processor's, its cores and the widest kind of product that it knows."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    kinds = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 with bf16", "avx512_f": "AVX-512", "avx2": "AVX2"}
    known = torch.cpu.get_capabilities()
    kind = next((said for name, said in kinds.items() if known.get(name)), platform.machine())
    return f"{names[0] if names else platform.processor()}, {torch.get_num_threads()} cores, {kind}"


def measured(architecture: str, side: int, device: Device) -> dict[str, str | float]:
    """All of `COLUMNS`; images a second, but for the last five: GFLOP an image, TFLOP/s, shares, and the peak's MiB."""
    training = training_on(device)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (images_for(device, side), side, side, 3), dtype=np.uint8)
    labels = random.integers(0, CLASSES, len(pixels))
    as_torch_is()
    speeds = {
        "plain_training": plain(architecture, pixels, labels, device, as_timm=False),
        "timm_training": plain(architecture, pixels, labels, device, as_timm=True),
        "plain_features": plain_features(architecture, pixels, device, as_timm=False),
        "timm_features": plain_features(architecture, pixels, device, as_timm=True),
        "training": ours(architecture, pixels, labels, training),
        "features": our_features(architecture, pixels, training),
    }
    dtype = compute.choose(training).dtype
    most, once = ceiling(device, dtype), gflop(architecture, side)
    shares = {
        "training_share": 3 * once * speeds["training"] / 1000 / most,  # backward is two more products of each forward
        "features_share": once * speeds["features"] / 1000 / most,
    }
    row = {"machine": machine(device), "network": architecture, "side": side, "precision": str(dtype).split(".")[1]}
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**row, **speeds, "gflop": once, "ceiling_tflop_s": most, **shares, "mib": mib}


def said(row: dict[str, str | float]) -> str:
    lines = [f"{row['network']} at {row['side']} px, {row['precision']}, ceiling {row['ceiling_tflop_s']:.3f} TFLOP/s"]
    for what in ("training", "features"):
        plain_, timm_, ours_ = (float(row[name]) for name in (f"plain_{what}", f"timm_{what}", what))
        lines.append(
            f"  {what}: plain {plain_:.1f} images/s, timm {timm_:.1f}, rijksnet {ours_:.1f}: {ours_ / plain_:.2f} and "
            f"{ours_ / timm_:.2f} times as fast, {float(row[f'{what}_share']):.0%} of the ceiling"
        )
    return "\n".join(lines)


def keep(file: Path, row: dict[str, str | float]) -> None:
    """Put a row in place of an earlier one of the same network on the same machine."""
    rows: dict[tuple[str, ...], dict[str, str | float]] = {}
    if file.is_file():
        with file.open(encoding="utf-8", newline="") as stream:
            rows = {tuple(one[name] for name in COLUMNS[:3]): dict(one) for one in csv.DictReader(stream)}
    rounded = {name: round(value, 4) if isinstance(value := row[name], float) else value for name in COLUMNS}
    rows[tuple(str(row[name]) for name in COLUMNS[:3])] = rounded
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK:SIDE")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args()
    for network in asked.networks:
        name, _, side = network.partition(":")
        row = measured(name, int(side), asked.device)
        print(said(row), flush=True)
        if asked.csv:
            keep(asked.csv, row)


if __name__ == "__main__":
    main()
