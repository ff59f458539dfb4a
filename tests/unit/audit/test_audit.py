"""The audit on a drawn collection with known faults, on real pictures, and on the real ground truth."""

from __future__ import annotations

import csv
import gzip
import json
import re
import subprocess
import sys
import tarfile
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lxml import etree
from PIL import Image

from rijksnet.audit import plot
from rijksnet.audit.facts import Band, ChallengeFacts, challenge_facts, imbalance, labels_by_object, objects_of
from rijksnet.audit.pairs import ChallengeLabels, Pair, duplicates
from rijksnet.audit.text import text
from rijksnet.audit.words import listed, verdict
from rijksnet.audit.write import Audit, write_audit
from rijksnet.collection_params import Columns, MiniatureCollection, TableCollection
from rijksnet.collections.build import build
from rijksnet.collections.catalogue import SCHEMA
from rijksnet.collections.tables.reader import TableReader, values
from rijksnet.data import duplicates as search
from rijksnet.data.pixels import pack
from rijksnet.data.splits import split_collection
from rijksnet.errors import CollectionError
from rijksnet.miniature.draw import draw
from rijksnet.params import Challenge, Splits
from rijksnet.paths import CollectionPaths
from rijksnet.rendering.html import percent

SHARED = Path(__file__).parents[3] / ".." / "shared" / "data"
COLUMNS = Columns(creator="creator", type="type", material="material", title="title", rights="rights")
HOSTILE = '<script>alert("1")</script> & </svg>'
CHALLENGES: list[Challenge] = ["material", "type", "artist"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a drawn collection into which faults were planted: split, packed and cleaned.

    Twenty objects stand there a second time under another id, recompressed, five of them with another type, which is
    hostile once; five have a second image.
    """
    root = tmp_path_factory.mktemp("audit")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        drawn = MiniatureCollection(reader="miniature", raw="raw", museum="rijksmuseum", objects=300, seed=1)
        draw(drawn, Path(drawn.raw))
        _plant(Path(drawn.raw))
        _prepare(CollectionPaths("museum"), "raw", "images.tar", CHALLENGES, COLUMNS)
    return root


def _plant(raw: Path) -> None:
    with (raw / "records.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    with tarfile.open(raw / "images.tar") as archive:
        held = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}  # type: ignore[union-attr]
    good = [
        row
        for row in rows
        if row["object_id"] and row["image"].endswith(".jpg") and _plain(held.get(row["image"], b""))
    ]
    added, pictures = [], {}
    for i, row in enumerate(good[:25]):
        image = f"images/copy-{i}.jpg"
        pictures[image] = _recompressed(held[row["image"]])
        copy = {**row, "image": image}
        if i < 20:
            copy["object_id"] = f"copy-{i}"
            copy["type"] = HOSTILE if i == 0 else "penning" if i < 5 else row["type"]
        added.append(copy)
    with (raw / "records.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, *added])
    with tarfile.open(raw / "images.tar", "a") as archive:
        for name, data in pictures.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, BytesIO(data))


def _plain(data: bytes) -> bool:
    """Whether these are an upright image's: a copy would lose how the camera was held."""
    try:
        picture = Image.open(BytesIO(data))
        picture.load()
        return not picture.getexif()
    except (OSError, SyntaxError):
        return False


def _recompressed(data: bytes) -> bytes:
    buffer = BytesIO()
    Image.open(BytesIO(data)).convert("RGB").save(buffer, "JPEG", quality=60)
    return buffer.getvalue()


def _prepare(paths: CollectionPaths, raw: str, images: str, challenges: list[Challenge], columns: Columns) -> None:
    table = "records.csv" if images.endswith(".tar") else "catalogue.csv"
    collection = TableCollection(reader="table", raw=raw, table=table, images=images, columns=columns, separator="|")
    build(TableReader(collection), paths)
    paths.cleaning.write_text(
        "field,rule,before,after,objects\n"
        'creator,names,"Rijn, Rembrandt van (I)",Rembrandt van Rijn,12\ncreator,names,Bol (II),Bol,1\n'
        "creator,unnamed,anoniem,,40\n"
    )
    pack(paths, [64], workers=2)
    split_collection(paths, challenges, Splits(rule="paper", seed=8, together="object", folds=1, stratified=False))


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> CollectionPaths:
    monkeypatch.chdir(folder)
    return CollectionPaths("museum")


@pytest.fixture(scope="module")
def audit(folder: Path) -> Audit:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return write_audit(CollectionPaths("museum"), Path("audit"))


def of(audit: Audit, challenge: str) -> ChallengeFacts:
    return next(one for one in audit.challenges if one.challenge == challenge)


# --- a drawn collection with known faults ----------------------------------------------------------------------------


def test_planted_near_duplicates_are_counted_and_judged(audit: Audit, here: CollectionPaths) -> None:
    found = audit.duplicates
    assert found is not None
    assert (found.pairs, found.same_object) == (25, 5)
    copies = {f"copy-{i}" for i in range(20)}
    planted = [pair for pair in found.notable if {pair.object_a, pair.object_b} & copies]
    assert {("copy-0", HOSTILE)} <= {(end, label) for pair in planted for end, label in ends(pair, "type")}

    by_type = next(one for one in found.challenges if one.challenge == "type")
    assert (by_type.contradicting, by_type.labelled) == (5, 20)
    splits = pq.read_table(here.split("type")).to_pandas().astype("str")
    split_of = dict(zip(splits["object_id"], splits["split"], strict=True))
    for pair in planted:
        side = next(side for side in pair.sides if side.challenge == "type")
        assert (side.split_a, side.split_b) == (split_of.get(pair.object_a), split_of.get(pair.object_b))
    all_parted = [side for pair in found.notable for side in pair.sides if side.parted and side.challenge == "type"]
    assert by_type.parted == len(all_parted) > 0
    said = " ".join(verdict(audit))
    assert f"{by_type.parted} of {by_type.in_splits} pairs for type" in said
    assert "Set splits.together to near_duplicates" in said


def ends(pair: Pair, challenge: str) -> list[tuple[str, str | None]]:
    side = next(side for side in pair.sides if side.challenge == challenge)
    return [(pair.object_a, side.label_a), (pair.object_b, side.label_b)]


def test_counts_agree_with_the_files(audit: Audit, here: CollectionPaths) -> None:
    catalogue = pq.read_table(here.catalogue).to_pandas()
    assert (audit.objects, audit.images) == (catalogue["object_id"].nunique(), len(catalogue))
    for part, path in ((audit.rejects, here.rejects), (audit.unreadable, here.unreadable)):
        assert part is not None
        lines = path.read_text("utf-8").splitlines()
        assert sum(one.count for one in part) == len(lines) - 1 > 0
    assert audit.images_per_object == {1: audit.objects - 5, 2: 5}
    assert [(one.field, one.rule, one.values, one.objects) for one in audit.cleaning or ()] == [
        ("creator", "names", 2, 13),
        ("creator", "unnamed", 1, 40),
    ]
    summary = json.loads(here.splits_summary.read_text("utf-8"))
    for one in audit.challenges:
        assert one.split is not None
        assert not one.split.drawn
        assert one.split.kept == summary[one.challenge]["kept"]
        assert one.labelled + one.no_value + one.unnamed == one.objects == audit.objects
        assert sum(band.objects for band in one.bands) == one.labelled
    assert of(audit, "artist").unnamed > 0


def test_the_page_is_sound_and_runs_nothing(audit: Audit, folder: Path) -> None:
    page = (folder / "audit" / "audit.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert" in page
    outside = re.findall(r"(?:src|href)=\"(?!data:image/jpeg|#)[^\"]*|url\(|@import", page)
    assert outside == []
    parser = Outline()
    parser.feed(page)
    assert parser.open == [], "every element is closed"
    assert parser.headings[0] == "h1"
    assert parser.headings.count("h1") == 1
    assert all(alt for alt in parser.alts)
    assert len(parser.alts) > 100
    assert parser.tables == parser.captions > 8
    assert sorted(parser.ids) == sorted(set(parser.links)), "no id twice, though there are several figures"
    assert len(page) < 2_000_000


class Outline(HTMLParser):
    """What a reader that does not see the page goes by."""

    EMPTY = ("meta", "img", "path")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.alts: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tables = self.captions = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        assert not any(name.startswith("on") for name in has), "no event handlers"
        if tag not in self.EMPTY:
            self.open.append(tag)
        if tag in ("h1", "h2", "h3"):
            self.headings.append(tag)
        self.tables += tag == "table"
        self.captions += tag == "caption"
        if tag in ("img", "svg"):
            self.alts.append(has.get("alt") or has.get("aria-label") or "")
        if "id" in has:
            self.ids.append(str(has["id"]))
        if tag == "a":
            self.links.append(str(has["href"]).removeprefix("#"))
        if tag == "th":
            assert has.get("scope")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.EMPTY

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_same_files_give_the_same_bytes(audit: Audit, here: CollectionPaths) -> None:
    again = write_audit(here, Path("again"))
    assert again == audit
    for name in ("audit.html", "audit.json"):
        assert Path("again", name).read_bytes() == Path("audit", name).read_bytes()
    facts = json.loads(Path("audit/audit.json").read_text("utf-8"))
    assert facts["objects"] == audit.objects
    assert facts["duplicates"]["pairs"] == audit.duplicates.pairs  # type: ignore[union-attr]


def test_the_page_has_the_figures_of_every_challenge_in_its_own_colours(audit: Audit, folder: Path) -> None:
    page = (folder / "audit" / "audit.html").read_text("utf-8")
    figures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    expected = [
        figure
        for one in audit.challenges
        for figure in (plot.rank_frequency(list(one.classes.values())), plot.shares(one.bands))
    ]
    assert figures == expected
    for name, colour in plot.COLOURS.items():
        assert f".{name} {{ background: {colour}; }}" in page
    assert f"--line: {plot.LINE};" in page


def test_the_text_says_the_same(audit: Audit) -> None:
    said = text(audit)
    assert f"{audit.objects:,} objects" in said
    for one in audit.challenges:
        assert re.search(rf"\| {one.challenge} \| .* \| {len(one.classes)} \|", said)


# --- what is absent --------------------------------------------------------------------------------------------------


def test_what_is_absent_is_left_out_and_said(
    here: CollectionPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "data" / "bare"
    bare.mkdir(parents=True)
    catalogue = pq.read_table(here.catalogue)
    nobody = pa.array([[]] * catalogue.num_rows, pa.list_(pa.string()))
    pq.write_table(catalogue.set_column(5, SCHEMA.field("creator"), nobody), bare / "catalogue.parquet")
    monkeypatch.chdir(tmp_path)
    audit = write_audit(CollectionPaths("bare"), Path("audit"))
    assert (audit.rejects, audit.unreadable, audit.cleaning, audit.duplicates) == (None, None, None, None)
    assert [one.challenge for one in audit.challenges] == ["material", "type"]
    assert all(one.split and one.split.drawn for one in audit.challenges)
    said = " ".join(audit.absent)
    for word in ("rejects.csv", "unreadable.csv", "cleaning.csv", "images.parquet", "splits.json", "Artist"):
        assert word in said
    page = Path("audit/audit.html").read_text("utf-8")
    assert "data:image" not in page
    assert "no pixels are packed" in page
    assert all(sentence in page.replace("&#39;", "'") for sentence in audit.absent)


def test_without_a_catalogue_there_is_no_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CollectionError, match="run the stage `catalogue`"):
        write_audit(CollectionPaths("nowhere"), Path("audit"))
    assert not Path("audit").exists()


# --- figures ---------------------------------------------------------------------------------------------------------


def read(figure: str, kind: str) -> tuple[str, list[str], list[str]]:
    """A figure's sentence, its texts and its colours; it is sound as an element among others of a page."""
    svg = etree.fromstring(figure)
    assert (svg.get("class"), svg.get("role")) == (kind, "img")
    assert svg.get("viewBox", "").startswith("0 0 ")
    assert not {"width", "height"} & set(svg.attrib), "as wide as the page says"
    assert {etree.QName(one).localname for one in svg} <= {"path", "text"}
    assert not {str(name) for one in svg.iter() for name in one.attrib} & {"id", "href", "clip-path"}
    assert "url(" not in figure
    texts = ["".join(one.itertext()) for one in svg.iter("{*}text")]
    return str(svg.get("aria-label")), texts, re.findall("fill: (#[0-9a-f]{6})", figure)


@pytest.mark.parametrize(
    ("counts", "bands"),
    [
        ([7], ["tail"]),
        ([1] * 30, ["singletons"]),
        ([747, 359, 99, 62, 2, 1], ["head", "middle", "tail", "singletons"]),
        ([112_000 // rank + 1 for rank in range(1, 1001)], ["head"]),
        ([112_000 // rank**2 + 1 for rank in range(1, 1001)], ["head", "middle", "tail", "singletons"]),
    ],
)
def test_ranks_and_their_bands(counts: list[int], bands: list[str]) -> None:
    figure = plot.rank_frequency(counts)
    said, texts, colours = read(figure, "plot")
    assert said.endswith(f"The largest of {len(counts)} classes has {counts[0]} objects, the smallest {counts[-1]}.")
    assert [text for text in texts if text in plot.COLOURS] == bands
    assert {"rank of the class", "objects", "1", "10"} <= set(texts)
    assert ("10,000" in texts) == (counts[0] > 10_000)
    assert set(plot.COLOURS.values()) & set(colours) == {plot.COLOURS[band] for band in bands}
    assert figure.count("stroke-linecap: round") == (len(counts) if len(counts) <= plot.DOTS else 0)
    assert len(figure) < 12_000
    assert plot.rank_frequency(counts) == figure


def test_shares_of_classes_and_objects() -> None:
    bands = [Band("head", "", 1, 90, 0.9), Band("middle", "", 0, 0, 0), Band("tail", "", 3, 10, 0.1)]
    bands.append(Band("singletons", "", 16, 0, 0.001))
    figure = plot.shares(bands)
    said, texts, colours = read(figure, "shares")
    assert said.startswith("head 5 % of the classes, 90 % of the objects; middle 0 % of the classes, 0 % of")
    assert sorted(texts) == ["10 %", "15 %", "80 %", "90 %", "classes", "objects"], "5 % and 0 % have no room"
    assert set(plot.COLOURS.values()) <= set(colours)
    assert plot.shares(bands) == figure


def test_only_drawing_loads_matplotlib() -> None:
    code = "import sys, rijksnet.audit.page, rijksnet.audit.write; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- facts by hand ---------------------------------------------------------------------------------------------------


def catalogue_of(creators: list[list[str]]) -> pa.Table:
    names = [f"{i}" for i in range(len(creators))]
    columns = {"object_id": names, "image": names, "creator": creators, "type": creators, "material": creators}
    return pa.table(columns)


def test_bands_imbalance_and_values_by_hand() -> None:
    listed_values = [["a"]] * 100 + [["b", "a"]] * 10 + [["c"]] * 2 + [["d", "a", "b"]] + [[]] * 3 + [["Anoniem"]] * 4
    objects = objects_of(catalogue_of(listed_values))
    one = challenge_facts("artist", objects, labels_by_object(objects, "artist"), None)
    assert one.classes == {"a": 100, "b": 10, "c": 2, "d": 1}
    assert [(band.classes, band.objects) for band in one.bands] == [(1, 100), (1, 10), (1, 2), (1, 1)]
    assert (one.labelled, one.no_value, one.unnamed, one.several_values) == (113, 3, 4, 11)
    assert one.values == {0: 3, 1: 106, 2: 10, 3: 1}
    assert [(pair.first, pair.second, pair.objects) for pair in one.value_pairs] == [
        ("a", "b", 11),
        ("a", "d", 1),
        ("b", "d", 1),
    ]
    assert one.imbalance.ratio == 100 / 6
    equal = imbalance([7, 7, 7])
    assert (equal.ratio, equal.effective_classes) == (1, pytest.approx(3))


def test_exposure_goes_through_chains_of_near_duplicates() -> None:
    rows = [("a", "b"), ("b", "c"), ("d", "d")]
    found = pa.table([*zip(*[(a, f"{a}.jpg", b, f"{b}2.jpg", 1, 0.01) for a, b in rows], strict=True)], search.SCHEMA)
    labels = {"a": "x", "b": None, "c": "x", "d": "y", "e": "y"}
    splits = {"a": "train", "c": "test", "d": "test", "e": "train"}
    cards = [search.RepeatedPicture(("a", "b", "c", "f"), 5, "a", "a.jpg", True)]
    known = {"type": ChallengeLabels(labels, splits), "artist": ChallengeLabels(labels, None)}
    result = duplicates(found, known, cards)
    (card,) = result.repeated
    assert (card.objects, card.labels) == (4, {"type": 1, "artist": 1})
    assert card.splits == {"type": {"train": 1, "test": 1}, "artist": {}}
    by_type, by_artist = result.challenges
    assert (by_type.in_splits, by_type.parted, by_type.tested, by_type.exposed) == (0, 0, 2, 1)
    assert (by_artist.parted, by_artist.exposed, by_artist.labelled, by_artist.contradicting) == (None, None, 0, 0)
    assert (result.pairs, result.same_object, result.notable) == (3, 1, ())


@pytest.mark.parametrize(
    ("share", "said"),
    [(0, "0 %"), (0.0001, "< 0.1 %"), (0.5, "50.0 %"), (0.99995, "> 99.9 %"), (1, "100 %")],
)
def test_a_share_never_reads_as_nothing_or_all_when_it_is_not(share: float, said: str) -> None:
    assert percent(share).replace("\N{NO-BREAK SPACE}", " ") == said


def test_lists_read_as_a_person_would_say_them() -> None:
    assert [listed("a"), listed("ab"), listed("abc")] == ["a", "a and b", "a, b and c"]


# --- real data -------------------------------------------------------------------------------------------------------


def test_real_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = SHARED / "rijksmuseum-challenge-sample"
    if not sample.is_dir():
        pytest.skip("the real sample is not here")
    monkeypatch.chdir(tmp_path)
    paths = CollectionPaths("sample")
    columns = COLUMNS.model_copy(update={"rights": None})
    _prepare(paths, str(sample.resolve()), ".", ["type"], columns)
    audit = write_audit(paths, Path("audit"))
    assert (audit.objects, audit.duplicates.pairs) == (126, 1)  # type: ignore[union-attr]
    assert of(audit, "type").labelled == 112
    assert of(audit, "artist").split_problem
    assert "No image has a rights statement." in verdict(audit)
    assert Path("audit/audit.html").read_text("utf-8").count("data:image/jpeg") > 60


def test_the_real_ground_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SHARED / "rijksmuseum-challenge-groundtruth" / "rijksgt_rows.csv.gz"
    if not file.is_file():
        pytest.skip("the real ground truth is not here")
    with gzip.open(file, "rt", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    n, empty = len(rows), [""] * len(rows)
    names = [f"{int(row['row']):07}" for row in rows]
    lists = {
        name: [values(row[column], "|") for row in rows]
        for name, column in (("creator", "creator"), ("type", "types"), ("material", "materials"))
    }
    columns = {"object_id": names, "image": names, "file": empty, "offset": [0] * n, "length": [0] * n, **lists}
    columns |= {"title": empty, "rights": empty, "split": empty}
    monkeypatch.chdir(tmp_path)
    paths = CollectionPaths("rijksmuseum")
    paths.root.mkdir(parents=True)
    pq.write_table(pa.table(columns, schema=SCHEMA), paths.catalogue)

    audit = write_audit(paths, Path("audit"))
    by_type, material, artist = (of(audit, challenge) for challenge in ("type", "material", "artist"))
    assert (by_type.labelled, len(by_type.classes)) == (112_012, 1_053)
    assert (material.labelled, len(material.classes)) == (110_668, 207), "and one nameless"
    assert artist.band("head").classes + artist.band("middle").classes == 1_196
    assert by_type.split is not None
    assert by_type.split.drawn
    assert by_type.split.majority_class == "prent"
    assert next(iter(by_type.classes)) == "prent"
    assert "Always answering one class is already right often" in text(audit)
