"""Parameters for a collection that nobody has tried yet: which networks at which size, and how it is split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rijksnet.params import Params

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rijksnet.params import Challenge
    from rijksnet.starting.outlook import Outlook

#: The paper's four networks, where there is a GPU; a small one that two cores train, where there is none.
PAPERS = ("vgg19", "inception_v3", "xception", "resnet50")
SMALL_NETWORK = "mobilenetv2_100"

#: Sides of squares that are tried on a processor, px, and hours that all runs may take there.
SIDES, NIGHT_H = (224, 160, 128, 96), 8.0

#: Epochs that fine tuning takes as a rule, by early stopping, and at most; those of a softmax layer at most.
USUAL_EPOCHS, MOST_EPOCHS, MOST_HEAD_EPOCHS = 15, 30, 100


@dataclass(frozen=True)
class Networks:
    """Which networks, at which size, where their ImageNet weights come from, and the hours that all of it takes."""

    architectures: tuple[str, ...]
    input_size: int | str
    weights: Mapping[str, str]  #: files by architecture; the others are downloaded
    hours: float | None = None  #: None: not measured


def parameters(
    name: str, collection: dict[str, Any], challenges: Sequence[Challenge], outlook: Outlook, networks: Networks
) -> Params:
    """Parameters that run: off the shelf and fine tuning from ImageNet's weights, on one collection.

    Args:
        collection: its section.
    """
    nobody: dict[str, list[str]] = {"challenges": [], "architectures": []}
    return Params.model_validate(
        {
            "collections": {name: collection},
            "drawn": [],
            "source": {"collection": name, "challenges": list(challenges)},
            "target": {"collection": name, **nobody},
            "architectures": list(networks.architectures),
            "input_size": networks.input_size,
            "squares": "stretched",
            "imagenet": {
                "timm": [one for one in networks.architectures if one not in networks.weights],
                "file": dict(networks.weights),
                "registry": {},
                "pretrain": {"collection": name, "architectures": [], "learning_rate": 0.02, "max_epochs": 1},
            },
            "scratch": {"architecture": networks.architectures[0], "challenges": []},
            "splits": {
                "rule": "paper",
                "seed": 0,
                "together": "near_duplicates",
                "folds": outlook.folds,
                "stratified": outlook.folds > 1,
            },
            "training": {
                "protocol": "as_written",
                "normalisation": {"off_the_shelf": "pretrained", "fine_tuning": "pretrained"},
                "recipe": {"off_the_shelf": None, "fine_tuning": None},
                "batch_norm": {"constants": "own", "frozen": "running"},
                "precision": "auto",
                "device": "auto",
                "threads": "auto",
                "max_epochs": {"off_the_shelf": MOST_HEAD_EPOCHS, "fine_tuning": MOST_EPOCHS},
                "seed": 0,
            },
            "seeds": {"further": [], "source_challenges": [], "target_challenges": [], "architectures": []},
            "side_experiments": {
                "challenges": list(challenges),
                "architectures": [networks.architectures[0]],
                "common_classes": [],
                "multi_task": [],
                "objects": 24,
            },
            "exploration": EXPLORATION,
            "paper_curves": False,
            "tracking": {
                "uri": "sqlite:///mlflow.db",
                "ui": "http://127.0.0.1:5000",
                "artifacts": "mlartifacts",
                "live_after_s": 30,
            },
            "cluster": None,
            "service": {"hosts": [], "megabytes": 20, "seconds": 30, "requests": 64},
        }
    )


#: Off: it is asked for by name (`rijksnet explore`).
EXPLORATION: dict[str, Any] = {
    "challenges": [],
    "architectures": [],
    "strategies": [],
    "trials": {"off_the_shelf": 200, "fine_tuning": 20},
    "seed": 0,
    "sampler": "tpe",
    "pruner": "median",
    "objectives": ["accuracy"],
    "storage": "sqlite:///studies.db",
    "heartbeat_s": 10,
    "space": {
        "optimiser": ["rmsprop", "sgd", "adam", "adamw"],
        "learning_rate": {"low": 1e-5, "high": 0.1},
        "momentum": {"low": 0.5, "high": 0.99},
        "weight_decay": {"low": 1e-6, "high": 0.01},
        "label_smoothing": {"low": 0.0, "high": 0.2},
        "batch_size": [16, 32, 64, 128],
        "normalisation": ["unit", "pretrained"],
        "unfrozen": {"low": 0.25, "high": 1.0},
        "layer_rate": {"low": 0.5, "high": 1.0},
    },
}


def networks_for(
    name: str,
    collection: dict[str, Any],
    challenges: Sequence[Challenge],
    outlook: Outlook,
    weights: Mapping[str, Path],
) -> Networks:
    """The networks that this machine trains in a night, by its speed; those of `weights`, if any are given.

    Speeds are measured for some seconds by training on noise.
    """
    from rijksnet.planning.speed import Speeds

    files = {architecture: file.as_posix() for architecture, file in weights.items()}
    chosen = tuple(weights) or (SMALL_NETWORK,)
    speeds = Speeds(parameters(name, collection, challenges, outlook, Networks(chosen, "native", files)), {})
    on_gpu = speeds.computed.device.type != "cpu"
    if on_gpu and not weights:
        chosen = PAPERS
    for side in ("native",) if on_gpu else SIDES:
        asked = parameters(name, collection, challenges, outlook, Networks(chosen, side, files))
        speeds = Speeds(asked, {})
        hours = sum(_hours(speeds, one, len(challenges), outlook) for one in chosen)
        if hours <= NIGHT_H:
            break
    return Networks(chosen, side, files, hours)


def _hours(speeds: Any, architecture: str, challenges: int, outlook: Outlook) -> float:
    network = speeds.network(architecture)
    share = 0.8 if outlook.folds == 1 else (outlook.folds - 2) / outlook.folds
    epoch = share * outlook.images / network.speed.training + (1 - share) / 2 * outlook.images / network.speed.reading
    return float(challenges * outlook.folds * USUAL_EPOCHS * epoch / 3600)
