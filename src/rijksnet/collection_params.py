"""What params.yaml says of a collection: where it comes from, how it is fetched, how its values become labels."""

from __future__ import annotations

import codecs
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

#: What may stand in paths, DVC's keys, shell commands, experiments' and models' names alike.
NAME, PLAINLY = r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}", "60 at most of the letters a to z, digits, - and _"
ARCHITECTURE = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"


def _named(value: str, pattern: str, allowed: str) -> str:
    if not re.fullmatch(pattern, value):
        raise ValueError(f"{value!r} is no name: it may have {allowed}, and begins with a letter or digit")
    return value


def _known_encoding(value: str) -> str:
    try:
        return codecs.lookup(value).name
    except LookupError:
        raise ValueError(
            f"{value!r} is no encoding that Python knows; such are utf-8, cp1252, latin-1, utf-16"
        ) from None


#: A collection's name. A museum's own name, with all its letters, may stand in titles and records.
Name = Annotated[str, AfterValidator(lambda value: _named(value, NAME, PLAINLY))]
#: A network's name; timm knows which of them there are.
Architecture = Annotated[
    str, AfterValidator(lambda value: _named(value, ARCHITECTURE, "letters a to z, digits, ., - and _"))
]

Rule = Literal["roles", "names", "unnamed", "nothing", "vocabulary", "spelling", "first_value"]
DAY = r"^\d{4}-\d{2}-\d{2}$"
CREATOR_RULES: tuple[Rule, ...] = ("roles", "names", "unnamed")


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Cleaning(Frozen):
    """The rules that turn a museum's values into labels, per field; they run in the order of `Rule`."""

    creator: list[Rule] = Field([], description="rules for creators")
    type: list[Rule] = Field([], description="rules for object types")
    material: list[Rule] = Field([], description="rules for materials")
    vocabulary: str | None = Field(
        None, description="CSV file inside `raw` (field, term, label) for the rule `vocabulary`; null: the built-in one"
    )

    @model_validator(mode="after")
    def _names_are_creators(self) -> Cleaning:
        for field in ("type", "material"):
            odd = [rule for rule in getattr(self, field) if rule in CREATOR_RULES]
            if odd:
                raise ValueError(
                    f"cleaning.{field} has {odd}, which are rules for names: only cleaning.creator takes them"
                )
        return self


class AnyCollection(Frozen):
    """What every collection has."""

    raw: str = Field(description="path of the folder that holds the museum's files")
    cleaning: Cleaning = Field(Cleaning(), description="how values become labels; without rules they stay as they are")
    rights: list[str] = Field(
        [], description="keep only objects whose rights statement begins with one of these; an empty list keeps all"
    )


class Politeness(Frozen):
    """How a museum's server is asked."""

    contact: str = Field(min_length=3, description="your e-mail address or web page: servers see it as the user agent")
    requests_per_s: float = Field(gt=0, le=100, description="requests a second at most")
    robots: Literal["obey", "ignore"] = Field(
        "obey", description="robots.txt; `ignore` only where the service's own documentation invites harvesting"
    )


class Download(Politeness):
    """Images that `rijksnet fetch` downloads into tar files inside `raw`."""

    kind: Literal["iiif", "manifest", "url"] = Field(
        description="what an address is: a IIIF image (service), a IIIF manifest, or the image itself"
    )
    side: int = Field(512, ge=64, le=4096, description="longest side asked of a IIIF server, px")
    connections: int = Field(4, ge=1, le=32, description="downloads at the same time")


class Columns(Frozen):
    """Which column of the table holds what; null where the table has none. In JSON a path, `makers.name`."""

    object_id: str = Field("object_id", description="column with the object's identifier")
    image: str = Field("image", description="column with the image's path inside `images`")
    creator: str | None = Field(None, description="column with the creators")
    type: str | None = Field(None, description="column with the object types")
    material: str | None = Field(None, description="column with the materials")
    title: str | None = Field(None, description="column with the title")
    rights: str | None = Field(None, description="column with the rights statement")


