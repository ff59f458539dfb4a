"""The miniature collections: two museums and a set of photographs that RijksNet draws itself.

They play the parts of the Rijksmuseum, of Antwerp and of ImageNet where the real data are out of reach, at a size that
trains on a laptop. They are made to have what the experiment needs: materials are grounds, types are layouts, artists
are hands; labels are long-tailed and makers often unnamed; the target shares half its types with the source and none of
its artists; and a few files are damaged or odd in the ways that museums' files are.
"""

from __future__ import annotations

import csv
import tarfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np

from rijksnet.errors import CollectionError
from rijksnet.files import replacing_folder
from rijksnet.miniature.brushes import Ground, Hand, Pen, blob, expose, lift, placement, texture
from rijksnet.miniature.forms import BAD, ODD, SUFFIXES, encode
from rijksnet.miniature.motifs import MOTIFS
from rijksnet.miniature.snapshots import snapshot
from rijksnet.miniature.subjects import SUBJECTS
from rijksnet.miniature.worlds import ALSO, GROUNDS, MATERIALS, PUPILS, RARE_MATERIALS, RIMS, WORLDS
from rijksnet.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from PIL import Image

    from rijksnet.collection_params import MiniatureCollection
    from rijksnet.miniature.brushes import Points
    from rijksnet.miniature.forms import Form
    from rijksnet.miniature.worlds import World

# --- how hard it is ------------------------------------------------------------------------------------------------

TURN = 8.0  # largest rotation of a museum object, degrees
SIZE = (0.68, 0.92)  # smallest and largest size of a museum object, as a fraction of the picture
SHIFT = 0.1  # largest displacement of it, as a fraction of half the picture
SNAP_TURN, SNAP_SIZE, SNAP_SHIFT, SNAP_SHEAR = 25.0, (0.5, 1.0), 0.25, 0.2  # the same of a photographed thing
GRADIENT = 0.25  # largest unevenness of the light, a fraction
GRAIN = 9.0  # standard deviation of the sensor noise, steps of 0–255
BLUR = 1.3  # largest blur, canvas px (half as much in the image)
STAINED = 0.3  # share of museum objects with stains
SIGNED = 0.6  # share of museum objects with the maker's mark
STRAY = 0.04  # how far an object is from its maker's usual hand, as a fraction of the range of every trait
PUPIL = 0.3  # how far a pupil's hand is from the master's, relative to two unrelated makers
RIMMED = 0.15  # share of objects with a rim of a second material
UNNAMED = {"anoniem": 0.12, "unknown": 0.03, "": 0.05}  # shares of objects without a named maker
LONG_TAIL = 0.8  # exponent of the artists' Zipf law; 0 makes all equally prolific

ODD_SHARE = 0.0012  # share of the files that are bad or odd in one way (there are ten ways)
FEW = 200  # objects below which there are no rare classes, no bad or odd files and records

# --- the plan: what is drawn -----------------------------------------------------------------------------------------

DRAWN_AT = 1_500_000_000  # modification time of every image, seconds since 1970: a fixed one keeps the bytes the same
COLUMNS = ("object_id", "image", "creator", "type", "material", "title", "rights")
RIGHTS = "https://creativecommons.org/publicdomain/zero/1.0/"


@dataclass(frozen=True)
class Item:
    """One object: its labels, and all that its drawing depends on."""

    museum: str
    seed: int
    number: int  # from 1
    type: str
    materials: tuple[str, ...]  # the main one first; none in a photograph
    creator: str
    subject: str
    form: Form

    @property
    def object_id(self) -> str:
        return f"{WORLDS[self.museum].prefix}-{self.number:05d}"

    @property
    def image(self) -> str:
        """The image's path inside images.tar; what is no PNG or GIF claims to be a JPEG."""
        return f"images/{self.object_id}.{SUFFIXES.get(self.form, 'jpg')}"


def plan(collection: MiniatureCollection) -> list[Item]:
    """The objects of a collection, in the order of their numbers."""
    world, n = WORLDS[collection.museum], collection.objects
    rng = np.random.default_rng((collection.seed, world.number, 0))
    types = _quotas(rng, n, world.types, world.rare_types)
    creators = _quotas(rng, n, _makers(world), world.rare_artists)
    forms = _forms(rng, n)
    rare = {m: count if n >= FEW else 0 for m, (_, count) in RARE_MATERIALS.items()}
    items = []
    for number, (kind, creator, form) in enumerate(zip(types, creators, forms, strict=True), start=1):
        materials = _materials(rng, kind, rare) if world.artists else ()
        subject = str(rng.choice(list(SUBJECTS)))
        items.append(Item(collection.museum, collection.seed, number, kind, materials, creator, subject, form))
    return items


