"""What the figures share: colours, quiet axes, and PNG by matplotlib's objects: no pyplot, hence no global state and no
window system."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
INK, MUTED, RULE = "#222222", "#6b6b6b", "#e3e3e3"

#: One per architecture, in order: Okabe and Ito's palette, told apart by colour-blind readers too; orange is scratch's.
PALETTE = ("#0072b2", "#009e73", "#cc79a7", "#222222", "#56b4e9", "#7a4fa3", "#8c6d31", "#999999")
SCRATCH_COLOUR = "#e8820c"


def new_figure(width: float, height: float) -> Figure:
    """A white figure of that many inches, with matplotlib's own layout engine."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def quiet_axes(axes: Axes, title: str, x: str, y: str) -> None:
    """No box, a hairline grid, and the title at the left."""
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel(x, fontsize=9, color=MUTED)
    axes.set_ylabel(y, fontsize=9, color=MUTED)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8.5, colors=MUTED, length=0)


def whole_epochs(axes: Axes, epochs: int) -> None:
    """An axis of that many epochs, from 0, with ticks at whole ones."""
    axes.set_xlim(-0.5, max(epochs - 0.5, 1))
    whole_numbers(axes)


def whole_numbers(axes: Axes) -> None:
    """Ticks of the horizontal axis at whole numbers alone."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))


def headline(figure: Figure, title: str) -> None:
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK)


def png(figure: Figure) -> bytes:
    """PNG without the Software entry, so that the same data give the same bytes."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
