"""`rijksnet harvest`: a museum's records over OAI-PMH into its store, and the names of ids. See `Harvested`."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from rijksnet.collections.harvested import UNIDENTIFIED, Changes, HarvestStore, ListState
from rijksnet.collections.metadata import parse
from rijksnet.collections.metadata.fields import MetadataError
from rijksnet.errors import HarvestError
from rijksnet.harvesting.http import RefusedError, Server, TransientError
from rijksnet.harvesting.linked_art import ask_name
from rijksnet.harvesting.oai import ExpiredTokenError, OaiService, Page
from rijksnet.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rijksnet.collection_params import OaiCollection
    from rijksnet.harvesting.oai import Identity

#: How often a list is begun anew because its token expired, without anything new in between.
MOST_RESTARTS = 3

#: A list that goes on has an end nevertheless: after so many pages in a row without a record that it had not given yet,
#: or where it has given this many times what it announced.
MOST_REPEATS, MOST_OVER = 3, 2

#: Pages without any record, each with a token of its own, are servers' that filter: so many in a row are no list.
MOST_EMPTY = 1000

#: Beyond that so many more, since small lists grow while they are read.
MOST_BEYOND = 1000

#: After so many ids in a row without an answer, the server counts as away.
MOST_SILENT = 10


@dataclass
class HarvestSummary:
    """What a harvest did, and what the store holds now."""

    identity: Identity
    pages: int = 0
    changes: Changes = field(default_factory=Changes)
    salvaged: int = 0  #: records that broken pages gave after all
    named: int = 0  #: ids whose names were found
    short: list[str] = field(default_factory=list)  #: lists that ended before the size that the service announced
    stored: int = 0  #: records, the deleted ones left out
    failed: list[tuple[str, str]] = field(default_factory=list)  #: records that could not be had: identifier, reason
    unnamed: list[tuple[str, str]] = field(default_factory=list)  #: ids without a name, and why

    def __str__(self) -> str:
        new, changed, unchanged, deleted = self.changes
        lines = [
            f"{self.pages} pages: {new} records new, {changed} changed, {unchanged} unchanged, {deleted} deleted; "
            f"{self.stored} stored"
        ]
        if self.salvaged:
            lines.append(f"{self.salvaged} of these records had to be taken out of broken pages")
        if self.named or self.unnamed:
            lines.append(f"{self.named} names of ids found")
        lines += self.short
        lines += _listed("records could not be had; the next harvest asks for them again", self.failed)
        lines += _listed("ids have no name; the next harvest asks for them again", self.unnamed)
        if not self.identity.tells_deletions:
            lines.append("the service does not remember deletions: records that it drops stay here")
        return "\n".join(lines)


def harvest(collection: OaiCollection, name: str, server: Server | None = None) -> HarvestSummary:
    """Harvest what is new since the last complete harvest, or everything; goes on where one was interrupted.

    Args:
        collection: the service, and the folder `raw` that holds the store.
        name: the collection's, for messages.
        server: who is asked, if not one made from the collection's politeness.

    Raises:
        HarvestError: another harvest of this collection runs, the store belongs to another service, or the service
            cannot be reached, refuses, or answers what cannot be understood. Whatever came before it is stored.
    """
    server = server or Server(collection.server)
    service = OaiService(collection.endpoint, collection.prefix, server)
    with _alone(collection, name), HarvestStore.writing(collection) as store:
        try:
            summary = HarvestSummary(service.identify())
            _ask_again(service, store, summary)
            for set_spec in collection.sets or [""]:
                _harvest_list(service, store, collection, name, set_spec, summary)
        except HarvestError as error:
            raise HarvestError(
                f"{error}\n{store.count()} records are stored; the same command goes on from there"
            ) from error
        if collection.resolve:
            summary.named = _resolve(server, store, collection, name)
            summary.unnamed = store.unnamed(collection.language)
        summary.stored = store.count()
        summary.failed = [(identifier, reason) for identifier, _, reason in store.failures()]
    return summary


@contextmanager
def _alone(collection: OaiCollection, name: str) -> Iterator[None]:
    raw = Path(collection.raw).absolute()
    raw.parent.mkdir(parents=True, exist_ok=True)
    lock = raw.parent / f".{raw.name}.harvest.lock"  # outside `raw`, which DVC versions
    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout as error:
        raise HarvestError(
            f"another harvest of {name!r} is running (it holds {lock}): wait for it or stop it"
        ) from error


# --- records ----------------------------------------------------------------------------------------------------------


def _ask_again(service: OaiService, store: HarvestStore, summary: HarvestSummary) -> None:
    """Ask for the records that an earlier harvest could not have."""
    for identifier, set_spec, _ in store.failures():
        if identifier.startswith(UNIDENTIFIED):
            continue
        try:
            changes = store.add(set_spec, [service.record(identifier)], {})
        except MetadataError:
            continue  # its failure stays
        summary.changes = _sum(summary.changes, changes)


def _harvest_list(
    service: OaiService,
    store: HarvestStore,
    collection: OaiCollection,
    name: str,
    set_spec: str,
    summary: HarvestSummary,
) -> None:
    done = store.state(set_spec).done
    if done and collection.until and collection.until < done[:10]:
        return  # whatever changes from now on is later than `until`
    states = _states(service, store, collection, set_spec, summary)
    first = next(states)
    what = f"harvest {name} {set_spec}".rstrip()
    with progress(what, first.announced) as report:
        for state in chain([first], states):
            report(state.received, f"page {summary.pages}")
    if state.announced is not None and state.received < state.announced:
        of = _of(set_spec)
        summary.short.append(f"the service announced {state.announced} records{of} and gave {state.received}")


def _of(set_spec: str) -> str:
    return f" of set {set_spec!r}" if set_spec else ""


def _states(
    service: OaiService, store: HarvestStore, collection: OaiCollection, set_spec: str, summary: HarvestSummary
) -> Iterator[ListState]:
    """Read one list to its end; yields how far it is, after each page is stored."""
    state = store.state(set_spec)
    if not state.token:
        state = ListState(done=state.done)
    since, until = _bounds(collection, state.done, summary.identity)
    seen = _Seen()
    restarts = furthest = 0
    while True:
        try:
            page = service.next_page(state.token) if state.token else service.first_page(set_spec, since, until)
        except ExpiredTokenError as error:
            if state.announced is not None and state.received >= state.announced:
                page = Page([], {}, "", None, state.started)  # the token was superfluous
            else:
                restarts += 1
                if restarts > MOST_RESTARTS:
                    raise HarvestError(f"tokens expire before the list gets any further: {error}") from error
                state, seen = ListState(done=state.done), _Seen()
                continue
        new = seen.add(page)
        endless = seen.endless(state) if page.token else ""
        if endless:
            left = f"it was left there, after {len(seen.records)} records"
            summary.short.append(f"the list{_of(set_spec)} {endless} and does not end: {left}")
            page = replace(page, token="")
        before, state = state, _after(state, page, summary.identity, new)
        if endless and (state.announced is None or state.received < state.announced):
            state = replace(state, done=before.done)  # nobody knows what else there is: it is asked for again
        changes = store.add(set_spec, page.records, page.failures, state)
        if state.received > furthest:  # not where records only change: some do at each request
            furthest, restarts = state.received, 0
        summary.pages += 1
        summary.changes = _sum(summary.changes, changes)
        summary.salvaged += page.salvaged
        yield state
        if not page.token:
            return


@dataclass
class _Seen:
    """What a list has given, in hashes of identifiers and of tokens, to tell one that has no end."""

    records: set[int] = field(default_factory=set)
    tokens: set[int] = field(default_factory=set)
    repeats: int = 0
    empty: int = 0

    def add(self, page: Page) -> int:
        """The number of records that it had not given yet."""
        new = {hash(one) for one in (*(record.identifier for record in page.records), *page.failures)} - self.records
        filtered = not (page.records or page.failures) and hash(page.token) not in self.tokens
        self.empty = self.empty + 1 if filtered else 0
        self.repeats = self.repeats if filtered else 0 if new else self.repeats + 1
        self.records |= new
        self.tokens.add(hash(page.token))
        return len(new)

    def endless(self, state: ListState) -> str:
        """Why it is taken for a list without end, if it is; `state` is from before the last page."""
        if self.repeats == MOST_REPEATS or self.empty == MOST_EMPTY:
            return "repeats itself" if self.repeats == MOST_REPEATS else f"gave {MOST_EMPTY:,} pages without a record"
        if state.announced and state.received > MOST_OVER * state.announced + MOST_BEYOND:
            return f"announced {state.announced} records, gave {state.received}"
        return ""


def _after(state: ListState, page: Page, identity: Identity, new: int) -> ListState:
    """How far a list is after one more page, with so many records that it had not given yet; complete means up to when
    it began: later changes may be missing."""
    started = state.started or page.date or identity.date
    announced = state.announced if page.announced is None else page.announced
    received = state.received + new
    if page.token:
        return ListState(page.token, started, received, announced, state.done)
    return ListState("", "", received, announced, done=started)


def _bounds(collection: OaiCollection, done: str, identity: Identity) -> tuple[str, str]:
    """`from` and `until` of a list, in the granularity of the service."""
    since, until = done or collection.since or "", collection.until or ""
    if identity.days:
        return since[:10], until
    return _seconds(since, "T00:00:00Z"), _seconds(until, "T23:59:59Z")


def _seconds(date: str, time: str) -> str:
    return date if not date or "T" in date else date + time


def _sum(one: Changes, other: Changes) -> Changes:
    return Changes(*(a + b for a, b in zip(one, other, strict=True)))


def _listed(what: str, items: list[tuple[str, str]], most: int = 10) -> list[str]:
    if not items:
        return []
    rest = [f"  and {len(items) - most} more"] if len(items) > most else []
    return [f"{len(items)} {what}:", *(f"  {one}: {reason}" for one, reason in items[:most]), *rest]


# --- names ------------------------------------------------------------------------------------------------------------


def _resolve(server: Server, store: HarvestStore, collection: OaiCollection, name: str) -> int:
    """Ask for the name of every id that has none yet; the number found.

    Raises:
        HarvestError: the server of the ids is away.
    """
    wanted = sorted(_ids(store, collection) - store.names(collection.language).keys())
    found = silent = 0
    with progress(f"names {name}", len(wanted)) as report:
        for number, id_ in enumerate(wanted, 1):
            try:
                store.name(id_, collection.language, ask_name(server, id_, collection.language))
                found += 1
                silent = 0
            except RefusedError as error:
                store.name(id_, collection.language, None, str(error))
                silent = 0
            except TransientError as error:
                store.name(id_, collection.language, None, str(error))
                silent += 1
                if silent >= MOST_SILENT:
                    raise HarvestError(
                        f"{error}, like {silent - 1} ids before it. All records and {found} names are stored; the same "
                        "command goes on from there"
                    ) from error
            report(number, id_)
    return found


def _ids(store: HarvestStore, collection: OaiCollection) -> set[str]:
    """Ids that records give without a name."""
    ids: set[str] = set()
    for record in store.records(collection.sets):
        try:
            ids.update(parse(record.metadata, collection.format, collection.language, collection.download.kind).ids())
        except MetadataError:
            continue  # the catalogue rejects it
    return ids
