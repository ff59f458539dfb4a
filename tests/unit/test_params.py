from __future__ import annotations

import copy
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML

from rijksnet import exploration_params
from rijksnet import params as rijksnet_params
from rijksnet.collection_params import CREATOR_RULES, AnyCollection, Frozen
from rijksnet.errors import ParamsError
from rijksnet.params import Params

ROOT = Path(__file__).parents[2]
Content = dict[str, Any]

TABLE = {"reader": "table", "raw": "../museum", "table": "objects.csv", "images": ".", "columns": {"creator": "maker"}}
SERVER = {"contact": "someone@example.org", "requests_per_s": 2.0}
OAI = {
    "reader": "oai_pmh", "raw": "raw", "endpoint": "https://example.org/oai", "prefix": "edm", "format": "edm",
    "sets": [], "server": SERVER, "download": SERVER | {"kind": "iiif"},
}  # fmt: skip
CHALLENGE_2014 = {
    "reader": "rijks_challenge", "raw": "raw", "images": None, "xml": "xml2.tar", "groundtruth": "rijksgt.mat",
    "labels": "groundtruth",
}  # fmt: skip
OPTIMISERS = ["rmsprop", "sgd", "adam", "adamw"]
HEAD_RECIPE: Content = {
    "study": "a study",
    "optimiser": "sgd",
    "learning_rate": 0.01,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "label_smoothing": 0.1,
    "batch_size": 16,
}
NETWORK_RECIPE = HEAD_RECIPE | {"unfrozen": 0.5, "layer_rate": 0.9}
ALL_RULES = ["roles", "names", "unnamed", "nothing", "vocabulary", "spelling", "first_value"]
#: One collection of each kind that is not drawn, each with every section filled in.
EXTRA = {
    "collections.extra": TABLE
    | {"cleaning": {"creator": [*ALL_RULES], "type": ["spelling"], "material": ["spelling"]}},
    "collections.oai": OAI,
    "collections.challenge": CHALLENGE_2014,
}

CLUSTER = {"system": "", "jobs": 2, "cores": 4, "memory_gb": 8.0, "gpus": 0, "walltime": "12:00:00"}
CLUSTER |= {"queue": None, "account": None, "interface": None, "directives": [], "prologue": []}

#: Every key that is a choice, with all that may be chosen.
CHOICES: dict[str, list[Any]] = {
    "cluster.system": ["slurm", "pbs", "sge", "lsf", "oar", "htcondor"],
    "collections.extra.reader": ["table"],
    "collections.oai.reader": ["oai_pmh"],
    "collections.oai.format": ["dc", "edm", "lido"],
    "collections.oai.object_id": ["header", "identifier"],
    "collections.oai.server.robots": ["obey", "ignore"],
    "collections.oai.download.robots": ["obey", "ignore"],
    "collections.oai.download.kind": ["iiif", "manifest", "url"],
    "collections.challenge.reader": ["rijks_challenge"],
    "collections.challenge.labels": ["groundtruth", "xml"],
    "collections.extra.cleaning.creator.0": ALL_RULES,
    "collections.extra.cleaning.type.0": ["nothing", "vocabulary", "spelling", "first_value"],
    "collections.extra.cleaning.material.0": ["nothing", "vocabulary", "spelling", "first_value"],
    "collections.source.reader": ["miniature"],
    "collections.source.museum": ["rijksmuseum", "antwerp", "photographs"],
    "source.challenges.0": ["material", "type", "artist"],
    "target.challenges.0": ["material", "type", "artist"],
    "scratch.challenges.0": ["material", "type", "artist"],
    "input_size": ["native"],
    "squares": ["stretched", "padded"],
    "seeds.source_challenges.0": ["material", "type", "artist"],
    "seeds.target_challenges.0": ["material", "type", "artist"],
    "side_experiments.challenges.0": ["material", "type", "artist"],
    "side_experiments.common_classes.0": ["material", "type", "artist"],
    "splits.rule": ["paper", "challenge", "imported"],
    "splits.together": ["object", "near_duplicates"],
    "training.protocol": ["as_written", "as_released"],
    "training.normalisation.off_the_shelf": ["protocol", "unit", "pretrained"],
    "training.normalisation.fine_tuning": ["protocol", "unit", "pretrained"],
    "training.recipe.off_the_shelf.optimiser": OPTIMISERS,
    "training.recipe.fine_tuning.optimiser": OPTIMISERS,
    "training.batch_norm.constants": ["own", "keras"],
    "training.batch_norm.frozen": ["running", "batch"],
    "training.precision": ["auto", "fp32", "bf16"],
    "training.device": ["auto", "cpu", "cuda", "mps"],
    "training.threads": ["auto"],
    "exploration.challenges.0": ["material", "type", "artist"],
    "exploration.strategies.0": ["off_the_shelf", "fine_tuning"],
    "exploration.sampler": ["tpe", "random"],
    "exploration.pruner": ["median", "halving", "none"],
    "exploration.objectives.0": ["accuracy"],
    "exploration.objectives.1": ["cost"],
    "exploration.space.optimiser.0": OPTIMISERS,
    "exploration.space.normalisation.0": ["unit", "pretrained"],
}

