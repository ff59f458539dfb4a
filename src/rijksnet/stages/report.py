"""The stage that writes the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rijksnet.paths import RESULTS
from rijksnet.report.write import write_report

if TYPE_CHECKING:
    from rijksnet.params import Params


def report(params: Params) -> None:
    """Tables, claims, curves, and all of it as one page."""
    write_report(params, RESULTS)
