from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from rijksnet.collection_params import RijksChallengeCollection
from rijksnet.collections.build import build
from rijksnet.collections.catalogue import read_catalogue
from rijksnet.collections.records import Reason, Record, Reject
from rijksnet.collections.rijks_challenge import groundtruth
from rijksnet.collections.rijks_challenge.reader import RijksChallengeReader
from rijksnet.errors import CollectionError
from rijksnet.paths import CollectionPaths

N = 300
CLASSES = ["vaas", "prent", "tekening", "schilderij"]
KIND = np.random.default_rng(0).choice(4, N, p=[0.1, 0.6, 0.2, 0.1])
TYPES = [CLASSES[kind] for kind in KIND]
NUMBERS = [f"{('BK', 'RP-P', 'RP-T', 'SK-A')[kind]}-{row}" for row, kind in enumerate(KIND)]
INDICES = 1 + np.arange(N) + np.arange(N) // 7  # every eighth index has no file
STEMS = [f"{index:07d}_{number}" for index, number in zip(INDICES, NUMBERS, strict=True)]

Read = Callable[..., list[Record | Reject]]


def cells(names: Sequence[str]) -> Any:
    array = np.empty((len(names), 1), dtype=object)
    array[:, 0] = names
    return array


def fields(**changes: Any) -> dict[str, Any]:
    """What `gt` holds: object i is of TYPES[i], made by maker i, of paper."""
    types = np.zeros((N, 4), np.uint8)
    types[np.arange(N), KIND] = 1
    gt = {
        "set": (1 + np.arange(N) % 3).reshape(-1, 1).astype(np.int16),
        "C": np.arange(1, N + 1, dtype=np.uint16).reshape(-1, 1),
        "Cnames": cells([f"maker {i}" for i in range(N)]),
        "T": types,
        "Tnames": cells(CLASSES),
        "M": np.ones((N, 1), np.uint8),
        "Mnames": cells(["papier"]),
        "Y": np.full((N, 2), 1642, np.int16),
        **changes,
    }
    return {name: value for name, value in gt.items() if value is not None}