class TableCollection(AnyCollection):
    """Any table plus a folder or tar of images, or their addresses."""

    reader: Literal["table"] = Field(description="any table plus images, or their addresses")
    table: str = Field(
        description="path of the table inside `raw`: CSV, a workbook (.xlsx, .ods, .xls), JSON or JSON Lines"
    )
    delimiter: str | None = Field(
        None,
        min_length=1,
        max_length=1,
        description="between the columns of a CSV file; null: what gives `columns`",
    )
    encoding: Annotated[str, AfterValidator(_known_encoding)] | None = Field(
        None, description="of a CSV file's letters, as Python names it, such as cp1252; null: UTF-8, or marked UTF-16"
    )
    sheet: str | None = Field(None, description="of a workbook; null: the one that has `columns`")
    images: str = Field(description="folder or .tar inside `raw` that holds the images; `.` is `raw` itself")
    download: Download | None = Field(
        None, description="set where the image column holds addresses: `rijksnet fetch` fills the folder `images`"
    )
    columns: Columns = Field(description="which column holds what")
    separator: str = Field("|", min_length=1, description="what separates several values in one cell")


class OaiCollection(AnyCollection):
    """A museum's OAI-PMH service, harvested by `rijksnet harvest`; images by `rijksnet fetch`."""

    reader: Literal["oai_pmh"] = Field(description="an OAI-PMH service and the images its records point to")
    endpoint: str = Field(pattern=r"^https?://", description="base URL of the OAI-PMH service")
    prefix: str = Field(description="metadataPrefix to ask for, as the service names it")
    format: Literal["dc", "edm", "lido"] = Field(
        description="what those records are: Dublin Core, Europeana Data Model or LIDO"
    )
    sets: list[str] = Field(description="sets to harvest; an empty list harvests everything")
    since: str | None = Field(
        None, pattern=DAY, description="earliest datestamp (YYYY-MM-DD) of the first harvest; null: no bound"
    )
    until: str | None = Field(None, pattern=DAY, description="latest datestamp (YYYY-MM-DD); null: no bound")
    object_id: Literal["header", "identifier"] = Field(
        "identifier", description="an object's id: the record's dc:identifier (the inventory number), or its OAI one"
    )
    language: str = Field("nl", min_length=2, description="preferred language of names (ISO 639-1)")
    resolve: bool = Field(False, description="look up names of makers, types and materials given as ids (Linked Art)")
    server: Politeness = Field(description="how the service is asked")
    download: Download = Field(description="how the images are fetched")


class RijksChallengeCollection(AnyCollection):
    """The Rijksmuseum Challenge 2014 (Mensink and van Gemert), as published (doi 10.21942/uva.5660617)."""

    reader: Literal["rijks_challenge"] = Field(description="the Rijksmuseum Challenge 2014, as published")
    images: str | None = Field(description="jpg2 archive (.tar) or folder inside `raw`; null: labels only, no pixels")
    xml: str | None = Field(description="xml2 archive (.tar, .tar.gz) or folder inside `raw`; null where absent")
    groundtruth: str | None = Field(description="rijksgt.mat inside `raw`; null where absent")
    labels: Literal["groundtruth", "xml"] = Field(description="where labels come from")

    @model_validator(mode="after")
    def _has_its_labels(self) -> RijksChallengeCollection:
        if getattr(self, self.labels) is None:
            raise ValueError(
                f"labels is {self.labels!r}, but `{self.labels}` is null: name the file, or take the other"
            )
        return self


class MiniatureCollection(AnyCollection):
    """A collection that RijksNet draws itself: deterministic, and no museum's."""

    reader: Literal["miniature"] = Field(description="drawn by RijksNet itself, deterministic by seed")
    museum: Literal["rijksmuseum", "antwerp", "photographs"] = Field(description="which world is drawn")
    objects: int = Field(ge=20, description="objects to draw")
    seed: int = Field(ge=0, description="seed of the drawing")


Collection = Annotated[
    TableCollection | OaiCollection | RijksChallengeCollection | MiniatureCollection, Field(discriminator="reader")
]
