"""Where and how precisely networks compute."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from rijksnet.errors import ParamsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from rijksnet.params import Training

#: Fewer values than this are trained by one thread: several would wait for each other longer than they work.
FEW_PARAMETERS = 100_000


@dataclass(frozen=True)
class Compute:
    """A device and the precision of its convolutions and matrix products; weights stay float32.

    `threads` are the processor's; None: one a core.
    """

    device: torch.device
    dtype: torch.dtype
    threads: int | None = None

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def __str__(self) -> str:
        return f"{self.device.type}, {str(self.dtype).removeprefix('torch.')}"


def choose(training: Training) -> Compute:
    """The device and precision that the parameters ask for; `auto` takes the accelerator, and bf16 where it is native.

    Also makes every operation deterministic, so that the same seed gives the same weights, bit for bit.

    Raises:
        ParamsError: training.device is not there.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts; cuBLAS is not else repeatable
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms would import torch's compiler: 1.7 s
    # nothing here reads uninitialised memory, and filling it takes time
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.allow_tf32 = False  # by default convolutions in float32 keep 10 of their factors' 23 bits
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = training.device if training.device != "auto" else next(name for name, is_there in there.items() if is_there)
    if not there[name]:
        options = [name for name, is_there in there.items() if is_there]
        raise ParamsError(f"training.device is {name!r}, but this machine has only {options}; or set it to 'auto'")
    bf16 = training.precision == "bf16" or (training.precision == "auto" and has_native_bf16(name))
    threads = None if training.threads == "auto" else training.threads
    return Compute(torch.device(name), torch.bfloat16 if bf16 else torch.float32, threads)


@contextmanager
def threads_for(model: nn.Module, computed: Compute) -> Iterator[None]:
    """Let the block compute with the threads that the parameters ask for, or one where the model has no work for more.

    How many are at work elsewhere does not settle it: weights would depend on that, for sums are split by threads.
    """
    before = torch.get_num_threads()
    if sum(parameter.numel() for parameter in model.parameters()) < FEW_PARAMETERS:
        torch.set_num_threads(1)
    elif computed.threads is not None:
        torch.set_num_threads(computed.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_use(network: Any, computed: Compute) -> Any:
    """What answers for a network with its present weights: fused where a processor multiplies bf16, else itself.

    All that a network is asked in a run, in suggestions and by a service is asked this, so that answers are equal.
    """
    fuses = computed.device.type == "cpu" and computed.dtype == torch.bfloat16 and has_native_bf16("cpu")
    if not fuses or not hasattr(network, "backbone"):
        return network
    from rijksnet.networks.fusion import fused  # a softmax layer on features has no use for it

    return fused(network)


def kind(computed: Compute) -> str:
    """What two machines must have in common to compute the same bits: precision, processor, threads at work, torch."""
    if computed.device.type == "cuda":
        return f"{computed} {torch.cuda.get_device_name(computed.device)} {torch.__version__}"
    # kernels are chosen by more than the widest instructions: AMX and AVX-512 with bf16 round otherwise
    able = sorted(name for name, there in torch.cpu.get_capabilities().items() if there is True)
    return f"{computed} {' '.join(able)} {torch.get_num_threads()} threads {torch.__version__}"


def has_native_bf16(device: str) -> bool:
    """Whether the device multiplies bf16 in hardware; emulated, it would be slower than float32."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    return False
