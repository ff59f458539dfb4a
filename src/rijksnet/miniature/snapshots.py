"""Everyday things, for the drawn photographs that stand in for ImageNet: none of them is a museum's type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from rijksnet.miniature.brushes import (
    CANVAS,
    Canvas,
    Colour,
    Ground,
    Points,
    blob,
    colour_of,
    ellipse,
    lift,
    noise,
    rectangle,
    shade,
    star,
    texture,
    to_image,
    turned,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Rng = np.random.Generator
#: A part of a thing: its outline and its colour, from back to front.
Part = tuple[Points, Colour]


def _any(rng: Rng, value: float = 0.75) -> Colour:
    """Any colour of about the given brightness."""
    return colour_of(rng.random(), rng.uniform(0.3, 0.9), value + rng.uniform(-0.15, 0.15))


def _near(rng: Rng, hue: float, saturation: float, value: float) -> Colour:
    """A colour near the given one."""
    return colour_of(hue + rng.normal(0, 0.025), saturation + rng.normal(0, 0.1), value + rng.normal(0, 0.1))


def _bar(start: tuple[float, float], end: tuple[float, float], width: float) -> Points:
    """A straight bar from one point to another."""
    a, b = np.array(start), np.array(end)
    along = (b - a) / np.hypot(*(b - a))
    side = width / 2 * np.array((-along[1], along[0]))
    return np.array([a + side, b + side, b - side, a - side])


# --- things before a background --------------------------------------------------------------------------------------


def ball(rng: Rng) -> list[Part]:
    parts = [(ellipse(0, 0, 0.8), _any(rng))]
    second = _any(rng)
    for k in range(0, 6, 2):
        turn = np.linspace(k, k + 1, 8) * np.pi / 3
        wedge = np.stack([0.8 * np.cos(turn), 0.8 * np.sin(turn)], axis=1)
        parts.append((np.concatenate([wedge, [(0.1, -0.1)]]), second))
    return parts


def apple(rng: Rng) -> list[Part]:
    skin = _near(rng, rng.choice([0.98, 0.25]), 0.8, 0.7)
    parts = [(_bar((0, -0.5), (0.12, -0.95), 0.09), (80, 52, 30))]
    parts += [(ellipse(x, 0.1, 0.5, 0.66), skin) for x in (-0.28, 0.28)]
    return [*parts, (ellipse(0.36, -0.8, 0.26, 0.1), _near(rng, 0.32, 0.7, 0.5))]


def orange(rng: Rng) -> list[Part]:
    skin = _near(rng, 0.08, 0.85, 0.9)
    return [(ellipse(0, 0, 0.72, 0.68), skin), (star(0, -0.5, 0.12, 5), _near(rng, 0.3, 0.6, 0.4))]


def cup(rng: Rng) -> list[Part]:
    colour, inside = _any(rng, 0.8), _near(rng, 0.07, 0.6, 0.3)
    body = np.array([(-0.6, -0.55), (0.6, -0.55), (0.45, 0.7), (-0.45, 0.7)])
    handle = [(ellipse(0.58, 0.0, 0.34, 0.36), colour), (ellipse(0.58, 0.0, 0.2, 0.22), (120, 120, 124))]
    return [*handle, (body, colour), (ellipse(0, -0.55, 0.6, 0.16), inside)]


def tree(rng: Rng) -> list[Part]:
    leaves = _near(rng, 0.3, 0.6, 0.45)
    parts = [(_bar((0, -0.2), (0, 1), rng.uniform(0.14, 0.24)), _near(rng, 0.07, 0.5, 0.35))]
    return parts + [(blob(rng, 0.45) + rng.uniform((-0.35, -0.7), (0.35, -0.1)), leaves) for _ in range(4)]


def conifer(rng: Rng) -> list[Part]:
    needles = _near(rng, 0.38, 0.5, 0.35)
    parts = [(_bar((0, 0.4), (0, 1), 0.16), _near(rng, 0.07, 0.5, 0.3))]
    tiers = [
        np.array([(-w, y + 0.55), (w, y + 0.55), (0, y - 0.2)]) for w, y in ((0.65, 0.2), (0.5, -0.2), (0.35, -0.65))
    ]
    return parts + [(tier, needles) for tier in tiers]


def house(rng: Rng) -> list[Part]:
    wall, glass = _any(rng, 0.8), _near(rng, 0.58, 0.3, 0.4)
    roof = np.array([(-0.9, -0.15), (0, -rng.uniform(0.7, 1.0)), (0.9, -0.15)])
    parts = [(rectangle(-0.75, -0.2, 0.75, 0.8), wall), (roof, _near(rng, 0.03, 0.6, 0.5))]
    parts += [(rectangle(x - 0.15, 0.02, x + 0.15, 0.34), glass) for x in (-0.42, 0.42)]
    return [*parts, (rectangle(-0.14, 0.3, 0.14, 0.8), _any(rng, 0.4))]


def fish(rng: Rng) -> list[Part]:
    colour = _any(rng)
    parts = [
        (np.array([(0.4, 0), (0.95, -0.45), (0.85, 0), (0.95, 0.45)]), _any(rng, 0.6)),
        (np.array([(-0.2, -0.3), (0.2, -0.7), (0.3, -0.2)]), _any(rng, 0.6)),
        (ellipse(-0.1, 0, 0.65, 0.4), colour),
    ]
    parts += [(_bar((x, -0.25), (x + 0.06, 0.25), 0.06), _any(rng, 0.5)) for x in (0.0, 0.2)]
    return [*parts, (ellipse(-0.5, -0.1, 0.09), (240, 240, 240)), (ellipse(-0.5, -0.1, 0.045), (16, 16, 16))]


def leaf(rng: Rng) -> list[Part]:
    colour = _near(rng, rng.choice([0.3, 0.12, 0.05]), 0.7, 0.6)
    vein = shade(colour, 0.6)
    y = np.linspace(-0.85, 0.75, 20)
    half = 0.45 * np.sin(np.pi * (y + 0.85) / 1.6) ** 0.8
    blade = np.concatenate([np.stack([half, y], axis=1), np.stack([-half, y], axis=1)[::-1]])
    veins = [_bar((0, y), (side * 0.3, y - 0.22), 0.04) for y in (-0.2, 0.1, 0.4) for side in (-1, 1)]
    return [(blade, colour), *((v, vein) for v in [_bar((0, -0.8), (0, 1), 0.06), *veins])]


def car(rng: Rng) -> list[Part]:
    paint = _any(rng, 0.7)
    cabin = np.array([(-0.5, -0.1), (-0.3, -0.5), (0.3, -0.5), (0.55, -0.1)])
    windows = [np.array([(-0.38, -0.12), (-0.24, -0.42), (-0.03, -0.42), (-0.03, -0.12)])]
    windows.append(np.array([(0.05, -0.12), (0.05, -0.42), (0.25, -0.42), (0.42, -0.12)]))
    body = np.array([(-0.95, 0.3), (-0.92, -0.05), (-0.5, -0.12), (0.55, -0.12), (0.92, 0.02), (0.95, 0.3)])
    wheels = [
        (ellipse(x, 0.3, r), c) for x in (-0.52, 0.52) for r, c in ((0.24, (24, 24, 26)), (0.11, (170, 170, 176)))
    ]
    return [(cabin, paint), (body, paint), *((w, _near(rng, 0.55, 0.3, 0.35)) for w in windows), *wheels]


def umbrella(rng: Rng) -> list[Part]:
    colours = (_any(rng), _any(rng))
    parts: list[Part] = [(_bar((0, -0.2), (0, 0.9), 0.07), (60, 44, 34))]
    for k, left in enumerate(np.linspace(-0.9, 0.54, 5)):
        parts.append((np.array([(left, 0.05), (left + 0.18, -0.05), (left + 0.36, 0.05), (0, -0.75)]), colours[k % 2]))
    return parts


def mushroom(rng: Rng) -> list[Part]:
    turn = np.linspace(np.pi, 2 * np.pi, 16)
    cap = np.stack([0.85 * np.cos(turn), 0.05 + 0.8 * np.sin(turn)], axis=1)
    parts = [(turned([0, 0.4, 0.9], [0.2, 0.17, 0.28]), (226, 214, 190)), (cap, _near(rng, 0.02, 0.8, 0.7))]
    return parts + [(ellipse(x, y, 0.1), (240, 236, 226)) for x, y in ((-0.45, -0.15), (0, -0.5), (0.4, -0.2))]


def blossom(rng: Rng) -> list[Part]:
    petals, size = int(rng.integers(5, 10)), rng.uniform(0.26, 0.36)
    colour = _any(rng, 0.85)
    parts = [(_bar((0, 0), (rng.uniform(-0.2, 0.2), 1), 0.08), _near(rng, 0.33, 0.6, 0.4))]
    parts += [(ellipse(x, y - 0.2, size), colour) for x, y in ellipse(0, 0, 0.48, corners=petals)]
    return [*parts, (ellipse(0, -0.2, 0.24), _near(rng, 0.13, 0.8, 0.8))]


def key(rng: Rng) -> list[Part]:
    metal = _near(rng, 0.12, rng.choice([0.1, 0.6]), 0.65)
    hole = (60, 60, 62)
    parts = [(ellipse(-0.6, 0, 0.34), metal), (ellipse(-0.6, 0, 0.16), hole), (_bar((-0.3, 0), (0.9, 0), 0.14), metal)]
    return parts + [(rectangle(x, 0, x + 0.12, 0.3), metal) for x in (0.45, 0.72)]


def ladder(rng: Rng) -> list[Part]:
    wood = _near(rng, 0.08, 0.5, 0.6)
    rails = [_bar((s * 0.45, 1), (s * 0.35, -1), 0.11) for s in (-1, 1)]
    return [(p, wood) for p in [*rails, *(_bar((-0.42, y), (0.42, y), 0.09) for y in np.linspace(-0.75, 0.8, 6))]]


def starfish(rng: Rng) -> list[Part]:
    colour = _near(rng, 0.06, 0.7, 0.8)
    dots = [ellipse(x, y, 0.05) for r in (0.25, 0.5) for x, y in ellipse(0, 0, r, corners=5)]
    return [(star(0, 0, 0.95, 5, 0.38), colour), *((d, (236, 206, 170)) for d in dots)]


_THINGS: tuple[Callable[[Rng], list[Part]], ...] = (
    ball, apple, orange, cup, tree, conifer, house, fish, leaf, car, umbrella, mushroom, blossom, key, ladder, starfish,
)  # fmt: skip
THINGS = {thing.__name__: thing for thing in _THINGS}

# --- surfaces that fill the picture ----------------------------------------------------------------------------------


def bricks(canvas: Canvas, rng: Rng) -> None:
    clay, height = _near(rng, 0.03, 0.55, 0.6), rng.uniform(0.2, 0.3)
    canvas.polygon(rectangle(-3, -3, 3, 3), (176, 170, 160))
    for row, y in enumerate(np.arange(-2, 2, height)):
        for x in np.arange(-2.4, 2.4, 2.2 * height) + 1.1 * height * (row % 2):
            canvas.polygon(rectangle(x, y, x + 2.05 * height, y + 0.82 * height), shade(clay, rng.uniform(0.75, 1.1)))


def fence(canvas: Canvas, rng: Rng) -> None:
    wood, step = _any(rng, 0.7), rng.uniform(0.26, 0.4)
    for y in (-0.4, 0.5):
        canvas.polygon(rectangle(-2, y, 2, y + 0.14), shade(wood, 0.7))
    for x in np.arange(-1.8, 1.8, step):
        right = x + 0.6 * step
        canvas.polygon(np.array([(x, 2), (x, -0.7), ((x + right) / 2, -0.9), (right, -0.7), (right, 2)]), wood)


def zebra(canvas: Canvas, rng: Rng) -> None:
    canvas.polygon(rectangle(-3, -3, 3, 3), (226, 222, 214))
    y = np.linspace(-2.2, 2.2, 24)
    step, bend, phase = rng.uniform(0.24, 0.36), rng.uniform(0.08, 0.2), rng.uniform(0, 6.3)
    for x in np.arange(-2.4, 2.4, step):
        swing = x + bend * np.sin(2.5 * y + phase + 0.8 * x)
        half = step * (0.25 + 0.06 * np.sin(4 * y + x))
        stripe = np.concatenate([np.stack([swing - half, y], axis=1), np.stack([swing + half, y], axis=1)[::-1]])
        canvas.polygon(stripe, (30, 26, 26))


def ripples(canvas: Canvas, rng: Rng) -> None:
    water = rng.uniform(0.5, 0.6)
    canvas.polygon(rectangle(-3, -3, 3, 3), _near(rng, water, 0.5, 0.45))
    x = np.linspace(-2.2, 2.2, 40)
    for y in np.arange(-2, 2, rng.uniform(0.14, 0.24)):
        wave = y + 0.05 * np.sin(9 * x + rng.uniform(0, 6.3)) + 0.03 * np.sin(17 * x)
        canvas.line(np.stack([x, wave], axis=1), _near(rng, water, 0.25, 0.8), rng.uniform(3, 6))


def pebbles(canvas: Canvas, rng: Rng) -> None:
    canvas.polygon(rectangle(-3, -3, 3, 3), (60, 56, 52))
    step = rng.uniform(0.28, 0.4)
    for x in np.arange(-1.6, 1.6, step):
        for y in np.arange(-1.6, 1.6, step):
            at = np.array((x, y)) + rng.normal(0, 0.05, 2)
            canvas.polygon(blob(rng, 0.46 * step) + at, _near(rng, 0.09, 0.15, rng.uniform(0.45, 0.8)))


def plaid(canvas: Canvas, rng: Rng) -> None:
    canvas.polygon(rectangle(-3, -3, 3, 3), _any(rng))
    step, colours = rng.uniform(0.4, 0.65), (_any(rng, 0.5), _any(rng, 0.85))
    for colour, width, start in ((colours[0], 0.42, 0.0), (colours[1], 0.14, 0.6)):
        for at in np.arange(-2, 2, step) + start * step:
            canvas.polygon(rectangle(at, -3, at + width * step, 3), colour)
        for at in np.arange(-2, 2, step) + start * step:
            canvas.polygon(rectangle(-3, at, 3, at + width * step * 0.8), colour)


def net(canvas: Canvas, rng: Rng) -> None:
    rope, step = _any(rng, 0.8), rng.uniform(0.3, 0.5)
    for at in np.arange(-4, 4, step):
        for slope in (-1, 1):
            canvas.line(np.array([(at - 2, -2 * slope), (at + 2, 2 * slope)]), rope, 5)


def rain(canvas: Canvas, rng: Rng) -> None:
    for x, y in rng.uniform(-1.5, 1.5, (70, 2)):
        length = rng.uniform(0.2, 0.5)
        canvas.line(np.array([(x, y), (x - 0.45 * length, y + length)]), _near(rng, 0.6, 0.1, 0.85), rng.uniform(2, 4))


def grass(canvas: Canvas, rng: Rng) -> None:
    green = rng.uniform(0.2, 0.36)
    for x, y in rng.uniform(-1.4, 1.5, (130, 2)):
        tip = (x + rng.normal(0, 0.12), y - rng.uniform(0.4, 0.8))
        canvas.line(np.array([(x, y), tip]), _near(rng, green, 0.6, 0.55), rng.uniform(3, 6))


_SURFACES: tuple[Callable[[Canvas, Rng], None], ...] = (
    bricks, fence, zebra, ripples, pebbles, plaid, net, rain, grass,
)  # fmt: skip
SURFACES = {surface.__name__: surface for surface in _SURFACES}


def snapshot(name: str, place: Points, rng: Rng) -> Image.Image:
    """A canvas that shows the named thing or surface at the given place, before a background of its own."""
    tint = colour_of(rng.random(), rng.uniform(0.05, 0.55), rng.uniform(0.35, 0.85))
    scene = texture(Ground(tint, mottle=rng.uniform(0.05, 0.25), grain=rng.uniform(0.02, 0.1)), rng)
    if name in SURFACES:
        SURFACES[name](Canvas(scene, place), rng)
        return _worn(scene, rng, 0.1)
    parts = THINGS[name](rng)
    layer = Canvas(Image.new("RGB", (CANVAS, CANVAS)), place)
    for points, colour in parts:
        layer.polygon(points, colour)
    mask = layer.mask(*(points for points, _ in parts))
    return lift(scene, _worn(layer.image, rng, 0.05), mask, roundness=rng.uniform(0.2, 0.7))


def _worn(image: Image.Image, rng: Rng, wear: float) -> Image.Image:
    """The image, its brightness uneven in blotches and in grain."""
    unevenness = 1 + wear * noise(rng, 40, 40) + 0.035 * noise(rng, 4, 4)
    return to_image(np.asarray(image, dtype=np.float32) * unevenness[..., None])
