"""The only knobs: params.yaml as typed, frozen values. Unknown keys are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rijksnet.errors import ParamsError

Challenge = Literal["material", "type", "artist"]
Strategy = Literal["off_the_shelf", "fine_tuning", "scratch"]
Initialisation = Literal["imagenet", "rijksmuseum", "random"]
ProtocolName = Literal["as_written", "as_released"]
PixelScale = Literal["protocol", "unit", "pretrained"]
BatchNorm = Literal["running", "batch"]
Precision = Literal["auto", "fp32", "bf16"]
Device = Literal["auto", "cpu", "cuda", "mps"]
SplitRule = Literal["paper", "challenge", "imported"]
Rule = Literal["roles", "names", "unnamed", "vocabulary", "spelling", "first_value"]
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
    """Which column of the table holds what; null where the table has none."""

    object_id: str = Field("object_id", description="column with the object's identifier")
    image: str = Field("image", description="column with the image's path inside `images`")
    creator: str | None = Field(None, description="column with the creators")
    type: str | None = Field(None, description="column with the object types")
    material: str | None = Field(None, description="column with the materials")
    title: str | None = Field(None, description="column with the title")
    rights: str | None = Field(None, description="column with the rights statement")


class TableCollection(AnyCollection):
    """Any CSV file plus a folder or tar of images, or their addresses."""

    reader: Literal["table"] = Field(description="any CSV file plus images, or their addresses")
    table: str = Field(description="path of the CSV file inside `raw` (UTF-8, header line)")
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
    format: Literal["dc", "edm"] = Field(description="what those records are: Dublin Core or Europeana Data Model")
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


class Source(Frozen):
    collection: str = Field(description="the collection that weights are tuned on")
    challenges: list[Challenge] = Field(min_length=1, description="challenges to run on it")


class Target(Frozen):
    collection: str = Field(description="the collection that weights are transferred to")
    challenges: list[Challenge] = Field(description="challenges to run on it; an empty list leaves the transfer out")
    architectures: list[str] = Field(description="architectures to transfer; an empty list leaves the transfer out")


class Scratch(Frozen):
    architecture: str = Field(description="architecture trained from random weights (paper: inception_v3)")
    challenges: list[Challenge] = Field(description="source challenges it is trained on; an empty list leaves it out")


class Pretrain(Frozen):
    """How θ is made where it cannot be downloaded: training from random weights on photographs."""

    collection: str = Field(description="the collection of photographs, classified by `type`")
    architectures: list[str] = Field(description="architectures whose θ is trained here")
    learning_rate: float = Field(gt=0, description="SGD learning rate (the paper fixes none for this step)")
    max_epochs: int = Field(ge=1, description="epochs at most")


class Imagenet(Frozen):
    """Where θ comes from; every architecture stands in exactly one of the three lists."""

    timm: list[str] = Field(description="architectures whose ImageNet weights timm downloads")
    file: dict[str, str] = Field(description="architecture: path of a safetensors file")
    pretrain: Pretrain = Field(description="θ trained here on photographs")


class MaxEpochs(Frozen):
    off_the_shelf: int = Field(ge=1, description="epochs at most, off the shelf")
    fine_tuning: int = Field(ge=1, description="epochs at most, fine tuning and from scratch")


class Training(Frozen):
    protocol: ProtocolName = Field(description="the paper's text, or its authors' released code where that differs")
    pixels: PixelScale = Field(description="input scale: the protocol's, [0,1], or the weights' own mean and std")
    batch_norm: BatchNorm = Field(
        description="statistics of a frozen network while its softmax trains: running, or the batch's (old Keras)"
    )
    precision: Precision = Field(description="auto: bf16 where the processor has it natively, else fp32")
    device: Device = Field(description="auto: the accelerator if there is one, else the processor")
    max_epochs: MaxEpochs = Field(description="upper bounds; early stopping usually ends a run sooner")
    seed: int = Field(ge=0, description="seed of initialisation and batch order")


class Splits(Frozen):
    rule: SplitRule = Field(
        description="paper: 80/10/10, drawn; challenge: the collection's official split and the class filters of the "
        "Rijksmuseum Challenge; imported: shared_splits/<collection>/<challenge>.csv"
    )
    seed: int = Field(ge=0, description="seed of the drawn split")
    together: Literal["object", "near_duplicates"] = Field(
        description="what a drawn split never parts: an object's images, or also objects with nearly the same picture"
    )


class Tracking(Frozen):
    uri: str = Field(description="MLflow tracking and registry store")
    artifacts: str = Field(description="where a store that RijksNet creates keeps artifacts")
    live_after_s: float = Field(ge=0, description="seconds after which a run that still trains is streamed live")


class Params(Frozen):
    """Everything in params.yaml."""

    collections: dict[str, Collection] = Field(description="the collections, by name")
    drawn: list[str] = Field(description="the collections with reader `miniature`: DVC cannot pick them out itself")
    source: Source = Field(description="what the first part of the experiment runs on")
    target: Target = Field(description="what the second part, transfer, runs on")
    architectures: list[str] = Field(
        min_length=1, description="`vgg19`, `inception_v3`, `xception`, `resnet50`, or any timm model name"
    )
    input_size: Annotated[int, Field(ge=16, le=1024)] | Literal["native"] = Field(
        description="side of the square that images are stretched to, px; native: each architecture's own"
    )
    imagenet: Imagenet = Field(description="where θ comes from")
    scratch: Scratch = Field(description="training from random weights")
    splits: Splits = Field(description="which objects train, validate and test")
    training: Training = Field(description="how every run trains")
    tracking: Tracking = Field(description="MLflow")

    def challenges_of(self, collection: str) -> list[Challenge]:
        """The challenges that a collection is split for, in the order they are listed."""
        asked: list[Challenge] = []
        if collection == self.source.collection:
            asked += self.source.challenges
        if collection == self.target.collection:
            asked += self.target.challenges
        if collection == self.imagenet.pretrain.collection and self.imagenet.pretrain.architectures:
            asked.append("type")
        return list(dict.fromkeys(asked))

    def all_architectures(self) -> list[str]:
        """Every architecture that reads pixels."""
        return list(dict.fromkeys([*self.architectures, *self.imagenet.pretrain.architectures]))

    @model_validator(mode="after")
    def _collections_exist(self) -> Params:
        named = {
            "source.collection": self.source.collection,
            "target.collection": self.target.collection,
        }
        if self.imagenet.pretrain.architectures:
            named["imagenet.pretrain.collection"] = self.imagenet.pretrain.collection
        for key, collection in named.items():
            if collection not in self.collections:
                raise ValueError(f"{key} is {collection!r}, but `collections` has only {sorted(self.collections)}")
        return self

    @model_validator(mode="after")
    def _miniatures_are_drawn(self) -> Params:
        miniatures = {name for name, one in self.collections.items() if one.reader == "miniature"}
        if set(self.drawn) != miniatures:
            raise ValueError(
                f"drawn is {self.drawn}, but the collections with reader `miniature` are {sorted(miniatures)}"
            )
        for name in self.drawn:
            if self.collections[name].raw != f"data/{name}/raw":
                raise ValueError(
                    f"collections.{name}.raw is {self.collections[name].raw!r}, but it is drawn into 'data/{name}/raw'"
                )
        return self

    @model_validator(mode="after")
    def _target_follows_source(self) -> Params:
        extra = [c for c in self.target.challenges if c not in self.source.challenges]
        if extra:
            raise ValueError(
                f"target.challenges has {extra}, which source.challenges lacks: θ̂ is tuned on the same challenge of "
                f"the source; add them to source.challenges {self.source.challenges} or drop them"
            )
        if bool(self.target.challenges) != bool(self.target.architectures):
            raise ValueError(
                f"target.challenges is {self.target.challenges} and target.architectures {self.target.architectures}: "
                "leave both empty for no transfer, or none"
            )
        unknown = [a for a in self.target.architectures if a not in self.architectures]
        if unknown:
            raise ValueError(f"target.architectures has {unknown}, which architectures {self.architectures} lacks")
        extra = [c for c in self.scratch.challenges if c not in self.source.challenges]
        if extra:
            raise ValueError(f"scratch.challenges has {extra}, which source.challenges {self.source.challenges} lacks")
        return self

    @model_validator(mode="after")
    def _target_is_not_the_source(self) -> Params:
        if self.target.challenges and self.target.collection == self.source.collection:
            raise ValueError(
                f"target.collection is {self.target.collection!r}, the source itself: its runs would replace the "
                "source's; name another collection, or leave target.challenges and target.architectures empty"
            )
        return self

    @model_validator(mode="after")
    def _near_duplicates_need_a_draw(self) -> Params:
        if self.splits.together == "near_duplicates" and self.splits.rule != "paper":
            raise ValueError(
                f"splits.together is 'near_duplicates', but splits.rule {self.splits.rule!r} takes a split as it is: "
                "set splits.rule to 'paper' or splits.together to 'object'"
            )
        return self

    @model_validator(mode="after")
    def _every_architecture_has_one_theta(self) -> Params:
        origins = [*self.imagenet.timm, *self.imagenet.file, *self.imagenet.pretrain.architectures]
        for architecture in self.architectures:
            if origins.count(architecture) != 1:
                raise ValueError(
                    f"architecture {architecture!r} must stand once in imagenet.timm, imagenet.file or "
                    f"imagenet.pretrain.architectures; it stands there {origins.count(architecture)} times"
                )
        if self.scratch.challenges and self.scratch.architecture not in self.architectures:
            raise ValueError(
                f"scratch.architecture is {self.scratch.architecture!r}, which is not among the architectures "
                f"{self.architectures}: its result would have nothing to be compared with"
            )
        return self

    @model_validator(mode="after")
    def _as_released_has_its_own_pixels(self) -> Params:
        if self.training.protocol == "as_released" and self.training.pixels == "unit":
            raise ValueError(
                "training.pixels is 'unit', but training.protocol 'as_released' uses each network's own "
                "preprocessing: set training.pixels to 'protocol' or 'pretrained'"
            )
        return self


def load(path: Path) -> Params:
    """Read and check a params file.

    Raises:
        ParamsError: the file is absent, is no YAML mapping, or a key or value is refused; names the full key.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if not path.is_file():
        raise ParamsError(f"{path} is not a file: run from the project root, or name a params file with --params")
    try:
        content: Any = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise ParamsError(f"{path} is not YAML: {error}") from error
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ParamsError(f"{path}:\n{_explain(error)}") from error


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        key = _key(problem["loc"]) or "(the file)"
        message = problem["msg"].removeprefix("Value error, ")
        value = "" if problem["type"] in ("missing", "value_error") else f" (it is {problem['input']!r})"
        lines.append(f"  {key}: {message}{value}")
    return "\n".join(lines)


def _key(location: tuple[int | str, ...]) -> str:
    """A key as the file spells it: pydantic's location also names the member of a union that it tried."""
    if location[:1] == ("collections",):
        location = location[:2] + location[3:]
    elif location[:1] == ("input_size",):
        location = location[:1]
    return ".".join(str(part) for part in location)
