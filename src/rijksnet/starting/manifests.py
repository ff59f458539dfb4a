"""`rijksnet init --from iiif`: the manifests of a IIIF collection become a table, a row each, of what they say."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any

from rijksnet.errors import HarvestError, ParamsError
from rijksnet.files import replacing
from rijksnet.harvesting.http import RefusedError, TransientError
from rijksnet.harvesting.iiif import MOST_MANIFEST_BYTES, get_json, id_of, member
from rijksnet.progress import progress
from rijksnet.starting.asking import console

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rijksnet.harvesting.http import Server

#: Between several values in a cell.
SEPARATOR = "|"

#: Languages that a label or value is taken in, the first that there is; a table has one.
LANGUAGES = ("en", "none", "@none")

#: Collections in collections are followed so deep.
DEPTH = 4

#: Columns that every row has.
ADDRESS, LABEL = "manifest", "label"


def table_of_manifests(url: str, file: Path, server: Server) -> int:
    """Write a CSV file with a row for each manifest of a collection, or for the one manifest; gives their number.

    A column is one of the labels under which manifests list their metadata. A manifest that does not answer is left
    out, and told.

    Raises:
        ParamsError: it is neither a collection nor a manifest, or has no manifests.
        HarvestError: the collection itself does not answer.
    """
    addresses = list(dict.fromkeys(_manifests(url, server, DEPTH)))
    if not addresses:
        raise ParamsError(f"{url} is neither a IIIF manifest nor a collection of some")
    rows: list[dict[str, str]] = []
    missed = 0
    with progress("manifests", len(addresses)) as report:
        for number, address in enumerate(addresses, 1):
            try:
                rows.append(row_of(address, get_json(server, address, MOST_MANIFEST_BYTES)))
            except (RefusedError, TransientError) as error:
                missed += 1
                console.print(f"[yellow]left out[/]: {error}")
            report(number)
    header = list(dict.fromkeys(name for row in rows for name in row))
    with replacing(file) as part, part.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, header, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    left_out = f"; {missed} left out" if missed else ""
    console.print(f"{file}: {len(rows):,} manifests, {len(header)} columns{left_out}")
    return len(rows)


def row_of(address: str, manifest: Any) -> dict[str, str]:
    """What a manifest says of its object, Presentation API 2 or 3."""
    row = {ADDRESS: address, LABEL: SEPARATOR.join(_texts(member(manifest, "label")))}
    metadata = member(manifest, "metadata")
    for entry in metadata if isinstance(metadata, list) else []:
        name, values = " ".join(_texts(member(entry, "label"))), _texts(member(entry, "value"))
        if name in (ADDRESS, LABEL):  # which the row has of its own
            name = f"{name} (metadata)"
        if name and values:
            before = [row[name]] if name in row else []
            row[name] = SEPARATOR.join([*before, *values])
    return row


def _manifests(url: str, server: Server, depth: int) -> Iterator[str]:
    """Of a collection, page by page, and of those in it."""
    page: str | None = url
    seen = set[str]()
    while page is not None:
        seen.add(page)
        try:
            document = get_json(server, page, MOST_MANIFEST_BYTES)
        except (RefusedError, TransientError) as error:
            raise HarvestError(f"{page} cannot be had: {error}") from error
        if _is(document, "Manifest"):
            yield page
            return
        for name in ("items", "manifests", "members", "collections"):
            members = member(document, name)
            for one in members if isinstance(members, list) else []:
                address = id_of(one)
                if address and (_is(one, "Manifest") or name == "manifests"):
                    yield address
                elif address and depth and (_is(one, "Collection") or name == "collections"):
                    yield from _manifests(address, server, depth - 1)
        others = [id_of(member(document, name)) for name in ("next", "first")]
        page = next((one for one in others if one and one not in seen), None)


def _is(document: Any, kind: str) -> bool:
    return str(member(document, "type") or member(document, "@type")).endswith(kind)


def _texts(value: Any) -> list[str]:
    """Texts of a label or value, in one language; markup is left out."""
    if isinstance(value, str):
        plain = " ".join(re.sub(r"<[^>]*>", " ", value).split())
        return [plain] if plain else []
    if isinstance(value, list):
        named = [one for one in value if str(member(one, "@language") or "").startswith(LANGUAGES[0])]
        return [text for one in named or value for text in _texts(one)]
    if isinstance(value, dict):
        if "@value" in value:
            return _texts(value["@value"])
        chosen = next((language for language in (*LANGUAGES, *value) if language in value), None)
        return [] if chosen is None else _texts(value[chosen])
    return [] if value is None else [str(value)]
