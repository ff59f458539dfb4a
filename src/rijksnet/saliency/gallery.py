"""The picture of it all: a row an object, and beside its image what each network looks at, by each method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rijksnet.rendering.canvas import INK, MUTED, headline, new_figure, png

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

#: Rows of a gallery; further objects are measured, not shown.
ROWS = 8

RIGHT, WRONG = "#1b7a3d", "#b3261e"

#: The share of the largest values that are drawn alike, so that single pixels do not leave all others dark.
CLIPPED = 0.01


@dataclass(frozen=True)
class GalleryPart:
    """One network's share of a gallery: its answers, and its maps by method."""

    name: str  #: such as θ
    answers: Sequence[str]
    maps: Mapping[str, NDArray[np.float32]]  #: (n, H, W) in [0, 1], by the method's title


def gallery(pixels: NDArray[np.uint8], labels: Sequence[str], networks: Sequence[GalleryPart], title: str) -> bytes:
    """The first ROWS objects as PNG: their images, then for each method the maps of each network, side by side.

    Args:
        pixels: uint8 (n, H, W, 3).
        labels: the objects' classes, n.
    """
    methods = list(networks[0].maps)
    rows, columns = min(ROWS, len(pixels)), 1 + len(methods) * len(networks)
    figure = new_figure(1.25 * columns + 0.5, 1.52 * rows + 0.7)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for row in range(rows):
        _picture(grid[row][0], pixels[row], "image" if row == 0 else "", labels[row], INK)
        grey = np.asarray(pixels[row]).mean(2) / 255
        for i, (method, network) in enumerate((m, n) for m in methods for n in networks):
            right = network.answers[row] == labels[row]
            heading = f"{method}\n{network.name}" if row == 0 else ""
            verdict = f"{'✓' if right else '✗'} {network.answers[row]}"
            shown = over(grey, network.maps[method][row])
            _picture(grid[row][1 + i], shown, heading, verdict, RIGHT if right else WRONG)
    headline(figure, title)
    return png(figure)


def _picture(axes, image, heading: str, caption: str, colour: str) -> None:  # type: ignore[no-untyped-def]
    axes.imshow(image, interpolation="nearest", vmin=0, vmax=1)
    axes.text(0.5, -0.03, _short(caption), transform=axes.transAxes, ha="center", va="top", fontsize=7.5, color=colour)
    if heading:
        axes.set_title(heading, fontsize=8, color=MUTED)


def over(grey: NDArray[np.float64], saliency: NDArray[np.float32]) -> NDArray[np.float64]:
    """The map in colour over the image in grey: the more salient, the less the image shows through."""
    from matplotlib import colormaps

    shown = np.clip(saliency / max(float(np.quantile(saliency, 1 - CLIPPED)), 1e-12), 0, 1)
    colour = colormaps["inferno"](0.15 + 0.8 * shown)[..., :3]
    weight = 0.25 + 0.65 * shown[..., np.newaxis]
    mixed: NDArray[np.float64] = weight * colour + (1 - weight) * grey[..., np.newaxis]
    return mixed


def _short(text: str) -> str:
    return text if len(text) <= 22 else text[:21] + "…"
