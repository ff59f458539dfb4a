"""A harvest on disk: the records of an OAI-PMH service, how far each list was read, and names of ids; one SQLite file.

A page's records and the token of the next page are written in one transaction. A harvest killed at any moment loses at
most the page in flight, and asks for that page again.
"""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from rijksnet.errors import CollectionError, HarvestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rijksnet.collection_params import OaiCollection

RECORDS = "records.db"

#: How the identifier of a failure begins where the record that failed has none: it cannot be asked for again.
UNIDENTIFIED = "(no identifier) "

#: `metadata` is compressed by zlib, NULL where deleted; `sets` is a setSpec a line. `token` is the next page of a list
#: that is being read, `started` the service's date when it began; `done` is that date of the last complete list.
SCHEMA = """
CREATE TABLE IF NOT EXISTS service (endpoint TEXT NOT NULL, prefix TEXT NOT NULL, since TEXT, until TEXT);
CREATE TABLE IF NOT EXISTS lists (
  set_spec TEXT PRIMARY KEY, token TEXT NOT NULL, started TEXT NOT NULL, received INTEGER NOT NULL, announced INTEGER,
  done TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS records (
  identifier TEXT PRIMARY KEY, datestamp TEXT NOT NULL, deleted INTEGER NOT NULL, sets TEXT NOT NULL, metadata BLOB);
CREATE TABLE IF NOT EXISTS failures (identifier TEXT PRIMARY KEY, set_spec TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS names (
  id TEXT NOT NULL, language TEXT NOT NULL, name TEXT, reason TEXT, PRIMARY KEY (id, language));
"""


@dataclass(frozen=True, slots=True)
class HarvestedRecord:
    """One record as the service gives it; `metadata` is XML, empty where the record was deleted."""

    identifier: str
    datestamp: str
    sets: tuple[str, ...]
    deleted: bool
    metadata: bytes


@dataclass(frozen=True, slots=True)
class ListState:
    """How far the list of one set was read; dates are the service's own."""

    token: str = ""  #: of the next page; empty where no list is being read
    started: str = ""  #: when the list that is being read began
    received: int = 0  #: records of that list so far
    announced: int | None = None  #: records that the service says it has
    done: str = ""  #: when the last complete list began; empty before there is one