#: What must be there, or be otherwise, for a choice to stand.
NEEDED: dict[str, Content] = {
    "training.recipe.off_the_shelf.optimiser": {"training.recipe.off_the_shelf": HEAD_RECIPE},
    "training.recipe.fine_tuning.optimiser": {"training.recipe.fine_tuning": NETWORK_RECIPE},
    "exploration.objectives.1": {"exploration.objectives": ["accuracy", ""], "exploration.pruner": "none"},
    "exploration.space.optimiser.0": {"exploration.space.optimiser": [""]},
    "exploration.space.normalisation.0": {"exploration.space.normalisation": [""]},
    "cluster.system": {"cluster": CLUSTER},
}


#: Lists of choices that are empty in `content`.
EMPTY = (
    "seeds.source_challenges",
    "seeds.target_challenges",
    "side_experiments.challenges",
    "side_experiments.common_classes",
)


def edited(content: Content, edits: dict[str, Any]) -> Content:
    """A copy with other values under dotted keys."""
    result = copy.deepcopy(content)
    for key, value in edits.items():
        *folders, last = key.split(".")
        at: Any = result
        for part in folders:
            at = at[int(part)] if isinstance(at, list) else at[part]
        at[int(last) if isinstance(at, list) else last] = value
    return result


def get(params: Params, key: str) -> Any:
    at: Any = params
    for part in key.split("."):
        at = at[int(part)] if isinstance(at, list) else at[part] if isinstance(at, dict) else getattr(at, part)
    return at


def message(content: Any, tmp_path: Path) -> str:
    """What a person is told who loads a file with this content."""
    path = tmp_path / "params.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(content, file)
    with pytest.raises(ParamsError) as raised:
        rijksnet_params.load(path)
    return str(raised.value)


# --- choices ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in CHOICES.items() for value in values])
def test_every_choice_can_be_built(key: str, value: Any, content: Content) -> None:
    every: Content = {f"{part}.challenges": ["material", "type", "artist"] for part in ("source", "target")}
    wide = edited(content, {**EXTRA, **every, **{of: ["type"] for of in EMPTY if key.startswith(of)}})
    wide = edited(wide, copy.deepcopy(NEEDED.get(key, {})))
    if key == "source.challenges.0":
        of = ("source", "target", "scratch", "exploration")
        wide = edited(wide, {f"{part}.challenges": [value] for part in of})
    assert get(Params.model_validate(edited(wide, {key: value})), key) == value


def test_the_choices_above_are_all_there_are() -> None:
    """So that a new choice cannot stay without a test."""
    tested = sorted((_field(key), value) for key, values in CHOICES.items() for value in values)
    untested = [*_choices(Params.model_json_schema())]
    for rule in sorted(CREATOR_RULES):  # the schema offers them for every field; a rule across fields refuses them
        untested.remove(("type", rule))
        untested.remove(("material", rule))
    assert sorted(untested) == tested


def _field(key: str) -> str:
    *_, last = (part for part in key.split(".") if not part.isdigit())
    return last


def _choices(schema: Content) -> Iterator[tuple[str, Any]]:
    for model in [schema, *schema["$defs"].values()]:
        for field, described in model["properties"].items():
            for one in [described, described.get("items", {}), *described.get("anyOf", [])]:
                values = [one["const"]] if "const" in one else one.get("enum", [])
                yield from ((field, value) for value in values)


