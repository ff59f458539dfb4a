"""The `rijks_challenge` reader: archives and ground truth, joined."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rijksnet.collections.records import Extent, Reason, Record, Reject
from rijksnet.collections.rights import allowed
from rijksnet.collections.rijks_challenge import archive, groundtruth, join
from rijksnet.collections.rijks_challenge.archive import Image, ObjectDescription
from rijksnet.errors import CollectionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rijksnet.collection_params import RijksChallengeCollection
    from rijksnet.collections.rijks_challenge.archive import Stem
    from rijksnet.collections.rijks_challenge.groundtruth import GroundTruth

#: Where the pixels of labels without images lie.
NOWHERE = Extent("", 0, 0)


@dataclass(frozen=True)
class RijksChallengeReader:
    """Records of the challenge, in the order of their files' names.

    An object's id is its object number, its image the file's name. Without images, the image is called like the object
    and lies nowhere; with the ground truth alone, objects are called `row-000001` and so on.

    Raises, on iterating:
        CollectionError: a file is absent, damaged or of another kind; files and ground truth do not fit together; or
            rights are to be chosen by, but no XML gives any.
    """

    collection: RijksChallengeCollection

    def __iter__(self) -> Iterator[Record | Reject]:
        wanted, raw = self.collection, Path(self.collection.raw)
        if not raw.is_dir():
            raise CollectionError(f"`raw` is {wanted.raw!r}, which is not a folder")
        if wanted.rights and wanted.xml is None:
            raise CollectionError(f"`rights` keeps only {wanted.rights}, but `xml` is null: only the XML gives rights")
        truth = groundtruth.read(raw / wanted.groundtruth) if wanted.groundtruth is not None else None
        if wanted.images is None and wanted.xml is None:
            assert truth is not None, "`labels` come from somewhere (see RijksChallengeCollection)"
            return _rows_alone(truth)
        images = None if wanted.images is None else archive.images(raw / wanted.images)
        descriptions = None if wanted.xml is None else dict(archive.descriptions(raw / wanted.xml))
        rows = None if truth is None else _join(raw / str(wanted.groundtruth), truth, images, descriptions)
        return _without_contradictions(_Objects(wanted, images, descriptions, truth, rows))


def _rows_alone(truth: GroundTruth) -> Iterator[Record]:
    for row in range(len(truth)):
        name = f"row-{row + 1:06d}"
        yield _record(name, name, NOWHERE, _labels(truth, row), ObjectDescription(), truth.splits[row])


def _record(
    id_: str, image: str, extent: Extent, labels: ObjectDescription, said: ObjectDescription, split: str
) -> Record:
    creator, kind, material = labels.creator, labels.type, labels.material
    return Record(id_, image, *extent, creator, kind, material, title=said.title, rights=said.rights, split=split)


def _labels(truth: GroundTruth, row: int) -> ObjectDescription:
    return ObjectDescription((truth.creators[row],), truth.types[row], truth.materials[row])


def _join(
    path: Path,
    truth: GroundTruth,
    images: Mapping[Stem, Image] | None,
    descriptions: Mapping[Stem, ObjectDescription | str] | None,
) -> dict[Stem, int]:
    """The row of each file: its rank, where this proves right."""
    files = {}
    if images is not None:
        files["images"] = [stem for stem, image in images.items() if isinstance(image.found, Extent)]
    if descriptions is not None:
        files["xml"] = list(descriptions)
    ranked_by = join.require_number({name: len(stems) for name, stems in files.items()}, len(truth), path)
    stems = sorted(files[ranked_by])
    said = {stem: one for stem, one in (descriptions or {}).items() if isinstance(one, ObjectDescription)}
    join.require_agreement(stems, truth, said)
    return {stem: row for row, stem in enumerate(stems)}


@dataclass(frozen=True)
class _Objects:
    """All that is known, file by file; None is what there is not."""

    collection: RijksChallengeCollection
    images: Mapping[Stem, Image] | None
    descriptions: Mapping[Stem, ObjectDescription | str] | None
    truth: GroundTruth | None
    rows: Mapping[Stem, int] | None

    def __iter__(self) -> Iterator[Record | Reject]:
        for stem in sorted({*(self.images or ()), *(self.descriptions or ())}):
            yield self._record(stem)

    def _record(self, stem: Stem) -> Record | Reject:
        object_id = stem.object_id
        image = Image(object_id, NOWHERE)
        if self.images is not None:
            image = self.images.get(stem, Image(f"{stem.text}.jpg", ""))
        if isinstance(image.found, str):
            reason = Reason.NOT_A_FILE if image.found else Reason.MISSING
            return Reject(object_id, image.name, reason, image.found or f"not in `images`, {self.collection.images!r}")
        description = ObjectDescription() if self.descriptions is None else self.descriptions.get(stem)
        if isinstance(description, str):
            return Reject(object_id, image.name, Reason.DOUBTFUL, description)
        if description is None and self.collection.labels == "xml":
            return Reject(object_id, image.name, Reason.DOUBTFUL, f"not in `xml`, {self.collection.xml!r}")
        description = description or ObjectDescription()
        if not allowed(description.rights, self.collection.rights):
            return Reject(object_id, image.name, Reason.RIGHTS, description.rights)
        return self._labelled(stem, image.name, image.found, description)

    def _labelled(self, stem: Stem, image: str, extent: Extent, said: ObjectDescription) -> Record | Reject:
        if self.truth is None or self.rows is None:
            return _record(stem.object_id, image, extent, said, said, "")
        row = self.rows.get(stem)
        if row is None:
            return Reject(stem.object_id, image, Reason.DOUBTFUL, "no file of this name gives it a row: see `xml`")
        labels = _labels(self.truth, row) if self.collection.labels == "groundtruth" else said
        return _record(stem.object_id, image, extent, labels, said, self.truth.splits[row])


def _without_contradictions(items: _Objects) -> Iterator[Record | Reject]:
    """Of an object photographed twice, later images are rejected unless they have the labels and split of the first."""
    first: dict[str, Record] = {}
    for item in items:
        if isinstance(item, Record):
            one = first.setdefault(item.object_id, item)
            for field in ("creator", "type", "material", "split"):
                if getattr(one, field) != getattr(item, field):
                    detail = f"its {field} is {getattr(item, field)!r}, with {one.image!r} {getattr(one, field)!r}"
                    item = Reject(item.object_id, item.image, Reason.DUPLICATE, detail)
                    break
        yield item
