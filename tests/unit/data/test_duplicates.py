from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import imagehash
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from rijksnet.collection_params import MiniatureCollection
from rijksnet.data import duplicates
from rijksnet.data.duplicates import close_pairs, groups, near_duplicates, repeated
from rijksnet.errors import CollectionError
from rijksnet.miniature.draw import picture, plan
from rijksnet.paths import CollectionPaths

SAMPLE = Path(__file__).parents[3] / ".." / "shared" / "data" / "rijksmuseum-challenge-sample" / "images"

Fingerprint = tuple[int, bytes]


def fingerprint(image: Image.Image) -> Fingerprint:
    """phash and thumbnail, as images.parquet holds them."""
    bits = imagehash.phash(image.convert("RGB")).hash.ravel()
    grey = image.convert("L").resize((16, 16), Image.Resampling.BOX)
    return int.from_bytes(np.packbits(bits).tobytes(), "big"), grey.tobytes()


def write(paths: CollectionPaths, images: dict[tuple[str, str], Fingerprint]) -> None:
    """images.parquet of these images, by (object id, image)."""
    columns = {
        "object_id": [pair[0] for pair in images],
        "image": [pair[1] for pair in images],
        "row": pa.array(range(len(images)), pa.int64()),
        "phash": pa.array([phash for phash, _ in images.values()], pa.uint64()),
        "thumbnail": pa.array([thumbnail for _, thumbnail in images.values()], pa.binary()),
    }
    paths.root.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), paths.images)


def found(paths: CollectionPaths) -> set[tuple[str, str]]:
    table = near_duplicates(paths)
    return set(zip(table["object_a"].to_pylist(), table["object_b"].to_pylist(), strict=True))


# --- the search -------------------------------------------------------------------------------------------------------

BASES = st.sampled_from([0, 2**64 - 1, 0x0123456789ABCDEF])
FLIPS = st.sets(st.integers(0, 63), max_size=14).map(lambda bits: sum(1 << bit for bit in bits))
HASHES = st.lists(st.builds(lambda base, flips: base ^ flips, BASES, FLIPS) | st.integers(0, 2**64 - 1), max_size=40)


@settings(max_examples=200)
@given(HASHES, st.integers(0, 12))
def test_close_pairs_are_all_pairs_within_the_distance_each_once(values: list[int], distance: int) -> None:
    expected = sorted(
        (i, j, apart)
        for j in range(len(values))
        for i in range(j)
        if (apart := (values[i] ^ values[j]).bit_count()) <= distance
    )
    parts = close_pairs(np.array(values, dtype=np.uint64), distance)
    pairs = [pair for part in parts for pair in zip(*(column.tolist() for column in part), strict=True)]
    assert sorted(pairs) == expected


def test_a_crowd_is_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_CELLS", 100)
    hashes = np.arange(60, dtype=np.uint64) << np.uint64(58)  # equal in all pieces but the last
    parts = list(close_pairs(hashes, 6))
    assert sum(len(first) for first, _, _ in parts) == 60 * 59 // 2
    assert max(len(first) for first, _, _ in parts) <= 100


# --- pictures ---------------------------------------------------------------------------------------------------------


def drawn() -> list[Image.Image]:
    collection = MiniatureCollection(reader="miniature", raw="raw", museum="rijksmuseum", objects=40, seed=0)
    return [picture(item) for item in plan(collection)]


def real() -> list[Image.Image]:
    if not SAMPLE.is_dir():
        pytest.skip(f"{SAMPLE} is not here")
    return [Image.open(file).convert("RGB") for file in sorted(SAMPLE.iterdir())[:40]]


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    stream = BytesIO()
    image.convert("RGB").save(stream, "JPEG", quality=quality)
    return Image.open(stream)


def cropped(image: Image.Image) -> Image.Image:
    """One per cent less on the top and on the right."""
    return image.resize(image.size, box=(0, image.height * 0.01, image.width * 0.99, image.height))