@pytest.mark.parametrize("key", [key for key in CHOICES if not key.endswith("reader")])
def test_no_other_choice_can(key: str, content: Content, tmp_path: Path) -> None:
    filled = {of: ["type"] for of in EMPTY if key.startswith(of)}
    needed = copy.deepcopy({**EXTRA, **filled, **NEEDED.get(key, {})})
    assert f"{key}: " in message(edited(content, {**needed, key: "something"}), tmp_path)


def test_an_unknown_reader_is_answered_with_those_there_are(content: Content, tmp_path: Path) -> None:
    told = message(edited(content, {"collections.source.reader": "csv"}), tmp_path)
    assert re.search(r"collections\.source: .*'csv'.*'table', 'oai_pmh', 'rijks_challenge', 'miniature'", told)


# --- keys -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        "surplus",
        "collections.source.surplus",
        "collections.extra.surplus",
        "collections.extra.columns.surplus",
        "collections.extra.cleaning.surplus",
        "collections.oai.surplus",
        "collections.oai.server.surplus",
        "collections.oai.download.surplus",
        "collections.challenge.surplus",
        "source.surplus",
        "target.surplus",
        "imagenet.surplus",
        "imagenet.pretrain.surplus",
        "scratch.surplus",
        "splits.surplus",
        "training.surplus",
        "training.max_epochs.surplus",
        "training.normalisation.surplus",
        "training.recipe.surplus",
        "exploration.surplus",
        "exploration.space.surplus",
        "exploration.space.momentum.surplus",
        "tracking.surplus",
    ],
)
def test_unknown_keys_are_refused_by_their_full_name(key: str, content: Content, tmp_path: Path) -> None:
    wide = edited(content, copy.deepcopy(EXTRA))
    assert f"\n  {key}: Extra inputs are not permitted (it is 1)" in message(edited(wide, {key: 1}), tmp_path)


def test_no_key_may_be_left_out(content: Content, tmp_path: Path) -> None:
    for *folder, key in _keys(content):
        shorter = copy.deepcopy(content)
        at = shorter
        for part in folder:
            at = at[part]
        del at[key]
        if key == "reader":
            told = "Unable to extract tag using discriminator 'reader'"
        else:
            told = f"\n  {'.'.join([*folder, key])}: Field required"
        assert told in message(shorter, tmp_path)


