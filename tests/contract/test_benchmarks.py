"""Benchmarks are run by hand, now and then: what they are built from must not leave without them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = sorted((Path(__file__).parents[2] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("file", BENCHMARKS, ids=[file.stem for file in BENCHMARKS])
def test_a_benchmark_can_still_be_imported(file: Path) -> None:
    code = f"import runpy; runpy.run_path({str(file)!r}, run_name='imported')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
