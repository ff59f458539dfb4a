"""An origin as a tree that a person reads: what it is, what it comes from, what came of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group
from rich.markup import escape
from rich.text import Text
from rich.tree import Tree

from rijksnet.paths import PINS, RUNS
from rijksnet.publishing import publish
from rijksnet.runs import lineage
from rijksnet.runs.folder import RunFolder
from rijksnet.trace.graph import holds, is_code, runs_here
from rijksnet.tracking.pins import weights_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rijksnet.trace.graph import Graph
    from rijksnet.trace.resolve import Question

#: Stages that read every run; to name them once is enough.
OF_EVERYTHING = ("register", "champions", "publish", "report")


def render(graph: Graph, asked: Question) -> Group:
    """For a rich console."""
    parts: list[RenderableType] = [Text(line) for line in asked.about]
    for path in asked.paths:
        parts += [Text(line) for line in _described(graph, path)]
        came, became = Tree(f"[bold]{escape(path)} comes from[/]"), Tree(f"[bold]what came of {escape(path)}[/]")
        _ancestors(graph, path, came, set())
        _descendants(graph, path, became, set())
        parts += [tree for tree in (came, became) if tree.children]
        if not came.children and not became.children:
            parts.append(Text(f"{path}: dvc.lock knows nothing that it came from, and nothing that came of it"))
    return Group(*parts)


def _described(graph: Graph, path: str) -> list[str]:
    """What a path is: of a run what it says of itself, and whether it is what dvc.lock names."""
    said = []
    written = graph.written(path)
    if written is not None and Path(path).exists():
        stage, out = written
        same = lineage.dvc_md5(Path(out)) == stage.outs[out]
        said.append(
            f"{out}: {stage.outs[out]}, " + ("as dvc.lock names it" if same else "but here it was changed since")
        )
    at = RunFolder(Path(path))
    if at.run.is_file():
        said += _of_run(at)
    return said


def _of_run(at: RunFolder) -> list[str]:
    run = at.read(verify=True)
    test = json.loads(at.metrics.read_text(encoding="utf-8"))["test"]
    came = run.lineage
    dirty = " and changes that were not committed" if came.get("git_dirty") else ""
    said = [
        f"{run.key}: {test['accuracy']:.1%} of {test['n']} test images right",
        f"code: commit {came.get('git_commit') or came.get('git_error') or 'not known'}{dirty}, modules "
        f"{str(came.get('code', 'not known'))[:12]}…; split {run.digests['split'][:12]}…",
    ]
    if run.ancestry:
        said.append("weights: " + " → ".join(f"{step['from']} {step['name']}" for step in run.ancestry))
    said += [f"doubtful: {doubt}" for doubt in run.doubts]
    if shown := publish.known().get(str(run.key)):
        said.append(f"MLflow: run {shown['run_id']} in experiment {shown['experiment_id']}")
    weights = weights_of(run)
    if weights:
        pins = [pin.as_posix() for pin in sorted(PINS.glob("*.json")) if weights in pin.read_text(encoding="utf-8")]
        starts = [key for key, other in runs_here().items() if other.digests["initial_weights"] == weights]
        said += [f"θ̂ by {', '.join(pins)}"] if pins else []
        said += [f"the start of {', '.join(starts)}"] if starts else []
    return said


def _ancestors(graph: Graph, path: str, tree: Tree, seen: set[str]) -> None:
    """Add what a path was made of, and what that was made of; each thing once."""
    written = graph.written(path)
    if written is None:
        return
    stage, _ = written
    before = dict.fromkeys(_pinned(path), "") | stage.deps
    for dep, md5 in before.items():
        maker = graph.written(dep)
        by = f" by {escape(maker[0].stage)}" if maker and not is_code(dep) else ""
        branch = tree.add(f"{escape(dep)} [dim]{md5[:12]}{'…' if md5 else ''}[/]{by}")
        if is_code(dep) or maker is None:
            continue
        if dep in seen:
            branch.label = f"{branch.label} (above)"
            continue
        seen.add(dep)
        _ancestors(graph, dep, branch, seen)


def _pinned(path: str) -> list[str]:
    """The run that a pin names; pins are made by what the registry says, which no file tells."""
    file = Path(path)
    if not holds(PINS.as_posix(), path) or not file.is_file():
        return []
    key = json.loads(file.read_text(encoding="utf-8")).get("run_key")
    return [(RUNS / key).as_posix()] if key else []


def _descendants(graph: Graph, path: str, tree: Tree, seen: set[str]) -> None:
    """Add the stages that read a path, and what came of what they wrote; each thing once."""
    for stage in graph.readers(path):
        if stage.stage in seen:
            if stage.stage not in OF_EVERYTHING:
                tree.add(f"{escape(stage.stage)} (above)")
            continue
        seen.add(stage.stage)
        branch = tree.add(escape(stage.stage))
        for out, md5 in stage.outs.items():
            leaf = branch.add(f"{escape(out)} [dim]{md5[:12]}…[/]")
            _descendants(graph, out, leaf, seen)
