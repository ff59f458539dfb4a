"""What makes a run, and what it starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rijksnet import paths

if TYPE_CHECKING:
    from pathlib import Path

    from rijksnet.params import Strategy

#: What the name of a challenge ends in that keeps only the classes that source and target share, as in the results
#: that the paper's authors released.
COMMON_CLASSES = "_common_classes"

#: Initialisations that are no collection: θ, and random weights.
IMAGENET, RANDOM = "imagenet", "random"


@dataclass(frozen=True)
class RunKey:
    """What makes a run: two runs with the same key and the same inputs are the same run.

    `initialisation` is where its weights start: `imagenet` (θ), `random`, or the collection they were tuned on (θ̂).
    """

    collection: str
    challenge: str
    architecture: str
    strategy: Strategy
    initialisation: str
    seed: int = 0
    fold: int | None = None  #: which of several folds; None: the one split, or all folds together

    def __str__(self) -> str:
        """`collection/challenge/architecture/strategy-initialisation-seed<n>`, and `/fold<n>` of a fold's own run."""
        run = f"{self.strategy}-{self.initialisation}-seed{self.seed}"
        fold = "" if self.fold is None else f"/fold{self.fold}"
        return f"{self.collection}/{self.challenge}/{self.architecture}/{run}{fold}"

    def to_dict(self) -> dict[str, str | int]:
        """Its parts by name; a fold only where it is one's."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @property
    def is_from_source(self) -> bool:
        """Whether its weights start from θ̂."""
        return self.initialisation not in (IMAGENET, RANDOM)

    @property
    def initial_weights(self) -> Path:
        """The weights file that it starts from; θ̂ is the one tuned on the same challenge."""
        assert self.initialisation != RANDOM, "random weights come from no file"
        if self.is_from_source:
            return paths.tuned_weights(self.initialisation, base_challenge(self.challenge), self.architecture)
        return paths.imagenet_weights(self.architecture)

    @property
    def features(self) -> Path:
        """The folder of features that an off-the-shelf run reads."""
        challenge = base_challenge(self.challenge) if self.is_from_source else None
        return paths.features(self.collection, self.architecture, self.initialisation, challenge)


def base_challenge(challenge: str) -> str:
    """The challenge itself of one that is restricted to common classes."""
    return challenge.removesuffix(COMMON_CLASSES)
