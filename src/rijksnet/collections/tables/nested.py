"""JSON as museums' services give it: a list of records, one on each line, or a list inside an answer.

A column is a path into a record, its keys separated by dots: `objectTypes.name`. On its way through a list all members
count, so that a record may have several values.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from rijksnet.collections.cleaning.values import FIELDS
from rijksnet.collections.records import Reason, Reject
from rijksnet.collections.tables.columns import LISTED, named
from rijksnet.errors import CollectionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rijksnet.collection_params import Columns

#: Between the values of one cell that are values of a list, not parts of a text.
UNIT = "\x1f"

#: Fields that may have several values; of the others they are one text.
SEVERAL = ("image", *FIELDS)

#: Halves of a character, which JSON can name and nothing can write.
HALVES = re.compile("[\ud800-\udfff]")

#: Records among which the paths are looked for that a message lists.
LOOKED_AT = 100


def rows(table: Path, columns: Columns) -> Iterator[dict[str, str] | Reject]:
    """Values by field of `Columns`, several joined by UNIT; the empty string for a field without a column.

    Raises:
        CollectionError: it is no JSON, holds no records, or a path is in none of them.
    """
    asked, seen, first = named(columns), set[str](), list[Any]()
    fields = dict.fromkeys(type(columns).model_fields, "")
    keys, plain = dict[str, list[str]](), set[str]()
    for number, record in enumerate(records_of(table), 1):
        if not isinstance(record, dict):
            yield Reject("", "", Reason.MALFORMED, f"record {number} is {_short(record)}, not a record with keys")
            continue
        if len(first) < LOOKED_AT:
            first.append(record)
        row, broken = dict(fields), ""
        for field, path in asked.items():
            values = list(values_at(record, path))
            inner = sorted({key for value in values if isinstance(value, dict) for key in value})
            texts = [text for value in values if not isinstance(value, dict | None) and (text := text_of(value))]
            seen |= {field} if values else set()
            plain |= {field} if texts else set()
            if inner:
                keys.setdefault(field, inner)
                broken = f"{path} has keys of its own, {inner[:LISTED]}"
            row[field] = (UNIT if field in SEVERAL else "; ").join(texts)
        yield Reject("", "", Reason.MALFORMED, f"record {number}: {broken}") if broken else row
    for field in asked:
        if field in keys and field not in plain:
            inner = [f"{asked[field]}.{key}" for key in keys[field][:LISTED]]
            raise CollectionError(
                f"columns.{field} is {asked[field]!r}, which in {table} has keys of its own: "
                + " or ".join(map(repr, inner))
            )
        if field not in seen:
            raise CollectionError(
                f"columns.{field} is {asked[field]!r}, which no record of {table} has; {_paths(first)}"
            )


def _paths(records: list[Any]) -> str:
    paths = sorted({path for record in records for path in paths_in(record)})
    return f"its paths: {paths[:LISTED]}" + (f" and {len(paths) - LISTED} more" * (len(paths) > LISTED))


def records_of(table: Path) -> Iterator[Any]:
    with table.open(encoding="utf-8-sig") as stream:
        try:
            first = next((line for line in stream if line.strip()), "")
            if _is_record(first):
                following = next((line for line in stream if line.strip()), "")
                if _is_record(following):  # JSON Lines
                    stream.seek(0)
                    for number, line in enumerate(stream, 1):
                        if line.strip():
                            yield _line(table, number, line)
                    return
            stream.seek(0)
            content = json.load(stream)
        except (ValueError, RecursionError) as error:
            raise CollectionError(f"{table} is no JSON: {error}") from error
    yield from _list_in(table, content)


def _is_record(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _line(table: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CollectionError(f"{table} is no JSON at line {number}: {error}") from error


def _list_in(table: Path, content: Any) -> list[Any]:
    """The records: the content itself, or the one list of records inside it."""
    if isinstance(content, list):
        return content
    lists = {path: value for path, value in _lists("", content) if any(isinstance(one, dict) for one in value)}
    if len(lists) == 1:
        return next(iter(lists.values()))
    if lists:
        raise CollectionError(f"{table} has several lists of records, at {list(lists)}: save the one that counts alone")
    return [content]


def _lists(path: str, content: Any) -> Iterator[tuple[str, list[Any]]]:
    for key, value in content.items() if isinstance(content, dict) else []:
        inner = f"{path}.{key}" if path else str(key)
        if isinstance(value, list):
            yield inner, value
        elif isinstance(value, dict):
            yield from _lists(inner, value)


def values_at(content: Any, path: str) -> Iterator[Any]:
    """What stands at a path; through lists, what stands there in each member."""
    if isinstance(content, list):
        for one in content:
            yield from values_at(one, path)
    elif not path:
        yield content
    elif isinstance(content, dict):
        if path in content:  # a key may have dots of its own
            yield from values_at(content[path], "")
            return
        key, _, rest = path.partition(".")
        if rest and key in content:
            yield from values_at(content[key], rest)


def paths_in(content: Any, path: str = "") -> Iterator[str]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from paths_in(value, f"{path}.{key}" if path else str(key))
    elif isinstance(content, list) and content:
        for one in content[:3]:
            yield from paths_in(one, path)
    else:
        yield path


def text_of(value: Any) -> str:
    """A value as text; half a character, which JSON can name, as the sign for one that is lost."""
    if isinstance(value, bool):
        return str(value).upper()
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    return HALVES.sub("\ufffd", text)


def _short(value: Any) -> str:
    return f"{json.dumps(value, ensure_ascii=False)[:40]}"
