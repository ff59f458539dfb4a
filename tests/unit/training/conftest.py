from __future__ import annotations

import pytest
import torch

from rijksnet.training.compute import Compute


@pytest.fixture
def cpu() -> Compute:
    return Compute(torch.device("cpu"), torch.float32)
