from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rijksnet.suggesting import neighbours
from rijksnet.suggesting.neighbours import directions, nearest, unlike


def drawn(n: int, seed: int = 0, size: int = 8) -> np.ndarray:
    return directions(np.random.default_rng(seed).normal(size=(n, size)))


def test_the_most_similar_come_first() -> None:
    known = directions(np.array([[1, 0], [0.9, 0.1], [0, 1], [-1, 0]]))
    found = nearest(directions(np.array([[2.0, 0.1]])), known, ["a", "b", "c", "d"], 3)
    assert found.pictures.tolist() == [[0, 1, 2]] or found.pictures.tolist() == [[1, 0, 2]]
    assert (np.diff(found.similarities) <= 0).all()


def test_an_object_counts_once_by_its_most_similar_picture() -> None:
    known = directions(np.array([[1, 0.0], [1, 0.1], [1, 0.2], [0, 1]]))
    found = nearest(directions(np.array([[1, 0.05]])), known, ["bowl", "bowl", "bowl", "coin"], 3)
    assert [["bowl", "bowl", "bowl", "coin"][i] for i in found.pictures[0]] == ["bowl", "coin"]
    assert found.similarities[0, 0] > 0.99


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 40),
    groups=st.integers(1, 10),
    most=st.integers(1, 5),
    at_once=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_it_is_what_sorting_all_of_them_gives(n: int, groups: int, most: int, at_once: int, seed: int) -> None:
    known, asked = drawn(n, seed), drawn(7, seed + 100)
    objects = [f"o{i % groups}" for i in np.random.default_rng(seed).integers(0, groups, n)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "AT_ONCE", at_once)
        found = nearest(asked, known, objects, most)
    for row, similarity in enumerate(asked @ known.T):
        best: dict[str, float] = {}
        for name, value in zip(objects, similarity, strict=True):
            best[name] = max(best.get(name, -2), float(value))
        wanted = sorted(best.values(), reverse=True)[:most]
        assert found.similarities[row].tolist() == pytest.approx(wanted, abs=1e-6)
        assert len({objects[i] for i in found.pictures[row]}) == len(wanted)


def test_features_without_length_are_like_nothing() -> None:
    found = directions(np.zeros((2, 3)))
    assert found.dtype == np.float32
    assert (found == 0).all()
    assert nearest(found, drawn(4, size=3), list("abcd"), 1).similarities.tolist() == [[0.0], [0.0]]


def test_nothing_known_has_no_neighbours() -> None:
    assert nearest(drawn(3), drawn(0), [], 3).pictures.shape == (3, 0)


def test_unlike_is_what_one_in_a_hundred_is() -> None:
    similarities = np.linspace(0.5, 0.9, 1001).astype(np.float32)
    assert (similarities < unlike(similarities)).mean() == pytest.approx(0.01, abs=0.001)
