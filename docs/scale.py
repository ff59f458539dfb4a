"""Draw docs/scale.png, time and memory of stages over objects, from benchmarks/scale.csv: python docs/scale.py"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from rijksnet.rendering.canvas import PALETTE, headline, new_figure, png, quiet_axes

#: Stages that are shown, in the order of the legend; `pretrain` is of another, small collection.
SHOWN = ("draw", "features", "pixels", "off_the_shelf", "catalogue", "audit", "splits")

ROOT = Path(__file__).parents[1]


def main() -> None:
    points: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
    with (ROOT / "benchmarks" / "scale.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            points[row["stage"]].append((int(row["objects"]), float(row["seconds"]), float(row["mib"])))
    figure = new_figure(9, 4.2)
    for axes, which, title, unit in zip(
        figure.subplots(1, 2), (1, 2), ("Time", "Peak memory"), ("s", "MiB"), strict=True
    ):
        quiet_axes(axes, title, "objects", unit)
        axes.set(xscale="log", yscale="log")
        for stage, colour in zip(SHOWN, PALETTE, strict=False):
            its = sorted(points[stage])
            axes.plot([one[0] for one in its], [one[which] for one in its], "o-", color=colour, label=stage)
    figure.axes[0].legend(frameon=False, fontsize=8)
    headline(figure, "A collection of 1,000, 10,000 and 112,039 drawn objects, stage by stage, on two cores")
    (ROOT / "docs" / "scale.png").write_bytes(png(figure))


if __name__ == "__main__":
    main()
