"""Brushes of the drawn collections: shapes, grounds, hands, and how a drawn thing is photographed.

Everything is drawn in unit coordinates: a thing spans [-1, 1] in x (to the right) and y (downwards), and a placement,
a (2, 3) affine matrix, says where it lies on a square canvas of `CANVAS` px. Halved when it is exposed, the canvas
gives an image of `SIDE` px with smooth edges.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

#: Side of an image and of the canvas it is drawn on, px.
SIDE, CANVAS = 96, 192

#: Side of the noise atlas that textures are cut from, px.
_ATLAS = 512

Points = NDArray[np.float64]
Field = NDArray[np.float32]
Colour = tuple[int, int, int]


# --- shapes: points of shape (n, 2) in unit coordinates ------------------------------------------------------------


def rectangle(left: float, top: float, right: float, bottom: float) -> Points:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def ellipse(x: float, y: float, rx: float, ry: float | None = None, corners: int = 24) -> Points:
    """An ellipse, or with few corners a regular polygon that stands on a side or points up."""
    turn = 2 * np.pi * np.arange(corners) / corners - np.pi / 2
    return np.stack([x + rx * np.cos(turn), y + (rx if ry is None else ry) * np.sin(turn)], axis=1)


def star(x: float, y: float, radius: float, tips: int, waist: float = 0.4) -> Points:
    points = ellipse(0, 0, radius, corners=2 * tips)
    points[1::2] *= waist
    points += (x, y)
    return points


def blob(rng: np.random.Generator, radius: float, roughness: float = 0.25) -> Points:
    """An irregular round about the origin: a crown, a stain, an island."""
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    waves = sum(rng.uniform(-1, 1) / k * np.sin(k * turn + rng.uniform(0, 6.3)) for k in (2, 3, 5))
    reach = radius * (1 + roughness * waves)
    return np.stack([reach * np.cos(turn), reach * np.sin(turn)], axis=1)


def turned(heights: list[float], widths: list[float]) -> Points:
    """A body of revolution seen from the side: half widths at the given heights (top to bottom), smoothed."""
    y = np.linspace(heights[0], heights[-1], 40)
    w = np.interp(y, heights, widths)
    w = np.convolve(np.pad(w, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    return np.concatenate([np.stack([w, y], axis=1), np.stack([-w, y], axis=1)[::-1]])


def wavy(rng: np.random.Generator, y: float, height: float) -> Points:
    """A line of hills from left to right, shape (17, 2)."""
    x = np.linspace(-1, 1, 17)
    swing = np.sin(x * rng.uniform(2, 5) + rng.uniform(0, 6.3)) + 0.4 * np.sin(x * rng.uniform(6, 9))
    return np.stack([x, y + height * swing], axis=1)


# --- grounds: what a thing is made of ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ground:
    """A material's surface; strengths are fractions of its colour's brightness."""

    colour: Colour
    spread: float = 0.05  # how much the colour differs between two objects
    mottle: float = 0.0  # blotches
    grain: float = 0.0  # fine noise
    stretch: int = 1  # how much longer than wide the grain runs
    warp: float = 0.0  # upright threads
    weft: float = 0.0  # level threads or laid lines
    sheen: float = 0.0  # streaks of reflected light
    gloss: float = 0.0  # one bright highlight
    opacity: float = 1.0  # less lets the backdrop show through


@cache
def _atlas(width: int, height: int) -> Field:
    """Smooth noise whose blotches measure `width` by `height` px; mean 0, deviation 1."""
    rng = np.random.default_rng((width, height))
    coarse = rng.standard_normal((_ATLAS // height, _ATLAS // width), dtype=np.float32)
    field = np.asarray(Image.fromarray(coarse).resize((_ATLAS, _ATLAS), Image.Resampling.BICUBIC))
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def noise(rng: np.random.Generator, width: int, height: int) -> Field:
    """A random cut of smooth noise, shape (CANVAS, CANVAS), mean about 0, deviation about 1."""
    row, column = rng.integers(0, _ATLAS - CANVAS, 2)
    return _atlas(width, height)[row : row + CANVAS, column : column + CANVAS]


def texture(ground: Ground, rng: np.random.Generator, brightness: float = 1.0) -> Image.Image:
    """A canvas covered with the material."""
    axis = np.arange(CANVAS, dtype=np.float32)
    field = ground.mottle * noise(rng, 40, 40) + ground.grain * noise(rng, 4 * ground.stretch, 4)
    for strength, shape in ((ground.warp, (1, -1)), (ground.weft, (-1, 1))):
        if strength:
            threads = np.sin(axis * (2 * np.pi / rng.uniform(9, 13)) + rng.uniform(0, 6.3))
            field = field + strength * threads.reshape(shape) * (1 + 0.5 * noise(rng, 12, 12))
    if ground.sheen:
        field = field + ground.sheen * np.tanh(1.5 * noise(rng, 20, 128))
    if ground.gloss:
        x, y, radius = rng.uniform(0.3, 0.5), rng.uniform(0.25, 0.4), rng.uniform(0.06, 0.1)
        spot = (
            np.exp(-(((axis / CANVAS - x) / radius) ** 2)) * np.exp(-(((axis / CANVAS - y) / radius / 2) ** 2))[:, None]
        )
        field = field + ground.gloss * spot
    tint = brightness * (1 + ground.spread * (0.5 * rng.standard_normal(3) + rng.standard_normal()))
    colour = tint * np.array(ground.colour)
    return to_image((1 + field)[..., None] * colour.astype(np.float32))


def to_image(pixels: Field) -> Image.Image:
    """RGB image of an array of shape (height, width, 3), values clipped to [0, 255]."""
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


# --- canvas and hands ----------------------------------------------------------------------------------------------


def colour_of(hue: float, saturation: float, value: float) -> Colour:
    """RGB in 0–255 of hue (turns, any real), saturation and value in [0, 1]."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))
    return round(255 * red), round(255 * green), round(255 * blue)


