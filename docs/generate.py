"""Write the tables of README.md that the code settles; a test says when they have drifted: python docs/generate.py"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from ruamel.yaml import YAML

from rijksnet.params import Params

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def tables() -> dict[str, str]:
    """The generated parts, by the name in their markers."""
    return {"stages": stages_table(), "params": params_table()}


def with_tables(text: str) -> str:
    """A text with what stands between `<!-- name -->` and `<!-- end name -->` written anew."""
    for name, table in tables().items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)"
        text, found = re.subn(pattern, lambda match, table=table: match[1] + table + match[2], text, flags=re.S)
        if found != 1:
            raise SystemExit(f"{README} should have one pair of markers for {name!r}; it has {found}")
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


def params_table() -> str:
    return "\n".join(["| key | values | meaning |", "|---|---|---|", *rows("", Params)]) + "\n"


def rows(prefix: str, model: type[BaseModel]) -> list[str]:
    lines = []
    for name, field in model.model_fields.items():
        if field.description:
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
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
        return "section"
    annotation = str(field.annotation)
    choices = re.findall(r"'(\w+)'", annotation)
    if "Literal" in annotation and choices:
        before = "number, " if "int" in annotation else "list of " if get_origin(field.annotation) is list else ""
        return before + ", ".join(f"`{choice}`" for choice in choices)
    words = {"str": "text", "int": "whole number", "float": "number"}
    if get_origin(field.annotation) is list:
        return "list"
    if get_origin(field.annotation) is dict:
        return "by name"
    if field.annotation in (str, int, float):
        return words[field.annotation.__name__]
    return "text or null"


if __name__ == "__main__":
    written = with_tables(README.read_text(encoding="utf-8"))
    if "--check" in sys.argv and written != README.read_text(encoding="utf-8"):
        raise SystemExit("README.md has drifted: run `python docs/generate.py`")
    README.write_text(written, encoding="utf-8")
