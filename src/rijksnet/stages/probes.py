"""The stage that asks which layers matter: a linear probe at every depth of θ, of θ̂ and of an untrained network."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from rijksnet import paths, protocol
from rijksnet.data import labelled
from rijksnet.files import sha256_of
from rijksnet.networks import weights
from rijksnet.networks.architectures import Network
from rijksnet.networks.initialisation import initialise_he_uniform
from rijksnet.paths import CollectionPaths
from rijksnet.progress import progress
from rijksnet.protocol import SPLITS, TEST, TRAIN, VALIDATION
from rijksnet.report import figures
from rijksnet.runs import findings, lineage
from rijksnet.runs.findings import FindingPaths
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.key import RunKey
from rijksnet.statistics.significance import wilson_interval
from rijksnet.training import compute
from rijksnet.training import probes as probing
from rijksnet.training.batches import Examples
from rijksnet.training.loop import predict
from rijksnet.training.probes import Probes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from rijksnet.data.subsets import LabelledSplits
    from rijksnet.params import Params
    from rijksnet.protocol import InputNormalisation
    from rijksnet.training.compute import Compute
    from rijksnet.training.probes import Depth


def probes(params: Params, challenge: str, architecture: str) -> None:
    """Probe every depth with θ, with the source's fine-tuned weights θ̂ and, as a floor, with random ones (He-uniform).

    A softmax layer learns from the pooled maps of each depth, standardised on the training images, by the
    off-the-shelf recipe. Size and normalisation of the inputs are those of the run that θ̂ comes from.
    """
    origin = lineage.origin("probes")
    key = RunKey(params.source.collection, challenge, architecture, "fine_tuning", "imagenet", params.training.seed)
    at = CollectionPaths(key.collection)
    data, run = labelled.load(at.split(challenge), at.images), RunFolder.of(key).read(verify=True)
    theta, tuned = paths.imagenet_weights(architecture), RunFolder.of(key).weights
    computed = compute.choose(params.training)
    recipe = protocol.fixed_recipe("off_the_shelf", params.training)
    pixels = labelled.open_pixels(at.pixels_of_size(run.params["input_size"]))
    rows = []
    for name, file in {"imagenet": theta, "tuned": tuned, "random": theta}.items():
        network = _network(params, file, run.params["normalisation"], key.seed, untrained=name == "random")
        network.to(computed.device)
        depths, maps = _maps(f"probes {challenge} {architecture} ({name})", network, pixels, data, computed)
        rows += [{"weights": name, **row} for row in _probe(depths, maps, data, recipe, key.seed, computed)]
    about = {
        "runs": {"tuned": str(key)},
        "run_digests": {str(key): RunFolder.of(key).digest()},
        "weights": {"imagenet": sha256_of(theta), "tuned": sha256_of(tuned)},
        "split": labelled.digest(data),
        "settings": {
            "input_size": run.params["input_size"],
            "normalisation": run.params["normalisation"],
            "precision_of_maps": str(computed.dtype).removeprefix("torch."),
            "device": computed.device.type,
            "seed": key.seed,
            "recipe": asdict(recipe),
        },
    }
    title = f"{key.collection}, {challenge}: linear probes of {architecture}"
    frame = pd.DataFrame(rows)
    files = {
        "probes.csv": frame.to_csv(index=False, lineterminator="\n").encode(),
        "probes.png": figures.probes(frame, title),
    }
    findings.write(FindingPaths(key.collection, challenge, architecture).probes, files, about, origin)


def _network(params: Params, file: Path, normalisation: InputNormalisation, seed: int, untrained: bool) -> Network:
    """The network of a weights file; `untrained`: the same with random weights, in which nothing has been learnt."""
    tensors, header = weights.read(file)
    design = weights.design_in(header, file)[0].normalising(protocol.batch_norm(params.training))
    network = Network(design, 1, normalisation)
    if untrained:
        torch.manual_seed(seed)
        initialise_he_uniform(network)
    else:
        weights.load_backbone(network.backbone, tensors, file)
    return network


def _maps(
    title: str, network: Network, pixels: NDArray[np.uint8], data: LabelledSplits, computed: Compute
) -> tuple[list[Depth], NDArray[np.float32]]:
    """One pass over the images of the three splits, in their order: pooled maps of all depths side by side, (n, C)."""
    depths = probing.depths_of(network, pixels.shape[1])
    rows = np.concatenate([data[split].rows for split in SPLITS])
    maps = np.empty((len(rows), sum(depth.channels for depth in depths)), np.float32)
    with progress(title, len(rows)) as report:
        for done in probing.extract(network, pixels, rows, maps, computed):
            report(done)
    return depths, maps


def _probe(
    depths: list[Depth],
    maps: NDArray[np.float32],
    data: LabelledSplits,
    recipe: protocol.Recipe,
    seed: int,
    computed: Compute,
) -> list[dict[str, Any]]:
    """A row a depth: where it lies, and what its probe scores."""
    computed = replace(computed, dtype=torch.float32)  # casting such small layers takes longer than multiplying
    ends = np.cumsum([len(data[split]) for split in SPLITS])
    standardised = probing.standardise(maps, slice(0, int(ends[0])))
    examples = {
        split: Examples(standardised, np.arange(end - len(data[split]), end), data[split].labels)
        for split, end in zip(SPLITS, ends.tolist(), strict=True)
    }
    layers = Probes([depth.channels for depth in depths], len(data[TRAIN].classes), seed).to(computed.device)
    histories = probing.fit_probes(layers, examples[TRAIN], examples[VALIDATION], recipe, seed, computed)
    accuracies = {split: _accuracies(layers, examples[split], computed) for split in (VALIDATION, TEST)}
    rows = []
    for i, depth in enumerate(depths):
        low, high = wilson_interval(accuracies[TEST][i], len(data[TEST]))
        rows.append(
            {
                "depth": i,
                **asdict(depth),
                "epochs": len(histories[i]),
                "validation_accuracy": accuracies[VALIDATION][i],
                "test_accuracy": accuracies[TEST][i],
                "low": low,
                "high": high,
                "n": len(data[TEST]),
            }
        )
    return rows


def _accuracies(layers: Probes, examples: Examples, computed: Compute) -> list[float]:
    logits: Tensor = predict(layers, examples, computed)
    labels = torch.from_numpy(examples.labels)
    return [(part.argmax(1) == labels).double().mean().item() for part in logits.split(layers.classes, 1)]
