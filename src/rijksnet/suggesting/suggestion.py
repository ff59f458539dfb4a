"""What is suggested, of one object and of a whole challenge, with what speaks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from rijksnet.params import Challenge
    from rijksnet.suggesting.rule import Precision, Rule

#: Why a suggestion is not dared.
UNSURE, UNLIKE = "not sure enough", "unlike all that the network learnt from"


@dataclass(frozen=True)
class Neighbour:
    """A labelled object that looks alike to the network; similarity is a cosine."""

    object_id: str
    image: str
    label: str
    similarity: float


@dataclass(frozen=True)
class Advice:
    """What a network says of one picture, or of an object by all its pictures; `why_not` is empty where it dares to."""

    ranked: tuple[tuple[str, float], ...]  #: the most probable classes, with calibrated probabilities
    least: float  #: the confidence from which on its first class is answered; infinite: never
    why_not: str
    similarity: float | None  #: to the most similar picture that the network learnt from, a cosine; None: not known
    neighbours: tuple[Neighbour, ...]

    @property
    def label(self) -> str:
        return self.ranked[0][0]

    @property
    def confidence(self) -> float:
        return self.ranked[0][1]


@dataclass(frozen=True)
class Suggestion(Advice):
    """Advice on one of a collection's objects."""

    object_id: str
    images: tuple[str, ...]


@dataclass(frozen=True)
class Doubt:
    """A label that a network doubts: the museum's, and what it would say; the lower the margin, the surer."""

    object_id: str
    images: tuple[str, ...]
    label: str
    instead: str
    margin: float
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True)
class Drift:
    """How a collection differs from what a network was trained on.

    `unlike` is the share of its pictures that are unlike all learnt from, where `expected` are at home; `promised` what
    the rule that was set at home gives here, on labelled objects.
    """

    unlike: float | None
    expected: float
    promised: Precision | None
    why_unknown: str


@dataclass(frozen=True)
class Suggestions:
    """All that is suggested for one challenge of a collection."""

    collection: str
    challenge: Challenge
    model: str  #: its name, with its version
    run: str
    weights: str  #: sha256
    asked: float  #: precision
    rule: Rule
    measured: Precision
    reference: int  #: labelled objects that set the rule
    strangers: int  #: of these, those whose class the network does not know
    drift: Drift
    objects: tuple[Suggestion, ...]  #: dared first, the surest first
    checked: Precision | None  #: with how many labels, of those looked at, it agrees; None: none were asked for
    unchecked: int  #: labels that cannot be, since the network learnt from them or does not know them
    doubts: tuple[Doubt, ...]
    maps: Mapping[str, NDArray[np.float32]]  #: where it looked, (H, W) in [0, 1], of the first objects, by id

    @property
    def dared(self) -> list[Suggestion]:
        return [one for one in self.objects if not one.why_not]
