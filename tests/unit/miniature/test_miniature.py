"""The drawn collections: repeatable to the byte, labelled as the experiment needs, odd where they should be."""

from __future__ import annotations

import csv
import tarfile
from collections import Counter
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rijksnet.collection_params import MiniatureCollection
from rijksnet.collections.readers import reader_for
from rijksnet.collections.records import Reason, Record, Reject
from rijksnet.data.decode import UnreadableError, decode
from rijksnet.errors import CollectionError
from rijksnet.miniature import draw as miniature
from rijksnet.miniature.brushes import SIDE
from rijksnet.miniature.draw import FEW, Item, draw, picture, plan
from rijksnet.miniature.forms import BAD, ODD, Form, encode
from rijksnet.miniature.motifs import MOTIFS
from rijksnet.miniature.worlds import GROUNDS, MATERIALS, PUPILS, RARE_MATERIALS, RIMS, WORLDS

MUSEUMS = ("rijksmuseum", "antwerp")
UNNAMED = {"anoniem", "unknown", ""}


def collection(museum: str, objects: int, seed: int = 1, raw: str = "raw") -> MiniatureCollection:
    return MiniatureCollection.model_validate(
        {"reader": "miniature", "raw": raw, "museum": museum, "objects": objects, "seed": seed}
    )


