"""What runs of the store hold as artifacts: written with a list of their digests, compared with it and with files here.

Artifacts can be lost or damaged while the run that had them stays.
"""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rijksnet.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rijksnet.tracking.stores import Store

#: {path: sha256} of all artifacts that were written together with it.
LIST = "artifacts.json"


def write(store: Store, run_id: str, folder: Path) -> None:
    """Make a folder's files a run's artifacts, and the list of them."""
    digests = {path: sha256_of(file) for path, file in _files(folder).items()}
    (folder / LIST).write_text(json.dumps(digests, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    store.client.log_artifacts(run_id, str(folder))


def write_copy(store: Store, run_id: str, folder: Path) -> None:
    """Make a folder of the project a run's artifacts, under its name.

    MLflow takes no links, which the folder's files may be where DVC's cache is linked to.
    """
    with TemporaryDirectory() as copy:
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        store.client.log_artifacts(run_id, copy, folder.name)


def lacking(store: Store, run_id: str, wanted: Mapping[str, Path]) -> set[str]:
    """Of artifacts that should be copies of files here, those that are not there, or not in their size."""
    folders = {path.rpartition("/")[0] for path in wanted}
    held = {one.path: one.file_size for folder in folders for one in store.client.list_artifacts(run_id, folder)}
    # what a damaged run lacks is amiss too: it is for its reader to refuse, and no fault of the store
    return {path for path, file in wanted.items() if not file.is_file() or held.get(path) != file.stat().st_size}


def damaged(store: Store, run_id: str) -> set[str]:
    """Of the artifacts that `write` listed, those that are not there or hold other bytes; reads them all."""
    with _fetched(store, run_id) as folder:
        try:
            digests: dict[str, str] = json.loads((folder / LIST).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # or they are of before there was a list
            return {LIST}
        return {path for path, digest in digests.items() if not _is(folder / path, digest)}


def is_copied(store: Store, run_id: str, folder: Path) -> bool:
    """Whether a run holds a folder of the project, byte by byte."""
    with _fetched(store, run_id, folder.name) as held:
        return all(_is(held / path, sha256_of(file)) for path, file in _files(folder).items())


def _is(file: Path, digest: str) -> bool:
    return file.is_file() and sha256_of(file) == digest


def _files(folder: Path) -> dict[str, Path]:
    return {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}


@contextmanager
def _fetched(store: Store, run_id: str, inside: str = "") -> Iterator[Path]:
    """A folder with a run's artifacts, or with those inside one folder of them; empty where there are none."""
    with TemporaryDirectory() as folder:
        if store.client.list_artifacts(run_id, inside):  # to download what is not there is an error
            store.client.download_artifacts(run_id, inside, folder)
        yield Path(folder) / inside
