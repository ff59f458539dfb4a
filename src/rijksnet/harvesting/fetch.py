"""`rijksnet fetch`: every image that a reader knows the address of, downloaded once, politely, in bounded memory."""

from __future__ import annotations

import time
import warnings
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from itertools import chain, islice
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from PIL import Image, UnidentifiedImageError

from rijksnet.collections.formats import readable
from rijksnet.errors import HarvestError
from rijksnet.harvesting import iiif
from rijksnet.harvesting.http import BROKEN, Answer, RefusedError, Server, TransientError
from rijksnet.harvesting.shard_writer import ImageHeader, ShardWriter
from rijksnet.progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from rijksnet.collection_params import Download
    from rijksnet.collections.records import Address, AddressReader
    from rijksnet.progress import Report

#: Longer images are refused, bytes. Images of that length would take `connections` times six as much memory.
MOST_BYTES = 64 << 20

#: Longest side, px: what a JPEG can hold.
LONGEST_SIDE = 65_500

#: Refusals that another day, or other parameters, may lift; all others are permanent.
LONG_PAUSE = "asks for a long pause"
LIFTED = frozenset({LONG_PAUSE, "robots.txt forbids it"})

#: After so many addresses in a row without an answer the server is taken to be away.
AWAY_AFTER = 20

#: A server that answers HTTP 500 is there, and may say so of what it does not have: so often it is asked for one image,
#: and after so many in a row it is taken to be broken.
ATTEMPTS_AT_BROKEN, BROKEN_AFTER = 3, 200

#: How often what is written is looked after while no image arrives, s.
TICK_S = 1.0

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class FetchSummary:
    """What became of the addresses: numbers of them.

    `there` were downloaded before (or are another object's, too), `given_up` failed for good before and were not asked
    for again.
    """

    there: int = 0
    given_up: int = 0
    fetched: int = 0
    failed: int = 0
    larger: int = 0  #: of those fetched, than asked for
    seconds: float = 0.0

    @property
    def done(self) -> int:
        return self.there + self.given_up + self.fetched + self.failed

    def __str__(self) -> str:
        rate = self.fetched / self.seconds if self.seconds else 0.0
        given_up = f", {self.given_up} failed for good before (--retry-failed asks again)" if self.given_up else ""
        larger = (
            f", {self.larger} larger than asked for, since their servers make no smaller ones" if self.larger else ""
        )
        there = f"{self.there} were there"
        return f"{self.fetched} images fetched ({rate:.1f}/s){larger}, {there}, {self.failed} failed{given_up}"


@dataclass(frozen=True)
class _Failure:
    """Why an address gave no image."""

    reason: str
    detail: str
    permanent: bool
    answered: bool = True  # False where there was no answer at all
    broken: bool = False  # the answer was HTTP 500


def fetch(
    reader: AddressReader, download: Download, folder: Path, retry_failed: bool = False, server: Server | None = None
) -> FetchSummary:
    """Download what `reader.addresses()` names into the shards of `folder`, which `folder/failures.csv` completes.

    What is there is not asked for again, whenever and however an earlier call ended. Failures that may pass (no answer,
    a truncated one) are asked for again at the next call, after all that was never asked for, so that what fails keeps
    nothing else away; permanent ones (404, not an image, too large) only with `retry_failed`. Addresses are taken as
    the reader gives them, a few at a time, and three times: first to count them.

    Raises:
        HarvestError: one address after the other gave no answer; the next call goes on elsewhere.
        CollectionError: the reader cannot be read, another process fetches into `folder`, or it cannot be written.
    """
    server = server or Server(download, attempts_at_broken=ATTEMPTS_AT_BROKEN)
    with ShardWriter.open(folder) as writer:
        total = sum(1 for _ in reader.addresses())
        with progress("fetching", total) as report:
            return _Run(writer, server, download, retry_failed, report).carry_out(reader)