def _quotas(rng: np.random.Generator, n: int, shares: dict[str, float], rare: dict[str, int]) -> list[str]:
    """`n` labels, shuffled: fixed numbers of the rare ones, the others by their shares (largest remainders)."""
    labels = [label for label, count in rare.items() for _ in range(count if n >= FEW else 0)]
    exact = (n - len(labels)) * np.array(list(shares.values())) / sum(shares.values())
    counts = np.floor(exact).astype(int)
    short = n - len(labels) - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:short]] += 1
    labels += [label for label, count in zip(shares, counts, strict=True) for _ in range(count)]
    return [labels[k] for k in rng.permutation(n)]


def _makers(world: World) -> dict[str, float]:
    """Shares of the makers, the unnamed ones among them."""
    if not world.artists:
        return {"": 1.0}
    zipf = 1 / np.arange(1, len(world.artists) + 1) ** LONG_TAIL
    named = (1 - sum(UNNAMED.values())) * zipf / zipf.sum()
    return UNNAMED | dict(zip(world.artists, named.tolist(), strict=True))


def _forms(rng: np.random.Generator, n: int) -> list[Form]:
    forms: list[Form] = ["png" if rng.random() < 0.1 else "jpeg" for _ in range(n)]
    each = max(1, round(ODD_SHARE * n)) if n >= FEW else 0
    for k, place in enumerate(rng.permutation(n)[: each * len(BAD + ODD)]):
        forms[place] = (BAD + ODD)[k % len(BAD + ODD)]
    return forms


def _materials(rng: np.random.Generator, kind: str, rare: dict[str, int]) -> tuple[str, ...]:
    """Materials of an object of a type, the main one first; takes from `rare` what is left of the rare ones."""
    options = MATERIALS[kind]
    main = str(rng.choice(list(options), p=np.array(list(options.values())) / sum(options.values())))
    for material, left in rare.items():
        if left and RARE_MATERIALS[material][0] == kind:
            rare[material] = left - 1
            main = material
            break
    rim = str(rng.choice([m for m in RIMS if m != main]))
    return (main, rim) if rng.random() < RIMMED else (main,)


_README = """\
A miniature collection, drawn by RijksNet (rijksnet.miniature.draw)

It is no museum's: every picture is drawn by a program, every maker is made up, and the role it plays is
"{c.museum}". Numbers measured on it show that the experiment runs; they say nothing about any museum, its
objects or its artists.

museum: {c.museum}   objects: {c.objects}   seed: {c.seed}
images.tar    images/<object_id>.<suffix>, some of them damaged or odd on purpose
records.csv   UTF-8; several values in one cell are joined by |, the main one first
"""

# --- the picture -----------------------------------------------------------------------------------------------------


def _hand_of(creator: str, world: World, rng: np.random.Generator) -> Hand:
    """The hand that draws an object: its maker's, give or take; a stranger's where the maker is not named."""
    artists = (*world.artists, *world.rare_artists)
    if creator not in artists:
        return Hand.of(rng.random(8))

    def traits(name: str) -> Points:
        # A Kronecker sequence spreads makers evenly over the space of hands; the worlds share one sequence.
        steps = np.sqrt([2, 3, 5, 7, 11, 13, 17, 19])
        return (1 + artists.index(name) + 100 * world.number) * steps % 1

    own = traits(creator)
    if creator in PUPILS:
        master = traits(PUPILS[creator])
        own = master + PUPIL * ((own - master + 0.5) % 1 - 0.5)
    return Hand.of(own + rng.normal(0, STRAY, 8) * (np.arange(8) < 7))  # the mark, last, is always the same


