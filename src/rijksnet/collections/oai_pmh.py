"""The `oai_pmh` reader: harvested records, and the images that were fetched for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rijksnet.collections.harvested import HarvestStore
from rijksnet.collections.metadata import parse
from rijksnet.collections.metadata.fields import MetadataError
from rijksnet.collections.records import Address, Reason, Record, Reject
from rijksnet.collections.rights import allowed
from rijksnet.collections.shards import Shards

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rijksnet.collection_params import OaiCollection
    from rijksnet.collections.harvested import HarvestedRecord
    from rijksnet.collections.metadata.fields import Metadata


@dataclass(frozen=True)
class OaiReader:
    """Records of a harvest in the order of their OAI identifiers, deleted ones left out.

    Raises, on iterating:
        CollectionError: nothing was harvested yet, the store is another service's, or the store or the index of the
            images is damaged.
    """

    collection: OaiCollection

    def __iter__(self) -> Iterator[Record | Reject]:
        collection = self.collection
        with HarvestStore.reading(collection) as store, Shards.open(Path(collection.raw) / "images") as shards:
            for why in store.shortfalls():
                yield Reject("", "", Reason.INCOMPLETE, why)
            names = store.names(collection.language)
            for identifier, _, reason in store.failures():
                yield Reject(identifier, "", Reason.DOUBTFUL, f"it could not be harvested: {reason}")
            for harvested in store.records(collection.sets):
                said = self._said(harvested)
                yield said if isinstance(said, Reject) else self._record(*said, names, shards)

    def addresses(self) -> Iterator[Address]:
        """The addresses of the images of all records whose rights statement is among those kept."""
        with HarvestStore.reading(self.collection) as store:
            for harvested in store.records(self.collection.sets):
                said = self._said(harvested)
                if not isinstance(said, Reject):
                    object_id, metadata = said
                    yield Address(object_id, metadata.image)

    def _said(self, harvested: HarvestedRecord) -> tuple[str, Metadata] | Reject:
        """An object's id and what is said of it, if it has an image that may be used."""
        try:
            collection = self.collection
            metadata = parse(harvested.metadata, collection.format, collection.language, collection.download.kind)
        except MetadataError as error:
            return Reject(harvested.identifier, "", Reason.DOUBTFUL, str(error))
        in_record = metadata.identifier if self.collection.object_id == "identifier" else ""
        object_id = in_record or harvested.identifier
        if not allowed(metadata.rights, self.collection.rights):
            return Reject(object_id, metadata.image, Reason.RIGHTS, metadata.rights or "it states none")
        if not metadata.image:
            named = f"; its addresses: {list(metadata.addresses[:5])}" if metadata.addresses else ""
            return Reject(object_id, "", Reason.NO_IMAGE, f"record {harvested.identifier} names no image{named}")
        return object_id, metadata

    def _record(self, object_id: str, metadata: Metadata, names: dict[str, str], shards: Shards) -> Record | Reject:
        found = shards.find(metadata.image)
        if found is None:
            reason = shards.failure(metadata.image) or "not asked for yet: run `rijksnet fetch` for this collection"
            return Reject(object_id, metadata.image, Reason.NOT_FETCHED, reason)
        return Record(
            object_id,
            found.name,
            *found.extent,
            creator=_named(metadata.creators, names),
            type=_named(metadata.types, names),
            material=_named(metadata.materials, names),
            title=metadata.title,
            rights=metadata.rights,
        )


def _named(values: tuple[str, ...], names: dict[str, str]) -> tuple[str, ...]:
    """Values with names in place of ids, as far as they are known."""
    return tuple(names.get(value, value) for value in values)
