"""Where everything lies, relative to the project root (the folder of params.yaml and dvc.yaml).

dvc.yaml spells the same paths; tests/contract holds the two against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PARAMS = Path("params.yaml")
DATA = Path("data")
RUNS = Path("runs")
RESULTS = Path("results")
REGISTERED = RUNS / "registered.json"
PINS = Path("pins")
CODE = Path("code")
CHECKPOINTS = Path(".checkpoints")
SHARED_SPLITS = Path("shared_splits")
DECIDED_LABELS = Path("decided_labels")
REFERENCE = Path("reference")
PUBLISHED = Path("published.json")
FEATURES = Path("features")
STUDIES = Path("studies")


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

    def decided(self, challenge: str) -> Path:
        """Labels that people have decided on, over the museum's."""
        return DECIDED_LABELS / self.collection / f"{challenge}.csv"

    @property
    def audit(self) -> Path:
        """Folder of the data audit: audit.html and audit.json."""
        return self.root / "audit"


def imagenet_weights(architecture: str) -> Path:
    """θ: the weights that transfer starts from."""
    return Path("weights/imagenet") / f"{architecture}.safetensors"


def tuned_weights(source: str, challenge: str, architecture: str) -> Path:
    """θ̂: the weights of the champion of a source collection, as the target stages read them."""
    return Path("weights") / source / challenge / f"{architecture}.safetensors"


def features(collection: str, architecture: str, initialisation: str, challenge: str | None) -> Path:
    """Folder of cached features; θ's serve every challenge, θ̂'s belong to the challenge it was tuned on."""
    start = initialisation if challenge is None else f"{initialisation}-{challenge}"
    return FEATURES / collection / f"{architecture}-{start}"


def pin(challenge: str, architecture: str) -> Path:
    """Content identity of a champion."""
    return PINS / f"{challenge}-{architecture}.json"
