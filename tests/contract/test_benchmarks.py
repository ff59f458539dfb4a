"""Benchmarks are run by hand, now and then: what they are built from must not leave without them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARKS = sorted((Path(__file__).parents[2] / "benchmarks").glob("*.py"))


def test_benchmarks_can_still_be_imported() -> None:
    code = f"import runpy\nfor file in {[str(file) for file in BENCHMARKS]}: runpy.run_path(file, run_name='imported')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert BENCHMARKS