def shade(colour: Colour, brightness: float) -> Colour:
    """The colour, darker or brighter."""
    red, green, blue = (min(255, round(brightness * channel)) for channel in colour)
    return red, green, blue


def placement(
    rng: np.random.Generator, scale: tuple[float, float], degrees: float, shift: float, shear: float = 0.0
) -> Points:
    """A random (2, 3) affine matrix from unit coordinates to canvas px."""
    turn = np.deg2rad(rng.uniform(-degrees, degrees))
    rotation = np.array([(np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))])
    slant = np.eye(2) + rng.uniform(-shear, shear, (2, 2))
    centre = 1 + rng.uniform(-shift, shift, (2, 1))
    return CANVAS / 2 * np.hstack([rng.uniform(*scale) * rotation @ slant, centre])


class Canvas:
    """An image and where unit coordinates lie on it."""

    def __init__(self, image: Image.Image, place: Points) -> None:
        self.image, self.place = image, place
        self._draw = ImageDraw.Draw(image)

    def pixels(self, points: Points) -> list[float]:
        flat: list[float] = (points @ self.place[:, :2].T + self.place[:, 2]).ravel().tolist()
        return flat

    def polygon(self, points: Points, colour: Colour) -> None:
        self._draw.polygon(self.pixels(points), fill=colour)

    def line(self, points: Points, colour: Colour, width: float) -> None:
        """Draw an open line; `width` is in canvas px."""
        self._draw.line(self.pixels(points), fill=colour, width=max(1, round(width)))

    def mask(self, *shapes: Points) -> Image.Image:
        """What the shapes cover: 255 inside, 0 outside."""
        mask = Image.new("L", self.image.size)
        draw = ImageDraw.Draw(mask)
        for points in shapes:
            draw.polygon(self.pixels(points), fill=255)
        return mask


