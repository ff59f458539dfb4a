"""The only knobs: params.yaml as typed, frozen values. Unknown keys are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from rijksnet.cluster_params import Cluster
from rijksnet.collection_params import Architecture, Collection, Frozen, Name
from rijksnet.errors import ParamsError
from rijksnet.exploration_params import Exploration, Recipes
from rijksnet.service_params import Service

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Challenge = Literal["material", "type", "artist"]
Strategy = Literal["off_the_shelf", "fine_tuning", "scratch", "svm", "random_forest", "multi_task", "single_task"]
ProtocolName = Literal["as_written", "as_released"]
NormalisationName = Literal["protocol", "unit", "pretrained"]
Statistics = Literal["running", "batch"]
ConstantsName = Literal["own", "keras"]
Precision = Literal["auto", "fp32", "bf16"]
Device = Literal["auto", "cpu", "cuda", "mps"]
SplitRule = Literal["paper", "challenge", "imported"]
Squares = Literal["stretched", "padded"]


class Source(Frozen):
    collection: str = Field(description="the collection that weights are tuned on")
    challenges: list[Challenge] = Field(min_length=1, description="challenges to run on it")


class Target(Frozen):
    collection: str = Field(description="the collection that weights are transferred to")
    challenges: list[Challenge] = Field(description="challenges to run on it; an empty list leaves the transfer out")
    architectures: list[Architecture] = Field(
        description="architectures to transfer; an empty list leaves the transfer out"
    )


class Scratch(Frozen):
    architecture: Architecture = Field(description="architecture trained from random weights (paper: inception_v3)")
    challenges: list[Challenge] = Field(description="source challenges it is trained on; an empty list leaves it out")


class Pretrain(Frozen):
    """How θ is made where it cannot be downloaded: training from random weights on photographs."""

    collection: str = Field(description="the collection of photographs, classified by `type`")
    architectures: list[Architecture] = Field(description="architectures whose θ is trained here")
    learning_rate: float = Field(gt=0, description="SGD learning rate (the paper fixes none for this step)")
    max_epochs: int = Field(ge=1, description="epochs at most")


class RegistryWeights(Frozen):
    """Weights in an MLflow registry, this project's or another's."""

    model: str = Field(
        pattern=r"^(models:/[^/@]+(@[^/@]+|/[0-9]+)|runs:/[0-9a-f]{32}/.+)$",
        description="models:/NAME@ALIAS, models:/NAME/VERSION or runs:/ID/PATH",
    )
    store: str = Field(description="its tracking server, or sqlite:///FILE")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of its weights file: whatever the alias names later")


class Imagenet(Frozen):
    """Where θ comes from; every architecture stands in exactly one of the four lists."""

    timm: list[Architecture] = Field(description="architectures whose ImageNet weights timm downloads")
    file: dict[Architecture, str] = Field(
        description="architecture: path of a safetensors file, or of one that Keras saved (.keras, .h5)"
    )
    registry: dict[Architecture, RegistryWeights] = Field(
        description="architecture: weights from an MLflow registry, for example another museum's θ̂"
    )
    pretrain: Pretrain = Field(description="θ trained here on photographs")


class MaxEpochs(Frozen):
    off_the_shelf: int = Field(ge=1, description="epochs at most, off the shelf")
    fine_tuning: int = Field(ge=1, description="epochs at most, fine tuning and from scratch")


class Normalisation(Frozen):
    off_the_shelf: NormalisationName = Field(
        description="off the shelf: the protocol's, [0,1], or by the weights' own mean and std"
    )
    fine_tuning: NormalisationName = Field(description="the same, fine tuning and from scratch")


class BatchNorm(Frozen):
    constants: ConstantsName = Field(
        description="momentum and epsilon: each network's own, or the paper's Keras', 0.99 and 0.001"
    )
    frozen: Statistics = Field(
        description="statistics of a frozen network while its softmax trains: running, or the batch's (old Keras)"
    )


class Training(Frozen):
    protocol: ProtocolName = Field(description="the paper's text, or its authors' released code where that differs")
    normalisation: Normalisation = Field(description="of what networks read")
    recipe: Recipes = Field(description="recipes adopted from a study; `rijksnet explore --adopt` writes them")
    batch_norm: BatchNorm = Field(description="batch normalisation")
    precision: Precision = Field(description="auto: bf16 where the processor has it natively, else fp32")
    device: Device = Field(description="auto: the accelerator if there is one, else the processor")
    threads: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        description="of the processor; auto: one a core. Weights depend on it, in their last bits; 1 where others work"
    )
    max_epochs: MaxEpochs = Field(description="upper bounds; early stopping usually ends a run sooner")
    seed: int = Field(ge=0, description="seed of initialisation and batch order")


class Splits(Frozen):
    """Which objects train, validate and test."""

    rule: SplitRule = Field(
        description="paper: 80/10/10, drawn; challenge: the collection's official split and the class filters of the "
        "Rijksmuseum Challenge; imported: shared_splits/<collection>/<challenge>.csv"
    )
    seed: int = Field(ge=0, description="seed of the drawn split")
    together: Literal["object", "near_duplicates"] = Field(
        description="what a drawn split never parts: an object's images, or also objects with nearly the same picture"
    )
    folds: int = Field(
        ge=1,
        description="1: one split; k, from 3 on: every run is trained k times, so that each object is tested once",
    )
    stratified: bool = Field(
        description="whether a drawn split and folds have their share of each class; the paper does not say it"
    )


class Seeds(Frozen):
    """Runs that are trained with further seeds, from ImageNet weights and on the target also from the source's."""

    further: list[Annotated[int, Field(ge=0)]] = Field(description="seeds beside training.seed; empty: none")
    source_challenges: list[Challenge] = Field(description="challenges repeated on the source")
    target_challenges: list[Challenge] = Field(description="challenges repeated on the target")
    architectures: list[Architecture] = Field(description="architectures repeated")


