"""Which code runs in a folder that holds some: its own, whatever the environment has installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import rijksnet

PACKAGE = Path(rijksnet.__file__).parent


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the installed command says in a folder."""
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "RIJKSNET_CODE_OF")}
    command = [str(Path(sys.executable).with_name("rijksnet")), "models", "--help"]
    return subprocess.run(command, cwd=folder, env=own | environment, text=True, capture_output=True)


def second_checkout(folder: Path) -> Path:
    """A copy of the code that tells itself apart."""
    shutil.copytree(PACKAGE, folder / "src" / "rijksnet", ignore=shutil.ignore_patterns("__pycache__"))
    commands = folder / "src" / "rijksnet" / "cli" / "results.py"
    text = commands.read_text(encoding="utf-8")
    assert "List the registered models" in text
    commands.write_text(text.replace("List the registered models", "Own code lists the models"), encoding="utf-8")
    return folder


def test_a_second_checkout_runs_its_own_code(tmp_path: Path) -> None:
    done = run(second_checkout(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "Own code lists the models" in done.stdout


def test_a_folder_without_code_runs_what_is_installed(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert "List the registered models" in done.stdout


def test_where_python_imports_the_other_one_nevertheless_it_is_told(tmp_path: Path) -> None:
    folder = second_checkout(tmp_path)
    done = run(folder, RIJKSNET_CODE_OF=str(folder / "src"))
    assert done.returncode == 1
    assert f"this project's code is in {folder / 'src'}, but Python imports {PACKAGE}" in done.stderr
    assert "Traceback" not in done.stderr