@dataclass(frozen=True)
class Hand:
    """How a maker draws, whatever the object: colours, stroke, hatching and mark."""

    palette: tuple[Colour, Colour, Colour, Colour]  # light to dark; the last is the ink
    width: float  # stroke, canvas px
    angle: float  # hatching, radians
    spacing: float  # hatching, unit coordinates
    wave: float  # swing of a stroke, unit coordinates
    mark: int  # 0–4
    corner: int  # 0–3

    @classmethod
    def of(cls, traits: Points) -> Hand:
        """The hand with the given traits, shape (8,): hue and angle in turns, any real; the others cut to [0, 1)."""
        hue, angle = traits[[0, 4]].tolist()
        _, contrast, saturation, width, _, spacing, wave, mark = np.clip(traits, 0, 0.999).tolist()
        second = hue + 0.12 + 0.5 * contrast
        vivid = 0.35 + 0.45 * saturation
        return cls(
            palette=(
                colour_of(second + 0.1, 0.4 * vivid, 0.9),
                colour_of(second, vivid, 0.8),
                colour_of(hue, vivid, 0.62),
                colour_of(hue, 0.2 + vivid, 0.32),
            ),
            width=2.2 + 4.0 * width,
            angle=np.pi * angle,
            spacing=0.09 + 0.09 * spacing,
            wave=0.05 * max(0.0, wave - 0.3),
            mark=int(5 * mark),
            corner=int(20 * mark) % 4,
        )


