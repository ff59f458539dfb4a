"""Tables of the experiments that are no runs: attention maps, and linear probes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rijksnet.rendering.grid import Cell, Grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

METHODS = {
    "visual_backprop": "VisualBackProp",
    "grad_cam": "Grad-CAM",
    "integrated_gradients": "integrated gradients",
    "random": "in random order",
}
WEIGHTS = {"imagenet": "θ, ImageNet", "tuned": "θ̂, tuned"}

SALIENCY_EXPLAINED = """\
Each row is one test object: its picture, then where the network looks by three methods, each with ImageNet's weights θ
(a trained softmax layer on the frozen network) and with the tuned weights θ̂. Maps explain the network's own answer,
right or wrong; VisualBackProp (Bojarski et al. 2016) is the paper's method and knows no class. *Deletion*: mean
probability of that answer while the pixels give way to the mean colour, the most attended first: lower is more
faithful. *Insertion*: the same while they come back to a blurred image: higher is more faithful (Petsiuk et al. 2018).
A map that says nothing scores as the random order does."""

SHIFT_EXPLAINED = """\
How far attention moved from θ to θ̂ on the same images; beside it the same measure between the maps of *different*
images with θ, which is as far apart as unrelated maps lie. *Correlation*: of the maps' values. *Divergence*:
Jensen–Shannon, in [0, 1]. *Displacement*: of the map's centre, as a share of the diagonal."""

PROBES_EXPLAINED = """\
A softmax layer reads the pooled maps after each stage of the network, trained by the off-the-shelf recipe. Random
weights are the floor: what a layer's shape alone gives away."""


def faithfulness_grid(about: Mapping[str, Any]) -> Grid:
    """One row a method and weights: deletion and insertion with their 95 % bootstrap intervals over the objects."""
    found = {(one["weights"], one["method"], one["measure"]): one for one in about["faithfulness"]}
    rows = [
        [
            METHODS[method],
            WEIGHTS[weights],
            *(
                Cell(_interval(found[weights, method, measure]), about["runs"][weights])
                for measure in ("deletion", "insertion")
            ),
        ]
        for weights, method in dict.fromkeys((weights, method) for weights, method, _ in found)
    ]
    headings = ["maps", "weights", "deletion (lower is better)", "insertion (higher is better)"]
    return Grid("How faithful the maps are", headings, rows, text_columns=2)


def shift_grid(about: Mapping[str, Any]) -> Grid:
    """One row a method and measure: between θ and θ̂ on the same images, and between different images."""
    found = {(one["method"], one["measure"], one["between"]): one for one in about["shift"]}
    rows = [
        [
            METHODS[method],
            measure,
            Cell(_interval(found[method, measure, "weights"]), about["runs"]["tuned"]),
            Cell(_interval(found[method, measure, "images"]), about["runs"]["imagenet"]),
        ]
        for method, measure in dict.fromkeys((method, measure) for method, measure, _ in found)
    ]
    return Grid("How far attention moved", ["maps", "measure", "θ to θ̂", "different images"], rows, text_columns=2)


def probes_grid(frame: pd.DataFrame, about: Mapping[str, Any]) -> Grid:
    """One row a depth: test accuracy of its probe with θ, θ̂ and random weights."""
    weights = {"imagenet": "θ, %", "tuned": "θ̂, %", "random": "random, %"}
    by = {(row["depth"], row["weights"]): row for row in frame.to_dict("records")}
    rows = []
    for depth in sorted(frame["depth"].unique().tolist()):
        first = by[depth, "tuned"]
        cells = [by[depth, name] for name in weights]
        accuracies = [
            f"{100 * row['test_accuracy']:.1f} ({100 * row['low']:.1f}–{100 * row['high']:.1f})" for row in cells
        ]
        rows.append(
            [
                str(first["module"]),
                f"{first['channels']:,}",
                *(Cell(accuracy, about["runs"]["tuned"]) for accuracy in accuracies),
            ]
        )
    return Grid("Linear probes, test accuracy", ["after", "channels", *weights.values()], rows, text_columns=1)


def _interval(one: Mapping[str, float]) -> str:
    mean, low, high = (f"{one[name]:.3f}".replace("-", "−") for name in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"
