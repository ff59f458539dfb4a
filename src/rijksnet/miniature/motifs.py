"""The types of museum object: an outline, and how it is decorated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rijksnet.miniature.brushes import blob, ellipse, rectangle, shade, star, turned
from rijksnet.miniature.subjects import etched, painted, sketched, within

if TYPE_CHECKING:
    from collections.abc import Callable

    from rijksnet.miniature.brushes import Pen, Points
    from rijksnet.miniature.subjects import Rng, Shape

# --- types of object: what is drawn on the ground inside the outline -------------------------------------------------


def _bars(width: float) -> list[Points]:
    """The four sides of a border of the given width."""
    inner = 1 - width
    sides = [(-1, -1, 1, -inner), (-1, inner, 1, 1), (-1, -1, -inner, 1), (inner, -1, 1, 1)]
    return [rectangle(*side) for side in sides]


def _print(pen: Pen, shapes: list[Shape]) -> None:
    etched(pen, within(shapes, 0.84, 0.74, -0.1))
    for bar in _bars(0.16):
        pen.erase(bar)
    pen.erase(rectangle(-1, 0.64, 1, 1))
    pen.stroke(rectangle(-0.84, -0.84, 0.84, 0.64), closed=True)
    pen.stroke(np.array([(-0.5, 0.8), (0.5, 0.8)]), width=0.8)


def _drawing(pen: Pen, shapes: list[Shape]) -> None:
    sketched(pen, within(shapes, 0.85))


def _painting(pen: Pen, shapes: list[Shape]) -> None:
    painted(pen, within(shapes, 0.86))
    gilt = (150, 112, 52) if pen.rng.random() < 0.6 else (66, 46, 34)
    for bar in _bars(0.16):
        pen.polygon(bar, gilt)
    for inset, light in ((0.98, 1.35), (0.85, 0.55)):
        edge = rectangle(-inset, -inset, inset, inset)
        pen.line(np.concatenate([edge, edge[:1]]), shade(gilt, light), 4)


def _lines(pen: Pen, left: float, right: float, top: float, step: float) -> None:
    """Lines of printed text, words apart."""
    for y in np.arange(top, 0.82, step):
        x = left
        while x < right:
            end = min(right, x + pen.rng.uniform(0.1, 0.35))
            pen.line(np.array([(x, y), (end, y)]), pen.ink, 0.8 * pen.hand.width)
            x = end + 0.07


def _book(pen: Pen, shapes: list[Shape]) -> None:
    pen.line(np.array([(0.0, -1), (0.0, 1)]), (96, 84, 70), 4)
    if pen.rng.random() < 0.5:
        etched(pen, [(p * (0.36, 0.4) + (-0.5, -0.42), t) for p, t in shapes[1:]])
        _lines(pen, -0.88, -0.12, 0.15, 0.15)
    else:
        _lines(pen, -0.88, -0.12, -0.8, 0.15)
    initial = rectangle(0.14, -0.84, 0.48, -0.5)
    pen.hatch(initial, 3, pen.hand.palette[2])
    pen.stroke(initial, closed=True)
    _lines(pen, 0.56, 0.88, -0.8, 0.15)
    pen.erase(rectangle(0.1, -0.45, 0.95, 0.9))
    _lines(pen, 0.12, 0.88, -0.38, 0.15)


def _coin(pen: Pen, shapes: list[Shape]) -> None:
    etched(pen, within(shapes[1:], 0.58, y=-0.02))
    pen.stroke(ellipse(0, 0, 0.93), closed=True)
    for x, y in ellipse(0, 0, 0.8, corners=18):
        pen.polygon(ellipse(x, y, 0.05, corners=6), pen.ink)


def _map(pen: Pen, shapes: list[Shape]) -> None:
    pen.polygon(rectangle(-0.9, -0.9, 0.9, 0.9), pen.hand.palette[0])
    for _ in range(pen.rng.integers(2, 4)):
        land = blob(pen.rng, pen.rng.uniform(0.4, 0.6), 0.5) + pen.rng.uniform(-0.6, 0.6, 2)
        pen.erase(land)
        pen.hatch(land, 1)
        pen.stroke(land, closed=True, width=1.2)
    for at in (-0.45, 0.0, 0.45):
        pen.line(np.array([(at, -0.9), (at, 0.9)]), pen.ink, 1)
        pen.line(np.array([(-0.9, at), (0.9, at)]), pen.ink, 1)
    x, y = pen.rng.choice([-0.55, 0.55], 2)
    pen.polygon(star(x, y, 0.34, 8, 0.35), pen.ink)
    pen.stroke(rectangle(-0.9, -0.9, 0.9, 0.9), closed=True)
    for bar in _bars(0.1):
        pen.erase(bar)


def _vase(pen: Pen, shapes: list[Shape]) -> None:
    painted(pen, within(shapes[1:], 0.42, y=0.1))
    for y in (-0.86, -0.42, 0.62, 0.88):
        pen.stroke(np.array([(-1, y), (0, y + 0.03), (1, y)]))
    pen.hatch(rectangle(-1, -0.8, 1, -0.48), 2)


def _plate(pen: Pen, shapes: list[Shape]) -> None:
    painted(pen, within(shapes[1:], 0.45))
    pen.stroke(ellipse(0, 0, 0.94), closed=True)
    pen.stroke(ellipse(0, 0, 0.62), closed=True)
    for x, y in ellipse(0, 0, 0.78, corners=10):
        pen.polygon(star(x, y, 0.14, 5), pen.hand.palette[2])


def _tile(pen: Pen, shapes: list[Shape]) -> None:
    etched(pen, within(shapes[1:], 0.55))
    for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        pen.polygon(ellipse(x, y, 0.42), pen.hand.palette[2])
        pen.stroke(ellipse(x, y, 0.55), closed=True, width=0.8)
    pen.stroke(rectangle(-0.97, -0.97, 0.97, 0.97), closed=True, width=0.6)


def _statue(pen: Pen, shapes: list[Shape]) -> None:
    for x in pen.rng.uniform(-0.3, 0.3, 5):
        pen.stroke(np.array([(0.5 * x, -0.35), (x, 0.1), (1.1 * x, 0.6)]))
    arm = pen.rng.choice([-1.0, 1.0])
    pen.stroke(np.array([(-0.3 * arm, -0.35), (0.05 * arm, -0.02), (0.3 * arm, -0.2)]), width=1.5)
    pen.hatch(rectangle(-1, 0.66, 1, 1), 2)
    pen.stroke(ellipse(0, -0.72, 0.24, 0.2), closed=True, width=0.6)


def _cabinet(pen: Pen, shapes: list[Shape]) -> None:
    for side in (-1, 1):
        door = rectangle(0.06 * side, -0.62, 0.72 * side, 0.5)
        pen.hatch(door, 1)
        etched(pen, [(p * (0.22, 0.36) + (0.39 * side, -0.08), t) for p, t in shapes[1:]])
        pen.stroke(door, closed=True)
        pen.polygon(ellipse(0.12 * side, -0.06, 0.05), pen.hand.palette[1])
    pen.stroke(np.array([(-0.95, -0.74), (0.95, -0.74)]), width=1.4)
    pen.stroke(np.array([(-0.85, 0.6), (0.85, 0.6)]), width=1.4)


def _fan(pen: Pen, shapes: list[Shape]) -> None:
    painted(pen, within(shapes, 0.95, 0.5, -0.3))
    pen.erase(ellipse(0, 0.85, 0.72))
    for turn in np.linspace(-1.15, 1.15, 12):
        tip = np.array([(0, 0.85), (1.75 * np.sin(turn), 0.85 - 1.75 * np.cos(turn))])
        pen.line(tip, pen.ink, 0.7 * pen.hand.width)


def _poster(pen: Pen, shapes: list[Shape]) -> None:
    painted(pen, within(shapes, 1.0, 0.7, -0.3))
    pen.polygon(rectangle(-1, 0.4, 1, 1), pen.hand.palette[int(pen.rng.integers(0, 2))])
    x = -0.85
    while x < 0.7:
        width = pen.rng.uniform(0.14, 0.3)
        pen.polygon(rectangle(x, 0.5, x + width, 0.74), pen.ink)
        x += width + 0.08
    pen.stroke(np.array([(-0.8, 0.87), (0.8, 0.87)]))


def _manuscript(pen: Pen, shapes: list[Shape]) -> None:
    x = np.linspace(-0.85, 0.85, 70)
    for y in np.arange(-0.72, 0.85, 0.2):
        script = y + 0.05 * np.sin(40 * x + 4 * np.sin(5 * x + pen.rng.uniform(0, 6.3)))
        pen.line(np.stack([x, script], axis=1), pen.ink, 0.6 * pen.hand.width)
    pen.erase(rectangle(-0.95, -0.92, -0.35, -0.3))
    pen.fill(rectangle(-0.88, -0.88, -0.42, -0.38), 1)
    pen.stroke(ellipse(-0.65, -0.63, 0.16, 0.18), closed=True, width=1.3)


def _woodblock(pen: Pen, shapes: list[Shape]) -> None:
    pen.polygon(rectangle(-0.88, -0.88, 0.88, 0.88), pen.ink)
    for points, tone in within([(p * (-1, 1), t) for p, t in shapes], 0.84):
        if tone < 2:
            pen.erase(points)
            pen.hatch(points, 2 * tone)
        else:
            pen.polygon(points, pen.ink)
    for bar in _bars(0.12):
        pen.erase(bar)


def _textile(pen: Pen, shapes: list[Shape]) -> None:
    step = float(pen.rng.choice([0.4, 0.5]))
    for row, y in enumerate(np.arange(-0.8, 0.8, step)):
        for x in np.arange(-1, 1.2, step) + step / 2 * (row % 2):
            pen.fill(ellipse(x, y, 0.48 * step, corners=4), 1)
            pen.polygon(star(x, y, 0.22 * step, 6), pen.ink)
    for x in np.arange(-0.98, 1, 0.1):
        pen.line(np.array([(x, 0.78), (x, 1)]), pen.hand.palette[2], 3)


def _lace(pen: Pen, shapes: list[Shape]) -> None:
    for y in np.arange(-0.8, 0.9, 0.32):
        for x in np.arange(-0.85, 0.95, 0.34):
            pen.polygon(ellipse(x, y, 0.12), (44, 42, 46))
    rose = star(0, 0, 0.6, int(pen.rng.integers(5, 9)), 0.6)
    pen.erase(rose * 1.15)
    pen.hatch(rose, 2)
    pen.stroke(rose, closed=True)


def _bookplate(pen: Pen, shapes: list[Shape]) -> None:
    etched(pen, within(shapes[1:], 0.5, y=-0.2))
    pen.stroke(ellipse(0, -0.2, 0.7, 0.66), closed=True, width=1.4)
    for y in (0.66, 0.82):
        pen.stroke(np.array([(-0.5, y), (0.5, y)]))


@dataclass(frozen=True)
class Motif:
    """A type of object; not every one shows the subject whose shapes `decorate` is given."""

    outline: Callable[[Rng], Points]
    decorate: Callable[[Pen, list[Shape]], None]
    aspect: tuple[float, float] = (1.0, 1.0)  # smallest and largest width / height
    roundness: float = 0.0  # 0 a sheet, 1 a body
    reach: float = 0.86  # how far from the middle the maker's mark stands


def _sheet(rng: Rng) -> Points:
    return rectangle(-1, -1, 1, 1) + rng.normal(0, 0.012, (4, 2))


def _disc(rng: Rng) -> Points:
    return ellipse(0, 0, 1, corners=40)


def _vessel(rng: Rng) -> Points:
    neck, belly, foot = rng.uniform(0.2, 0.38), rng.uniform(0.6, 0.8), rng.uniform(0.25, 0.42)
    return turned([-1, -0.8, -0.45, 0.0, 0.3, 0.8, 1], [neck + 0.14, neck, neck, belly, belly, foot, foot + 0.1])


def _figure(rng: Rng) -> Points:
    hip = rng.uniform(0.28, 0.4)
    widths = [0.06, 0.22, 0.2, 0.09, 0.42, 0.3, hip, 0.38, 0.38, 0.56, 0.56]
    return turned([-1, -0.88, -0.65, -0.5, -0.38, 0.0, 0.3, 0.62, 0.66, 0.68, 1], widths)


def _carcass(rng: Rng) -> Points:
    left = [(-0.95, -0.85), (-0.95, -0.74), (-0.8, -0.7), (-0.8, 1), (-0.62, 1), (-0.5, 0.66)]
    return np.array([(0, rng.uniform(-1, -0.85)), *left[:1], *left[1:], *[(-x, y) for x, y in reversed(left)]])


def _sector(rng: Rng) -> Points:
    turn = np.linspace(-1.15, 1.15, 24)
    arc = np.stack([1.75 * np.sin(turn), 0.85 - 1.75 * np.cos(turn)], axis=1) * (0.62, 1)
    return np.concatenate([arc, [(0.08, 0.95), (-0.08, 0.95)]])


MOTIFS = {
    "prent": Motif(_sheet, _print, aspect=(0.75, 1.3)),
    "tekening": Motif(_sheet, _drawing, aspect=(0.75, 1.3)),
    "schilderij": Motif(_sheet, _painting, aspect=(0.75, 1.3)),
    "boek": Motif(_sheet, _book, aspect=(1.2, 1.4)),
    "kaart": Motif(_sheet, _map, aspect=(1.0, 1.4)),
    "penning": Motif(_disc, _coin, roundness=0.4, reach=0.42),
    "bord": Motif(_disc, _plate, roundness=0.3, reach=0.42),
    "tegel": Motif(_sheet, _tile, reach=0.5),
    "vaas": Motif(_vessel, _vase, aspect=(0.75, 0.95), roundness=0.7, reach=0.34),
    "beeld": Motif(_figure, _statue, aspect=(0.8, 1.0), roundness=0.7, reach=0.2),
    "meubel": Motif(_carcass, _cabinet, aspect=(0.8, 1.1), roundness=0.2, reach=0.6),
    "waaier": Motif(_sector, _fan, aspect=(1.1, 1.3), reach=0.3),
    "affiche": Motif(_sheet, _poster, aspect=(0.65, 0.8)),
    "handschrift": Motif(_sheet, _manuscript, aspect=(0.7, 1.0)),
    "drukblok": Motif(_sheet, _woodblock, aspect=(0.75, 1.3)),
    "textiel": Motif(_sheet, _textile, aspect=(0.7, 1.2)),
    "kant": Motif(_sheet, _lace, aspect=(1.0, 1.5)),
    "exlibris": Motif(_sheet, _bookplate, aspect=(0.7, 0.85)),
    "globe": Motif(_disc, _map, roundness=0.7, reach=0.42),
    "zonnewijzer": Motif(_disc, _bookplate, roundness=0.3, reach=0.42),
    "kamerscherm": Motif(_carcass, _textile, aspect=(1.2, 1.4), reach=0.6),
}
