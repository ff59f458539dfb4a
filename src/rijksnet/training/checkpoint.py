"""Checkpoints: what an interrupted run needs to go on as if it had not been interrupted, bit for bit."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from rijksnet.files import replacing
from rijksnet.runs.history import Epoch

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn


@dataclass
class Progress:
    """Where a run stands after its last whole epoch."""

    history: list[tuple[Epoch, ...]] = field(default_factory=list)  #: each epoch, as each task measured it
    kept: dict[str, Tensor] = field(default_factory=dict)  #: the weights of the best epoch so far
    started_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    why_anew: str = ""  #: why a checkpoint that is there was not taken up

    @property
    def validation_losses(self) -> list[float]:
        """Summed over the tasks."""
        return [sum(task.validation_loss for task in epoch) for epoch in self.history]


@dataclass
class Checkpoint:
    """A run's checkpoint on disk; only a run with the same identity resumes from it."""

    folder: Path
    identity: str  #: digest of everything that determines the run
    every_s: float = 30.0  #: seconds between two savings at least: many a run is over before the first
    _saved: float = field(default_factory=time.monotonic)

    @property
    def file(self) -> Path:
        return self.folder / "checkpoint.pt"

    def load(self, model: nn.Module, optimiser: torch.optim.Optimizer) -> Progress:
        """Restore model, optimiser and random state; a fresh start where there is nothing that fits."""
        if not self.file.is_file():
            return Progress()
        try:
            state: dict[str, Any] = torch.load(self.file, map_location="cpu", weights_only=True)
            identity = state["identity"]
        except Exception as error:  # of many types: whatever half a file makes its readers stumble over
            return Progress(why_anew=f"{self.file} is damaged ({type(error).__name__})")
        if identity != self.identity:
            return Progress(why_anew=f"{self.file} is of other settings, other data or other code")
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["random"])
        history = [tuple(Epoch(**task) for task in epoch) for epoch in state["history"]]
        return Progress(history, state["kept"], state["started_ms"])

    def save(
        self, model: nn.Module, optimiser: torch.optim.Optimizer, progress: Progress, at_once: bool = False
    ) -> None:
        """Save, if the last time is long enough ago, or at once; the file is whole at every moment."""
        if not at_once and time.monotonic() - self._saved < self.every_s:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            "identity": self.identity,
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "history": [[asdict(task) for task in epoch] for epoch in progress.history],
            "kept": progress.kept,
            "started_ms": progress.started_ms,
        }
        with replacing(self.file) as partial:
            torch.save(state, partial)
        self._saved = time.monotonic()

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
