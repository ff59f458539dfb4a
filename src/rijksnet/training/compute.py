"""Where and how precisely networks compute."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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


class OtherWork:
    """What other processes make of this machine's cores, from when it is made; Linux alone tells."""

    def __init__(self) -> None:
        self._busy, self._own, self._since = _busy_seconds(), time.process_time(), time.monotonic()

    def cores(self) -> float:
        """How many cores they have kept busy."""
        elapsed, own = time.monotonic() - self._since, time.process_time() - self._own
        return max(0.0, (_busy_seconds() - self._busy - own) / elapsed) if elapsed else 0.0

    def warning(self) -> str:
        """Why this process is slow, if its threads, which work in step, wait for other processes; else empty."""
        threads, cores, others = torch.get_num_threads(), os.cpu_count() or 1, self.cores()
        if threads == 1 or cores - others > threads - 0.5:
            return ""
        return (
            f"other processes keep {others:.1f} of {cores} cores busy, and {threads} threads that work in step wait "
            "for the slowest: training may be several times as fast with training.threads: 1"
        )


def _busy_seconds() -> float:
    """Seconds that all cores have worked since the machine started; 0 where it does not say."""
    try:
        with Path("/proc/stat").open(encoding="ascii") as file:
            user, nice, system, _, _, irq, softirq, *_ = map(int, file.readline().split()[1:])
    except (OSError, ValueError):
        return 0.0
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def has_native_bf16(device: str) -> bool:
    """Whether the device multiplies bf16 in hardware; emulated, it would be slower than float32."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    return False