def _keys(content: Content, folder: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The parts of every key; the names of collections are no keys of ours."""
    for key, value in content.items():
        if folder != ("collections",):
            yield (*folder, key)
        if isinstance(value, dict):
            yield from _keys(value, (*folder, key))


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("input_size", 15, "input_size: Input should be greater than or equal to 16 (it is 15)"),
        ("input_size", 1025, "input_size: Input should be less than or equal to 1024 (it is 1025)"),
        ("input_size", "32", "input_size: Input should be a valid integer (it is '32')"),
        ("collections.source.objects", 19, "collections.source.objects: Input should be greater than or equal to 20"),
        ("collections.source.seed", -1, "collections.source.seed: Input should be greater than or equal to 0"),
        ("collections.extra.separator", "", "collections.extra.separator: String should have at least 1 character"),
        ("collections.extra.columns.title", 3, "collections.extra.columns.title: Input should be a valid string"),
        ("architectures", [], "architectures: List should have at least 1 item"),
        ("source.challenges", [], "source.challenges: List should have at least 1 item"),
        ("imagenet.pretrain.learning_rate", 0, "imagenet.pretrain.learning_rate: Input should be greater than 0"),
        ("imagenet.pretrain.max_epochs", 0, "imagenet.pretrain.max_epochs: Input should be greater than or equal to 1"),
        ("training.max_epochs.fine_tuning", 0, "training.max_epochs.fine_tuning: Input should be greater than or"),
        (
            "training.max_epochs.off_the_shelf",
            1.5,
            "training.max_epochs.off_the_shelf: Input should be a valid integer",
        ),
        ("training.seed", True, "training.seed: Input should be a valid integer (it is True)"),
        ("exploration.trials.fine_tuning", 0, "exploration.trials.fine_tuning: Input should be greater than or equal"),
        ("exploration.heartbeat_s", 0, "exploration.heartbeat_s: Input should be greater than or equal to 1 (it is 0)"),
        ("exploration.storage", "redis://a", "exploration.storage: String should match pattern"),
        ("exploration.objectives", [], "exploration.objectives: List should have at least 1 item"),
        ("exploration.space.momentum.low", 1, "exploration.space.momentum: low 1 must be smaller than high 0.99; null"),
        ("splits.seed", -1, "splits.seed: Input should be greater than or equal to 0"),
        ("tracking.live_after_s", -1, "tracking.live_after_s: Input should be greater than or equal to 0"),
    ],
)
def test_impossible_values_are_refused_by_their_full_name(
    key: str, value: Any, told: str, content: Content, tmp_path: Path
) -> None:
    wide = edited(content, copy.deepcopy(EXTRA))
    assert f"\n  {told}" in message(edited(wide, {key: value}), tmp_path)


# --- rules across fields --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        pytest.param(
            {"source.collection": "louvre"},
            "source.collection is 'louvre', but `collections` has only ['photographs', 'source', 'target']",
            id="unknown source",
        ),
        pytest.param(
            {"target.collection": "louvre"}, "target.collection is 'louvre', but `collections` has only", id="target"
        ),
        pytest.param(
            {"imagenet.pretrain.collection": "louvre"},
            "imagenet.pretrain.collection is 'louvre', but `collections` has only",
            id="unknown photographs",
        ),
        pytest.param(
            {"drawn": ["source", "target"]},
            "drawn is ['source', 'target'], but the collections with reader `miniature` are "
            "['photographs', 'source', 'target']",
            id="not all drawn",
        ),
        pytest.param(
            {"collections.source": TABLE},
            "drawn is ['source', 'target', 'photographs'], but",
            id="a table is not drawn",
        ),
        pytest.param(
            {"collections.target.raw": "elsewhere"},
            "collections.target.raw is 'elsewhere', but it is drawn into 'data/target/raw'",
            id="drawn elsewhere",
        ),
        pytest.param(
            {"target.challenges": ["type", "artist"]},
            "target.challenges has ['artist'], which source.challenges lacks: θ̂ is tuned on the same challenge of the "
            "source; add them to source.challenges ['material', 'type'] or drop them",
            id="nothing to transfer",
        ),
        pytest.param(
            {"target.challenges": []},
            "target.challenges is [] and target.architectures ['test_resnet']: leave both empty for no transfer",
            id="architectures without challenges",
        ),
        pytest.param(
            {"target.architectures": []},
            "target.challenges is ['type'] and target.architectures []: leave both empty for no transfer",
            id="challenges without architectures",
        ),
        pytest.param(
            {"target.architectures": ["vgg19"]},
            "target.architectures has ['vgg19'], which architectures ['test_resnet'] lacks",
            id="not trained on the source",
        ),
        pytest.param(
            {"scratch.challenges": ["artist"]},
            "scratch.challenges has ['artist'], which source.challenges ['material', 'type'] lacks",
            id="scratch on no challenge of the source",
        ),
        pytest.param(
            {"seeds.source_challenges": ["artist"]},
            "seeds.source_challenges has ['artist'], which source.challenges ['material', 'type'] lacks",
            id="seeds of no challenge of the source",
        ),
        pytest.param(
            {"seeds.target_challenges": ["material"]},
            "seeds.target_challenges has ['material'], which target.challenges ['type'] lacks",
            id="seeds of no challenge of the target",
        ),
        pytest.param(
            {"seeds.architectures": ["vgg19"]},
            "seeds.architectures has ['vgg19'], which architectures ['test_resnet'] lacks",
            id="seeds of no architecture",
        ),
        pytest.param(
            {"seeds.further": [1, 0]}, "seeds.further [1, 0] has training.seed 0, which is run anyway", id="same seed"
        ),
        pytest.param(
            {"side_experiments.challenges": ["artist"]},
            "side_experiments.challenges has ['artist'], which source.challenges ['material', 'type'] lacks",
            id="evidence on no challenge of the source",
        ),
        pytest.param(
            {"side_experiments.common_classes": ["material"]},
            "side_experiments.common_classes has ['material'], which target.challenges ['type'] lacks",
            id="common classes of no challenge of the target",
        ),
        pytest.param(
            {"side_experiments.architectures": ["vgg19"]},
            "side_experiments.architectures has ['vgg19'], which architectures ['test_resnet'] lacks",
            id="evidence of no architecture",
        ),
        pytest.param(
            {"side_experiments.multi_task": ["test_resnet"]},
            "side_experiments.multi_task needs all three challenges, but source.challenges is ['material', 'type']",
            id="too few tasks",
        ),
        pytest.param(
            {"architectures": ["test_resnet", "vgg19"]},
            "architecture 'vgg19' must stand once in imagenet.timm, imagenet.file, imagenet.registry or "
            "imagenet.pretrain.architectures; it stands there 0 times",
            id="no θ",
        ),
        pytest.param({"imagenet.timm": ["test_resnet"]}, "it stands there 2 times", id="two θ, timm"),
        pytest.param({"imagenet.file": {"test_resnet": "a.safetensors"}}, "it stands there 2 times", id="two θ, file"),
        pytest.param(
            {"scratch.architecture": "vgg19"},
            "scratch.architecture is 'vgg19', which is not among the architectures ['test_resnet']",
            id="scratch with nothing to compare",
        ),
        pytest.param(
            {"target.collection": "source"},
            "target.collection is 'source', the source itself: its runs would replace the source's",
            id="a target that is the source",
        ),
        pytest.param(
            {"splits.rule": "challenge", "splits.together": "near_duplicates"},
            "splits.together is 'near_duplicates', but splits.rule 'challenge' takes a split as it is",
            id="groups in a split that is not drawn",
        ),
        pytest.param(
            {"collections.extra": TABLE | {"cleaning": {"type": ["spelling", "roles"]}}},
            "collections.extra.cleaning: cleaning.type has ['roles'], which are rules for names",
            id="a rule for names on types",
        ),
        pytest.param(
            {"collections.extra": CHALLENGE_2014 | {"groundtruth": None}},
            "labels is 'groundtruth', but `groundtruth` is null",
            id="labels from a file that is not there",
        ),
        pytest.param(
            {"exploration.challenges": ["artist"]},
            "exploration.challenges has ['artist'], which source.challenges ['material', 'type'] lacks",
            id="exploration of no challenge of the source",
        ),
        pytest.param(
            {"exploration.architectures": ["vgg19"]},
            "exploration.architectures has ['vgg19'], which architectures ['test_resnet'] lacks",
            id="exploration of no architecture",
        ),
        pytest.param(
            {"exploration.objectives": ["cost", "accuracy"]},
            "exploration.objectives is ['cost', 'accuracy']: choose [accuracy], or [accuracy, cost] for both",
            id="cost alone",
        ),
        pytest.param(
            {"exploration.objectives": ["accuracy", "cost"]},
            "exploration.pruner is 'median', but with two objectives no trial can be called worse while it trains: set "
            "it to none, or exploration.objectives to [accuracy]",
            id="two objectives and a pruner",
        ),
        pytest.param(
            {"exploration.space.optimiser": ["sgd", "sgd"]},
            "exploration.space.optimiser is ['sgd', 'sgd']: name each value once",
            id="the same twice",
        ),
        pytest.param(
            {"exploration.space.layer_rate": {"low": 0.5, "high": 1.5}},
            "exploration.space.layer_rate goes from 0.5 to 1.5, but must lie in (0, 1]",
            id="outside of what a recipe may be",
        ),
        pytest.param(
            {"training.protocol": "as_released", "training.normalisation.off_the_shelf": "unit"},
            "training.normalisation.off_the_shelf is 'unit', but training.protocol 'as_released' uses each "
            "network's own preprocessing: set it to 'protocol' or 'pretrained'",
            id="as released with the text's pixels",
        ),
    ],
)
def test_values_that_contradict_each_other_are_refused_by_their_full_names(
    edits: dict[str, Any], told: str, content: Content, tmp_path: Path
) -> None:
    assert told in message(edited(content, edits), tmp_path)


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param({"target.challenges": [], "target.architectures": []}, id="no transfer"),
        pytest.param({"scratch.challenges": [], "scratch.architecture": "vgg19"}, id="no scratch"),
        pytest.param(
            {
                "imagenet.pretrain.architectures": [],
                "imagenet.pretrain.collection": "none",
                "imagenet.timm": ["test_resnet"],
            },
            id="no pretraining",
        ),
        pytest.param(
            {"imagenet.pretrain.architectures": [], "imagenet.file": {"test_resnet": "a.safetensors"}}, id="θ in a file"
        ),
    ],
)
def test_what_is_left_out_need_not_fit(edits: dict[str, Any], content: Content) -> None:
    Params.model_validate(edited(content, edits))


# --- files, and what is asked of the values -------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["params.yaml", "conf/paper.yaml", "conf/sample.yaml"])
def test_the_projects_own_parameters_load(path: str) -> None:
    assert rijksnet_params.load(ROOT / path).architectures


def test_an_absent_file_is_answered_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"absent\.yaml is not a file: run from the project root"):
        rijksnet_params.load(tmp_path / "absent.yaml")


def test_a_file_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("drawn: [source")
    with pytest.raises(ParamsError, match=r"params\.yaml is not YAML"):
        rijksnet_params.load(path)


@pytest.mark.parametrize("content", [None, ["drawn"], "drawn"])
def test_a_file_that_is_no_mapping_is_refused(content: Any, tmp_path: Path) -> None:
    assert "\n  (the file): Input should be a valid dictionary" in message(content, tmp_path)


def test_all_that_is_wrong_is_told_at_once(content: Content, tmp_path: Path) -> None:
    told = message(edited(content, {"training.seed": -1, "splits.seed": -1}), tmp_path)
    assert "training.seed" in told
    assert "splits.seed" in told


def test_parameters_cannot_be_changed(content: Content) -> None:
    params = Params.model_validate(content)
    with pytest.raises(ValidationError, match="frozen"):
        params.training.seed = 1


def fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """All of a model's fields and of the models in it, but those of a collection."""
    for name, field in model.model_fields.items():
        yield f"{model.__name__}.{name}", field
        for inner in re.findall(r"<class '([\w.]+)'>|(rijksnet\.[\w.]+)", str(field.annotation)):
            module, _, attribute = "".join(inner).rpartition(".")
            found = getattr(sys.modules[module], attribute, None) if module.startswith("rijksnet") else None
            if isinstance(found, type) and issubclass(found, BaseModel) and not issubclass(found, AnyCollection):
                yield from fields(found)


def test_values_stand_in_params_yaml_and_nowhere_else() -> None:
    """Stages depend on its values and not on params.py: a default there, or a method, would re-run nothing."""
    found = dict(fields(Params))
    assert {"Training.seed", "Exploration.sampler", "HeadRecipe.momentum", "MaxEpochs.fine_tuning"} <= set(found)
    assert [name for name, field in found.items() if not field.is_required()] == []
    for module in (rijksnet_params, exploration_params):
        for model in vars(module).values():
            if isinstance(model, type) and issubclass(model, Frozen):
                public = [name for name, value in vars(model).items() if callable(value) and not name.startswith("_")]
                assert not public, f"{model.__name__} computes {public}"


@pytest.mark.parametrize("name", ["a/b", "a b", "musée d'Orsay", "x;touch pwned;x", "$(id)", "-x", "", "a" * 61, "a.b"])
def test_a_collection_s_name_is_one_that_paths_commands_and_mlflow_take(content: Content, name: str) -> None:
    content["collections"][name] = content["collections"]["target"] | {"reader": "folders", "raw": "x"}
    content["collections"][name].pop("museum"), content["collections"][name].pop("objects")
    content["collections"][name].pop("seed")
    with pytest.raises(ValidationError, match="is no name: it may have 60 at most of the letters a to z, digits"):
        Params.model_validate(content)


@pytest.mark.parametrize("where", ["architectures", "imagenet"])
def test_an_architecture_s_name_is_one_too(content: Content, where: str) -> None:
    if where == "architectures":
        content["architectures"] = ["x;touch pwned"]
    else:
        content["imagenet"]["file"] = {"a b": "file.safetensors"}
    with pytest.raises(ValidationError, match="is no name: it may have letters a to z, digits"):
        Params.model_validate(content)