def picture(item: Item) -> Image.Image:
    """The object as photographed: RGB, SIDE × SIDE px. The same item gives the same pixels."""
    world = WORLDS[item.museum]
    rng = np.random.default_rng((item.seed, world.number, item.number))
    if not world.artists:
        place = placement(rng, SNAP_SIZE, SNAP_TURN, SNAP_SHIFT, SNAP_SHEAR)
        red, green, blue = rng.integers(205, 256, 3).tolist()
        return expose(snapshot(item.type, place, rng), rng, (red, green, blue), GRADIENT, GRAIN, BLUR)
    motif = MOTIFS[item.type]
    aspect = rng.uniform(*motif.aspect)
    place = placement(rng, SIZE, TURN, SHIFT)
    place[:, :2] *= (min(1.0, aspect), min(1.0, 1 / aspect))
    ground = GROUNDS[item.materials[0]]
    pen = Pen(texture(ground, rng, world.bleach), place, _hand_of(item.creator, world, rng), rng)
    motif.decorate(pen, SUBJECTS[item.subject](rng))
    if rng.random() < SIGNED:
        pen.sign(motif.reach)
    if rng.random() < STAINED:
        _stain(pen, rng)
    scene = texture(Ground(world.backdrops[rng.integers(len(world.backdrops))], mottle=0.06, grain=0.02), rng)
    outline = motif.outline(rng)
    for rim in item.materials[1:]:
        scene = lift(scene, texture(GROUNDS[rim], rng, world.bleach), pen.mask(outline * 1.1), motif.roundness)
    scene = lift(scene, pen.image, pen.mask(outline), motif.roundness, ground.opacity)
    return expose(scene, rng, world.light, GRADIENT, GRAIN, BLUR)


def _stain(pen: Pen, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 4)):
        stain = pen.mask(blob(rng, rng.uniform(0.1, 0.3)) + rng.uniform(-0.9, 0.9, 2))
        pen.image.paste((92, 66, 38), mask=stain.point([v * 2 // 5 for v in range(256)]))


# --- the collection ------------------------------------------------------------------------------------------------


def draw(collection: MiniatureCollection, folder: Path, workers: int | None = None) -> None:
    """Draw a collection into `folder`: images.tar, records.csv (values joined by `|`) and README.txt.

    The files depend on the collection's museum, objects and seed alone: the same bytes whatever the number of workers.

    Args:
        folder: appears when all is drawn; an earlier drawing in it is replaced.
        workers: processes that draw; None takes one per processor.

    Raises:
        CollectionError: `folder` holds something that is no drawn collection.
    """
    strange = sorted({path.name for path in folder.glob("*")} - {"images.tar", "records.csv", "README.txt"})
    if strange:
        raise CollectionError(f"{folder} holds {strange[:5]}, which drawing would delete: name a folder of its own")
    items = plan(collection)
    with replacing_folder(folder) as part:
        _write_images(items, part / "images.tar", workers)
        _write_records(items, part / "records.csv")
        (part / "README.txt").write_text(_README.format(c=collection), encoding="utf-8")


def _write_images(items: list[Item], path: Path, workers: int | None) -> None:
    with (
        tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive,
        progress(f"drawing {items[0].museum}", len(items)) as report,
    ):
        for done, (item, data) in enumerate(zip(items, _files(items, workers), strict=True), start=1):
            if data is not None:
                member = tarfile.TarInfo(item.image)
                member.size, member.mtime, member.mode = len(data), DRAWN_AT, 0o644
                archive.addfile(member, BytesIO(data))
            report(done)


def _files(items: list[Item], workers: int | None) -> Iterator[bytes | None]:
    """The items' image files, in order."""
    if workers == 1:
        yield from map(_file, items)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:  # the same on every system
        try:
            yield from pool.map(_file, items, chunksize=25)
        finally:
            pool.shutdown(cancel_futures=True)


def _file(item: Item) -> bytes | None:
    return encode(picture(item), item.form)


def _write_records(items: list[Item], path: Path) -> None:
    rows = [_row(item) for item in items]
    if len(rows) >= FEW:
        nameless, twice = [place for place, item in enumerate(items) if item.form == "jpeg"][:2]
        rows[nameless][0] = ""
        rows.append(rows[twice])
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def _row(item: Item) -> list[str]:
    types = [item.type, *([ALSO[item.type]] if item.type in ALSO and item.number % 7 == 0 else [])]
    title = ", ".join([item.type, *item.materials]).capitalize()
    return [item.object_id, item.image, item.creator, "|".join(types), "|".join(item.materials), title, RIGHTS]
