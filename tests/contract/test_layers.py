"""Rooms import downwards only, and importing does nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from rijksnet.runs.code import PACKAGE, file_of

ROOT = Path(__file__).parents[2]
LINTER = Path(sys.executable).with_name("lint-imports")

HEAVY = {"torch", "timm", "mlflow", "pandas", "matplotlib", "sklearn", "scipy", "dvc", "pyarrow", "numpy", "pydantic"}


def modules() -> list[str]:
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


MODULES = [name for name in modules() if name not in ("rijksnet", "rijksnet.__main__")]


def test_rooms_import_downwards_only() -> None:
    """By the layers in pyproject.toml."""
    done = subprocess.run([LINTER, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "1 kept, 0 broken" in done.stdout


def test_an_import_upwards_is_noticed(tmp_path: Path) -> None:
    """Of a type alone, too."""
    shutil.copytree(PACKAGE, tmp_path / "src" / "rijksnet", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    loop = tmp_path / "src" / "rijksnet" / "training" / "loop.py"
    upwards = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from rijksnet.stages.train import network\n"
    loop.write_text(loop.read_text(encoding="utf-8") + upwards, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": "src"}
    done = subprocess.run([LINTER, "--no-cache"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "rijksnet.training.loop -> rijksnet.stages.train" in done.stdout


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
