from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from rijksnet.runs.history import Epoch
from rijksnet.training.checkpoint import Checkpoint, Progress

HISTORY = [  # two epochs of two tasks
    (Epoch(0, 1_700_000_000_000, 1 / 3, 0.1, 2 / 3, 0.2, 31.5), Epoch(0, 1_700_000_000_000, 2.0, 0.1, 1.5, 0.2, 31.5)),
    (Epoch(1, 1_700_000_001_000, 0.3, 0.4, 0.6, 0.5, 1), Epoch(1, 1_700_000_001_000, 1.0, 0.4, 0.25, 0.5, 1)),
]


def trained(steps: int = 2) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A small model after a few steps with momentum."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2)).to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    for _ in range(steps):
        optimiser.zero_grad()
        model(torch.rand(4, 1, 3, 3)).square().sum().backward()
        optimiser.step()
    return model, optimiser


def saved(folder: Path, identity: str = "a") -> tuple[nn.Module, torch.optim.Optimizer, Progress]:
    model, optimiser = trained()
    kept = {name: tensor + 1 for name, tensor in model.state_dict().items()}
    progress = Progress(HISTORY, kept, started_ms=1_699_999_999_000)
    Checkpoint(folder, identity, every_s=0).save(model, optimiser, progress)
    return model, optimiser, progress


def test_all_of_a_run_comes_back(tmp_path: Path) -> None:
    model, optimiser, progress = saved(tmp_path)
    drawn = torch.rand(3)
    other, its_optimiser = trained(steps=0)
    restored = Checkpoint(tmp_path, "a").load(other, its_optimiser)
    assert restored.history == HISTORY
    assert restored.validation_losses == [2 / 3 + 1.5, 0.85]
    assert restored.started_ms == progress.started_ms
    assert torch.equal(torch.rand(3), drawn)
    for mine, theirs in ((model.state_dict(), other.state_dict()), (progress.kept, restored.kept)):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    momenta = [
        [state["momentum_buffer"] for state in one.state_dict()["state"].values()] for one in (optimiser, its_optimiser)
    ]
    assert len(momenta[0]) == len(momenta[1]) == 4
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(*momenta, strict=True))


def test_without_a_checkpoint_a_run_starts_afresh(tmp_path: Path) -> None:
    model, optimiser = trained()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fresh = Checkpoint(tmp_path / "none", "a").load(model, optimiser)
    assert (fresh.history, fresh.kept) == ([], {})
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not (tmp_path / "none").exists()


def test_another_runs_checkpoint_is_ignored(tmp_path: Path) -> None:
    saved(tmp_path, identity="a")
    model, optimiser = trained(steps=0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = torch.get_rng_state()
    assert Checkpoint(tmp_path, "b").load(model, optimiser).history == []
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert optimiser.state_dict()["state"] == {}
    assert torch.equal(torch.get_rng_state(), random)


def test_a_checkpoint_is_saved_only_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, optimiser = trained()
    checkpoint = Checkpoint(tmp_path, "a", every_s=30, _saved=100.0)
    for now, epochs, on_disk in ((129.0, 1, 0), (130.0, 1, 1), (159.0, 2, 1), (160.0, 2, 2)):
        monkeypatch.setattr("time.monotonic", lambda now=now: now)
        checkpoint.save(model, optimiser, Progress(HISTORY[:epochs]))
        assert len(Checkpoint(tmp_path, "a").load(model, optimiser).history) == on_disk


def test_clearing_leaves_nothing(tmp_path: Path) -> None:
    saved(tmp_path / "run")
    checkpoint = Checkpoint(tmp_path / "run", "a")
    checkpoint.clear()
    checkpoint.clear()
    assert list(tmp_path.iterdir()) == []
