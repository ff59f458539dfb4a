"""The data audit: a collection as it will be trained on, as facts, as a page with pictures and for the terminal."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from rijksnet.audit.facts import Audit
from rijksnet.audit.gathering import gather
from rijksnet.audit.text import text
from rijksnet.files import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from rijksnet.paths import CollectionPaths

__all__ = ["Audit", "text", "write_audit"]

PAGE, FACTS = "audit.html", "audit.json"


def write_audit(paths: CollectionPaths, folder: Path) -> Audit:
    """Write the audit of a collection into `folder`: audit.html and audit.json, the same bytes for the same files.

    Raises:
        CollectionError: there is no catalogue, or near-duplicates cannot be looked for.
    """
    from rijksnet.audit.page import page
    from rijksnet.rendering.pictures import Pictures

    audit = gather(paths)
    facts = json.dumps(asdict(audit), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    for name, content in ((PAGE, page(audit, Pictures(paths))), (FACTS, facts)):
        with replacing(folder / name) as part:
            part.write_text(content, encoding="utf-8")
    return audit
