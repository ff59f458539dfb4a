"""What a small last batch and the constants of batch normalisation do to fine tuning, beside plain PyTorch.

    python benchmarks/batches.py PROJECT COLLECTION --weights FILE --architecture mobilenetv2_100 [--pad-type same]

PROJECT is a folder in which `rijksnet pixels` and `rijksnet splits` have run for COLLECTION. Every training starts from
FILE, follows the paper's recipe for fine tuning (SGD 0.001, Nesterov momentum 0.9, weights of the smallest validation
loss) and differs in how an epoch is divided and in who trains:

  rijksnet        the project's own loop
  rijksnet-small  the same, batches of 32 and a last one of what remains
  plain           a loop over torch and timm that shares no code with the project, batches as even as can be
  plain-small     the same, a last one of what remains

Remainders over a multiple of 32 are made by leaving out training images. A row a training goes to the CSV file as soon
as it has ended; what stands there is not trained again.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from rijksnet import protocol
from rijksnet.data import labelled
from rijksnet.networks import weights
from rijksnet.networks.architectures import Network
from rijksnet.networks.batch_norm import set_momentum
from rijksnet.networks.initialisation import initialise_softmax
from rijksnet.networks.weights import Design
from rijksnet.paths import CollectionPaths
from rijksnet.training import loop
from rijksnet.training.batches import Examples
from rijksnet.training.compute import Compute, has_native_bf16

SIZE = protocol.BATCH_SIZE
COLUMNS = ("challenge", "remainder", "constants", "how", "seed", "images", "best_epoch", "test", "validation",
           "train_seen", "train_evaluated", "train_by_epoch", "validation_by_epoch", "seconds")  # fmt: skip


def small(order: NDArray[np.int64], size: int, drop_last: bool = False) -> list[NDArray[np.int64]]:
    """Batches of `size` and a last one of what remains."""
    return [order[start : start + size] for start in range(0, len(order), size)]


def splits_of(collection: str, challenge: str, remainder: int, side: int) -> dict[str, Examples]:
    at = CollectionPaths(collection)
    data, pixels = labelled.load(at.split(challenge), at.images), labelled.open_pixels(at.pixels_of_size(side))
    found = {split: Examples(pixels, rows.rows, rows.labels) for split, rows in data.items()}
    train = found["train"]
    keep = len(train) - (len(train) - remainder) % SIZE
    kept = np.sort(np.random.default_rng(0).permutation(len(train))[:keep])
    found["train"] = Examples(pixels, train.rows[kept], train.labels[kept])
    return found


def by_rijksnet(chosen: argparse.Namespace, data: dict[str, Examples], classes: int, seed: int, constants: str) -> Any:
    batch_norm = protocol.KERAS_BATCH_NORM if constants == "keras" else None
    design = Design(chosen.architecture, chosen.options, chosen.mean, chosen.std).normalising(batch_norm)
    torch.manual_seed(seed)
    network = Network(design, classes, "pretrained").to(chosen.compute.device)
    if batch_norm is not None:
        set_momentum(network, batch_norm.momentum)
    weights.load_backbone(network.backbone, load_file(chosen.weights), chosen.weights)
    initialise_softmax(network.softmax)
    recipe = protocol.Recipe(protocol.SGD_AS_WRITTEN, chosen.epochs)
    optimiser = loop.make_optimiser(network, recipe.optimiser)
    history, kept = [], {}
    for epoch in loop.fit(network, optimiser, data["train"], data["validation"], recipe, seed, chosen.compute):
        history.append(epoch)
        if protocol.best_epoch([one.validation_loss for one in history]) == len(history) - 1:
            kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(kept)
    answers = {split: loop.predict(network, data[split], chosen.compute).argmax(1).numpy() for split in data}
    return [(e.train_accuracy, e.validation_accuracy, e.validation_loss) for e in history], answers


class Plain(nn.Module):
    def __init__(self, chosen: argparse.Namespace, classes: int, constants: str) -> None:
        super().__init__()
        self.body = timm.create_model(chosen.architecture, num_classes=0, **chosen.options)
        self.body.load_state_dict(load_file(chosen.weights), strict=False)
        self.head = nn.Linear(self.body.num_features, classes)
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d) and constants == "keras":
                layer.momentum, layer.eps = 0.01, 1e-3
        self.register_buffer("mean", torch.tensor(chosen.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(chosen.std).view(3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        x = (pixels.permute(0, 3, 1, 2) / 255 - self.mean) / self.std
        return self.head(self.body.forward_features(x).mean((2, 3)))


def by_plain(chosen: argparse.Namespace, data: dict[str, Examples], seed: int, constants: str, even: bool) -> Any:
    device = chosen.compute.device
    tensors = {
        split: (torch.from_numpy(np.array(one.inputs[one.rows])).to(device), torch.from_numpy(one.labels).to(device))
        for split, one in data.items()
    }
    torch.manual_seed(seed)
    model = Plain(chosen, int(tensors["train"][1].max()) + 1, constants).to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9, nesterov=True)
    history, kept = [], {}

    def answers(split: str) -> Tensor:
        model.eval()
        with torch.no_grad(), chosen.compute.autocast():
            return torch.cat([model(part).float() for part in tensors[split][0].split(128)])

    for _ in range(chosen.epochs):
        model.train()
        x, y = tensors["train"]
        order = torch.randperm(len(x))
        batches = order.tensor_split(-(-len(x) // SIZE)) if even else order.split(SIZE)
        right = 0
        for batch in batches:
            with chosen.compute.autocast():
                logits = model(x[batch]).float()
            optimiser.zero_grad()
            F.cross_entropy(logits, y[batch]).backward()
            optimiser.step()
            right += int((logits.argmax(1) == y[batch]).sum())
        logits, labels = answers("validation"), tensors["validation"][1]
        loss, accuracy = float(F.cross_entropy(logits, labels)), float((logits.argmax(1) == labels).float().mean())
        if not history or loss < min(past[2] for past in history):
            kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        history.append((right / len(x), accuracy, loss))
    model.load_state_dict(kept)
    return history, {split: answers(split).argmax(1).cpu().numpy() for split in tensors}


def train(chosen: argparse.Namespace, task: Sequence[Any]) -> dict[str, Any]:
    challenge, remainder, constants, how, seed = task
    data = splits_of(chosen.collection, challenge, remainder, chosen.side)
    started = time.perf_counter()
    if how.startswith("plain"):
        history, answers = by_plain(chosen, data, seed, constants, how == "plain")
    else:
        own = loop.batches_of, loop.batch_norms
        if how == "rijksnet-small":  # which the loop would refuse where one image is left alone
            loop.batches_of, loop.batch_norms = small, lambda _: []
        try:
            history, answers = by_rijksnet(chosen, data, int(data["train"].labels.max()) + 1, seed, constants)
        finally:
            loop.batches_of, loop.batch_norms = own
    best = min(range(len(history)), key=lambda epoch: history[epoch][2])
    right = {split: float((answers[split] == data[split].labels).mean()) for split in data}
    values = (challenge, remainder, constants, how, seed, len(data["train"]), best, right["test"], right["validation"],
              history[best][0], right["train"], " ".join(f"{one[0]:.3f}" for one in history),
              " ".join(f"{one[1]:.3f}" for one in history), round(time.perf_counter() - started, 1))  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def there(out: Path) -> set[tuple[str, ...]]:
    if not out.is_file():
        return set()
    with out.open(newline="", encoding="utf-8") as file:
        return {tuple(row[name] for name in COLUMNS[:5]) for row in csv.DictReader(file)}


def tasks(chosen: argparse.Namespace) -> Iterator[Sequence[Any]]:
    done = there(chosen.out)
    for seed in range(chosen.seeds):  # so that what is there after a while has all cases
        for case in itertools.product(chosen.challenges, chosen.remainders, chosen.constants, chosen.how):
            if tuple(map(str, (*case, seed))) not in done:
                yield *case, seed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path, help="folder with the collection's pixels and splits")
    parser.add_argument("collection", help="its name there")
    parser.add_argument("--weights", type=Path, required=True, help="a safetensors file as timm names its tensors")
    parser.add_argument("--architecture", required=True, help="a timm model name")
    parser.add_argument("--pad-type", help="timm's option of that name")
    parser.add_argument("--mean", type=float, nargs=3, default=[0.5] * 3, help="of the pixels that FILE was trained on")
    parser.add_argument("--std", type=float, nargs=3, default=[0.5] * 3, help="likewise")
    parser.add_argument("--side", type=int, default=128, help="px")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--challenges", nargs="+", default=["type", "material"])
    parser.add_argument("--remainders", type=int, nargs="+", default=[0, 1, 2, 4, 16, 31])
    parser.add_argument("--constants", nargs="+", default=["own"], choices=["own", "keras"])
    parser.add_argument("--how", nargs="+", default=["rijksnet", "rijksnet-small", "plain", "plain-small"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path("batches.csv"))
    chosen = parser.parse_args()
    chosen.weights, chosen.out = chosen.weights.resolve(), chosen.out.resolve()
    chosen.options = {"pad_type": chosen.pad_type} if chosen.pad_type else {}
    bf16 = has_native_bf16(chosen.device)
    chosen.compute = Compute(torch.device(chosen.device), torch.bfloat16 if bf16 else torch.float32)
    torch.set_num_threads(chosen.threads)
    os.chdir(chosen.project)
    for task in tasks(chosen):
        row = train(chosen, task)
        new = not chosen.out.is_file()
        with chosen.out.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if new:
                writer.writeheader()
            writer.writerow(row)
        print(*(row[name] for name in COLUMNS), flush=True)


if __name__ == "__main__":
    main()