@dataclass
class _Run:
    """One call of `fetch`. Only workers ask the server; only the main thread writes and counts."""

    writer: ShardWriter
    server: Server
    download: Download
    retry_failed: bool
    report: Report
    summary: FetchSummary = field(default_factory=FetchSummary)
    started: float = field(default_factory=time.time)
    asked: set[str] = field(default_factory=set)  # in flight: a few addresses
    unanswered: int = 0  # addresses in a row
    broken: int = 0  # likewise

    def carry_out(self, reader: AddressReader) -> FetchSummary:
        began = time.monotonic()
        todo = chain(
            (address for address in reader.addresses() if self._is_wanted(address, again=False)),
            (address for address in self._failed_before(reader) if self._is_wanted(address, again=True)),
        )
        for outcome in _in_parallel(self._ask, todo, self.download.connections):
            if outcome is None:
                self.writer.commit_if_due()
                continue
            address, result = outcome
            self.asked.discard(address.url)
            self._keep(address, result)
            self.summary.seconds = time.monotonic() - began
            rate = self.summary.fetched / self.summary.seconds
            self.report(self.summary.done, f"{rate:.1f} images/s, {self.summary.failed} failed")
        self.report(self.summary.done)
        return self.summary

    def _failed_before(self, reader: AddressReader) -> Iterator[Address]:
        """Those that failed in earlier calls, the longest ago first: so each call asks for others, until all were."""
        failed = [
            (failure.last, number, address)
            for number, address in enumerate(reader.addresses())
            if (failure := self.writer.failure(address.url)) and failure.last < self.started
        ]
        yield from (address for *_, address in sorted(failed))

    def _is_wanted(self, address: Address, again: bool) -> bool:
        """Whether to ask; two objects may share an address, which is asked for once.

        Args:
            again: the turn of those that failed in earlier calls, after the turn of all others.
        """
        failure = self.writer.failure(address.url)
        failed_before = failure is not None and failure.last < self.started
        if failed_before != again:
            return False
        if address.url in self.asked or self.writer.has(address.url):
            self.summary.there += 1
            return False
        if failure and not failed_before:
            self.summary.failed += 1
            return False
        if failure and failure.permanent and not self.retry_failed:
            self.summary.given_up += 1
            return False
        self.asked.add(address.url)
        return True

    def _ask(self, address: Address) -> tuple[Address, Answer | _Failure]:
        """What a worker does."""
        try:
            return address, _get(self.server, address.url, self.download)
        except RefusedError as error:
            permanent, answered = error.reason not in LIFTED, error.reason != LONG_PAUSE
            return address, _Failure(error.reason, error.detail, permanent, answered)
        except (TransientError, HarvestError) as error:
            broken = isinstance(error, TransientError) and error.status == BROKEN
            reason = f"HTTP {BROKEN}" if broken else "no answer"
            return address, _Failure(reason, str(error), permanent=False, answered=broken, broken=broken)
        except ValueError as error:  # what urllib makes of some broken addresses
            return address, _Failure("cannot be asked", f"{address.url}: {error}", permanent=True)

    def _keep(self, address: Address, result: Answer | _Failure) -> None:
        if isinstance(result, Answer):
            try:
                picture = examine(result)
            except RefusedError as error:
                result = _Failure(error.reason, error.detail, permanent=True)
            else:
                self.writer.add(address, result.content, result.content_type, picture)
                self.summary.fetched += 1
                self.summary.larger += self.download.kind != "url" and max(picture[1:]) > self.download.side
                self.unanswered = self.broken = 0
                return
        self.writer.fail(address, result.reason, result.detail, result.permanent)
        self.summary.failed += 1
        self.unanswered = 0 if result.answered else self.unanswered + 1
        self.broken = self.broken + 1 if result.broken else 0
        if self.unanswered == AWAY_AFTER or self.broken == BROKEN_AFTER:
            what = (
                f"{AWAY_AFTER} addresses in a row gave no answer"
                if self.unanswered
                else (f"{BROKEN_AFTER} addresses in a row were answered with HTTP {BROKEN}")
            )
            raise HarvestError(
                f"{what} ({result.detail}); what was fetched is kept: the same command goes on, with what it has not "
                "asked for yet"
            )


def _get(server: Server, url: str, download: Download) -> Answer:
    if download.kind == "url":
        return server.get(url, most_bytes=MOST_BYTES, accept="image/*")
    if download.kind == "iiif":
        return iiif.get_image(server, url, download.side, MOST_BYTES)
    source = iiif.first_image(iiif.get_json(server, url, iiif.MOST_MANIFEST_BYTES))
    if source.is_service:
        return iiif.get_image(server, source.address, download.side, MOST_BYTES)
    return server.get(source.address, most_bytes=MOST_BYTES, accept="image/*")


def examine(answer: Answer) -> ImageHeader:
    """What an answer's bytes say that they are; only the image's header is read.

    Raises:
        RefusedError: `not an image`, `too large` (more than 179 million pixels, Pillow's limit against
            decompression bombs, or a side above 65,500 px) or `damaged`.
    """
    formats = readable(answer.content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what cannot be used is reported; what can be needs no warning
            with Image.open(BytesIO(answer.content), formats=formats) as image:
                width, height = image.size
                # Pillow calls some cameras' JPEGs, which hold a second picture, MPO
                image_format = "JPEG" if image.format == "MPO" else str(image.format)
    except UnidentifiedImageError:
        said = f"{answer.url}, said to be {answer.content_type!r}, begins with {answer.content[:24]!r}"
        raise RefusedError("not an image", said) from None
    except Image.DecompressionBombError as error:
        raise RefusedError("too large", f"{answer.url}: {error}") from None
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
        raise RefusedError("damaged", f"{answer.url}: {type(error).__name__}: {error}") from None
    if max(width, height) > LONGEST_SIDE:
        raise RefusedError("too large", f"{answer.url} is {width} × {height} px: no side may exceed {LONGEST_SIDE}")
    return ImageHeader(image_format, width, height)


def _in_parallel(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R | None]:
    """Results as they are ready, and None now and then while none is; at most `3 * workers` items are held.

    The threads are daemons, unlike an executor's, for which the interpreter waits: Ctrl-C must not sit out the hour
    that a server asked one of them to pause.
    """
    tasks: SimpleQueue[T | None] = SimpleQueue()
    results: SimpleQueue[Future[R]] = SimpleQueue()
    for _ in range(workers):
        Thread(target=_labour, args=(work, tasks, results), daemon=True).start()
    source, held = iter(items), 0
    try:
        while True:
            for item in islice(source, 3 * workers - held):
                tasks.put(item)
                held += 1
            if not held:
                return
            try:
                ready = results.get(timeout=TICK_S)
            except Empty:
                yield None
                continue
            held -= 1
            yield ready.result()
    finally:
        with suppress(Empty):
            while True:
                tasks.get_nowait()  # after an error, what has not been asked for is not wanted any more
        for _ in range(workers):
            tasks.put(None)


def _labour(work: Callable[[T], R], tasks: SimpleQueue[T | None], results: SimpleQueue[Future[R]]) -> None:
    while (task := tasks.get()) is not None:
        done: Future[R] = Future()
        try:
            done.set_result(work(task))
        except BaseException as error:
            done.set_exception(error)  # raised in the main thread
        results.put(done)
