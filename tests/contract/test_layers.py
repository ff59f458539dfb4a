"""Layers import downwards only, and importing does nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rijksnet.tracking.code import PACKAGE, file_of, imports

BASE = ["collection_params", "errors", "exploration_params", "files", "params", "paths", "progress", "protocol"]

#: From the ground up; a module may import its own layer and those before it.
LAYERS = [
    BASE,
    ["collections"],
    ["harvesting"],
    ["data", "networks"],
    ["training"],
    ["tracking"],
    ["analysis"],
    ["exploration", "serving"],
    ["stages"],
    ["cli"],
]

HEAVY = {"torch", "timm", "mlflow", "pandas", "matplotlib", "sklearn", "scipy", "dvc", "pyarrow", "numpy", "pydantic"}


def modules() -> list[str]:
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def layer_of(module: str) -> int:
    room = module.split(".")[1]
    return next(rank for rank, rooms in enumerate(LAYERS) if room in rooms)


MODULES = [name for name in modules() if name not in ("rijksnet", "rijksnet.__main__")]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_its_own_layer_and_those_below(module: str) -> None:
    above = [name for name in imports(module) if name != "rijksnet" and layer_of(name) > layer_of(module)]
    assert not above, f"{module} imports upwards: {above}"


@pytest.mark.parametrize("module", MODULES)
def test_rooms_side_by_side_do_not_import_each_other(module: str) -> None:
    room = module.split(".")[1]
    if room in BASE:
        return
    beside = [
        name
        for name in imports(module)
        if name != "rijksnet" and layer_of(name) == layer_of(module) and name.split(".")[1] != room
    ]
    assert not beside


def test_the_modules_that_talk_to_mlflow_are_few() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if any(line.startswith(("import mlflow", "from mlflow")) for line in path.read_text().splitlines())
    }
    # model.py is the script that MLflow itself runs; registry.py reads the error codes of the client it is given
    assert found == {
        "tracking/stores.py",
        "tracking/mlflow_store.py",
        "tracking/registry.py",
        "serving/model.py",
    }


def test_no_file_is_longer_than_a_person_reads() -> None:
    long = {path.name: n for path in PACKAGE.rglob("*.py") if (n := len(path.read_text().splitlines())) > 400}
    assert not long


def test_importing_every_module_leaves_nothing_on_disk(tmp_path: Path) -> None:
    importable = [name for name in MODULES if file_of(name) != PACKAGE / "serving" / "model.py"]
    code = "import importlib\nfor name in " + repr(importable) + ": importlib.import_module(name)"
    environment = {**os.environ, "HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    (tmp_path / "work").mkdir()
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "work", env=environment, check=True)
    assert list((tmp_path / "work").iterdir()) == []


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom rijksnet.cli import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "fine_tuning" in done.stdout
    loaded = set(eval(done.stderr.strip().splitlines()[-1]))  # a list of names that the line above printed
    assert not loaded & HEAVY


def test_help_answers_within_half_a_second_of_processor_time() -> None:
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', 'rijksnet', '--help'], stdout=subprocess.DEVNULL, check=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\nprint(used.ru_utime + used.ru_stime)"
    )
    seconds = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(seconds) < 0.5