class Changes(NamedTuple):
    """What some records did to the store."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0

    def any(self) -> bool:
        return bool(self.new or self.changed or self.deleted)


class HarvestStore:
    """An open store; `reading` and `writing` make one."""

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.path = path
        self._database = database
        self._sets: Sequence[str] = ()

    @classmethod
    @contextmanager
    def writing(cls, collection: OaiCollection) -> Iterator[HarvestStore]:
        """
        Raises:
            HarvestError: the store belongs to another service, is damaged, or is a link into DVC's cache.
        """
        path = Path(collection.raw) / RECORDS
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and (path.is_symlink() or path.stat().st_nlink > 1):
            raise HarvestError(
                f"{path} is a link, which writing would follow into DVC's cache: run `dvc unprotect` on it"
            )
        with _connected(path, "rwc", HarvestError) as database:
            database.executescript(SCHEMA)
            store = cls(path, database)
            store._require_same_service(collection, HarvestError)
            insert = "INSERT INTO service SELECT ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM service)"
            database.execute(insert, _service(collection))
            yield store

    @classmethod
    @contextmanager
    def reading(cls, collection: OaiCollection) -> Iterator[HarvestStore]:
        """
        Raises:
            CollectionError: there is no store, it belongs to another service, or a set was never begun.
        """
        path = Path(collection.raw) / RECORDS
        if not path.is_file():
            raise CollectionError(f"{path} is not there: run `rijksnet harvest` for this collection first")
        # not mode=ro, which could not undo what a killed harvest left half written
        with _connected(path, "rw", CollectionError) as database:
            database.execute("PRAGMA query_only = ON")
            store = cls(path, database)
            store._require_same_service(collection, CollectionError)
            store._sets = collection.sets or [""]
            for set_spec in store._sets:
                if store.state(set_spec) == ListState():
                    part = f" of set {set_spec!r}" if set_spec else ""
                    raise CollectionError(f"nothing{part} is in {path} yet: run `rijksnet harvest` for this collection")
            yield store

    def _require_same_service(
        self, collection: OaiCollection, error_type: type[CollectionError | HarvestError]
    ) -> None:
        stored = self._database.execute("SELECT * FROM service").fetchone()
        asked = _service(collection)
        if stored is None or stored == asked:
            return
        names = ("endpoint", "prefix", "since", "until")
        pairs = zip(names, stored, asked, strict=True)
        other = "; ".join(f"`{name}` was {old!r} and is {new!r}" for name, old, new in pairs if old != new)
        raise error_type(
            f"{self.path} was harvested otherwise: {other}. Set it back, or move {RECORDS} away to begin anew"
        )

    # --- lists and their records ----------------------------------------------------------------------------------

    def state(self, set_spec: str) -> ListState:
        """How far the list of a set (empty: of everything) was read."""
        query = "SELECT token, started, received, announced, done FROM lists WHERE set_spec = ?"
        row = self._database.execute(query, (set_spec,)).fetchone()
        return ListState(*row) if row else ListState()

    def shortfalls(self) -> list[str]:
        """Of the sets asked for, which were never read to their end, and how far they were."""
        found = []
        for set_spec in self._sets:
            state = self.state(set_spec)
            if not state.done:
                of = "" if state.announced is None else f" of {state.announced}"
                part = f" of set {set_spec!r}" if set_spec else ""
                got = f"{state.received}{of} records"
                found.append(f"the harvest{part} is not complete ({got}): `rijksnet harvest` goes on with it")
        return found

    def add(
        self,
        set_spec: str,
        records: Iterable[HarvestedRecord],
        failures: Mapping[str, str],
        state: ListState | None = None,
    ) -> Changes:
        """Store one page: its records, what of it failed and why (by identifier), and how far the list now is.

        While a later list only repeats what is there, nothing is written, not even its state: the file stays the same.
        """
        with self._transaction():
            kinds: list[str] = [self._put(record, set_spec) for record in records]
            for identifier, reason in failures.items():
                self._database.execute("REPLACE INTO failures VALUES (?, ?, ?)", (identifier, set_spec, reason))
            changes = Changes(*(kinds.count(kind) for kind in Changes._fields))
            stored = self.state(set_spec)
            only_repeats = bool(stored.done and not stored.token) and not changes.any() and not failures
            if state is not None and not only_repeats:
                row = (set_spec, state.token, state.started, state.received, state.announced, state.done)
                self._database.execute("REPLACE INTO lists VALUES (?, ?, ?, ?, ?, ?)", row)
        return changes

    def _put(self, record: HarvestedRecord, set_spec: str) -> Literal["new", "changed", "unchanged", "deleted"]:
        self._database.execute("DELETE FROM failures WHERE identifier = ?", (record.identifier,))
        query = "SELECT datestamp, deleted, sets, metadata FROM records WHERE identifier = ?"
        row = self._database.execute(query, (record.identifier,)).fetchone()
        datestamp, was_deleted, known, stored = row or ("", False, "", None)
        sets = "\n".join(sorted(filter(None, {*record.sets, set_spec, *known.split("\n")})))
        if row and not _supersedes(record, datestamp, was_deleted, stored):
            if sets != known:
                self._database.execute("UPDATE records SET sets = ? WHERE identifier = ?", (sets, record.identifier))
            return "unchanged"
        metadata = None if record.deleted else zlib.compress(record.metadata)
        values = (record.identifier, record.datestamp, record.deleted, sets, metadata)
        self._database.execute("REPLACE INTO records VALUES (?, ?, ?, ?, ?)", values)
        if record.deleted:
            return "deleted"
        return "changed" if row else "new"

    def failures(self) -> list[tuple[str, str, str]]:
        """(identifier, set, reason) of each record that could not be had."""
        return self._database.execute("SELECT * FROM failures ORDER BY identifier").fetchall()

    def count(self) -> int:
        """Records that are not deleted."""
        counted: int = self._database.execute("SELECT count(*) FROM records WHERE NOT deleted").fetchone()[0]
        return counted

    def records(self, sets: Iterable[str] = ()) -> Iterator[HarvestedRecord]:
        """Records that are not deleted, by identifier; those of the sets, or all."""
        wanted = set(sets)
        query = "SELECT identifier, datestamp, sets, metadata FROM records WHERE NOT deleted ORDER BY identifier"
        for identifier, datestamp, of_sets, metadata in self._database.execute(query):
            specs = tuple(of_sets.split("\n"))
            if not wanted or wanted.intersection(specs):
                yield HarvestedRecord(identifier, datestamp, specs, False, zlib.decompress(metadata))

    # --- names of ids ---------------------------------------------------------------------------------------------

    def names(self, language: str) -> dict[str, str]:
        """Name by id."""
        query = "SELECT id, name FROM names WHERE language = ? AND name IS NOT NULL"
        return dict(self._database.execute(query, (language,)))

    def unnamed(self, language: str) -> list[tuple[str, str]]:
        """(id, reason) of ids whose names could not be had."""
        query = "SELECT id, reason FROM names WHERE language = ? AND name IS NULL ORDER BY id"
        return self._database.execute(query, (language,)).fetchall()

    def name(self, id_: str, language: str, name: str | None, reason: str | None = None) -> None:
        """Store an id's name, or the reason why there is none."""
        self._database.execute(
            "INSERT INTO names VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
            "SET (name, reason) = (excluded.name, excluded.reason) "
            "WHERE (name, reason) IS NOT (excluded.name, excluded.reason)",
            (id_, language, name, reason),
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def _service(collection: OaiCollection) -> tuple[str, str, str | None, str | None]:
    return collection.endpoint, collection.prefix, collection.since, collection.until


def _supersedes(record: HarvestedRecord, datestamp: str, deleted: bool, metadata: bytes | None) -> bool:
    """Whether a record takes the place of the stored one: a later one does, and an equally old one that differs.

    Datestamps may be days, within which a record can change twice; and a page may repeat a record.
    """
    if record.deleted and deleted:
        return False
    if record.datestamp != datestamp:
        return record.datestamp > datestamp
    return record.deleted or metadata is None or zlib.decompress(metadata) != record.metadata


@contextmanager
def _connected(
    path: Path, mode: Literal["rw", "rwc"], error_type: type[CollectionError | HarvestError]
) -> Iterator[sqlite3.Connection]:
    try:
        database = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=60, isolation_level=None
        )
        try:
            yield database
        finally:
            database.close()
    except sqlite3.Error as error:
        raise error_type(
            f"{path} cannot be used ({error}): is another process using it, or the disk full? A damaged file has to be "
            "moved away and harvested again"
        ) from error
