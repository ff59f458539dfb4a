"""The stage that asks what networks look at, with θ and with θ̂ (Figure 4)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from rijksnet.data import labelled
from rijksnet.errors import RunError
from rijksnet.files import sha256_of
from rijksnet.paths import CollectionPaths
from rijksnet.progress import progress
from rijksnet.protocol import TEST
from rijksnet.runs import findings, lineage
from rijksnet.runs.findings import FindingPaths
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.key import RunKey
from rijksnet.saliency import faithfulness
from rijksnet.saliency.attributions import METHODS, TITLES
from rijksnet.saliency.gallery import GalleryPart, gallery
from rijksnet.saliency.shift import between_images, shift
from rijksnet.serving.classifier import Classifier
from rijksnet.statistics.significance import mean_interval
from rijksnet.training import compute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from rijksnet.data.labelled import LabelledRows
    from rijksnet.params import Params
    from rijksnet.saliency.shift import Shift

#: What the weights are called in a gallery.
NAMES = {"imagenet": "θ", "tuned": "θ̂"}

#: Pixels in an order drawn by chance: what a map has to beat to show anything.
RANDOM = "random"

MEASURES = ("deletion", "insertion")

SHIFTS = ("correlation", "divergence", "displacement")


@dataclass(frozen=True)
class NetworkMaps:
    """One network's answers to n images, as class indices (n,), and by method its maps, (n, H, W), and their areas
    under deletion's and insertion's curves, (n,) each."""

    answers: NDArray[np.int64]
    maps: dict[str, NDArray[np.float32]]
    areas: dict[str, dict[str, NDArray[np.float64]]]


def saliency(params: Params, challenge: str, architecture: str) -> None:
    """What the source's networks look at in `side_experiments.objects` test objects, evenly over the classes.

    θ is the run off the shelf: ImageNet's backbone under a softmax layer trained on it; θ̂ the fine-tuned run. Maps
    explain the class that the network itself answers. All is computed in float32: gradients in bf16 are coarse.

    Raises:
        RunError: a run is absent, or the two were not trained on the same inputs.
    """
    origin = lineage.origin("saliency")
    at = CollectionPaths(params.source.collection)
    of = (at.collection, challenge, architecture)
    keys = {
        "imagenet": RunKey(*of, "off_the_shelf", "imagenet", params.training.seed),
        "tuned": RunKey(*of, "fine_tuning", "imagenet", params.training.seed),
    }
    inputs = _inputs(keys)
    data = labelled.load(at.split(challenge), at.images)
    test = data[TEST]
    chosen = evenly(test, params.side_experiments.objects)
    pixels = np.array(labelled.open_pixels(at.pixels_of_size(inputs["input_size"]))[test.rows[chosen]])
    looked = _look(keys, inputs, pixels, compute.choose(params.training).device)
    shifts = {method: shift(*(looked[name].maps[method] for name in keys)) for method in METHODS}
    about = {
        "runs": {name: str(key) for name, key in keys.items()},
        "run_digests": {str(key): RunFolder.of(key).digest() for key in keys.values()},
        "weights": {name: sha256_of(RunFolder.of(key).weights) for name, key in keys.items()},
        "split": labelled.digest(data),
        "settings": {**inputs, "objects": len(chosen), "steps": faithfulness.STEPS, "blur": faithfulness.BLUR},
        "faithfulness": _faithfulness(looked),
        "shift": _shift(shifts, looked["imagenet"]),
    }
    classes = [test.classes[label] for label in test.labels[chosen]]
    seen = [
        GalleryPart(
            NAMES[name],
            [test.classes[answer] for answer in its.answers],
            {TITLES[method]: its.maps[method] for method in METHODS},
        )
        for name, its in looked.items()
    ]
    title = f"{at.collection}, {challenge}: what {architecture} looks at, with ImageNet's weights θ and with tuned θ̂"
    files = {
        "objects.csv": _objects(test, chosen, looked, shifts).to_csv(index=False, lineterminator="\n").encode(),
        "gallery.png": gallery(pixels, classes, seen, title),
    }
    findings.write(FindingPaths(*of).saliency, files, about, origin)


def evenly(test: LabelledRows, n: int) -> NDArray[np.int64]:
    """Positions of `n` images of so many objects, or of all if there are fewer: a class's first, then the next class's,
    and so round until there are enough; always the same ones."""
    firsts: dict[str, int] = {}
    for position, object_id in enumerate(test.object_ids):
        firsts.setdefault(object_id, position)
    turns: dict[int, int] = {}
    order = []
    for position in firsts.values():
        label = int(test.labels[position])
        order.append((turns.get(label, 0), label, position))
        turns[label] = turns.get(label, 0) + 1
    return np.array([position for _, _, position in sorted(order)[:n]], dtype=np.int64)


def _inputs(keys: Mapping[str, RunKey]) -> dict[str, Any]:
    """What both runs' networks read."""
    theta, tuned = (RunFolder.of(key).read(verify=True).inputs for key in keys.values())
    if theta != tuned:
        raise RunError(
            f"{keys['imagenet']} was trained on {theta}, but {keys['tuned']} on {tuned}: their maps cannot be "
            "compared; train both again with the present parameters (dvc repro)"
        )
    return theta


