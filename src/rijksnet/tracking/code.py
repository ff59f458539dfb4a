"""Which code a stage runs: the modules that its entry points import, directly or not, and that compute something.

The stage `code` writes one manifest per group of stages, code/<group>.txt, a line `sha256  path` per module. Stages
depend on their group's manifest: precise, so that a change to a figure never retrains a network, and kept by no hand.
What only types need (`if TYPE_CHECKING`) does not run; parameters are values of params.yaml, of which a stage names
those it depends on.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import grimp

from rijksnet.files import replacing, sha256_of
from rijksnet.paths import CODE

PACKAGE = Path(__file__).parents[1]

#: The modules whose functions the commands of a group of stages call.
ENTRY_POINTS = {
    "draw": ["rijksnet.stages.draw"],
    "catalogue": ["rijksnet.stages.catalogue"],
    "pixels": ["rijksnet.stages.pixels"],
    "splits": ["rijksnet.stages.splits"],
    "audit": ["rijksnet.stages.audit"],
    "theta": ["rijksnet.stages.theta"],
    "import_model": ["rijksnet.stages.import_model"],
    "features": ["rijksnet.stages.features"],
    "train": ["rijksnet.stages.train"],
    "classifiers": ["rijksnet.stages.classifiers"],
    "multi_task": ["rijksnet.stages.multi_task"],
    "seeds": ["rijksnet.stages.seeds"],
    "common_classes": ["rijksnet.stages.common_classes"],
    "probes": ["rijksnet.stages.probes"],
    "saliency": ["rijksnet.stages.saliency"],
    "explore": ["rijksnet.stages.explore"],
    "champions": ["rijksnet.stages.champions"],
    "publish": ["rijksnet.stages.publish", "rijksnet.stages.check"],
    "report": ["rijksnet.stages.report"],
}

#: Modules that run in stages and decide nothing of what these leave, so that a change to one re-runs none of them.
COMPUTE_NOTHING = {
    "rijksnet.params": "what params.yaml may say: its values are parameters of the stages, and it has no others",
    "rijksnet.errors": "what is said when something is wrong",
    "rijksnet.progress": "what a person sees meanwhile",
    "rijksnet.tracking.live": "what MLflow shows meanwhile",
    "rijksnet.tracking.lineage": "what a record says of its origin",
}


def write_manifests(folder: Path = CODE) -> None:
    """Write every group's manifest."""
    for group in ENTRY_POINTS:
        with replacing(folder / f"{group}.txt") as partial:
            partial.write_text(manifest(group), encoding="utf-8")


def manifest(group: str) -> str:
    """The modules of a group's commands that compute, a line each."""
    files = sorted(set().union(*(closure(module, frozenset(COMPUTE_NOTHING)) for module in ENTRY_POINTS[group])))
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
