"""A project of its own for every test that writes a collection's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from rijksnet.paths import CollectionPaths


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CollectionPaths:
    monkeypatch.chdir(tmp_path)
    return CollectionPaths("c")