def an_item(**labels: object) -> Item:
    item = Item("rijksmuseum", 1, 1, "prent", ("papier",), "Inktvis, Joris", "vogel", "jpeg")
    return replace(item, **labels)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def records(folder: Path) -> list[dict[str, str]]:
    with (folder / "records.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest source museum that holds one of everything."""
    folder = tmp_path_factory.mktemp("miniature") / "raw"
    draw(collection("rijksmuseum", FEW), folder, workers=1)
    return folder


# --- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("museum", [*MUSEUMS, "photographs"])
def test_same_bytes_whatever_the_number_of_workers(museum: str, tmp_path: Path) -> None:
    for workers in (1, 2):
        draw(collection(museum, 40), tmp_path / str(workers), workers)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_another_seed_gives_other_labels_and_other_pictures(tmp_path: Path) -> None:
    for seed in (1, 2):
        draw(collection("antwerp", 20, seed), tmp_path / str(seed), workers=1)
    one, two = contents(tmp_path / "1"), contents(tmp_path / "2")
    assert one["images.tar"] != two["images.tar"]
    assert one["records.csv"] != two["records.csv"]
    assert not np.array_equal(picture(an_item()), picture(an_item(seed=2)))


def test_tar_holds_every_named_image_but_the_missing_one(drawn: Path) -> None:
    with tarfile.open(drawn / "images.tar", "r:") as archive:
        members = archive.getmembers()
    named = {row["image"] for row in records(drawn)}
    assert len(named) == FEW
    assert len(named - {member.name for member in members}) == 1
    assert {member.name for member in members} <= named
    assert {(m.mtime, m.mode, m.uid, m.gid, m.uname, m.gname) for m in members} == {
        (miniature.DRAWN_AT, 0o644, 0, 0, "", "")
    }


def test_records_have_one_without_id_and_one_twice(drawn: Path) -> None:
    rows = records(drawn)
    assert list(rows[0]) == ["object_id", "image", "creator", "type", "material", "title", "rights"]
    assert len(rows) == FEW + 1
    assert [row["object_id"] for row in rows].count("") == 1
    assert [rows.count(row) for row in rows].count(2) == 2
    assert any("|" in row["material"] for row in rows)
    assert any(row["type"] == "prent|boekillustratie" for row in rows)


def test_readme_says_whose_collection_it_is(drawn: Path) -> None:
    assert "no museum's" in (drawn / "README.txt").read_text(encoding="utf-8")


def test_the_reader_reads_what_was_drawn(drawn: Path) -> None:
    read = list(reader_for(collection("rijksmuseum", FEW, raw=str(drawn))))
    rejects = Counter(item.reason for item in read if isinstance(item, Reject))
    assert rejects == {Reason.NO_OBJECT_ID: 1, Reason.MISSING: 1}
    kept = [item for item in read if isinstance(item, Record)]
    planned = {item.object_id: item for item in plan(collection("rijksmuseum", FEW))}
    assert len(kept) == FEW - 1  # two rejects, one duplicate
    for record in kept:
        item = planned[record.object_id]
        assert (record.type[0], record.material) == (item.type, item.materials)
        assert record.creator == ((item.creator,) if item.creator else ())


def test_drawing_again_replaces_and_a_failure_leaves_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "deep" / "raw"
    draw(collection("antwerp", 20), folder, workers=1)
    draw(collection("antwerp", 21), folder, workers=1)
    before = contents(folder)
    assert len(records(folder)) == 21

    def fail(items: list[Item], path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(miniature, "_write_records", fail)
    with pytest.raises(KeyboardInterrupt):
        draw(collection("antwerp", 22), folder, workers=1)
    assert contents(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["raw"]


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(CollectionError, match=r"thesis\.tex"):
        draw(collection("antwerp", 20), tmp_path, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


# --- labels ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("museum", MUSEUMS)
def test_makers_are_long_tailed_and_a_fifth_is_not_named(museum: str) -> None:
    counts = Counter(item.creator for item in plan(collection(museum, 1000)))
    artists = [counts[artist] for artist in WORLDS[museum].artists]
    assert artists == sorted(artists, reverse=True)
    assert artists[0] > 4 * artists[-1] > 0
    assert sum(counts[maker] for maker in UNNAMED) == pytest.approx(200, abs=2)
    assert all(counts[maker] > 0 for maker in UNNAMED)


@pytest.mark.parametrize("museum", MUSEUMS)
@pytest.mark.parametrize("objects", [FEW, 1000])
def test_rare_classes_have_one_or_two_objects(museum: str, objects: int) -> None:
    items = plan(collection(museum, objects))
    types, creators = Counter(item.type for item in items), Counter(item.creator for item in items)
    world = WORLDS[museum]
    assert {t: types[t] for t in world.rare_types} == world.rare_types
    assert {a: creators[a] for a in world.rare_artists} == world.rare_artists
    assert set(world.rare_types.values()) | set(world.rare_artists.values()) == {1, 2}
    materials = Counter(item.materials[0] for item in items)
    possible = {m: count for m, (kind, count) in RARE_MATERIALS.items() if types[kind]}
    assert {m: materials[m] for m in possible} == possible


def test_museums_share_about_half_the_targets_types_and_no_artist() -> None:
    source, target, photographs = (WORLDS[museum] for museum in (*MUSEUMS, "photographs"))
    assert 0.3 < len(source.types.keys() & target.types.keys()) / len(target.types) < 0.6
    assert not {*source.artists, *source.rare_artists} & {*target.artists, *target.rare_artists}
    assert not photographs.types.keys() & MOTIFS.keys()
    items = plan(collection("photographs", 100))
    assert {(item.creator, item.materials) for item in items} == {("", ())}
    assert set(Counter(item.type for item in items).values()) == {4}


def test_every_label_can_be_drawn() -> None:
    for world in (WORLDS[museum] for museum in MUSEUMS):
        assert {*world.types, *world.rare_types} <= MOTIFS.keys() & MATERIALS.keys()
    used = {m for options in MATERIALS.values() for m in options} | set(RIMS) | set(RARE_MATERIALS)
    assert used == GROUNDS.keys()
    makers = {a for museum in MUSEUMS for a in WORLDS[museum].artists}
    assert {*PUPILS, *PUPILS.values()} <= makers


def test_labels_do_not_depend_on_the_order_of_objects() -> None:
    """Object numbers say nothing about labels: the first half has about half of every large class."""
    items = plan(collection("rijksmuseum", 2000))
    half = Counter(item.type for item in items[:1000])
    for kind, count in Counter(item.type for item in items).items():
        if count > 100:
            assert 0.35 < half[kind] / count < 0.65


# --- pictures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MOTIFS)
def test_every_type_is_drawn_the_same_each_time_and_shows_its_maker(kind: str) -> None:
    material = next(iter(MATERIALS[kind]))
    item = an_item(type=kind, materials=(material, "zilver"))
    pixels = np.asarray(picture(item), dtype=float)
    assert pixels.shape == (SIDE, SIDE, 3)
    assert np.array_equal(pixels, picture(item))
    other = np.asarray(picture(replace(item, creator="Zwartkoper, Gillis")), dtype=float)
    assert np.abs(pixels - other).mean() > 2


def test_every_photographed_thing_differs_from_the_others() -> None:
    pictures = [np.asarray(picture(an_item(museum="photographs", type=t))) for t in WORLDS["photographs"].types]
    assert len({p.tobytes() for p in pictures}) == len(pictures) >= 20
    assert min(p.std() for p in pictures) > 15


def test_a_maker_keeps_the_mark_and_a_pupil_is_close_to_the_master() -> None:
    world, rng = WORLDS["rijksmuseum"], np.random.default_rng(0)

    def hands(maker: str) -> np.ndarray:
        drawn = [miniature._hand_of(maker, world, rng) for _ in range(50)]
        assert maker not in world.artists or len({(h.mark, h.corner) for h in drawn}) == 1
        return np.array([[*np.ravel(h.palette) / 255, h.width / 4, 10 * h.spacing] for h in drawn])

    for pupil in set(world.artists) & set(PUPILS):
        master = hands(PUPILS[pupil]).mean(0)
        strangers = [
            np.linalg.norm(hands(a).mean(0) - master) for a in world.artists if a not in (pupil, PUPILS[pupil])
        ]
        assert np.linalg.norm(hands(pupil).mean(0) - master) < np.median(strangers)
    assert hands("anoniem").std(0).mean() > 2 * hands("Inktvis, Joris").std(0).mean()


# --- odd and bad files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("objects", "of_each"), [(FEW - 1, 0), (FEW, 1), (2000, 2), (5000, 6)])
def test_odd_and_bad_files_are_few_and_of_every_kind(objects: int, of_each: int) -> None:
    forms = Counter(item.form for item in plan(collection("antwerp", objects)))
    assert {form: forms[form] for form in BAD + ODD} == dict.fromkeys(BAD + ODD, of_each)
    assert forms["jpeg"] > 5 * forms["png"] > 0


@pytest.mark.parametrize("form", ["jpeg", "png", *ODD])
def test_odd_files_show_the_picture_once_decoded_with_care(form: Form) -> None:
    image = picture(an_item())
    data = encode(image, form)
    assert data is not None
    if form in ("grey", "deep"):
        image = image.convert("L").convert("RGB")
    shown = decode(data, [SIDE])[0].astype(float)[4:-4, 4:-4]
    assert np.abs(shown - np.asarray(image)[4:-4, 4:-4]).mean() < 12


def test_odd_files_are_odd() -> None:
    def opened(form: Form) -> Image.Image:
        return Image.open(BytesIO(encode(picture(an_item()), form) or b""))

    assert (opened("grey").mode, opened("cmyk").mode, opened("deep").mode) == ("L", "CMYK", "I;16")
    assert opened("palette").mode == "P"
    assert opened("palette").convert("RGBA").getpixel((0, 50)) == (255, 0, 255, 0)
    assert getattr(opened("animated"), "n_frames", 1) == 3
    assert opened("rotated").getexif()[0x0112] == 6


@pytest.mark.parametrize(("form", "reason"), [("empty", "empty"), ("truncated", "damaged"), ("text", "not an image")])
def test_bad_files_show_nothing(form: Form, reason: str) -> None:
    data = encode(picture(an_item()), form)
    assert data is not None
    with pytest.raises(UnreadableError) as refusal:
        decode(data, [SIDE])
    assert refusal.value.reason == reason
    assert encode(picture(an_item()), "missing") is None