class Pen(Canvas):
    """A canvas that one hand draws on."""

    def __init__(self, image: Image.Image, place: Points, hand: Hand, rng: np.random.Generator) -> None:
        super().__init__(image, place)
        self.hand, self.rng = hand, rng
        self._ground = image.copy()
        # The ground's relief, that shows through paint: its brightness over the brightest.
        grey = image.convert("L")
        brightest = max(1, int(np.asarray(grey).max()))
        relief = grey.point([min(255, 70 + v * 185 // brightest) for v in range(256)])
        self._relief = Image.merge("RGB", (relief, relief, relief))
        self._hatchings: dict[int, Image.Image] = {}

    @property
    def ink(self) -> Colour:
        return self.hand.palette[3]

    def _by_hand(self, points: Points) -> Points:
        """The line as the hand draws it: resampled evenly, swinging, never quite exact."""
        length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
        at = np.linspace(0, length[-1], max(3, int(length[-1] / 0.07)))
        even = np.stack([np.interp(at, length, points[:, k]) for k in (0, 1)], axis=1)
        swing = self.hand.wave * np.sin(at[:, None] * 14 + self.rng.uniform(0, 6.3, 2))
        return np.asarray(even + swing + self.rng.normal(0, 0.006, even.shape))

    def stroke(self, points: Points, closed: bool = False, width: float = 1.0, colour: Colour | None = None) -> None:
        """Draw a line by hand; `width` is relative to the hand's own stroke."""
        line = np.concatenate([points, points[:1]]) if closed else points
        self.line(self._by_hand(line), colour or self.ink, width * self.hand.width)

    def _hatching(self, tone: int) -> Image.Image:
        """Hatching over the whole canvas: wide apart (1), close (2), crossed (3)."""
        if tone not in self._hatchings:
            hatching = Image.new("L", self.image.size)
            draw = ImageDraw.Draw(hatching)
            step = self.hand.spacing * (2 if tone == 1 else 1)
            along = np.linspace(-1.5, 1.5, 24 if self.hand.wave else 2)
            for angle in (self.hand.angle, self.hand.angle + np.pi / 2)[: 2 if tone == 3 else 1]:
                rotation = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
                for offset in np.arange(-1.5, 1.5, step):
                    line = np.stack([along, offset + self.hand.wave * np.sin(along * 14 + offset)], axis=1)
                    draw.line(self.pixels(line @ rotation), fill=255, width=max(1, round(0.7 * self.hand.width)))
            self._hatchings[tone] = hatching
        return self._hatchings[tone]

    def hatch(self, points: Points, tone: int, colour: Colour | None = None) -> None:
        """Hatch the inside of a shape; `tone` is 1 (light) to 3 (crossed), 0 leaves it as it is."""
        if tone:
            covered = ImageChops.multiply(self.mask(points), self._hatching(tone))
            self.image.paste(colour or self.ink, mask=covered)

    def fill(self, points: Points, tone: int) -> None:
        """Cover a shape with a colour of the palette; brush strokes and the ground's relief show."""
        colour = self.hand.palette[tone]
        paint = ImageChops.multiply(Image.new("RGB", self.image.size, shade(colour, 1.12)), self._relief)
        self.image.paste(paint, mask=self.mask(points))
        self.hatch(points, 2, shade(colour, 0.82))

    def erase(self, points: Points) -> None:
        """Bring the bare ground back."""
        self.image.paste(self._ground, mask=self.mask(points))

    def sign(self, reach: float) -> None:
        """Set the maker's mark in the maker's corner, `reach` (0 to 1) away from the middle."""
        x, y = ((-1, -1), (1, -1), (1, 1), (-1, 1))[self.hand.corner]
        at = np.array((x * reach, y * reach))
        size = 0.13
        marks = (
            ellipse(0, 0, size, corners=3),
            ellipse(0, 0, size, corners=4),
            ellipse(0, 0, size),
            star(0, 0, size * 1.3, 4, 0.25),
            rectangle(-size, -size / 3, size, size / 3),
        )
        self.polygon(1.4 * marks[self.hand.mark] + at, self.hand.palette[0])
        self.polygon(marks[self.hand.mark] + at, self.ink)


# --- photography ---------------------------------------------------------------------------------------------------


def lift(
    backdrop: Image.Image, layer: Image.Image, mask: Image.Image, roundness: float = 0.0, opacity: float = 1.0
) -> Image.Image:
    """Set a thing before a backdrop: it throws a shadow, and as far as it is round (0 to 1) its edge is darker."""
    shadow = ImageChops.offset(mask, 5, 6).filter(ImageFilter.BoxBlur(5)).point([v // 2 for v in range(256)])
    scene = backdrop.copy()
    scene.paste((12, 12, 14), mask=shadow)
    if roundness:
        depth = ImageChops.offset(mask.filter(ImageFilter.BoxBlur(16)), 6, 5)
        shade = depth.point(
            [round(min(255.0, 255 * (1 - roundness) + roundness * (60 + 0.95 * v))) for v in range(256)]
        )
        layer = ImageChops.multiply(layer, Image.merge("RGB", (shade, shade, shade)))
    scene.paste(layer, mask=mask if opacity == 1.0 else mask.point([round(opacity * v) for v in range(256)]))
    return scene


def expose(
    scene: Image.Image, rng: np.random.Generator, light: Colour, gradient: float, grain: float, blur: float
) -> Image.Image:
    """Photograph a canvas: an image of SIDE px under uneven light of the given colour, with sensor noise.

    Args:
        light: colour of the light, 255 leaves a channel as it is.
        gradient: largest change of brightness from the middle to an edge, a fraction.
        grain: standard deviation of the noise, in steps of 0–255.
        blur: largest radius of the blur, canvas px.
    """
    if blur:
        scene = scene.filter(ImageFilter.GaussianBlur(rng.uniform(0, blur)))
    pixels = np.asarray(scene.reduce(CANVAS // SIDE), dtype=np.float32)
    axis = np.linspace(-1, 1, SIDE, dtype=np.float32)
    towards, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, gradient)
    illumination = 1 + strength * (np.cos(towards) * axis[None, :] + np.sin(towards) * axis[:, None])
    exposure = np.array(light, dtype=np.float32) / 255 * np.float32(rng.uniform(0.85, 1.1))
    sensor = grain * rng.standard_normal(pixels.shape, dtype=np.float32)
    return to_image(pixels * illumination[..., None] * exposure + sensor)
