"""Where everything lies, relative to the project root (the folder of params.yaml and dvc.yaml).

dvc.yaml spells the same paths; tests/contract holds the two against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rijksnet.params import Initialisation, Strategy

PARAMS = Path("params.yaml")
DATA = Path("data")
RUNS = Path("runs")
RESULTS = Path("results")
REGISTERED = RUNS / "registered.json"
PINS = Path("pins")
CODE = Path("code")
CHECKPOINTS = Path(".checkpoints")
SHARED_SPLITS = Path("shared_splits")
PUBLISHED = Path("published.json")
FEATURES = Path("features")
STUDIES = Path("studies")

#: What the name of a challenge ends in that keeps only the classes that source and target share, as in the results
#: that the paper's authors released.
COMMON_CLASSES = "_common_classes"


@dataclass(frozen=True)
class CollectionPaths:
    """The files that belong to one collection."""

    collection: str

    @property
    def root(self) -> Path:
        return DATA / self.collection

    @property
    def catalogue(self) -> Path:
        """One row per object and image (see `rijksnet.collections.catalogue.SCHEMA`)."""
        return self.root / "catalogue.parquet"

    @property
    def rejects(self) -> Path:
        """Records that the catalogue leaves out, a reason each."""
        return self.root / "rejects.csv"

    @property
    def cleaning(self) -> Path:
        """What the cleaning rules changed: field, rule, before, after, objects."""
        return self.root / "cleaning.csv"

    @property
    def images(self) -> Path:
        """Which catalogue image stands in which row of the pixel files."""
        return self.root / "images.parquet"

    @property
    def unreadable(self) -> Path:
        """Images that could not be decoded, a reason each."""
        return self.root / "unreadable.csv"

    @property
    def pixels(self) -> Path:
        """Folder of the memory-mapped pixel files."""
        return self.root / "pixels"

    def pixels_of_size(self, size: int) -> Path:
        """uint8 array of shape (N, size, size, 3)."""
        return self.pixels / f"{size}.npy"

    @property
    def splits(self) -> Path:
        """Folder of the splits, one file per challenge."""
        return self.root / "splits"

    def split(self, challenge: str) -> Path:
        return self.splits / f"{challenge}.parquet"

    @property
    def splits_summary(self) -> Path:
        return self.root / "splits.json"

    def shared_split(self, challenge: str) -> Path:
        """A split that others use too: object ids and splits, as they are exchanged."""
        return SHARED_SPLITS / self.collection / f"{challenge}.csv"

    @property
    def audit(self) -> Path:
        """Folder of the data audit: audit.html and audit.json."""
        return self.root / "audit"


@dataclass(frozen=True)
class RunKey:
    """What makes a run: two runs with the same key and the same inputs are the same run."""

    collection: str
    challenge: str
    architecture: str
    strategy: Strategy
    initialisation: Initialisation
    seed: int = 0

    def __str__(self) -> str:
        """`collection/challenge/architecture/strategy-initialisation-seed<n>`."""
        run = f"{self.strategy}-{self.initialisation}-seed{self.seed}"
        return f"{self.collection}/{self.challenge}/{self.architecture}/{run}"


@dataclass(frozen=True)
class RecordPaths:
    """The files that one run leaves on disk; `run` is written last and marks the record complete.

    Support vector machines and forests have no epochs, hence no history, and forests no weights.
    """

    root: Path

    @classmethod
    def of(cls, key: RunKey) -> RecordPaths:
        return cls(RUNS / str(key))

    @property
    def run(self) -> Path:
        return self.root / "run.json"

    @property
    def history(self) -> Path:
        return self.root / "history.csv"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.json"

    @property
    def predictions(self) -> Path:
        return self.root / "predictions.parquet"

    @property
    def weights(self) -> Path:
        return self.root / "weights.safetensors"


@dataclass(frozen=True)
class EvidencePaths:
    """What belongs to an architecture's runs of one challenge on the source; it lies beside their records."""

    collection: str
    challenge: str
    architecture: str

    @property
    def root(self) -> Path:
        return RUNS / self.collection / self.challenge / self.architecture

    @property
    def saliency(self) -> Path:
        """Folder: gallery.png, objects.csv, saliency.json."""
        return self.root / "saliency"

    @property
    def probes(self) -> Path:
        """Folder: probes.csv, probes.png, probes.json."""
        return self.root / "probes"


@dataclass(frozen=True)
class StudyPaths:
    """What a concluded study leaves on disk; `study` is written last and marks it complete."""

    root: Path

    @classmethod
    def of(cls, key: RunKey) -> StudyPaths:
        """That of the runs whose recipe is explored."""
        return cls(STUDIES / str(key))

    @property
    def study(self) -> Path:
        return self.root / "study.json"

    @property
    def trials(self) -> Path:
        """One row an attempt."""
        return self.root / "trials.csv"

    @property
    def curves(self) -> Path:
        """One row an epoch of an attempt."""
        return self.root / "curves.csv"

    @property
    def adopted(self) -> Path:
        """The parameters that the study was made with, and its best recipe adopted."""
        return self.root / "params.yaml"

    @property
    def winner(self) -> RecordPaths:
        return RecordPaths(self.root / "winner")

    @property
    def fixed(self) -> RecordPaths:
        """The record of what the protocol fixes."""
        return RecordPaths(self.root / "fixed")


def imagenet_weights(architecture: str) -> Path:
    """θ: the weights that transfer starts from."""
    return Path("weights/imagenet") / f"{architecture}.safetensors"


def tuned_weights(challenge: str, architecture: str) -> Path:
    """θ̂: the source champion's weights, as the target stages read them."""
    return Path("weights/rijksmuseum") / challenge / f"{architecture}.safetensors"


def features(collection: str, architecture: str, initialisation: Initialisation, challenge: str | None) -> Path:
    """Folder of cached features; θ's serve every challenge, θ̂'s belong to the challenge it was tuned on."""
    start = initialisation if challenge is None else f"{initialisation}-{challenge}"
    return FEATURES / collection / f"{architecture}-{start}"


def initial_weights(key: RunKey) -> Path:
    """The weights file that a run starts from; for θ̂, the one tuned on the same challenge of the source."""
    assert key.initialisation != "random", "random weights come from no file"
    if key.initialisation == "imagenet":
        return imagenet_weights(key.architecture)
    return tuned_weights(base_challenge(key.challenge), key.architecture)


def features_of(key: RunKey) -> Path:
    """The features folder that an off-the-shelf run reads."""
    challenge = base_challenge(key.challenge) if key.initialisation == "rijksmuseum" else None
    return features(key.collection, key.architecture, key.initialisation, challenge)


def base_challenge(challenge: str) -> str:
    """The challenge itself of one that is restricted to common classes."""
    return challenge.removesuffix(COMMON_CLASSES)


def pin(challenge: str, architecture: str) -> Path:
    """Content identity of a champion."""
    return PINS / f"{challenge}-{architecture}.json"
