"""One step of training, and its recording: a GPU repeats what it was shown once, rather than being told each kernel."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from rijksnet.training.batches import UNLABELLED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from rijksnet.training.compute import Compute

#: Steps of a batch size before one is recorded: the first makes the optimiser's state and wakes the libraries.
UNRECORDED = 2


@dataclass(frozen=True)
class _Recording:
    """A CUDA graph of a step, and the places where it reads a batch and leaves what it measured."""

    graph: torch.cuda.CUDAGraph
    inputs: Tensor
    labels: Tensor
    measured: tuple[Tensor, Tensor]


class Steps:
    """Training steps of a model: forward, backward, the optimiser's step.

    A step of a network is hundreds of kernels, and a GPU is done with most of them sooner than the next is started. So
    on CUDA the third step of a batch size is recorded as a graph, and later ones repeat it: the same kernels, and so
    the same bits. A model that cannot be recorded is trained unrecorded, and a warning says why.
    """

    def __init__(
        self,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        share: Tensor,
        classes: Sequence[int] | None,
        smoothing: float,
        compute: Compute,
    ) -> None:
        """
        Args:
            share: of the training images, how many have a label for each task, float (T,) on the device.
            classes: how many of the model's logits belong to each task, in their order; None: all to one task.
        """
        self.model, self.optimiser, self.share, self.classes = model, optimiser, share, classes
        self.smoothing, self.compute = smoothing, compute
        self.unrecorded: dict[torch.Size, int] = {}
        self.recordings: dict[torch.Size, _Recording] = {}
        self.recordable = compute.device.type == "cuda"
        self.beside = torch.cuda.Stream(compute.device) if self.recordable else None
        self.pool = torch.cuda.graph_pool_handle() if self.recordable else None  # one: recordings never run at once

    def __call__(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Train on a batch; each task's sum of cross-entropies and its hits, (T,) each, good until the next call."""
        if self.beside is None:
            return self._step(inputs, labels)
        size = inputs.shape
        if size not in self.recordings:
            self.unrecorded[size] = self.unrecorded.get(size, 0) + 1
            if not self.recordable or self.unrecorded[size] <= UNRECORDED or not self._record(inputs, labels):
                return self._step_beside(self.beside, inputs, labels)
        recording = self.recordings[size]
        recording.inputs.copy_(inputs)
        recording.labels.copy_(labels)
        recording.graph.replay()
        return recording.measured

    def _step(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        with self.compute.autocast():
            logits = self.model(inputs).float()
        sums, hits = measure(logits, labels, self.classes, self.smoothing)
        self.optimiser.zero_grad()
        (sums / (len(labels) * self.share)).sum().backward()
        self.optimiser.step()
        return sums.detach(), hits

    def _step_beside(self, stream: torch.cuda.Stream, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """On the stream that is recorded from: autograd remembers the stream on which it met a weight."""
        here = torch.cuda.current_stream()
        stream.wait_stream(here)
        with torch.cuda.stream(stream):
            measured = self._step(inputs, labels)
        here.wait_stream(stream)
        return measured

    def _record(self, inputs: Tensor, labels: Tensor) -> bool:
        """Record a step on inputs of this size, without taking it; False if the model has something that cannot be."""
        graph, (its_inputs, its_labels) = torch.cuda.CUDAGraph(), (inputs.clone(), labels.clone())
        try:
            with (
                torch.cuda.stream(torch.cuda.current_stream()),  # come back to it, also from a recording that fails
                # thread_local: the reader of the next batch may ask for pinned memory meanwhile
                torch.cuda.graph(graph, pool=self.pool, stream=self.beside, capture_error_mode="thread_local"),
            ):
                measured = self._step(its_inputs, its_labels)
        except RuntimeError as error:
            self.recordable = False
            warnings.warn(f"steps are not recorded as a CUDA graph, hence slower: {error}", stacklevel=2)
            return False
        self.recordings[inputs.shape] = _Recording(graph, its_inputs, its_labels, measured)
        return True


def measure(
    logits: Tensor, labels: Tensor, classes: Sequence[int] | None, smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """The sum of each task's cross-entropies over the images that have its label, and its hits. Both (T,)."""
    losses, hits = [], []
    parts = logits.split(logits.shape[1] if classes is None else list(classes), 1)
    for its_logits, its_labels in zip(parts, labels.view(len(labels), -1).unbind(1), strict=True):
        losses.append(
            F.cross_entropy(its_logits, its_labels, ignore_index=UNLABELLED, reduction="sum", label_smoothing=smoothing)
        )
        hits.append((its_logits.argmax(1) == its_labels).sum())
    return torch.stack(losses), torch.stack(hits)