def _look(
    keys: Mapping[str, RunKey], inputs: Mapping[str, Any], pixels: NDArray[np.uint8], device: torch.device
) -> dict[str, NetworkMaps]:
    """All maps of all networks; one network at a time."""
    looked: dict[str, NetworkMaps] = {}
    asked = torch.from_numpy(pixels).to(device)
    key = keys["tuned"]
    with progress(f"saliency {key.challenge} {key.architecture}", len(keys) * len(METHODS)) as report:
        for name in keys:
            network = Classifier(RunFolder.of(keys[name]).weights, **inputs).network
            network.to(device)
            with torch.no_grad():
                answers = torch.cat([network(part).argmax(1) for part in asked.split(32)])
            x_bchw = network.normalised(asked)
            its = NetworkMaps(answers.cpu().numpy(), {}, {})
            for method, look in METHODS.items():
                its.maps[method] = look(network, x_bchw, answers).float().cpu().numpy()
                its.areas[method] = _areas(network, pixels, its.maps[method], its.answers)
                report(len(looked) * len(METHODS) + len(its.maps), f"{NAMES[name]}, {TITLES[method]}")
            by_chance = np.random.default_rng(0).random(pixels.shape[:3], np.float32)
            its.areas[RANDOM] = _areas(network, pixels, by_chance, its.answers)
            looked[name] = its
    return looked


def _areas(
    network: Any, pixels: NDArray[np.uint8], maps: NDArray[np.float32], answers: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    return {
        "deletion": faithfulness.deletion(network, pixels, maps, answers),
        "insertion": faithfulness.insertion(network, pixels, maps, answers),
    }


def _faithfulness(looked: Mapping[str, NetworkMaps]) -> list[dict[str, Any]]:
    return [
        {"weights": name, "method": method, "measure": measure, **_mean(its.areas[method][measure])}
        for name, its in looked.items()
        for method in its.areas
        for measure in MEASURES
    ]


def _shift(shifts: Mapping[str, Shift], theta: NetworkMaps) -> list[dict[str, Any]]:
    """Between θ and θ̂ on the same images; and, to judge that by, of θ between different images."""
    return [
        {"method": method, "between": between, "measure": measure, **_mean(getattr(measured, measure))}
        for method, of_weights in shifts.items()
        for between, measured in (("weights", of_weights), ("images", between_images(theta.maps[method])))
        for measure in SHIFTS
    ]


def _mean(values: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(("mean", "low", "high"), mean_interval(values), strict=True))


def _objects(
    test: LabelledRows, chosen: NDArray[np.int64], looked: Mapping[str, NetworkMaps], shifts: Mapping[str, Shift]
) -> pd.DataFrame:
    """A row an object and method; the order by chance has no maps to be shifted."""
    frames = []
    for method in (*METHODS, RANDOM):
        columns: dict[str, Any] = {
            "object_id": [test.object_ids[i] for i in chosen],
            "image": [test.images[i] for i in chosen],
            "label": [test.classes[test.labels[i]] for i in chosen],
            **{f"answer_{name}": [test.classes[i] for i in its.answers] for name, its in looked.items()},
            "method": method,
            **{f"{m}_{name}": its.areas[method][m] for name, its in looked.items() for m in MEASURES},
            **(asdict(shifts[method]) if method in shifts else {}),
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames)