def write_tar(path: Path, files: Mapping[str, bytes], mode: str = "w") -> None:
    with tarfile.open(path, mode, format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def write_images(path: Path, stems: Sequence[str] = STEMS) -> None:
    write_tar(path, {f"jpg2/{stem}.jpg": stem.encode() for stem in reversed(stems)})


DC = 'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/"'


def xml(*fields: tuple[str, str]) -> bytes:
    inner = "".join(f"<dc:{name}>{value}</dc:{name}>" for name, value in fields)
    record = f"<record><header/><metadata><oai_dc:dc {DC}>{inner}</oai_dc:dc></metadata></record>"
    return f'<?xml version="1.0" encoding="UTF-8"?>{record}'.encode()


def write_xml(path: Path, changes: Mapping[int, bytes] | None = None, mode: str = "w") -> None:
    """A record for each object, whose content `changes` replaces."""
    files = [
        xml(
            ("type", kind),
            ("creator", f"prentmaker: Maker {row}"),
            ("title", f"Titel {row}"),
            ("rights", "https://open/"),
        )
        for row, kind in enumerate(TYPES)
    ]
    for row, content in (changes or {}).items():
        files[row] = content
    write_tar(path, {f"xml2/{stem}.xml": content for stem, content in zip(STEMS, files, strict=True)}, mode)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A folder with the complete challenge of 300 objects."""
    scipy.io.savemat(tmp_path / "rijksgt.mat", {"gt": fields()})
    write_images(tmp_path / "jpg2.tar")
    write_xml(tmp_path / "xml2.tar")
    return tmp_path


def reader(raw: Path, **changes: Any) -> RijksChallengeReader:
    names = {"images": "jpg2.tar", "xml": None, "groundtruth": "rijksgt.mat", "labels": "groundtruth", **changes}
    return RijksChallengeReader(RijksChallengeCollection(reader="rijks_challenge", raw=str(raw), **names))


@pytest.fixture
def read(raw: Path) -> Read:
    return lambda **changes: list(reader(raw, **changes))


def rejected(items: Sequence[Record | Reject]) -> list[Reject]:
    return [item for item in items if isinstance(item, Reject)]


# --- the ground truth ------------------------------------------------------------------------------------------------


def test_values_come_in_the_order_in_which_they_were_listed(tmp_path: Path) -> None:
    materials = np.zeros((N, 4), np.uint8)
    materials[0] = [2, 3, 1, 0]  # the nameless class, second
    materials[1] = [1, 0, 0, 2]  # the nameless class, first
    materials[2] = [0, 2, 0, 5]  # something was listed twice, and stands at its last place
    names = cells(["", "doek", "cr\x1a\x1ape", "olieverf"])
    scipy.io.savemat(tmp_path / "a.mat", {"gt": fields(M=materials, Mnames=names)})
    truth = groundtruth.read(tmp_path / "a.mat")
    assert truth.materials[:4] == [("cr\ufffdpe", "doek"), ("olieverf",), ("doek", "olieverf"), ()]
    assert truth.nameless == {1}
    assert truth.splits[:3] == ["train", "validation", "test"]
    assert truth.creators[2] == "maker 2"
    assert truth.years[0].tolist() == [1642, 1642]
    assert len(truth) == N


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"set": None, "Y": None}, "no gt.set, gt.Y"),
        ({"set": np.full((N, 1), 4)}, "gt.set has 4 in row 1"),
        ({"set": np.zeros((0, 0))}, "gt.set has nothing"),
        ({"C": np.full((N, 1), N + 1)}, f"gt.C has {N + 1} in row 1"),
        ({"C": np.ones((5, 1))}, "gt.C has 5 rows"),
        ({"T": np.ones((N, 3))}, r"gt.T has shape \(300, 3\); the other fields need \(300, 4\)"),
        ({"M": np.full((N, 1), 0.5)}, "gt.M must be a matrix of whole numbers"),
        ({"Mnames": "papier"}, "gt.Mnames must be a list"),
        ({"Tnames": cells(["prent"] * 4)}, "gt.Tnames must be a list of different names"),
    ],
)
def test_a_foreign_ground_truth_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"gt": fields(**changes)})
    with pytest.raises(CollectionError, match=message):
        groundtruth.read(tmp_path / "a.mat")


def test_a_file_that_is_damaged_or_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    with pytest.raises(CollectionError, match="not a file"):
        groundtruth.read(path)
    scipy.io.savemat(path, {"other": np.ones(3)})
    with pytest.raises(CollectionError, match=r"no gt\.set"):
        groundtruth.read(path)
    scipy.io.savemat(path, {"gt": fields()}, do_compression=True)
    whole = path.read_bytes()
    for content in (whole[:200], whole[: len(whole) // 2], b"<html>", b"", whole[:300] + bytes(300) + whole[600:]):
        path.write_bytes(content)
        with pytest.raises(CollectionError, match=r"cannot be read as a \.mat file|not the challenge's"):
            groundtruth.read(path)


# --- files and rows --------------------------------------------------------------------------------------------------


def test_rows_are_joined_by_rank(read: Read, raw: Path) -> None:
    records = read()
    assert [record.image for record in records] == [f"{stem}.jpg" for stem in STEMS]
    assert [record.object_id for record in records] == NUMBERS
    for row, record in enumerate(records):
        assert isinstance(record, Record)
        assert (record.creator, record.type, record.material) == ((f"maker {row}",), (TYPES[row],), ("papier",))
        assert record.split == ("train", "validation", "test")[row % 3]
        data = Path(record.file).read_bytes()
        assert data[record.offset :][: record.length] == STEMS[row].encode()
    with tarfile.open(raw / "jpg2.tar") as tar:
        tar.extractall(raw, filter="data")
    assert [(item.image, item.creator) for item in read(images="jpg2") if isinstance(item, Record)] == [
        (record.image, record.creator) for record in records if isinstance(record, Record)
    ]


def test_one_file_too_few_is_refused(read: Read, raw: Path) -> None:
    write_images(raw / "jpg2.tar", STEMS[1:])
    with pytest.raises(CollectionError, match="has 300 rows, but `images` has 299 files"):
        read()


@pytest.mark.parametrize("changes", [{}, {"xml": "xml2.tar"}])
def test_one_file_too_few_and_another_too_many_is_refused(read: Read, raw: Path, changes: dict[str, str]) -> None:
    stems = [*STEMS[:20], *STEMS[21:], "9999999_BK-9"]
    write_images(raw / "jpg2.tar", stems)
    with pytest.raises(CollectionError, match=r"objects more agree \+1 rows away: files are missing") as caught:
        read(**changes)
    assert f"From {stems[20]!r}" in str(caught.value) or f"From {stems[21]!r}" in str(caught.value)
    assert "by the index in the file's name" in str(caught.value)


def test_a_shift_of_a_part_is_refused_even_if_most_agree(read: Read, raw: Path) -> None:
    """Prefixes agree for more than 85 %: only the stretch shows that something is wrong."""
    write_images(raw / "jpg2.tar", [*STEMS[:265], *STEMS[266:], "9999999_BK-9"])
    with pytest.raises(CollectionError, match=r"for (8[5-9]|9\d)\.\d% of .* objects more agree \+1"):
        read()


def test_records_tell_a_shift_by_creators_where_types_are_alike(read: Read, raw: Path) -> None:
    """Twenty makers are a row away from where they belong; all types are where they belong."""
    makers = np.arange(1, N + 1).reshape(-1, 1)
    makers[100:120] = np.roll(makers[100:120], -1)
    scipy.io.savemat(raw / "rijksgt.mat", {"gt": fields(C=makers)})
    read()  # nothing to be seen
    with pytest.raises(
        CollectionError,
        match=rf"dc:creator agrees .* for 93.3% of 300 objects. From {STEMS[101]!r} .* 19 objects more agree -1",
    ):
        read(xml="xml2.tar")


def test_another_order_of_rows_is_refused(read: Read, raw: Path) -> None:
    mixed = np.random.default_rng(1).permutation(N)
    scipy.io.savemat(raw / "rijksgt.mat", {"gt": fields(T=fields()["T"][mixed])})
    with pytest.raises(CollectionError, match=r"first dc:type agrees .* for [3-6]\d\.\d% of 300 .* least 95%"):
        read(xml="xml2.tar")
    with pytest.raises(CollectionError, match=r"RP-P, RP-T, SK.* agrees .* for [3-6]\d\.\d% of .* least 85%"):
        read()


def test_a_join_that_nothing_can_check_is_refused(read: Read, raw: Path) -> None:
    write_images(raw / "jpg2.tar", [f"{row:07d}_BK-{row}" for row in range(N)])
    with pytest.raises(CollectionError, match="nothing tells whether files and rows belong together"):
        read()


def test_some_images_take_their_rows_from_all_records(read: Read, raw: Path) -> None:
    write_images(raw / "jpg2.tar", STEMS[100:110])
    items = read(xml="xml2.tar")
    assert [item.creator for item in items if isinstance(item, Record)] == [
        (f"maker {row}",) for row in range(100, 110)
    ]
    missing = rejected(items)
    assert len(missing) == N - 10
    assert missing[0] == Reject(NUMBERS[0], f"{STEMS[0]}.jpg", Reason.MISSING, "not in `images`, 'jpg2.tar'")


def test_what_is_no_image_file_takes_no_rank(read: Read, raw: Path) -> None:
    with tarfile.open(raw / "jpg2.tar", "a", format=tarfile.USTAR_FORMAT) as tar:
        for name in ("jpg2/0000000_RP-P-link.jpg", "../0000000_RP-P-out.jpg", "jpg2/._0000001_RP-P-1.jpg"):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = (tarfile.SYMTYPE, "/etc/passwd") if "link" in name else (tarfile.REGTYPE, "")
            tar.addfile(info)
    items = read()
    assert [reject.reason for reject in rejected(items)] == [Reason.NOT_A_FILE]
    assert [item.creator for item in items if isinstance(item, Record)] == [(f"maker {row}",) for row in range(N)]


# --- one object, one value -------------------------------------------------------------------------------------------


def test_an_object_photographed_twice_stays_only_with_equal_labels(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stems = list(STEMS)
    twins = [row for row in range(N) if KIND[row] == 1][:3]
    for row in twins[1:]:
        stems[row] = f"{INDICES[row]:07d}_{NUMBERS[twins[0]]}"
    write_images(raw / "jpg2.tar", stems)
    makers, sets = fields()["C"], fields()["set"]
    makers[twins[1]], sets[twins[1]] = makers[twins[0]], sets[twins[0]]
    scipy.io.savemat(raw / "rijksgt.mat", {"gt": fields(C=makers, set=sets)})
    monkeypatch.chdir(raw)
    paths = CollectionPaths("challenge")
    counts = build(reader(raw), paths)
    assert (counts.images, counts.objects, counts.rejects) == (N - 1, N - 2, {Reason.DUPLICATE: 1})
    detail = paths.rejects.read_text(encoding="utf-8")
    assert f"('maker {twins[2]}',)" in detail
    assert f"('maker {twins[0]}',)" in detail
    assert set(read_catalogue(paths.catalogue)["split"].to_pylist()) == {"train", "validation", "test"}


# --- records ---------------------------------------------------------------------------------------------------------

RICH = xml(
    ("identifier", "SK-A-1"),
    ("type", "schilderij"),
    ("type", " portret "),
    ("format", "http://www.rijksmuseum.nl/assetimage2.jsp?id=SK-A-1"),
    ("format", "hoogte 30 cm"),
    ("format", "materiaal: papier"),
    ("format", "Materiaal: crêpe"),
    ("format", "techniek: etsen"),
    ("creator", "prentmaker: Luyken, Jan"),
    ("creator", "Onbekend &amp; Zoon"),
    ("title", "Één"),
    ("title", "Vroegere titel"),
    ("rights", "http://shut/"),
)


@pytest.mark.parametrize(("name", "mode"), [("xml2.tar", "w"), ("xml2.tar.gz", "w:gz")])
def test_labels_of_records(read: Read, raw: Path, name: str, mode: str) -> None:
    write_xml(raw / name, {0: RICH}, mode)
    record = read(xml=name, groundtruth=None, labels="xml")[0]
    assert isinstance(record, Record)
    assert record.creator == ("prentmaker: Luyken, Jan", "Onbekend & Zoon")
    assert record.type == ("schilderij", "portret")
    assert record.material == ("papier", "crêpe")
    assert (record.title, record.rights, record.split) == ("Één", "http://shut/", "")


def test_a_folder_of_records_and_their_rights(read: Read, raw: Path) -> None:
    write_xml(raw / "xml2.tar", {5: RICH})
    with tarfile.open(raw / "xml2.tar") as tar:
        tar.extractall(raw, filter="data")
    items = read(xml="xml2", rights=["http://OPEN/"])
    assert rejected(items) == [Reject(NUMBERS[5], f"{STEMS[5]}.jpg", Reason.RIGHTS, "http://shut/")]
    record = items[6]
    assert isinstance(record, Record)
    assert (record.title, record.rights, record.creator) == ("Titel 6", "https://open/", ("maker 6",))
    with pytest.raises(CollectionError, match="`xml` is null"):
        read(rights=["http://open/"])


BOMB = b'<!DOCTYPE a [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><a><type>&b;</type></a>'
OUTSIDE = b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><a><type>&a;</type></a>'


@pytest.mark.parametrize("labels", ["groundtruth", "xml"])
def test_a_hostile_record_is_one_reject_and_the_rest_goes_on(read: Read, raw: Path, labels: str) -> None:
    bad = {
        10: (BOMB, "DOCTYPE"),
        20: (OUTSIDE, "DOCTYPE"),
        30: (b"<html><body>not found</body></html>", "no Dublin Core record"),
        40: (xml(("type", "prent"))[:-20], "no well-formed XML"),
        50: ('<?xml version="1.0" encoding="UTF-8"?><type>bas-reliëf</type>'.encode("latin-1"), "no well-formed XML"),
        60: (b" " * (1 << 20) + RICH, "at most 1048576"),
        70: (b"", "no well-formed XML"),
    }
    write_xml(raw / "xml2.tar", {row: content for row, (content, _) in bad.items()})
    items = read(xml="xml2.tar", labels=labels)
    assert len(items) == N
    for row, item in enumerate(items):
        if row in bad:
            assert isinstance(item, Reject)
            assert (item.object_id, item.reason) == (NUMBERS[row], Reason.DOUBTFUL)
            assert bad[row][1] in item.detail
        else:
            assert isinstance(item, Record)
            assert item.type == (TYPES[row],)


def test_members_that_are_no_records_are_ignored(read: Read, raw: Path) -> None:
    with tarfile.open(raw / "xml2.tar", "a", format=tarfile.USTAR_FORMAT) as tar:
        for name, kind in (
            ("0000000_a.xml", tarfile.SYMTYPE),
            ("0000000_b.xml", tarfile.CHRTYPE),
            ("../0_c.xml", b"0"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    assert len(read(xml="xml2.tar", images=None)) == N


def test_damaged_record_archives_are_refused(read: Read, raw: Path) -> None:
    write_xml(raw / "xml2.tar.gz", mode="w:gz")
    whole = (raw / "xml2.tar.gz").read_bytes()
    for content in (whole[: len(whole) // 2], whole[:2000] + b"damage" + whole[2006:], b"<html>" * 200):
        (raw / "xml2.tar.gz").write_bytes(content)
        with pytest.raises(CollectionError, match=r"xml2\.tar\.gz"):
            read(xml="xml2.tar.gz")
    with pytest.raises(CollectionError, match="neither a folder nor"):
        read(xml="absent.tar")


# --- without images --------------------------------------------------------------------------------------------------


def test_labels_alone(read: Read) -> None:
    items = read(images=None)
    assert items[1] == Record(
        "row-000002", "row-000002", "", 0, 0, ("maker 1",), (TYPES[1],), ("papier",), split="validation"
    )
    named = read(images=None, xml="xml2.tar")
    assert [item.object_id for item in named] == [item.image for item in named] == NUMBERS
    assert [item.creator for item in named if isinstance(item, Record)] == [(f"maker {row}",) for row in range(N)]


def test_an_image_without_a_record(read: Read, raw: Path) -> None:
    write_images(raw / "jpg2.tar", [*STEMS, "9999999_BK-9"])
    without = read(xml="xml2.tar", groundtruth=None, labels="xml")[-1]
    assert without == Reject("BK-9", "9999999_BK-9.jpg", Reason.DOUBTFUL, "not in `xml`, 'xml2.tar'")
    assert rejected(read(xml="xml2.tar"))[0].detail == "no file of this name gives it a row: see `xml`"


def test_no_raw_folder(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="not a folder"):
        list(reader(tmp_path / "absent"))
