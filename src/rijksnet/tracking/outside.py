"""What lies outside the pipeline, as far as files show it: whether a stage that looks there need look again.

MLflow takes seconds to import and to ask. Where the store is a file and artifacts are files, it is enough that none of
them, and nothing of the project that was compared with them, has been written to since a look that changed nothing.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from rijksnet.files import replacing
from rijksnet.paths import CHECKPOINTS, CODE, PINS, PUBLISHED, RUNS, STUDIES
from rijksnet.tracking import address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from rijksnet.params import Params


def look_unless_seen(stage: str, params: Params, look: Callable[[], bool]) -> bool:
    """Call `look`, unless it has changed nothing when it was last called and everything is still as it was then.

    Args:
        stage: the group of stages whose code looks.
        look: compares the store with the project, and says whether it could see all of both.

    Returns:
        Whether it was called.

    Raises:
        Whatever `look` raises.
    """
    seen = CHECKPOINTS / "seen" / stage
    before = _state_or_nothing(stage, params)
    with suppress(OSError):
        if before and seen.read_text(encoding="ascii") == before:
            return False
    seen.unlink(missing_ok=True)
    whole = look()
    if whole and before and _state_or_nothing(stage, params) == before:  # what it changed itself it sees the next time
        with replacing(seen) as partial:
            partial.write_text(before, encoding="ascii")
    return True


def _state_or_nothing(stage: str, params: Params) -> str:
    try:
        return _state(stage, params)
    except OSError:  # other stages write at the same time
        return ""


def _state(stage: str, params: Params) -> str:
    """Digest of what is outside and of what it is compared with; empty: no file shows what is outside."""
    database, artifacts = address.database(params.tracking), address.artifact_folder(params.tracking)
    if database is None or artifacts is None or not database.is_file():
        return ""
    if not _keeps_all_in(database, artifacts):
        return ""
    told = [address.uri(params.tracking), address.experiment(), str(database), params.model_dump_json()]
    # DVC writes some of these anew at each call, as they are
    small = (CODE / f"{stage}.txt", PUBLISHED, *sorted(PINS.glob("*.json")))
    told += [f"{file}: {file.read_text(encoding='utf-8')}" for file in small if file.is_file()]
    digest = hashlib.sha256("\0".join(told).encode())
    journals = (database.with_name(database.name + ending) for ending in ("", "-wal", "-journal"))
    for place in (*journals, artifacts, RUNS, STUDIES):
        for path, is_file in sorted(_files(place).items()):
            digest.update(f"{path}\0{is_file}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _keeps_all_in(database: Path, artifacts: Path) -> bool:
    """Whether no experiment keeps artifacts elsewhere, as those do that were made with another `tracking.artifacts`."""
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as store:
        try:
            places = "SELECT DISTINCT artifact_location FROM experiments WHERE experiment_id != 0"
            rows = store.execute(places).fetchall()
        except sqlite3.Error:  # it is no store yet, or somebody writes
            return False
    return {place for (place,) in rows} <= {artifacts.as_uri()}


def _files(place: Path) -> Mapping[str, tuple[int, int, int]]:
    """Size, time of writing and time of any change of all files at or below a place, both in ns."""
    if not place.is_dir():
        with suppress(FileNotFoundError):
            return {str(place): _written(place.stat())}
        return {}
    return {entry.path: _written(entry.stat()) for entry in _below(str(place))}


def _below(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _below(entry.path)
            else:
                yield entry


def _written(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
