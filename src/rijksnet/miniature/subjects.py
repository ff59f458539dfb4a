"""What museum objects show: subjects as shapes, and the ways in which a hand draws them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rijksnet.miniature.brushes import Points, blob, ellipse, rectangle, star, turned, wavy

if TYPE_CHECKING:
    from collections.abc import Callable

    from rijksnet.miniature.brushes import Pen

#: A closed outline and its tone: 0 (light) to 3 (dark).
Shape = tuple[Points, int]
Rng = np.random.Generator

# --- subjects: shapes from back to front, the first one the background ----------------------------------------------


def _tree(rng: Rng, x: float, y: float, size: float) -> list[Shape]:
    trunk = rectangle(x - 0.08 * size, y - size, x + 0.08 * size, y)
    return [(trunk, 3), (blob(rng, 0.5 * size) + np.array((x, y - size)), int(rng.integers(2, 4)))]


def _house(x: float, y: float, size: float) -> list[Shape]:
    walls = rectangle(x - 0.4 * size, y - 0.5 * size, x + 0.4 * size, y)
    roof = np.array([(x - 0.5 * size, y - 0.5 * size), (x, y - size), (x + 0.5 * size, y - 0.5 * size)])
    return [(walls, 0), (roof, 3), (rectangle(x - 0.1 * size, y - 0.3 * size, x + 0.1 * size, y), 2)]


def landscape(rng: Rng) -> list[Shape]:
    horizon = rng.uniform(-0.15, 0.25)
    hills = np.concatenate([wavy(rng, horizon - 0.2, 0.13), [(1, horizon + 0.1), (-1, horizon + 0.1)]])
    shapes = [
        (rectangle(-1, -1, 1, 1), 0),
        (ellipse(rng.uniform(-0.7, 0.7), rng.uniform(-0.8, -0.5), 0.16), 1),
        (hills, 2),
        (rectangle(-1, horizon, 1, 1), 1),
    ]
    if rng.random() < 0.6:
        shapes += _house(rng.uniform(-0.5, 0.5), horizon + 0.2, rng.uniform(0.4, 0.7))
    for x in rng.uniform(-0.8, 0.8, rng.integers(1, 4)):
        shapes += _tree(rng, x, horizon + rng.uniform(0.2, 0.6), rng.uniform(0.45, 0.8))
    return shapes


def seascape(rng: Rng) -> list[Shape]:
    sea = rng.uniform(0.1, 0.4)
    x, size = rng.uniform(-0.25, 0.25), rng.uniform(0.7, 1.0)
    hull = np.array([(-0.55, -0.12), (0.6, -0.15), (0.42, 0.14), (-0.4, 0.14)])
    sails = (
        np.array([(-0.04, -1.1), (-0.04, -0.2), (-0.5, -0.2)]),
        np.array([(0.04, -1.0), (0.5, -0.22), (0.04, -0.22)]),
    )
    waves = np.concatenate([wavy(rng, sea, 0.03), [(1, 1), (-1, 1)]])
    ship: list[Shape] = [(hull, 3), (rectangle(-0.03, -1.15, 0.03, -0.1), 3), (sails[0], 0), (sails[1], 1)]
    cloud = blob(rng, 0.25) + np.array((rng.uniform(-0.7, 0.7), -0.7))
    return [
        (rectangle(-1, -1, 1, 1), 0),
        (cloud, 1),
        (waves, 2),
        *((p * size + np.array((x, sea)), t) for p, t in ship),
    ]


def portrait(rng: Rng) -> list[Shape]:
    x, face = rng.uniform(-0.12, 0.12), rng.uniform(0.27, 0.36)
    shoulders = turned([0.3, 0.5, 1.0], [0.15, 0.55, rng.uniform(0.7, 0.9)]) + np.array((x, 0))
    hair = ellipse(x, -0.22, face + rng.uniform(0.06, 0.16), 1.35 * face)
    shapes: list[Shape] = [
        (rectangle(-1, -1, 1, 1), int(rng.integers(1, 3))),
        (hair, 3),
        (shoulders, 3),
        (ellipse(x, 0.38, 0.32, 0.12), 0),
        (ellipse(x, -0.12, face, 1.3 * face), 0),
        (ellipse(x - 0.4 * face, -0.18, 0.045), 3),
        (ellipse(x + 0.4 * face, -0.18, 0.045), 3),
        (ellipse(x, 0.12, 0.1, 0.03), 2),
    ]
    if rng.random() < 0.5:
        shapes.append((rectangle(x - 0.6, -0.5, x + 0.6, -0.42), 3))
        shapes.append((rectangle(x - 0.33, -0.85, x + 0.33, -0.45), 2))
    return shapes


def flowers(rng: Rng) -> list[Shape]:
    shapes: list[Shape] = [(rectangle(-1, -1, 1, 1), int(rng.integers(0, 2)))]
    for x in np.linspace(-0.5, 0.5, rng.integers(2, 4)) + rng.uniform(-0.1, 0.1):
        y = rng.uniform(-0.6, 0.0)
        shapes.append((np.array([(x - 0.03, y), (x + 0.03, y), (0.06, 0.9), (0.0, 0.9)]), 3))
        shapes.append((ellipse(0.6 * x + 0.14, 0.45, 0.2, 0.08), 2))
        shapes.append((star(x, y, rng.uniform(0.3, 0.4), int(rng.integers(5, 8)), 0.55), 2))
        shapes.append((ellipse(x, y, 0.11), 1))
    return shapes


def bird(rng: Rng) -> list[Shape]:
    shapes: list[Shape] = [
        (rectangle(-1, -1, 1, 1), 0),
        (np.array([(-0.9, 0.62), (0.9, 0.5), (0.9, 0.6), (-0.9, 0.74)]), 3),
        (np.array([(0.3, 0.0), (0.95, 0.2), (0.9, 0.42)]), 3),
        (ellipse(0, 0.1, 0.52, 0.36), 1),
        (ellipse(-0.42, -0.3, 0.26), 1),
        (np.array([(-0.64, -0.36), (-0.95, -0.24), (-0.64, -0.2)]), 3),
        (ellipse(-0.46, -0.34, 0.055), 3),
        (np.array([(-0.25, 0.0), (0.45, -0.1), (0.6, 0.25), (0.0, 0.3)]), 2),
    ]
    side = rng.choice([-1.0, 1.0])
    return [(points * (side, 1.0), tone) for points, tone in shapes]


SUBJECTS: dict[str, Callable[[Rng], list[Shape]]] = {
    "landschap": landscape,
    "zeegezicht": seascape,
    "portret": portrait,
    "bloemen": flowers,
    "vogel": bird,
}

# --- ways to draw a subject ----------------------------------------------------------------------------------------


def etched(pen: Pen, shapes: list[Shape]) -> None:
    """One ink: outlines, and hatching for tone."""
    for points, tone in shapes:
        pen.erase(points)
        pen.hatch(points, tone)
        pen.stroke(points, closed=True)


def sketched(pen: Pen, shapes: list[Shape]) -> None:
    """Loose open outlines, the dark parts hatched wide, here and there a wash."""
    for points, tone in shapes[1:]:
        pen.erase(points)
        if tone == 2:
            pen.polygon(points * 0.96, pen.hand.palette[0])
        pen.hatch(points, tone // 2)
        pen.stroke(points * pen.rng.uniform(0.97, 1.03), width=0.7)


def painted(pen: Pen, shapes: list[Shape]) -> None:
    """Colour all over."""
    for points, tone in shapes:
        pen.fill(points, tone)


def within(shapes: list[Shape], half_width: float, half_height: float | None = None, y: float = 0.0) -> list[Shape]:
    """The shapes, shrunk."""
    return [(p * (half_width, half_width if half_height is None else half_height) + (0, y), t) for p, t in shapes]
