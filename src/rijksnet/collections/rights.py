"""Which rights statements a collection keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def allowed(statement: str, kept: Sequence[str]) -> bool:
    """Whether a statement begins with one of `kept`; every one does where `kept` is empty.

    Statements are mostly URLs: http and https, and capital letters, make no difference.
    """
    return not kept or any(_plain(statement).startswith(_plain(one)) for one in kept)


def _plain(statement: str) -> str:
    return statement.strip().lower().replace("https://", "http://", 1)
