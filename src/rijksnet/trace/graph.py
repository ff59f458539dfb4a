"""What was made of what: the files of dvc.lock, and the runs that start from each other's weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rijksnet.errors import RunError
from rijksnet.paths import CODE
from rijksnet.runs import lineage
from rijksnet.runs.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rijksnet.runs.folder import Run
    from rijksnet.runs.lineage import StageLineage


@dataclass(frozen=True)
class Graph:
    """The stages of dvc.lock."""

    stages: Sequence[StageLineage]

    @classmethod
    def read(cls) -> Graph:
        """Of the project in the working directory.

        Raises:
            RunError: dvc.lock does not read.
        """
        return cls(lineage.stages())

    def written(self, path: str) -> tuple[StageLineage, str] | None:
        """The stage that wrote a path, by itself or in a folder, and the out that is or holds it."""
        for stage in self.stages:
            for out in stage.outs:
                if holds(out, path):
                    return stage, out
        return None

    def readers(self, path: str) -> list[StageLineage]:
        """The stages that read a path: itself, a folder that holds it, or something in it."""
        return [stage for stage in self.stages if any(holds(dep, path) or holds(path, dep) for dep in stage.deps)]

    def with_md5(self, md5: str) -> list[str]:
        """The paths that dvc.lock names by a digest."""
        pairs = [pair for stage in self.stages for pair in (*stage.outs.items(), *stage.deps.items())]
        return list(dict.fromkeys(path for path, its in pairs if its.removesuffix(".dir") == md5.removesuffix(".dir")))

    def paths(self) -> list[str]:
        return list(dict.fromkeys(path for stage in self.stages for path in (*stage.outs, *stage.deps)))


def holds(folder: str, path: str) -> bool:
    """Whether a path is another, or lies in it."""
    return path == folder or path.startswith(f"{folder}/")


def is_code(path: str) -> bool:
    return holds(CODE.as_posix(), path) or holds("src", path)


def runs_here() -> dict[str, Run]:
    """The complete runs here, by their keys; what does not read is left out."""
    found = {}
    for at in RunFolder.complete_in():
        try:
            run = at.read(verify=False)
        except RunError:
            continue
        found[str(run.key)] = run
    return found
