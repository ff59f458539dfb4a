"""Which column of a table is which: the names that params.yaml gives, as the table writes them."""

from __future__ import annotations

import unicodedata
from difflib import get_close_matches
from typing import TYPE_CHECKING

from rijksnet.errors import CollectionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rijksnet.collection_params import Columns

#: By field of `Columns`: where its column stands; None for a field that has none.
Positions = dict[str, int | None]

#: Columns listed in a message; a table can have hundreds.
LISTED = 40


def named(columns: Columns) -> dict[str, str]:
    """The fields that have a column, and how params.yaml calls it."""
    return {field: name for field, name in columns.model_dump().items() if name is not None}


def loosely(name: str) -> str:
    """A column's name without case, stray blanks and quotes, and in one Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", name).strip("\"'\ufeff \t").casefold().split())


def matching(header: Sequence[str], columns: Columns) -> int:
    """How many of the columns asked for a header has."""
    exactly, loose = set(header), {loosely(name) for name in header}
    return sum(name in exactly or loosely(name) in loose for name in named(columns).values())


def positions(where: str, header: Sequence[str], columns: Columns) -> Positions:
    """Where each column stands: of exactly this name, or else of one that differs only in case, blanks or quotes.

    Raises:
        CollectionError: a column is not there, or there are several of its name.
    """
    found: Positions = dict.fromkeys(type(columns).model_fields)
    for field, name in named(columns).items():
        alike = [i for i, one in enumerate(header) if one == name]
        alike = alike or [i for i, one in enumerate(header) if loosely(one) == loosely(name)]
        if len(alike) != 1:
            times = f"{len(alike)} times" if alike else "not"
            raise CollectionError(
                f"columns.{field} is {name!r}, which {where} has {times}{_nearest(name, header) if not alike else ''}; "
                f"its columns: {list(header[:LISTED])}" + (f" and {len(header) - LISTED} more" * (len(header) > LISTED))
            )
        found[field] = alike[0]
    return found


def _nearest(name: str, header: Sequence[str]) -> str:
    near = get_close_matches(loosely(name), [loosely(one) for one in header], n=1)
    return f" (nearly so: {next(one for one in header if loosely(one) == near[0])!r})" if near else ""