COPIES = {
    "compressed": lambda image: as_jpeg(image, 40),
    "halved": lambda image: as_jpeg(image.resize((image.width // 2, image.height // 2)), 80),
    "brightened": lambda image: ImageEnhance.Brightness(image.convert("RGB")).enhance(1.1),
    "without colour": lambda image: image.convert("L"),
    "cropped": cropped,
}


@pytest.mark.parametrize("pictures", [drawn, real])
def test_copies_are_found_and_different_objects_are_not(
    paths: CollectionPaths, pictures: Callable[[], list[Image.Image]]
) -> None:
    images = pictures()
    originals = {(f"{i:02}", "original"): fingerprint(image) for i, image in enumerate(images)}
    write(paths, originals)
    assert found(paths) == set()
    for name, copy in COPIES.items():
        write(paths, originals | {(f"{i:02}b", name): fingerprint(copy(image)) for i, image in enumerate(images)})
        pairs = found(paths)
        right = {(f"{i:02}", f"{i:02}b") for i in range(len(images))}
        assert pairs <= right, f"different objects that count as {name} copies of each other"
        assert len(pairs) >= (0.85 if name == "cropped" else 0.95) * len(images), name


def test_two_impressions_of_one_print_are_found_in_the_real_sample(paths: CollectionPaths) -> None:
    """RP-P-OB-32.201 and RP-P-1891-A-16485 are prints of the same plate; nothing else in the sample is alike."""
    if not SAMPLE.is_dir():
        pytest.skip(f"{SAMPLE} is not here")
    write(paths, {(file.stem[8:], file.name): fingerprint(Image.open(file)) for file in sorted(SAMPLE.iterdir())})
    pairs = near_duplicates(paths).to_pylist()
    assert [(pair["object_a"], pair["object_b"], pair["distance"]) for pair in pairs] == [
        ("RP-P-1891-A-16485", "RP-P-OB-32.201", 6)
    ]
    assert 0.02 < pairs[0]["difference"] < duplicates.MAX_DIFFERENCE


# --- rules ------------------------------------------------------------------------------------------------------------


def noise(seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(60, 190, 256)


def grey(values: NDArray[np.int64]) -> bytes:
    return values.astype(np.uint8).tobytes()


def test_the_table(paths: CollectionPaths) -> None:
    """Pairs are sorted and say how far apart their images are; hashes alone, or thumbnails alone, do not suffice."""
    images = {
        ("b", "2.jpg"): (0b111, grey(noise(0))),
        ("b", "1.jpg"): (0b000, grey(noise(0) * 2 // 3)),  # darker: the same picture
        ("a", "9.jpg"): (0b001, grey(noise(1))),  # another picture
        ("c", "3.jpg"): (0b1111111000, grey(noise(0))),  # the same picture, but seven bits and more away
    }
    write(paths, images)
    (pair,) = near_duplicates(paths).to_pylist()
    assert 0 < pair.pop("difference") < 0.001
    assert pair == {"object_a": "b", "image_a": "1.jpg", "object_b": "b", "image_b": "2.jpg", "distance": 3}
    write(paths, dict(reversed(images.items())))
    assert near_duplicates(paths).num_rows == 1


def test_no_pairs_is_an_empty_table(paths: CollectionPaths) -> None:
    write(paths, {("a", "1.jpg"): (0, grey(noise(0)))})
    table = near_duplicates(paths)
    assert (table.num_rows, table.schema) == (0, duplicates.SCHEMA)
    assert groups(["a"], table).tolist() == [0]


def test_blank_images_are_no_duplicates(paths: CollectionPaths) -> None:
    paper = np.full(256, 240) + np.arange(256) % 2 * 5  # a contrast of 2.5
    write(paths, {(f"{i}", "1.jpg"): (0, grey(paper + i % 2)) for i in range(10)})
    assert found(paths) == set()


def test_a_placeholder_is_listed_with_its_first_image_only(paths: CollectionPaths) -> None:
    same = {(f"{i:04}", "1.jpg"): (5, grey(noise(0))) for i in range(3_000)}
    write(paths, same | {("x", "1.jpg"): (4, grey(noise(0) + 1))})
    table = near_duplicates(paths)
    assert set(table["object_a"].to_pylist()) == {"0000"}
    assert table["object_b"].to_pylist() == [*(f"{i:04}" for i in range(1, 3_000)), "x"]
    ids = [*(f"{i:04}" for i in range(3_000)), "x", "y"]
    assert len(np.unique(groups(ids, table))) == 2


def test_one_picture_for_several_objects_is_told_however_pale(paths: CollectionPaths) -> None:
    rng = np.random.default_rng(0)
    card, pale = (1, grey(noise(0))), np.full(256, 240)
    images = {(f"card-{i}", f"card-{i}.jpg"): card for i in range(4)}
    images |= {
        (f"pale-{i}", f"pale-{i}.jpg"): (int(rng.integers(1 << 60)), grey(pale + rng.integers(0, 2, 256)))
        for i in range(5)
    }
    images |= {(f"grey-{i}", f"grey-{i}.jpg"): (9, grey(np.full(256, 128))) for i in range(2)}
    images |= {("one", f"{i}.jpg"): (7, grey(noise(7))) for i in range(6)}  # of one object
    images |= {(f"own-{i}", f"own-{i}.jpg"): (100 + i, grey(noise(100 + i))) for i in range(5)}
    write(paths, images)
    found = repeated(paths)
    assert [(len(one.object_ids), one.image, one.blank) for one in found] == [
        (5, "pale-0.jpg", True),
        (4, "card-0.jpg", False),
    ]
    assert len(repeated(paths, least=2)) == 3


def test_too_many_pairs_are_refused(paths: CollectionPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MAX_PAIRS", 100)
    write(paths, {(f"{i}", "1.jpg"): (0, grey(noise(0) + i)) for i in range(20)})
    with pytest.raises(CollectionError, match=r"collection 'c' has more than 190 pairs.*splits\.together to `object`"):
        near_duplicates(paths)


def test_groups_are_what_pairs_connect() -> None:
    columns = {"object_a": ["a", "b", "e", "f"], "object_b": ["b", "d", "f", "f"]}
    group = groups(["f", "e", "d", "c", "b", "a"], pa.table(columns))
    of = dict(zip("fedcba", group.tolist(), strict=True))
    assert of["a"] == of["b"] == of["d"]
    assert of["e"] == of["f"]
    assert len({of["a"], of["c"], of["e"]}) == 3