class SideExperiments(Frozen):
    """The paper's side experiments, and what networks look at."""

    challenges: list[Challenge] = Field(
        description="source challenges with other classifiers (footnote 7), probes of every depth and saliency maps"
    )
    architectures: list[Architecture] = Field(description="architectures of these and of `common_classes`")
    common_classes: list[Challenge] = Field(
        description="target challenges repeated on only the classes that the source has too"
    )
    multi_task: list[Architecture] = Field(
        description="architectures of which one network for all three challenges is put against three single ones"
    )
    objects: int = Field(ge=2, description="test objects whose saliency maps are measured; the first of them are shown")


class Tracking(Frozen):
    uri: str = Field(description="MLflow tracking and registry store")
    ui: str = Field(
        pattern=r"^https?://", description="where people open the MLflow UI: links of the report lead there"
    )
    artifacts: str = Field(description="where a store that RijksNet creates keeps artifacts")
    live_after_s: float = Field(ge=0, description="seconds after which a run that still trains is streamed live")


class Params(Frozen):
    """Everything in params.yaml."""

    collections: dict[Name, Collection] = Field(description="the collections, by name")
    drawn: list[str] = Field(description="the collections with reader `miniature`: DVC cannot pick them out itself")
    source: Source = Field(description="what the first part of the experiment runs on")
    target: Target = Field(description="what the second part, transfer, runs on")
    architectures: list[Architecture] = Field(
        min_length=1, description="`vgg19`, `inception_v3`, `xception`, `resnet50`, or any timm model name"
    )
    input_size: Annotated[int, Field(ge=16, le=1024)] | Literal["native"] = Field(
        description="side of the square that networks read, px; native: each architecture's own"
    )
    squares: Squares = Field(
        description="how an image becomes a square: stretched, as in the paper, or padded with its border's colour"
    )
    imagenet: Imagenet = Field(description="where θ comes from")
    scratch: Scratch = Field(description="training from random weights")
    splits: Splits = Field(description="which objects train, validate and test")
    training: Training = Field(description="how every run trains")
    seeds: Seeds = Field(description="how much another seed changes")
    side_experiments: SideExperiments = Field(description="side experiments and saliency maps")
    exploration: Exploration = Field(description="studies of what the paper fixed: `rijksnet explore`")
    paper_curves: bool = Field(description="whether validation curves show the paper's own as a faint layer")
    tracking: Tracking = Field(description="MLflow")
    cluster: Cluster | None = Field(description="a batch system that `rijksnet repro` may use; null: none")
    service: Service = Field(description="`rijksnet serve`: whose pictures it may fetch, and its limits")

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
        if taken := {"imagenet", "random"} & self.collections.keys():
            raise ValueError(
                f"`collections` has {sorted(taken)}, but runs are named after what they start from, `imagenet` "
                "(θ), `random`, or the source's name (θ̂): give the collection another name"
            )
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
    def _folds_are_drawn(self) -> Params:
        splits = self.splits
        if splits.folds == 2:
            raise ValueError("splits.folds is 2: one tests, one validates, and none is left to train on; set 1 or 3")
        if (splits.folds > 1 or splits.stratified) and splits.rule != "paper":
            raise ValueError(
                f"splits.folds is {splits.folds} and splits.stratified {splits.stratified}, but splits.rule "
                f"{splits.rule!r} takes a split as it is: set splits.rule to 'paper', or folds to 1 and stratified to "
                "false"
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
        imagenet = self.imagenet
        origins = [*imagenet.timm, *imagenet.file, *imagenet.registry, *imagenet.pretrain.architectures]
        for architecture in self.architectures:
            if origins.count(architecture) != 1:
                raise ValueError(
                    f"architecture {architecture!r} must stand once in imagenet.timm, imagenet.file, "
                    "imagenet.registry or imagenet.pretrain.architectures; it stands there "
                    f"{origins.count(architecture)} times"
                )
        if self.scratch.challenges and self.scratch.architecture not in self.architectures:
            raise ValueError(
                f"scratch.architecture is {self.scratch.architecture!r}, which is not among the architectures "
                f"{self.architectures}: its result would have nothing to be compared with"
            )
        return self

    @model_validator(mode="after")
    def _seeds_repeat_runs_that_are_made(self) -> Params:
        seeds = self.seeds
        _within("seeds.source_challenges", seeds.source_challenges, "source.challenges", self.source.challenges)
        _within("seeds.target_challenges", seeds.target_challenges, "target.challenges", self.target.challenges)
        _within("seeds.architectures", seeds.architectures, "architectures", self.architectures)
        if seeds.target_challenges:
            _within("seeds.architectures", seeds.architectures, "target.architectures", self.target.architectures)
        if self.training.seed in seeds.further:
            raise ValueError(
                f"seeds.further {seeds.further} has training.seed {self.training.seed}, which is run anyway"
            )
        return self

    @model_validator(mode="after")
    def _side_experiments_are_on_runs_that_are_made(self) -> Params:
        asked = self.side_experiments
        _within("side_experiments.challenges", asked.challenges, "source.challenges", self.source.challenges)
        _within("side_experiments.common_classes", asked.common_classes, "target.challenges", self.target.challenges)
        _within("side_experiments.architectures", asked.architectures, "architectures", self.architectures)
        if asked.common_classes:
            _within(
                "side_experiments.architectures", asked.architectures, "target.architectures", self.target.architectures
            )
        _within("side_experiments.multi_task", asked.multi_task, "architectures", self.architectures)
        if asked.multi_task and set(self.source.challenges) != set(get_args(Challenge)):
            raise ValueError(
                "side_experiments.multi_task needs all three challenges, but source.challenges is "
                f"{self.source.challenges}"
            )
        return self

    @model_validator(mode="after")
    def _as_released_has_its_own_normalisation(self) -> Params:
        for strategy in Normalisation.model_fields:
            if self.training.protocol == "as_released" and getattr(self.training.normalisation, strategy) == "unit":
                raise ValueError(
                    f"training.normalisation.{strategy} is 'unit', but training.protocol 'as_released' uses each "
                    "network's own preprocessing: set it to 'protocol' or 'pretrained'"
                )
        return self

    @model_validator(mode="after")
    def _exploration_is_on_the_source(self) -> Params:
        explored = self.exploration
        _within("exploration.challenges", explored.challenges, "source.challenges", self.source.challenges)
        _within("exploration.architectures", explored.architectures, "architectures", self.architectures)
        return self


def _within(key: str, values: Sequence[str], other_key: str, others: Sequence[str]) -> None:
    unknown = [value for value in values if value not in others]
    if unknown:
        raise ValueError(f"{key} has {unknown}, which {other_key} {list(others)} lacks")


def load(path: Path) -> Params:
    """Read and check a params file.

    Raises:
        ParamsError: the file is absent, is no YAML mapping, or a key or value is refused; names the full key.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if not path.is_file():
        raise ParamsError(f"{path} is not a file: run from the project root; conf/ has others to copy there")
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
    for union in (("input_size",), ("training", "threads")):
        if location[: len(union)] == union:
            location = union
    return ".".join(str(part) for part in location)
