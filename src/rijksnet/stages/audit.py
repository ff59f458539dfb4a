"""The stage that looks at a collection as it will be trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rijksnet.audit.text import text
from rijksnet.audit.write import PAGE, write_audit
from rijksnet.paths import CollectionPaths
from rijksnet.progress import show

if TYPE_CHECKING:
    from rijksnet.params import Params


def audit(params: Params, collection: str) -> None:
    """Write the audit, and say where it is."""
    paths = CollectionPaths(collection)
    show(text(write_audit(paths, paths.audit)))
    print(paths.audit / PAGE)
