from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rijksnet.exploration_params import Exploration


@pytest.fixture
def exploration(content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Exploration]:
    """A factory of the parameters of `content`, some of them otherwise; studies live in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RIJKSNET_STUDIES", raising=False)

    def make(**changed: Any) -> Exploration:
        return Exploration.model_validate({**content["exploration"], **changed})

    return make
