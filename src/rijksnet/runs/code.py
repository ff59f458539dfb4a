"""Which code a stage runs: the modules that its entry points import, directly or not, and that compute something.

A module of `rijksnet.stages` is a group of stages. The stage `code` writes one manifest for each, code/<group>.txt, a
line `sha256  path` per module, on which they depend: precise, so that a change to a figure never retrains a network,
and kept by no hand. What only types need (`if TYPE_CHECKING`) does not run; parameters are values of params.yaml, of
which a stage names those it depends on.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import grimp

from rijksnet.files import replacing, sha256_of
from rijksnet.paths import CODE

PACKAGE = Path(__file__).parents[1]

#: Modules that run in stages and decide nothing of what these leave, so that a change to one re-runs none of them.
COMPUTE_NOTHING = {
    "rijksnet.params": "what params.yaml may say: its values are parameters of the stages, and it has no others",
    "rijksnet.cluster_params": "which machines run stages",
    "rijksnet.service_params": "what a service takes on",
    "rijksnet.errors": "what is said when something is wrong",
    "rijksnet.progress": "what a person sees meanwhile",
    "rijksnet.runs.live": "what MLflow shows meanwhile",
    "rijksnet.runs.lineage": "what a run says of its origin",
}


def groups() -> list[str]:
    """The modules of `rijksnet.stages`."""
    return sorted(file.stem for file in (PACKAGE / "stages").glob("*.py") if file.stem != "__init__")


def entry_point(group: str) -> str:
    """The module whose functions the commands of a group of stages call."""
    return f"{PACKAGE.name}.stages.{group}"


def write_manifests(folder: Path = CODE) -> None:
    """Write every group's manifest; those of groups that are no more go."""
    manifests = {folder / f"{group}.txt": manifest(group) for group in groups()}
    for stale in set(folder.glob("*.txt")) - manifests.keys():
        stale.unlink()
    for file, content in manifests.items():
        with replacing(file) as partial:
            partial.write_text(content, encoding="utf-8")


def manifest(group: str) -> str:
    """The modules of a group's commands that compute, a line each."""
    files = sorted(closure(entry_point(group), frozenset(COMPUTE_NOTHING)))
    return "".join(f"{sha256_of(file)}  {file.relative_to(PACKAGE.parent).as_posix()}\n" for file in files)


def digest(group: str) -> str:
    """sha256 of a group's manifest: which code runs."""
    return hashlib.sha256(manifest(group).encode()).hexdigest()


def closure(module: str, without: frozenset[str] = frozenset()) -> set[Path]:
    """Files of a module and of all that it imports of this package when it runs, wherever the import stands.

    Importing a module runs the packages that hold it, so that these are among them.

    Args:
        without: modules that are left out, with what only they import.

    Raises:
        ModuleNotFoundError: there is no such module.
    """
    imports = _imports(PACKAGE.name)
    if module not in imports.modules:
        raise ModuleNotFoundError(f"{module} is not a module of {PACKAGE}")
    seen: set[str] = set()
    waiting = {module}
    while waiting:
        name = waiting.pop()
        seen.add(name)
        waiting |= ({*imports.find_modules_directly_imported_by(name), *_packages_of(name)} - seen) - without
    return {file_of(name) for name in seen}


def _packages_of(module: str) -> list[str]:
    """`a` and `a.b` of `a.b.c`."""
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


@cache
def _imports(package: str) -> grimp.ImportGraph:
    return grimp.build_graph(package, exclude_type_checking_imports=True, cache_dir=None)


def file_of(module: str) -> Path:
    """The file of a module of this package."""
    base = PACKAGE.parent.joinpath(*module.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
