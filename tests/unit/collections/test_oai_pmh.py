from __future__ import annotations

from pathlib import Path

import pytest

from oai_server import dublin_core, oai_collection
from rijksnet.collection_params import OaiCollection
from rijksnet.collections.build import build
from rijksnet.collections.harvested import HarvestedRecord, HarvestStore, ListState
from rijksnet.collections.oai_pmh import OaiReader
from rijksnet.collections.records import Address, Reason, Record, Reject
from rijksnet.errors import CollectionError
from rijksnet.harvesting.shard_writer import ImageHeader, ShardWriter
from rijksnet.paths import CollectionPaths

PUBLIC, MODERN = "http://creativecommons.org/publicdomain/mark/1.0/", "http://rightsstatements.org/vocab/InC/1.0/"


def url(name: str) -> str:
    return f"https://example.org/{name}.jpg"


def harvested(identifier: str, metadata: str, deleted: bool = False) -> HarvestedRecord:
    return HarvestedRecord(identifier, "2020-01-01", (), deleted, metadata.encode())


@pytest.fixture
def collection(tmp_path: Path) -> OaiCollection:
    """Records of every kind; of the images, one was fetched and one failed."""
    made = oai_collection(tmp_path / "raw", "https://example.org/oai", rights=["https://creativecommons.org/"])
    fields = {"creator": "https://id.example.org/1", "type": ["prent", "https://id.example.org/2"], "title": "Ets"}
    records = [
        harvested("oai:1", dublin_core(identifier="A-1", relation=url("1"), format="papier", rights=PUBLIC, **fields)),
        harvested("oai:2", dublin_core(identifier="A-2", relation=url("2"), rights=PUBLIC)),
        harvested("oai:3", dublin_core(identifier="A-3", relation=url("3"), rights=PUBLIC)),
        harvested("oai:4", dublin_core(identifier="A-4", relation=url("4"), rights=MODERN)),
        harvested("oai:5", dublin_core(identifier="A-5", rights=PUBLIC)),
        harvested("oai:6", "<dc>"),
        harvested("oai:7", "", deleted=True),
    ]
    with HarvestStore.writing(made) as store:
        store.add("", records, {"oai:8": "it is broken"}, ListState(done="2024-05-01T12:00:00Z"))
        store.name("https://id.example.org/1", "nl", "Rembrandt van Rijn")
        store.name("https://id.example.org/2", "en", "print")
    with ShardWriter.open(tmp_path / "raw" / "images") as writer:
        writer.add(Address("A-1", url("1")), b"picture", "image/jpeg", ImageHeader("JPEG", 1, 1))
        writer.fail(Address("A-2", url("2")), "HTTP 404", "gone", permanent=True)
    return made


def test_records_and_rejects(collection: OaiCollection) -> None:
    record, *rejects = sorted(OaiReader(collection), key=lambda one: isinstance(one, Reject))
    assert isinstance(record, Record)
    assert Path(record.file).read_bytes()[record.offset :][: record.length] == b"picture"
    assert record == Record(
        "A-1",
        record.image,
        record.file,
        record.offset,
        7,
        creator=("Rembrandt van Rijn",),
        type=("prent", "https://id.example.org/2"),  # its name is known in another language only
        material=("papier",),
        title="Ets",
        rights=PUBLIC,
    )
    found = {one.object_id: (one.reason, one.detail) for one in rejects if isinstance(one, Reject)}
    assert found == {
        "oai:8": (Reason.DOUBTFUL, "it could not be harvested: it is broken"),
        "A-2": (Reason.NOT_FETCHED, "HTTP 404: gone"),
        "A-3": (Reason.NOT_FETCHED, "not asked for yet: run `rijksnet fetch` for this collection"),
        "A-4": (Reason.RIGHTS, MODERN),
        "A-5": (Reason.NO_IMAGE, "record oai:5 names no image"),
        "oai:6": (Reason.DOUBTFUL, found["oai:6"][1]),
    }


def test_addresses(collection: OaiCollection) -> None:
    assert list(OaiReader(collection).addresses()) == [Address(f"A-{n}", url(str(n))) for n in (1, 2, 3)]


def test_object_ids_of_the_header(collection: OaiCollection) -> None:
    by_header = collection.model_copy(update={"object_id": "header", "rights": []})
    assert [one.object_id for one in OaiReader(by_header).addresses()] == ["oai:1", "oai:2", "oai:3", "oai:4"]


def test_identifier_that_is_absent_falls_back_on_the_header(collection: OaiCollection) -> None:
    with HarvestStore.writing(collection) as store:
        store.add("", [harvested("oai:9", dublin_core(relation=url("9"), rights=PUBLIC))], {})
    assert list(OaiReader(collection).addresses())[-1] == Address("oai:9", url("9"))


def test_before_any_harvest(tmp_path: Path) -> None:
    reader = OaiReader(oai_collection(tmp_path / "raw", "https://example.org/oai"))
    with pytest.raises(CollectionError, match="run `rijksnet harvest`"):
        list(reader)
    with pytest.raises(CollectionError, match="run `rijksnet harvest`"):
        list(reader.addresses())


def test_catalogue(collection: OaiCollection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    counts = build(OaiReader(collection), CollectionPaths("museum"))
    assert (counts.objects, counts.rejects[Reason.NOT_FETCHED]) == (1, 2)


def test_one_image_under_two_records(collection: OaiCollection) -> None:
    with HarvestStore.writing(collection) as store:
        store.add("", [harvested("oai:9", dublin_core(identifier="A-1", relation=url("1"), rights=PUBLIC))], {})
    counts = build(OaiReader(collection), CollectionPaths("museum"))
    assert counts.rejects[Reason.DUPLICATE] == 1
