"""Collections small enough to count by hand."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rijksnet.paths import CollectionPaths


def jpeg(seed: int, width: int = 40, height: int = 30) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)).save(
        stream, "JPEG"
    )
    return stream.getvalue()


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CollectionPaths:
    """Paths of the collection `c` in a project of its own."""
    monkeypatch.chdir(tmp_path)
    return CollectionPaths("c")
