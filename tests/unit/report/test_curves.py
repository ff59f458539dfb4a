from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.lines import Line2D
from PIL import Image

from rijksnet.errors import RunError
from rijksnet.report import curves
from rijksnet.runs.key import RunKey


def size_of(png: bytes) -> tuple[int, int]:
    with Image.open(BytesIO(png)) as image:
        return image.size


def pixels_of(png: bytes) -> np.ndarray:
    with Image.open(BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def curve(challenge: str, architecture: str, strategy: str, initialisation: str, epochs: int = 4) -> curves.Curve:
    key = RunKey("antwerp", challenge, architecture, strategy, initialisation)
    return curves.Curve(key, np.linspace(0.1, 0.9, epochs))


def lines(shown: Sequence[curves.Curve], paper: Sequence[curves.Curve] = ()) -> list[Line2D]:
    """Of the first panel, in the order in which they are drawn."""
    return list(curves.validation_figure(shown, "one", paper).axes[0].lines)


def test_curves_follow_the_papers_manner() -> None:
    shelf, tuned, scratch = lines(
        [
            curve("type", "resnet50", "off_the_shelf", "imagenet"),
            curve("type", "resnet50", "fine_tuning", "rijksmuseum"),
            curve("type", "resnet50", "scratch", "random"),
        ]
    )
    assert (shelf.get_linestyle(), tuned.get_linestyle(), scratch.get_linestyle()) == ("-.", "--", "-")
    assert shelf.get_color() == tuned.get_color() != scratch.get_color() == curves.SCRATCH_COLOUR
    assert shelf.get_linewidth() < tuned.get_linewidth()


def test_the_legend_names_only_what_is_drawn() -> None:
    def labels(shown: list[curves.Curve], paper: Sequence[curves.Curve] = ()) -> list[str]:
        (legend,) = curves.validation_figure(shown, "one", paper).legends
        return [text.get_text() for text in legend.get_texts()]

    shelf = curve("type", "resnet50", "off_the_shelf", "imagenet")
    assert labels([shelf]) == ["resnet50", "off the shelf"]
    scratch = curve("type", "resnet50", "scratch", "random")
    assert labels([shelf, scratch]) == ["resnet50", "off the shelf", "resnet50 from scratch"]
    tuned = curve("type", "resnet50", "fine_tuning", "rijksmuseum")
    assert labels([tuned]) == ["resnet50", "fine tuning", "from θ (ImageNet)", "from θ̂ (source)"]
    assert labels([shelf], [scratch]) == ["resnet50", "off the shelf", "the paper's own, faint"]


def test_validation_curves_have_a_panel_a_challenge() -> None:
    type_curves = [curve("type", "resnet50", "fine_tuning", "imagenet"), curve("type", "vgg19", "scratch", "random", 1)]
    three = [curve(name, "resnet50", "off_the_shelf", "imagenet") for name in ("material", "type", "artist")]
    assert size_of(curves.validation_curves(type_curves, "one"))[0] == 1200
    assert size_of(curves.validation_curves(three, "three"))[0] == 1710


def test_the_papers_curves_are_a_layer_behind_ours_on_request() -> None:
    ours, theirs = curve("type", "resnet50", "fine_tuning", "imagenet"), curve("type", "vgg19", "scratch", "random", 9)
    elsewhere = curve("artist", "vgg19", "scratch", "random")
    alone, with_both = (curves.validation_curves([ours], "one", paper) for paper in ([], [theirs, elsewhere]))
    assert curves.validation_curves([ours], "one", [elsewhere]) == alone  # a challenge that ours do not have
    assert (pixels_of(with_both) != pixels_of(alone)).any()
    known = curve("type", "resnet50", "off_the_shelf", "imagenet")
    unknown = curve("type", "vgg19", "off_the_shelf", "imagenet")
    *faint, drawn = lines([ours], [theirs, known, unknown])
    assert [line.get_linestyle() for line in faint] == ["-", "-.", "-."]
    assert [line.get_color() for line in faint] == [curves.SCRATCH_COLOUR, drawn.get_color(), curves.THEIRS]
    assert all((line.get_alpha() or 1) < 1 and line.get_zorder() < drawn.get_zorder() for line in faint)


def test_the_papers_curves_end_where_their_runs_stopped(reference: Path) -> None:
    published = curves.paper_curves(reference, "rijksmuseum", ["type", "artist"])
    assert len(published) == 2 * 9  # four networks twice, and one from scratch
    by_key = {str(one.key): one.accuracy for one in published}
    shelf = by_key["rijksmuseum/type/xception/off_the_shelf-imagenet-seed0"]
    assert shelf.tolist()[-2:] == pytest.approx([0.73995, 0.7525415], abs=5e-6)
    assert len(shelf) == 6  # of 26 values the last twenty-one are the same
    assert all(len(values) < 2 or values[-1] != values[-2] for values in by_key.values())
    common = curves.paper_curves(reference, "antwerp", ["type_common_classes", "no such"])
    assert {one.key.architecture for one in common} == {"unnamed"}
    assert len(common) == 4


@pytest.mark.parametrize(("values", "kept"), [([1, 2, 2, 2], 2), ([1, 1], 1), ([1], 1), ([2, 2, 1, 2, 2], 4)])
def test_padding_is_what_repeats_the_last_value(tmp_path: Path, values: list[float], kept: int) -> None:
    rows = [f"antwerp,type,vgg19,fine_tuning,imagenet,{epoch},{value}" for epoch, value in enumerate(values)]
    columns = "collection,challenge,architecture,strategy,initialisation,epoch,validation_accuracy"
    (tmp_path / "paper_curves.csv").write_text("\n".join([columns, *rows]))
    (published,) = curves.paper_curves(tmp_path, "antwerp", ["type"])
    assert published.accuracy.tolist() == values[:kept]


def test_absent_curves_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"paper_curves\.csv is not a file"):
        curves.paper_curves(tmp_path, "rijksmuseum", ["type"])
