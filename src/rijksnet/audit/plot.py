"""The audit's figures, as inline SVG: light, sharp in print, and styled by the page."""

from __future__ import annotations

from itertools import pairwise
from math import floor, log10, sqrt
from typing import TYPE_CHECKING

from rijksnet.statistics.bands import BANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rijksnet.audit.facts import Band

WIDTH, HEIGHT = 460, 270
LEFT, RIGHT, TOP, BOTTOM = 70, 448, 26, 222
#: Up to this many classes each is a dot.
DOTS = 40
#: Width of a letter of the figure's small text, about.
LETTER = 6.4


def rank_frequency(counts: Sequence[int]) -> str:
    """Objects of a class by its rank, both logarithmic, with the bands of `BANDS` shaded; an SVG element.

    Args:
        counts: objects of each class, the largest first; at least one.
    """
    across = _Axis(max(len(counts), 2), LEFT, RIGHT)
    upward = _Axis(max(counts[0], 10) * 1.25, BOTTOM, TOP)
    said = f"The largest of {len(counts)} classes has {counts[0]} objects, the smallest {counts[-1]}."
    points = [f"{across(rank):.1f},{upward(counts[rank - 1]):.1f}" for rank in _corners(counts)]
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Objects of a class by its rank, on logarithmic axes. {said}">',
        *_bands(counts, across),
        *_ticks(across, upward),
        f'<polyline class="line" points="{" ".join(points)}"/>',
    ]
    if len(counts) <= DOTS:
        parts += [f'<circle class="dot" cx="{x}" cy="{y}" r="3"/>' for x, y in (one.split(",") for one in points)]
    parts += [
        f'<text class="axis" x="{(LEFT + RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">rank of the class</text>',
        f'<text class="axis" transform="translate(12 {(TOP + BOTTOM) / 2}) rotate(-90)" text-anchor="middle">'
        "objects</text>",
        "</svg>",
    ]
    return "".join(parts)


def shares(bands: Sequence[Band]) -> str:
    """How the classes (upper bar) and their objects (lower bar) are shared out among the bands; an SVG element."""
    total = sum(band.classes for band in bands)
    bars = [[band.classes / total for band in bands], [band.share for band in bands]]
    said = "; ".join(
        f"{band.name} {100 * of_classes:.0f} % of the classes, {100 * band.share:.0f} % of the objects"
        for band, of_classes in zip(bands, bars[0], strict=True)
    )
    parts = [f'<svg class="shares" viewBox="0 0 {WIDTH} 58" role="img" aria-label="{said}">']
    for name, bar, y in (("classes", bars[0], 4), ("objects", bars[1], 32)):
        parts.append(f'<text class="axis" x="{LEFT - 6}" y="{y + 15}" text-anchor="end">{name}</text>')
        x = float(LEFT)
        for band, share in zip(bands, bar, strict=True):
            width = share * (RIGHT - LEFT)
            parts.append(f'<rect class="{band.name} full" x="{x:.1f}" y="{y}" width="{width:.1f}" height="22"/>')
            label = f"{100 * share:.0f} %"
            if width > LETTER * (len(label) + 2):
                parts.append(f'<text class="share" x="{x + 6:.1f}" y="{y + 15}">{label}</text>')
            x += width
    return "".join([*parts, "</svg>"])


class _Axis:
    """A logarithmic axis from 1 to `most`."""

    def __init__(self, most: float, start: float, end: float) -> None:
        self.most, self.start, self.end = most, start, end

    def __call__(self, value: float) -> float:
        return self.start + (self.end - self.start) * log10(value) / log10(self.most)

    def ticks(self) -> list[int]:
        """Powers of ten; where they are few, their doubles and fivefolds too."""
        steps = (1,) if self.most >= 300 else (1, 2, 5)
        values = (step * 10**power for power in range(floor(log10(self.most)) + 1) for step in steps)
        return [value for value in values if value <= self.most]


def _corners(counts: Sequence[int]) -> list[int]:
    """The ranks (from 1) at which a run of equal counts begins or ends: what lies between is a straight line."""
    inner = [i + 1 for i, (one, following) in enumerate(pairwise(counts)) if one != following]
    return sorted({1, len(counts), *inner, *(rank + 1 for rank in inner)})


def _bands(counts: Sequence[int], across: _Axis) -> list[str]:
    parts, before = [], 0
    for rule in BANDS:
        classes = sum(n >= rule.least and (rule.most is None or n <= rule.most) for n in counts)
        if not classes:
            continue
        after = before + classes
        left = across(sqrt(before * (before + 1))) if before else LEFT
        right = across(sqrt(after * (after + 1))) if after < len(counts) else RIGHT
        box = f'x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" height="{BOTTOM - TOP}"'
        parts.append(f'<rect class="{rule.name}" {box}/>')
        if right - left > LETTER * (len(rule.name) + 1):
            parts.append(
                f'<text class="band" x="{(left + right) / 2:.1f}" y="{TOP - 8}" text-anchor="middle">{rule.name}</text>'
            )
        before = after
    return parts


def _ticks(across: _Axis, upward: _Axis) -> list[str]:
    parts = []
    for value in upward.ticks():
        y = f"{upward(value):.1f}"
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y}" dy="4" text-anchor="end">{value:,}</text>')
    for value in across.ticks():
        x = f"{across(value):.1f}"
        parts.append(f'<line class="mark" x1="{x}" x2="{x}" y1="{BOTTOM}" y2="{BOTTOM + 4}"/>')
        parts.append(f'<text class="tick" x="{x}" y="{BOTTOM + 17}" text-anchor="middle">{value:,}</text>')
    return parts
