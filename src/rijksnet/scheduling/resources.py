"""What machines have, and what a stage asks for of the one that runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rijksnet.params import Training

#: Commands that compute with as many threads as `training.threads` says, on an accelerator if there is one.
COMPUTE = frozenset(
    ("pretrain", "features", "off_the_shelf", "fine_tuning", "scratch", "multi_task", "seeds", "common_classes")
)
#: Commands that have no use for a second core.
LIGHT = frozenset(
    ("code", "catalogue", "splits", "audit", "download", "import_weights", "import_model")
    + ("register", "champions", "tuned", "publish", "report")
)


@dataclass(frozen=True)
class Resources:
    """Cores, GPUs and memory: what a machine has, or a stage has to itself."""

    cores: int
    gpus: int = 0
    memory_mib: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.cores + other.cores, self.gpus + other.gpus, self.memory_mib + other.memory_mib)

    def fit(self, machine: Resources) -> bool:
        """Whether a machine has it all."""
        return self.cores <= machine.cores and self.gpus <= machine.gpus and self.memory_mib <= machine.memory_mib


def needs_of(command: str, training: Training, machine: Resources, memory_mib: int) -> Resources:
    """What a line of dvc.yaml asks for, at most what there is; so much memory as it took the last time.

    What a stage writes does not depend on what runs beside it, so it gets the threads that it would have alone: a
    training one a core, unless `training.threads` says how many. Whatever is not known to be modest gets all cores.
    """
    words = command.split()
    name = words[1] if len(words) > 1 and words[0] == "rijksnet" else ""
    computes = name in COMPUTE
    cores = machine.cores
    if name in LIGHT:
        cores = 1
    elif computes and training.threads != "auto":
        cores = min(training.threads, machine.cores)
    gpus = min(1, machine.gpus) if computes and training.device in ("auto", "cuda") else 0
    return Resources(1 if gpus else cores, gpus, min(memory_mib, machine.memory_mib))
