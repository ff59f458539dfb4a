"""Write the tables of the docs that the code settles; a test says when they have drifted: python docs/generate.py"""

from __future__ import annotations

import ast
import csv
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from ruamel.yaml import YAML

from rijksnet.collection_params import AnyCollection
from rijksnet.params import Params

DOCS = Path(__file__).parent
ROOT = DOCS.parent


def tables() -> dict[Path, dict[str, Callable[[], str]]]:
    """The generated parts of each page, by the name in their markers."""
    readers = {f"reader {reader_of(model)}": own_keys(model) for model in AnyCollection.__subclasses__()}
    return {
        DOCS / "pipeline.md": {"stages": stages_table},
        DOCS / "findings.md": {"questions": questions_table},
        DOCS / "performance.md": {"speed": speed_table},
        DOCS / "scale.md": {"stages": scale_table, "rows": rows_table, "graph": graph_table},
        DOCS / "parameters.md": {"params": params_table, "every reader": every_reader_table, **readers},
    }


def with_tables(page: Path) -> str:
    """A page with what stands between `<!-- name -->` and `<!-- end name -->` written anew."""
    text = page.read_text(encoding="utf-8")
    for name, table in tables()[page].items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)"
        text, found = re.subn(pattern, lambda match, table=table: match[1] + table() + match[2], text, flags=re.S)
        if found != 1:
            raise SystemExit(f"{page} should have one pair of markers for {name!r}; it has {found}")
    return text


def stages_table() -> str:
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    says = command_docs()
    lines = ["| stage | for each | command | what it does |", "|---|---|---|---|"]
    for name, stage in stages.items():
        content = stage.get("do", stage)
        keys = stage.get("foreach") or " × ".join(stage.get("matrix", {}).values())
        keys = re.sub(r"\$\{([\w.]+)\}", r"`\1`", keys)
        command = content["cmd"].split()[1]
        lines.append(f"| `{name}` | {keys} | `rijksnet {command}` | {says[command]} |")
    return "\n".join(lines) + "\n"


def command_docs() -> dict[str, str]:
    """First line of each command's help, by the command's name."""
    files = sorted((ROOT / "src" / "rijksnet" / "cli").glob("*.py"))
    nodes = [node for file in files for node in ast.parse(file.read_text(encoding="utf-8")).body]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.decorator_list]
    return {node.name: (ast.get_docstring(node) or "").splitlines()[0] for node in functions}


