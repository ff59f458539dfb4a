from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
import torch

from rijksnet.errors import ParamsError
from rijksnet.params import Params
from rijksnet.training import compute
from rijksnet.training.compute import Compute


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)
    yield
    torch.use_deterministic_algorithms(before)


def there_is(monkeypatch: pytest.MonkeyPatch, *devices: str) -> None:
    """Let torch find these devices, besides the processor."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in devices)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in devices)


@pytest.mark.parametrize(
    ("there", "asked", "chosen"),
    [
        ([], "auto", "cpu"),
        (["cuda"], "auto", "cuda"),
        (["mps"], "auto", "mps"),
        (["cuda", "mps"], "auto", "cuda"),
        (["cuda", "mps"], "cpu", "cpu"),
        (["cuda", "mps"], "mps", "mps"),
        (["cuda"], "cuda", "cuda"),
    ],
)
def test_the_device_is_the_one_asked_for_or_the_best(
    there: list[str], asked: str, chosen: str, tiny_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    there_is(monkeypatch, *there)
    computed = compute.choose(tiny_params(device=asked, precision="fp32").training)
    assert computed.device.type == chosen
    assert computed.dtype == torch.float32


@pytest.mark.parametrize("asked", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_answered_with_those_that_are(
    asked: str, tiny_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    there_is(monkeypatch)
    with pytest.raises(ParamsError, match=rf"training\.device is '{asked}', but this machine has only \['cpu'\]"):
        compute.choose(tiny_params(device=asked).training)


@pytest.mark.parametrize(
    ("capabilities", "precision", "dtype"),
    [
        ({}, "auto", torch.float32),
        ({"avx512_bf16": True}, "auto", torch.bfloat16),
        ({"amx_bf16": True}, "auto", torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": False, "avx512_f": True}, "auto", torch.float32),
        ({"amx_bf16": True}, "fp32", torch.float32),
        ({}, "bf16", torch.bfloat16),
    ],
)
def test_automatic_precision_is_bf16_only_where_the_processor_has_it(
    capabilities: dict[str, bool],
    precision: str,
    dtype: torch.dtype,
    tiny_params: Callable[..., Params],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert compute.choose(tiny_params(precision=precision).training).dtype == dtype


def test_an_accelerator_is_asked_whether_its_bf16_is_native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    assert not compute.has_native_bf16("cuda")
    assert not compute.has_native_bf16("mps")


def test_choosing_makes_operations_repeatable(tiny_params: Callable[..., Params]) -> None:
    compute.choose(tiny_params().training)
    assert torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"]


def test_precision_is_that_of_products_and_is_named() -> None:
    full, half = (Compute(torch.device("cpu"), dtype) for dtype in (torch.float32, torch.bfloat16))
    matrix = torch.eye(3)
    with full.autocast():
        assert (matrix @ matrix).dtype == torch.float32
    with half.autocast():
        assert (matrix @ matrix).dtype == torch.bfloat16
    assert (str(full), str(half)) == ("cpu, float32", "cpu, bfloat16")


@pytest.mark.parametrize(("inputs", "threads"), [(96, 1), (100_000, 3)])
def test_a_small_model_is_trained_by_one_thread(inputs: int, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with compute.threads_for(torch.nn.Linear(inputs, 2), Compute(torch.device("cpu"), torch.float32)):
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_threads_are_those_asked_for(tiny_params: Callable[..., Params]) -> None:
    before, model = torch.get_num_threads(), torch.nn.Linear(100_000, 2)
    for asked, used in ((5, 5), ("auto", before)):
        with compute.threads_for(model, compute.choose(tiny_params(threads=asked).training)):
            assert torch.get_num_threads() == used
    assert torch.get_num_threads() == before
