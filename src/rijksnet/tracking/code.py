"""Which code a stage runs: the modules that its entry points import, directly or not.

The stage `code` writes one manifest per group of stages, code/<group>.txt, a line `sha256  path` per module. Stages
depend on their group's manifest: precise, so that a change to a figure never retrains a network, and kept by no hand.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

from rijksnet.files import replacing, sha256_of
from rijksnet.paths import CODE

PACKAGE = Path(__file__).parents[1]

#: The modules whose functions the commands of a group of stages call.
ENTRY_POINTS = {
    "draw": ["rijksnet.collections.miniature", "rijksnet.paths"],
    "catalogue": ["rijksnet.collections.build", "rijksnet.collections.readers"],
    "pixels": ["rijksnet.data.pixels", "rijksnet.networks.architectures"],
    "splits": ["rijksnet.data.splits", "rijksnet.paths"],
    "audit": ["rijksnet.analysis.audit", "rijksnet.paths"],
    "theta": ["rijksnet.networks.theta", "rijksnet.paths"],
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
    "report": ["rijksnet.analysis.report"],
}


def write_manifests(folder: Path = CODE) -> None:
    """Write every group's manifest."""
    for group in ENTRY_POINTS:
        with replacing(folder / f"{group}.txt") as partial:
            partial.write_text(manifest(group), encoding="utf-8")


def manifest(group: str) -> str:
    """The modules of a group's commands, a line each."""
    files = sorted(set().union(*map(closure, ENTRY_POINTS[group])))
    return "".join(f"{sha256_of(file)}  {file.relative_to(PACKAGE.parent).as_posix()}\n" for file in files)


def digest(group: str) -> str:
    """sha256 of a group's manifest: which code runs."""
    return hashlib.sha256(manifest(group).encode()).hexdigest()


def closure(module: str) -> set[Path]:
    """Files of a module and of all that it imports of this package, wherever the import stands.

    Importing a module runs the packages that hold it, so that these are among them.
    """
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [*imports(name), *packages_of(name)]
    return {file for file in map(file_of, seen) if file is not None}


def packages_of(module: str) -> list[str]:
    """`a` and `a.b` of `a.b.c`."""
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


@cache
def imports(module: str) -> frozenset[str]:
    """The modules of this package that a module's own text imports."""
    file = file_of(module)
    if file is None:
        raise ModuleNotFoundError(f"{module} is not a module of {PACKAGE}")
    visitor = _Imports()
    visitor.visit(ast.parse(file.read_text(encoding="utf-8")))
    return frozenset(name for name in visitor.found if file_of(name) is not None)


def file_of(module: str) -> Path | None:
    """The file of a module of this package; None if it is no such module."""
    parts = module.split(".")
    if parts[0] != PACKAGE.name:
        return None
    base = PACKAGE.joinpath(*parts[1:])
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


class _Imports(ast.NodeVisitor):
    def __init__(self) -> None:
        self.found: set[str] = set()

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for otherwise in node.orelse:
                self.visit(otherwise)
        else:
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.found |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, "imports in this package are absolute"
        self.found.add(str(node.module))
        self.found |= {f"{node.module}.{alias.name}" for alias in node.names}
