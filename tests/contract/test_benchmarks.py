"""Benchmarks are run by hand, now and then: what they are built from must not leave without them."""

from __future__ import annotations

from pathlib import Path

from processes import Warm

BENCHMARKS = sorted((Path(__file__).parents[2] / "benchmarks").glob("*.py"))


def test_benchmarks_can_still_be_imported(warm: Warm) -> None:
    assert BENCHMARKS
    code = f"import runpy\nfor file in {[str(file) for file in BENCHMARKS]}: runpy.run_path(file, run_name='imported')"
    warm.run("python", "-c", code)
