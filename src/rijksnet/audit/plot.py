"""The audit's figures, as inline SVG: light, sharp in print, and with text that is text."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING

from rijksnet.rendering.canvas import INK, MUTED, new_figure, quiet_axes
from rijksnet.statistics.bands import BANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rijksnet.audit.facts import Band

#: The bands' colours, the page's too.
COLOURS = {"head": "#9fc5e0", "middle": "#cfe1ee", "tail": "#f1e6cd", "singletons": "#ecc9ab"}
#: `--line` of style.css.
LINE = "#0b5c8f"
#: Up to this many classes each is a dot.
DOTS = 40
#: From this share on, a part of a bar has room for its percentage.
ROOM = 0.09


def rank_frequency(counts: Sequence[int]) -> str:
    """Objects of a class by its rank, both logarithmic, with the bands of `BANDS` shaded; an SVG element.

    Args:
        counts: objects of each class, the largest first; at least one.
    """
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    figure, axes = _drawing(2.7, 0.17, 0.9)
    quiet_axes(axes, "", "rank of the class", "objects")
    axes.set(xscale="log", xlim=(_after(0), _after(len(counts))), yscale="log", ylim=(0.8, 1.25 * max(counts[0], 10)))
    for axis in (axes.xaxis, axes.yaxis):
        steps = (1,) if axis.get_view_interval()[1] >= 300 else (1, 2, 5)
        axis.set_major_locator(LogLocator(subs=steps))
        axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.minorticks_off()
    axes.grid(axis="y", color=INK, alpha=0.13)
    ends = [0, *(sum(n >= band.least for n in counts) for band in BANDS)]
    for band, (before, last) in zip(BANDS, pairwise(ends), strict=True):
        if last > before:
            axes.axvspan(_after(before), _after(last), facecolor=COLOURS[band.name], zorder=0, label=band.name)
    ranks = range(1, len(counts) + 1)
    axes.plot(ranks, counts, color=LINE, linewidth=1.5)
    if len(counts) <= DOTS:  # lines of no length with round ends: a marker is a definition, which `_svg` does without
        axes.vlines(ranks, counts, counts, color=LINE, linewidth=4.5, capstyle="round")
    flat = {"frameon": False, "borderpad": 0, "borderaxespad": 0, "handlelength": 0.8, "handletextpad": 0.5}
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.03), ncols=len(BANDS), fontsize=8.5, labelcolor=INK, **flat)
    said = f"The largest of {len(counts)} classes has {counts[0]} objects, the smallest {counts[-1]}."
    return _svg(figure, "plot", f"Objects of a class by its rank, on logarithmic axes. {said}")


def shares(bands: Sequence[Band]) -> str:
    """How the classes (upper bar) and their objects (lower bar) are shared out among the bands; an SVG element."""
    total = sum(band.classes for band in bands)
    figure, axes = _drawing(0.5, 0, 1)
    axes.set(xlim=(0, 1), ylim=(1.5, -0.5))
    axes.spines[:].set_visible(False)
    axes.xaxis.set_visible(False)
    axes.tick_params(labelsize=8.5, colors=MUTED, length=0)
    left, said = [0.0, 0.0], []
    for band in bands:
        parts = [band.classes / total, band.share]
        bars = axes.barh(["classes", "objects"], parts, left=left, color=COLOURS[band.name])
        percentages = [f"{100 * part:.0f} %" if part >= ROOM else "" for part in parts]
        for text in axes.bar_label(bars, percentages, label_type="center", fontsize=8.5, color=INK):
            text.set_verticalalignment("center_baseline")
        left = [start + part for start, part in zip(left, parts, strict=True)]
        said.append(f"{band.name} {100 * parts[0]:.0f} % of the classes, {100 * parts[1]:.0f} % of the objects")
    return _svg(figure, "shares", "; ".join(said))


def _drawing(height: float, bottom: float, top: float) -> tuple[Figure, Axes]:
    """A figure of that many inches and its axes, from `bottom` to `top` of it; sideways all stand alike."""
    figure = new_figure(4.5, height)
    figure.set_layout_engine("none")
    return figure, figure.add_axes((0.18, bottom, 0.77, top - bottom))


def _after(rank: int) -> float:
    """Where a logarithmic axis passes from this rank (or, of 0, from before all) to the next one."""
    return sqrt(max(rank, 0.5) * (rank + 1))


def _svg(figure: Figure, kind: str, said: str) -> str:
    """The figure as an element of a page: of the class `kind`, read out as `said`, as wide as the page lets it be.

    Its ids, styles and definitions would be the whole page's: it has none, nor groups and clips, which they are for.
    """
    from lxml import etree
    from matplotlib import rc_context

    file = BytesIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with rc_context({"svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans"]}):
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    svg = etree.fromstring(file.getvalue(), etree.XMLParser(remove_blank_text=True))
    etree.strip_elements(svg, "{*}defs")
    etree.strip_tags(svg, "{*}g")
    etree.strip_attributes(svg, "id", "clip-path", "width", "height")
    etree.cleanup_namespaces(svg)
    svg.attrib.update({"class": kind, "role": "img", "aria-label": said})
    return etree.tostring(svg, encoding="unicode")
