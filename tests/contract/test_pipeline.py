"""dvc.yaml says what the code does: code, data and parameters of each stage, and the paths it writes."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from helpers import modules
from rijksnet import collection_params
from rijksnet import params as params_module
from rijksnet.collection_params import Frozen
from rijksnet.params import Params, load
from rijksnet.runs import plan
from rijksnet.runs.code import PACKAGE, closure, entry_point, file_of, groups
from rijksnet.runs.findings import FindingPaths
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.key import RunKey, base_challenge

ROOT = Path(__file__).parents[2]
DVC_YAML = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def stages() -> dict[str, dict[str, Any]]:
    """Stages by group name, `foreach` and `matrix` opened."""
    return {name: stage.get("do", stage) for name, stage in DVC_YAML.items()}


def group_of(stage: dict[str, Any]) -> str | None:
    """The manifest of modules that a stage depends on."""
    found = [re.fullmatch(r"code/(\w+)\.txt", dep) for dep in stage["deps"]]
    names = [match.group(1) for match in found if match]
    assert len(names) <= 1
    return names[0] if names else None


def command_imports(command: str) -> set[str]:
    """What the function behind a command imports when it runs, itself or through a helper of the command line.

    But for what reads the parameters, whose values DVC knows.
    """
    files = sorted({*(PACKAGE / "cli").glob("*.py")} - {PACKAGE / "cli" / "app.py"})
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    functions = {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}
    found: set[str] = set()
    waiting, seen = [command], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in ast.walk(functions[name]):
            if isinstance(node, ast.ImportFrom):
                found.add(str(node.module))
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
                waiting.append(node.func.id)
    return {name for name in found if name.startswith("rijksnet.")}


#: What a command runs for a person only, with options that dvc.yaml does not give.
OTHERWISE = {
    "publish": {"rijksnet.publishing.check", "rijksnet.publishing"},
    "explore": {"rijksnet.scheduling", "rijksnet.scheduling.engine", "rijksnet.scheduling.study"},
}


@pytest.mark.parametrize("name", [name for name in DVC_YAML if name != "code"])
def test_a_stage_depends_on_all_the_code_it_runs(name: str) -> None:
    stage = stages()[name]
    group = group_of(stage)
    assert group is not None, f"{name} depends on no manifest of modules"
    covered = closure(entry_point(group))
    command = stage["cmd"].split()[1]
    imported = {module for module in command_imports(command) if file_of(module).is_file()}
    assert {module for module in imported if module.startswith("rijksnet.stages.")} == {entry_point(group)}
    for module in imported - OTHERWISE.get(command, set()):
        missing = closure(module) - covered
        assert not missing, f"{name}: code/{group}.txt lacks {sorted(path.name for path in missing)}"


def test_a_change_to_a_figure_retrains_nothing() -> None:
    trained = closure(entry_point("train"))
    assert not trained & modules("report/figures.py", "tracking/mlflow_store.py", "miniature/draw.py")
    assert modules("training/loop.py") <= trained


def test_every_manifest_has_a_stage() -> None:
    assert {group_of(stage) for name, stage in stages().items() if name != "code"} == set(groups())


# --- paths ------------------------------------------------------------------------------------------------------------

ITEM = {"item.challenge": "type", "item.architecture": "test_resnet"}


def filled(template: str, chosen: Params, items: Mapping[str, str] = ITEM) -> str:
    values = dict(items) | {
        "source.collection": chosen.source.collection,
        "target.collection": chosen.target.collection,
        "scratch.architecture": chosen.scratch.architecture,
        "imagenet.pretrain.collection": chosen.imagenet.pretrain.collection,
        "training.seed": str(chosen.training.seed),
    }
    return re.sub(r"\$\{([\w.]+)\}", lambda match: values[match.group(1)], template)


def paths_in(entries: list[Any]) -> set[str]:
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


@pytest.mark.parametrize(
    ("stage", "where", "strategy", "initialisation"),
    [
        ("off_the_shelf", "source", "off_the_shelf", "imagenet"),
        ("fine_tuning", "source", "fine_tuning", "imagenet"),
        ("scratch", "source", "scratch", "random"),
        ("pretrain", "pretrain", "scratch", "random"),
        ("target_off_the_shelf", "target", "off_the_shelf", "imagenet"),
        ("target_tuned_off_the_shelf", "target", "off_the_shelf", "source"),
        ("target_fine_tuning", "target", "fine_tuning", "imagenet"),
        ("target_tuned_fine_tuning", "target", "fine_tuning", "source"),
    ],
)
def test_a_training_stage_reads_and_writes_what_its_run_does(
    stage: str, where: str, strategy: Any, initialisation: Any
) -> None:
    chosen = load(ROOT / "params.yaml")
    collection = {
        "source": chosen.source.collection,
        "target": chosen.target.collection,
        "pretrain": chosen.imagenet.pretrain.collection,
    }[where]
    start = chosen.source.collection if initialisation == "source" else initialisation
    key = RunKey(collection, "type", "test_resnet", strategy, start, chosen.training.seed)
    at = RunFolder.of(key)
    content = stages()[stage]
    assert at.root.as_posix() in {filled(path, chosen) for path in paths_in(content["outs"])}
    deps = {filled(path, chosen) for path in paths_in(content["deps"])}
    if initialisation != "random":
        assert key.initial_weights.as_posix() in deps
    if strategy == "off_the_shelf":
        assert key.features.as_posix() in deps
    else:
        assert f"data/{collection}/pixels" in deps
    assert f"data/{collection}/splits/type.parquet" in deps
    assert f"data/{collection}/images.parquet" in deps


@pytest.mark.parametrize(
    ("stage", "asked"),
    [
        ("classifiers", plan.classifier_keys),
        ("multi_task", plan.multi_task_keys),
        ("target_seeds", plan.seed_keys),
        ("common_classes", plan.common_classes_keys),
    ],
)
def test_a_side_experiment_writes_the_runs_that_the_report_asks_for(
    stage: str, asked: Callable[[Params], list[RunKey]]
) -> None:
    """On the miniature each has one architecture and, but for the multi-task one, one challenge."""
    chosen = load(ROOT / "params.yaml")
    keys = asked(chosen)
    challenge, architecture = base_challenge(keys[0].challenge), keys[0].architecture
    items = {"item.challenge": challenge, "item.architecture": architecture}
    outs = {
        filled(path, chosen, items | {"item.seed": str(seed)})
        for path in paths_in(stages()[stage]["outs"])
        for seed in chosen.seeds.further
    }
    folders = {RunFolder.of(key).root.as_posix() for key in keys}
    assert folders
    assert all(any(folder.startswith(out) for out in outs) for folder in folders)
    assert all(any(folder.startswith(out) for folder in folders) for out in outs)


@pytest.mark.parametrize("stage", ["probes", "saliency"])
def test_findings_lie_where_the_report_looks_for_it(stage: str) -> None:
    chosen = load(ROOT / "params.yaml")
    at = FindingPaths(chosen.source.collection, ITEM["item.challenge"], ITEM["item.architecture"])
    assert [filled(path, chosen) for path in stages()[stage]["outs"]] == [getattr(at, stage).as_posix()]


# --- parameters -------------------------------------------------------------------------------------------------------


#: `Columns` is read whole: the table reader goes through all of its fields.
READ_WHOLE = {collection_params.Columns}

MODELS = [
    value
    for value in {**vars(params_module), **vars(collection_params)}.values()
    if isinstance(value, type) and issubclass(value, Frozen) and value is not Frozen
]


@pytest.fixture(scope="module")
def attributes() -> set[str]:
    """The names of all attributes that the code reads or sets, but for that of the parameters themselves."""
    return {
        node.attr
        for path in PACKAGE.rglob("*.py")
        if path.name not in ("params.py", "collection_params.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }


@pytest.mark.parametrize("model", [m for m in MODELS if m not in READ_WHOLE], ids=lambda model: model.__name__)
def test_every_parameter_is_read(model: type[BaseModel], attributes: set[str]) -> None:
    pipeline = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    unread = [
        name
        for name in model.model_fields
        if name not in attributes and not re.search(rf"\$\{{[\w.]*\b{name}\}}", pipeline)
    ]
    assert not unread, f"nothing reads {unread} of {model.__name__}"


def test_every_parameter_says_what_it_is() -> None:
    undescribed = [
        f"{model.__name__}.{name}"
        for model in MODELS
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert not undescribed


@pytest.mark.parametrize("file", [ROOT / "params.yaml", *sorted((ROOT / "conf").glob("*.yaml"))], ids=lambda p: p.name)
def test_every_params_file_is_valid(file: Path) -> None:
    load(file)


def watched(stage: dict[str, Any]) -> list[str]:
    """The parameters on which a stage depends, the lists that several stages have in common opened."""
    return [
        key
        for entry in stage.get("params", [])
        for key in (entry["params.yaml"] if isinstance(entry, dict) else [entry])
    ]


def test_parameters_that_dvc_watches_exist() -> None:
    known = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for name, stage in stages().items():
        assert len(set(watched(stage))) == len(watched(stage)), f"{name} watches a parameter twice"
        for key in watched(stage):
            value: Any = known
            if "${" in key:
                continue
            for part in key.split("."):
                assert part in value, f"{name} watches {key}"
                value = value[part]
