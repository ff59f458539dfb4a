"""Which code a stage runs, found in the modules' own text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers import modules
from rijksnet.files import sha256_of
from rijksnet.runs import code


def files_of(module: str) -> set[str]:
    return {file.relative_to(code.PACKAGE).as_posix() for file in code.closure(module)}


# --- the real package -------------------------------------------------------------------------------------------------


def test_training_depends_on_its_loop_and_not_on_figures() -> None:
    found = code.closure("rijksnet.stages.train")
    assert modules("stages/train.py", "training/loop.py", "protocol.py", "networks/weights.py") <= found
    assert modules("networks/architectures.py") <= found  # imported inside a function
    assert not found & modules("report/figures.py", "report/write.py", "tracking/mlflow_store.py", "cli/app.py")


def test_the_report_depends_on_figures_and_not_on_the_loop() -> None:
    found = code.closure("rijksnet.report.write")
    assert modules("report/figures.py") <= found
    assert not found & modules("training/loop.py")


def listed(group: str) -> set[str]:
    return {line.split()[1].removeprefix("rijksnet/") for line in code.manifest(group).splitlines()}


def test_what_parameters_may_be_re_runs_nothing() -> None:
    """Their values are parameters of the stages. Only the defaults of a collection are read from the module."""
    assert not [group for group in code.groups() if "params.py" in listed(group)]
    assert {group for group in code.groups() if "collection_params.py" in listed(group)} == {
        "catalogue",
        "explore",
    }


def test_what_computes_nothing_is_left_out_and_takes_nothing_with_it() -> None:
    left_out = {code.file_of(module) for module in code.COMPUTE_NOTHING}
    reached = {group: code.closure(code.entry_point(group)) for group in code.groups()}
    assert left_out <= set().union(*reached.values())  # each runs somewhere, or it need not be named
    kept = set().union(*map(listed, code.groups()))
    missing = {file.relative_to(code.PACKAGE).as_posix() for file in set().union(*reached.values()) - left_out} - kept
    assert missing == set()


@pytest.mark.parametrize("group", code.groups())
def test_every_group_has_a_closure(group: str) -> None:
    assert code.file_of(code.entry_point(group)) in code.closure(code.entry_point(group))


def test_a_group_that_is_no_more_leaves_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "formerly.txt").touch()
    code.write_manifests(tmp_path)
    assert {file.stem for file in tmp_path.iterdir()} == set(code.groups())


def test_an_unknown_module_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"rijksnet\.nothing is not a module"):
        code.closure("rijksnet.nothing")


# --- a made-up package ------------------------------------------------------------------------------------------------

TOY = {
    "__init__.py": "",
    "stages/__init__.py": "",
    "stages/group.py": """
import os, typing
from typing import TYPE_CHECKING
from toy.room import one
import toy.whole
if TYPE_CHECKING:
    from toy.types_only import T
else:
    from toy.at_run_time import T
def f():
    from toy.in_function import g
    return g
class C:
    try:
        from toy.in_class import h
    except ImportError:
        pass
""",
    "room/__init__.py": "from toy import from_init",
    "room/one.py": "from toy.room.two import name",
    "room/two.py": "name = 1\nfrom toy.room import one",  # in a circle
    "room/beside.py": "",
    "whole.py": "from toy.stages.group import *",
    "from_init.py": "",
    "types_only.py": "",
    "at_run_time.py": "",
    "in_function.py": "",
    "in_class.py": "",
    "stages/other.py": "",
    "beside.py": "",
}

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """A package `toy` in the place of rijksnet, and how to change it."""

    def write(name: str, text: str) -> None:
        (tmp_path / "toy" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "toy" / name).write_text(text, encoding="utf-8")
        code._imports.cache_clear()

    for name, text in TOY.items():
        write(name, text)
    monkeypatch.setattr(code, "PACKAGE", tmp_path / "toy")
    monkeypatch.syspath_prepend(tmp_path)
    yield write
    code._imports.cache_clear()


def test_imports_are_followed_wherever_they_stand(write: Write) -> None:
    assert files_of("toy.stages.group") == set(TOY) - {
        "types_only.py",
        "room/beside.py",
        "stages/other.py",
        "beside.py",
    }


def test_a_package_that_holds_a_module_belongs_to_it(write: Write) -> None:
    assert files_of("toy.room.beside") == {"__init__.py", "room/__init__.py", "room/beside.py", "from_init.py"}


def manifests(folder: Path) -> dict[str, str]:
    code.write_manifests(folder)
    return {file.stem: file.read_text() for file in folder.iterdir()}


def test_a_manifest_lists_digest_and_path(write: Write, tmp_path: Path) -> None:
    written = manifests(tmp_path / "code")
    assert written["other"] == "".join(
        f"{sha256_of(code.PACKAGE / name)}  toy/{name}\n"
        for name in ("__init__.py", "stages/__init__.py", "stages/other.py")
    )


@pytest.mark.parametrize(
    ("changed", "groups"),
    [
        ("in_function.py", {"group"}),
        ("stages/other.py", {"other"}),
        ("__init__.py", {"group", "other"}),
        ("types_only.py", set()),
    ],
)
def test_a_change_reaches_the_groups_that_run_it(write: Write, tmp_path: Path, changed: str, groups: set[str]) -> None:
    before = manifests(tmp_path / "code")
    write(changed, "changed = True")
    after = manifests(tmp_path / "code")
    assert {group for group in before if before[group] != after[group]} == groups


def test_a_new_import_extends_the_manifest(write: Write, tmp_path: Path) -> None:
    before = manifests(tmp_path / "code")["other"]
    write("stages/other.py", "import toy.types_only")
    assert "toy/types_only.py" not in before
    assert "toy/types_only.py" in manifests(tmp_path / "code")["other"]
