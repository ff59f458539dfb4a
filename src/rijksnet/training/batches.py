"""Batches of examples on the device that trains, read ahead where they do not lie there already."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rijksnet.networks import SETTLED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from rijksnet.training.compute import Compute

#: Images of an evaluated batch at most, and of one on a GPU.
EVALUATION_BATCH_SIZE = 128

#: Pixels of a batch that a processor evaluates: beyond, what a layer leaves is out of the caches before the next reads
#: it. With 16 images of 224 px rather than 128, networks read 1.3 to 2.7 times as fast (docs/performance.md).
PIXELS_AT_ONCE = 2**19

#: The label of an image that has none for a task.
UNLABELLED = -1

#: Share of a GPU's free memory that a split's inputs may take; training and validation leave half to the network.
SHARE_OF_GPU = 0.3


@dataclass(frozen=True)
class Examples:
    """Labelled examples of one split, left where they lie until a batch asks for them."""

    #: (N, ...) of the whole collection, memory-mapped: pixels uint8 or features float32; `resident` ones on the device
    inputs: NDArray[Any] | Tensor
    rows: NDArray[np.int64]  #: (n,) rows of `inputs`
    labels: NDArray[np.int64]  #: class indices, (n,); of T tasks (n, T), UNLABELLED where an image has none

    def __len__(self) -> int:
        return len(self.rows)


def resident(examples: Examples, compute: Compute) -> Examples:
    """The same examples with their inputs on the GPU, in their own order, where they fit; otherwise as they are.

    An epoch then reads nothing from the processor's memory but the order of its images.
    """
    if compute.device.type != "cuda" or isinstance(examples.inputs, torch.Tensor):
        return examples
    needed = len(examples) * examples.inputs[:1].nbytes
    if needed > SHARE_OF_GPU * torch.cuda.mem_get_info(compute.device)[0]:
        return examples
    inputs = torch.empty(
        (len(examples), *examples.inputs.shape[1:]),
        dtype=torch.from_numpy(np.empty(0, examples.inputs.dtype)).dtype,
        device=compute.device,
    )
    for start in range(0, len(examples), EVALUATION_BATCH_SIZE):
        part = examples.rows[start : start + EVALUATION_BATCH_SIZE]
        inputs[start : start + len(part)] = torch.from_numpy(np.ascontiguousarray(examples.inputs[part]))
    return replace(examples, inputs=inputs, rows=np.arange(len(examples)))


def batches_of(order: NDArray[np.int64], size: int, drop_last: bool) -> list[NDArray[np.int64]]:
    """Consecutive batches of an order, none larger than `size`.

    They differ by at most one: batch normalisation would take a tenth of its running statistics, and a whole step, from
    a last batch of one image. With `drop_last` all are of `size`, and what remains is left out, if it is not all.
    """
    if drop_last and len(order) > size:
        order = order[: len(order) // size * size]
    return np.array_split(order, -(-len(order) // size)) if len(order) else []


def evaluation_batch_size(shape: Sequence[int], compute: Compute) -> int:
    """How many inputs of a shape, pixels (H, W, C) or features (F,), are evaluated at once."""
    if len(shape) == 1 or compute.device.type != "cpu":
        return EVALUATION_BATCH_SIZE
    return max(SETTLED, min(EVALUATION_BATCH_SIZE, PIXELS_AT_ONCE // (shape[0] * shape[1])))


def evaluation_batches(examples: Examples, compute: Compute) -> list[NDArray[np.int64]]:
    """All examples in their order, in batches as large as is fast here, and of `SETTLED` images at least."""
    order, size = np.arange(len(examples)), evaluation_batch_size(examples.inputs.shape[1:], compute)
    if size == EVALUATION_BATCH_SIZE:
        return batches_of(order, size, drop_last=False)
    batches = min(-(-len(order) // size), max(1, len(order) // SETTLED))
    return np.array_split(order, batches) if len(order) else []


def load(examples: Examples, batches: Sequence[NDArray[np.int64]], compute: Compute) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and labels of each batch on the device, the next batch read while the current one is worked on."""
    if not batches:
        return
    if isinstance(examples.inputs, torch.Tensor):
        yield from _picked(examples, examples.inputs, batches, compute)
        return
    if len(examples) and not 0 <= examples.rows.min() <= examples.rows.max() < len(examples.inputs):
        raise IndexError(f"rows {examples.rows.min()} to {examples.rows.max()} of {len(examples.inputs)}")
    inputs_of, pinned = examples.inputs, compute.device.type == "cuda"
    dtype = torch.from_numpy(np.empty(0, inputs_of.dtype)).dtype

    def read(batch: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        inputs = torch.empty((len(batch), *inputs_of.shape[1:]), dtype=dtype, pin_memory=pinned)
        # straight to where it is copied from; numpy would else look at each row again, in a buffer of its own
        np.take(inputs_of, examples.rows[batch], axis=0, out=inputs.numpy(), mode="clip")
        return inputs, torch.from_numpy(examples.labels[batch])

    with ThreadPoolExecutor(1) as reader:
        ahead = [reader.submit(read, batch) for batch in batches[:1]]
        for following in [*batches[1:], None]:
            inputs, labels = ahead.pop().result()
            if following is not None:
                ahead.append(reader.submit(read, following))
            # from pinned memory a copy waits for nothing, and what it reads is kept until it has been read
            yield inputs.to(compute.device, non_blocking=pinned), labels.to(compute.device)


def _picked(
    examples: Examples, inputs: Tensor, batches: Sequence[NDArray[np.int64]], compute: Compute
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of inputs that lie on the device: what an epoch copies there is its order and labels, once."""
    order = np.concatenate(batches)
    rows = torch.from_numpy(examples.rows[order]).to(compute.device)
    labels = torch.from_numpy(examples.labels[order]).to(compute.device)
    sizes = [len(batch) for batch in batches]
    for its_rows, its_labels in zip(rows.split(sizes), labels.split(sizes), strict=True):
        yield inputs.index_select(0, its_rows), its_labels


def fetched(results: Iterable[Tensor]) -> Iterator[NDArray[np.float32]]:
    """Each result on the processor, the next one asked for before it is waited for: a GPU is not to stand idle."""
    waiting: list[tuple[Tensor, torch.cuda.Event | None]] = []
    for result in results:
        event = torch.cuda.Event() if result.is_cuda else None
        there = result.to("cpu", non_blocking=result.is_cuda)
        if event is not None:
            event.record()
        waiting.append((there, event))
        if len(waiting) > 1:
            yield _arrived(*waiting.pop(0))
    for there, event in waiting:
        yield _arrived(there, event)


def _arrived(there: Tensor, event: torch.cuda.Event | None) -> NDArray[np.float32]:
    if event is not None:
        event.synchronize()
    return there.numpy()