def questions_table() -> str:
    """What benchmarks/questions.py found, in points."""
    lines = [
        "| question | run | 1st, % | 2nd, % | difference, over objects | over folds |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for row in measured("questions"):
        strategy = row["strategy"].replace("_", " ")
        run = f"{row['architecture']} {strategy}, {row['challenge']} of {row['collection']}"
        accuracies = " | ".join(f"{100 * float(row[name]):.1f}" for name in "ab")
        over = f"{points(row['difference'])} ({points(row['low'])} to {points(row['high'])})"
        over_folds = f"{points(row['fold_low'])} to {points(row['fold_high'])}"
        lines.append(f"| {row['question']} | {run} | {accuracies} | {over} | {over_folds} |")
    return "\n".join(lines) + "\n"


def speed_table() -> str:
    """What benchmarks/training.py measured, by machine."""
    lines = []
    for row in measured("speed"):
        ceiling = f"{float(row['ceiling_tflop_s']):.3g}"
        of_network = f"{row['machine']} | {row['network']}, {row['side']} px"
        for what, name in (("training", "fine tuning"), ("features", "features")):
            ours, plain, timm = (float(row[key]) for key in (what, f"plain_{what}", f"timm_{what}"))
            share = f"{float(row[f'{what}_share']):.0%} of {ceiling}"
            lines.append(
                f"| {of_network} | {name} | {plain:,.1f} | {timm:,.1f} | {ours:,.1f} | {ours / plain:.2f} "
                f"| {ours / timm:.2f} | {share} |"
            )
    head = (
        "| machine | network | what | plain | as timm | rijksnet | to plain | to timm | share of the ceiling, TFLOP/s |"
    )
    return "\n".join([head, "|---|---|---|---:|---:|---:|---:|---:|---:|", *lines]) + "\n"


def measured(name: str) -> list[dict[str, str]]:
    """The rows of a table in benchmarks/."""
    with (ROOT / "benchmarks" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def scale_table() -> str:
    """What benchmarks/scale.py measured: a line a stage, a column a size of the collection."""
    found = {(row["stage"], row["objects"]): row for row in measured("scale")}
    sizes = sorted({size for _, size in found}, key=int)
    lines = [
        "| stage | " + " | ".join(f"{int(size):,} objects" for size in sizes) + " |",
        "|---" * (len(sizes) + 1) + "|",
    ]
    for stage in dict.fromkeys(stage for stage, _ in found):
        cells = [found[stage, size] for size in sizes]
        said = [f"{float(one['seconds']):,.1f} s, {int(one['mib']):,} MiB" for one in cells]
        lines.append(f"| `{stage}` | " + " | ".join(said) + " |")
    return "\n".join(lines) + "\n"


def rows_table() -> str:
    """What benchmarks/rows.py measured."""
    lines = ["| rows | what | seconds | memory, GiB |", "|---:|---|---:|---:|"]
    for row in measured("rows"):
        gib = float(row["mib"]) / 1024
        lines.append(f"| {int(row['rows']):,} | {row['what']} | {float(row['seconds']):,.1f} | {gib:.1f} |")
    return "\n".join(lines) + "\n"


def graph_table() -> str:
    """What benchmarks/graph.py measured."""
    lines = ["| stages | what | seconds |", "|---:|---|---:|"]
    lines += [f"| {int(row['stages']):,} | {row['what']} | {row['seconds']} |" for row in measured("graph")]
    return "\n".join(lines) + "\n"


def points(share: str) -> str:
    return f"{100 * float(share):+z.1f}".replace("-", "−")


def params_table() -> str:
    """All keys but the collections'."""
    return table_of(rows("", Params, without={"collections"}))


def every_reader_table() -> str:
    return table_of(rows("", AnyCollection))


def reader_of(model: type[BaseModel]) -> str:
    (name,) = get_args(model.model_fields["reader"].annotation)
    return str(name)


def own_keys(model: type[BaseModel]) -> Callable[[], str]:
    """The keys of one reader's collections alone."""
    return lambda: table_of(rows("", model, without={*AnyCollection.model_fields}))


def table_of(lines: list[str]) -> str:
    return "\n".join(["| key | values | meaning |", "|---|---|---|", *lines]) + "\n"


def rows(prefix: str, model: type[BaseModel], without: set[str] = frozenset()) -> list[str]:
    lines = []
    for name, field in model.model_fields.items():
        if name in without:
            continue
        lines.append(f"| `{prefix}{name}` | {values_of(field)} | {field.description} |")
        for one in models_in(field.annotation):
            inner = f"{prefix}{name}.<name>." if get_origin(field.annotation) is dict else f"{prefix}{name}."
            lines += rows(inner, one)
    return lines


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in models_in(argument)]


def values_of(field: Any) -> str:
    """The choices or the type of a field, as a person would write it."""
    annotation = field.annotation
    parts = [get_args(part)[0] if get_origin(part) is Annotated else part for part in get_args(annotation)]
    optional = " or null" if NoneType in parts else ""
    if get_origin(annotation) is dict:
        return "by name"
    if models_in(annotation):
        return "section" + optional
    choices = re.findall(r"'(\w+)'", str(annotation))
    if choices:
        before = "number, " if "int" in str(annotation) else "list of " if get_origin(annotation) is list else ""
        return before + ", ".join(f"`{choice}`" for choice in choices)
    if get_origin(annotation) is list:
        return "list"
    words = {str: "text", int: "whole number", float: "number", bool: "`true`, `false`"}
    (kind,) = {annotation, *parts} & set(words)
    return words[kind] + optional


if __name__ == "__main__":
    written = {page: with_tables(page) for page in tables()}
    drifted = [page.name for page, text in written.items() if text != page.read_text(encoding="utf-8")]
    if "--check" in sys.argv and drifted:
        raise SystemExit(f"{', '.join(drifted)} drifted: run `python docs/generate.py`")
    for page, text in written.items():
        page.write_text(text, encoding="utf-8")
