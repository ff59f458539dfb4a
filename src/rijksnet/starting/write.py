"""params.yaml with a comment for every line, from what the parameters say of themselves."""

from __future__ import annotations

from textwrap import wrap
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from pydantic import BaseModel
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.compat import StringIO

from rijksnet.collection_params import Columns

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from rijksnet.params import Params

#: Columns of a comment before it is wrapped.
WIDTH = 116

#: What stands before a section that most people leave as it is.
LEFT_ALONE = {
    "target": "a second collection that weights are transferred to; empty lists: none",
    "imagenet": "where the networks' ImageNet weights come from",
    "scratch": "training from random weights, to compare with; an empty list: none",
    "training": "how every run trains: the paper's recipe",
    "seeds": "the same with other seeds, to see how much chance there is; empty lists: none",
    "side_experiments": "other classifiers, probes of every layer, saliency maps",
    "exploration": "studies of learning rate and optimiser; off until `rijksnet explore` is called",
    "tracking": "MLflow",
    "cluster": "a batch system such as SLURM whose machines run stages (docs/pipeline.md); null: none",
    "service": "`rijksnet serve`: whose pictures it may fetch by their address, and what it takes on at a time",
}


def commented(params: Params, opening: str) -> str:
    """The parameters as YAML; what has a default that holds is left out of collections.

    Args:
        opening: what stands at the top, lines of a comment.
    """
    content = _map(params, 0)
    content.yaml_set_start_comment(opening)
    stream = StringIO()
    yaml = YAML()
    yaml.width = WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(type(None), _null)
    yaml.dump(content, stream)
    return str(stream.getvalue())


def _null(dumper: Any, _: None) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:null", "null")


def _map(model: BaseModel, depth: int) -> CommentedMap:
    found = CommentedMap()
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        of_columns = isinstance(model, Columns) and value is not None
        if value == field.get_default(call_default_factory=True) and not field.is_required() and not of_columns:
            continue
        found[name] = _value(value, depth + 1)
        comment = LEFT_ALONE.get(name, field.description or "") if depth == 0 else _choices(field)
        if comment:
            lines = "\n".join(wrap(comment, WIDTH - 2 * depth))
            found.yaml_set_comment_before_after_key(name, before="\n" * (depth == 0) + lines, indent=2 * depth)
    return found


def _value(value: Any, depth: int) -> Any:
    if isinstance(value, BaseModel):
        return _map(value, depth)
    if isinstance(value, dict):
        found = CommentedMap()
        for key, one in value.items():
            found[key] = _value(one, depth + 1)
        return found
    if isinstance(value, list | tuple):
        flow = CommentedSeq(_value(one, depth) for one in value)
        flow.fa.set_flow_style()
        return flow
    return value


def _choices(field: FieldInfo) -> str:
    """What a key means, and what else it may be."""
    annotation = field.annotation
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    said = field.description or ""
    words = [str(choice) for part in parts for choice in get_args(part) if isinstance(choice, str)]
    unsaid = [word for word in words if word not in said]
    return f"{said} ({', '.join(words)})" if unsaid and len(words) > 1 else said
