"""What an experiment leaves that is no run: a folder of files beside the run folders, its own `.json` written last."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rijksnet.files import replacing_folder, sha256_of
from rijksnet.paths import RUNS


@dataclass(frozen=True)
class FindingPaths:
    """What belongs to an architecture's runs of one challenge on the source; it lies beside their run folders."""

    collection: str
    challenge: str
    architecture: str

    @property
    def root(self) -> Path:
        return RUNS / self.collection / self.challenge / self.architecture

    @property
    def saliency(self) -> Path:
        """Folder: gallery.png, objects.csv, saliency.json."""
        return self.root / "saliency"

    @property
    def probes(self) -> Path:
        """Folder: probes.csv, probes.png, probes.json."""
        return self.root / "probes"


if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write(folder: Path, files: Mapping[str, bytes], about: Mapping[str, Any], origin: Mapping[str, Any]) -> None:
    """Replace the folder by these files and `<folder>.json`: `about`, the `lineage.origin()`, the files' digests."""
    with replacing_folder(folder) as part:
        for name, content in files.items():
            (part / name).write_bytes(content)
        digests = {name: sha256_of(part / name) for name in sorted(files)}
        whole = {**about, "lineage": origin, "files": digests}
        (part / f"{folder.name}.json").write_text(
            json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
