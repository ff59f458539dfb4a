"""How fast softmax layers train side by side, against one after another: by the training loop, and by a plain loop over
torch's DataLoader as its tutorials have it (float32, a TensorDataset, batches of 32, shuffled).

    python benchmarks/heads.py COLLECTION CHALLENGE ARCHITECTURE [--layers 20] [--epochs 20]

To be run in a project in which `rijksnet features` has run. The layers' recipes are drawn from exploration.space; early
stopping is off, so that all train the same number of epochs. They take turns, as machines vary.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import optuna
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from rijksnet import params as rijksnet_params
from rijksnet import protocol
from rijksnet.runs.key import RunKey
from rijksnet.stages.explore import subject_of
from rijksnet.training import compute
from rijksnet.training.heads import fit_heads
from rijksnet.training.loop import fit, make_optimiser

ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection")
    parser.add_argument("challenge")
    parser.add_argument("architecture")
    parser.add_argument("--layers", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=20)
    chosen = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    params = rijksnet_params.load(Path("params.yaml"))
    key = RunKey(chosen.collection, chosen.challenge, chosen.architecture, "off_the_shelf", "imagenet", 0)
    subject, study = subject_of(params, key), optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    jobs = [
        subject.job(replace(subject.chosen(study.ask()), normalisation=subject.fixed.normalisation))
        for _ in range(chosen.layers)
    ]
    recipes = [replace(job.recipe, max_epochs=chosen.epochs, patience=chosen.epochs) for job in jobs]
    train, validation = (jobs[0].examples(split) for split in (protocol.TRAIN, protocol.VALIDATION))
    (classes,), computed = jobs[0].sizes, compute.choose(params.training)

    def alone() -> None:
        for recipe in recipes:
            layer = nn.Linear(jobs[0].feature_size, classes)
            with compute.threads_for(layer, computed):
                list(fit(layer, make_optimiser(layer, recipe.optimiser), train, validation, recipe, 0, computed))

    def together() -> None:
        fit_heads(recipes, train, validation, classes, 0, computed)

    def with_data_loader() -> None:
        tensors = [
            TensorDataset(torch.from_numpy(split.inputs[split.rows]), torch.from_numpy(split.labels))
            for split in (train, validation)
        ]
        for recipe in recipes:
            layer = nn.Linear(jobs[0].feature_size, classes)
            plain_loop(layer, make_optimiser(layer, recipe.optimiser), *tensors, recipe)

    seconds: dict[str, list[float]] = {"DataLoader": [], "alone": [], "together": []}
    for _ in range(ROUNDS):
        for name, work in (("DataLoader", with_data_loader), ("alone", alone), ("together", together)):
            started = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - started)
    print(f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads, {computed}")
    print(
        f"{chosen.layers} layers of {jobs[0].feature_size} × {classes}, {len(train):,} images, {chosen.epochs} epochs"
    )
    for name, found in seconds.items():
        print(f"{name:10} {median(found):7.2f} s ({min(found):.2f} to {max(found):.2f})")
    for name in ("DataLoader", "alone"):
        print(f"side by side {median(seconds[name]) / median(seconds['together']):.1f} times as fast as {name}")


def plain_loop(
    layer: nn.Linear, optimiser: torch.optim.Optimizer, train: Dataset, validation: Dataset, recipe: protocol.Recipe
) -> None:
    for _ in range(recipe.max_epochs):
        for features, labels in DataLoader(train, recipe.batch_size, shuffle=True):
            loss = F.cross_entropy(layer(features), labels.reshape(-1), label_smoothing=recipe.label_smoothing)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            for features, labels in DataLoader(validation, recipe.batch_size):
                F.cross_entropy(layer(features), labels.reshape(-1)).item()


if __name__ == "__main__":
    main()
