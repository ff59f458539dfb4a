"""The stage that writes the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rijksnet.analysis.report import write_report
from rijksnet.paths import RESULTS

if TYPE_CHECKING:
    from rijksnet.params import Params


def report(params: Params) -> None:
    """Tables, claims, curves, and all of it as one page."""
    write_report(params, RESULTS)
