"""What a trial leaves in the study's storage, whole and at once: curves, answers on the validation split, cost."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, astuple, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rijksnet import protocol
from rijksnet.runs.history import Epoch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: The user attribute that holds an outcome.
OUTCOME = "outcome"

How = Literal["complete", "pruned", "diverged"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a trial's training went. Pruned and diverged ones have no answers; all have the epochs that they trained."""

    how: How
    history: tuple[Epoch, ...]
    best_epoch: int | None  #: of the tested weights, from 0
    hits: NDArray[np.bool_]  #: (n,), whether the tested weights classify each validation image rightly
    cost: float  #: floating-point operations of the training
    seconds: float  #: a trial's share of the time, where several train side by side
    note: str = ""  #: why it did not complete

    @property
    def accuracy(self) -> float:
        """On the validation split, of the tested weights; what studies maximise."""
        return float(self.hits.mean())

    @property
    def loss(self) -> float:
        """On the validation split, of the tested weights, nats."""
        assert self.best_epoch is not None
        return self.history[self.best_epoch].validation_loss

    def to_json(self) -> str:
        packed = base64.b64encode(np.packbits(self.hits).tobytes()).decode()
        content = {name: value for name, value in asdict(self).items() if name not in ("hits", "history")}
        epochs = [astuple(epoch) for epoch in self.history]
        return json.dumps({**content, "history": epochs, "hits": packed, "images": len(self.hits)})

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        content: dict[str, Any] = json.loads(text)
        bits = np.frombuffer(base64.b64decode(content.pop("hits")), np.uint8)
        hits = np.unpackbits(bits, count=content.pop("images")).astype(np.bool_)
        history = tuple(Epoch(*epoch) for epoch in content.pop("history"))
        return cls(history=history, hits=hits, **content)


def tested_epoch(recipe: protocol.Recipe, history: Sequence[Epoch]) -> int:
    """Which epoch's weights are tested, by the protocol."""
    if recipe.tested_weights == "last":
        return len(history) - 1
    return protocol.best_epoch([epoch.validation_loss for epoch in history])
