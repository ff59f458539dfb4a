"""Asking other people's servers: with a name, seldom enough, patiently, and never for more than can be held.

One way for everything that is fetched: OAI-PMH pages, linked data, images.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import requests
from protego import Protego
from tenacity import (
    Retrying,
    retry_if_exception_type,
    wait_exponential,
    wait_random,
)

from rijksnet.errors import HarvestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import (
        RetryCallState,
    )

    from rijksnet.collection_params import Politeness

#: Seconds to wait for a connection, and for the next bytes of an answer.
TIMEOUT_S = (15.0, 60.0)

#: How often one thing is asked for before it counts as failed.
ATTEMPTS = 6

#: A server that asks for a longer pause (Retry-After, s) is left alone until another day.
LONGEST_PAUSE_S = 3600.0

CHUNK = 1 << 16

#: What is kept of the text that comes with a final error, bytes: protocols explain themselves there.
EXPLANATION = 1 << 16

#: What a server answers that is broken, or has not what it is asked for.
BROKEN = 500

#: Answers that may be better next time; every other status is final.
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})

T = TypeVar("T")


class TransientError(Exception):
    """An answer that may be better next time; `pause_s` is what the server asked for, `status` an HTTP error's."""

    def __init__(self, detail: str, pause_s: float = 0.0, status: int = 0) -> None:
        super().__init__(detail)
        self.pause_s = pause_s
        self.status = status


class RefusedError(Exception):
    """A final answer that holds nothing: `reason` in a few words, `detail` with the address.

    `status` and `content` (its first bytes) are those of an HTTP error, else 0 and empty.
    """

    def __init__(self, reason: str, detail: str, status: int = 0, content: bytes = b"") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.status = status
        self.content = content


@dataclass(frozen=True)
class Answer:
    """A complete answer; `content_type` in lower case, without parameters."""

    url: str
    content: bytes
    content_type: str
    status: int


@dataclass
class Server:
    """Whoever is asked, politely; safe to share between threads.

    `first_pause_s` is the pause after a first failure; each further one doubles it, up to a minute. So often as
    `attempts_at_broken` is asked for what is answered with HTTP 500: some servers say it of what they do not have.
    """

    politeness: Politeness
    attempts: int = ATTEMPTS
    attempts_at_broken: int = ATTEMPTS
    first_pause_s: float = 1.0
    _next: float = 0.0  # when the next request may leave, on the monotonic clock
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _local: threading.local = field(default_factory=threading.local)
    _robots: dict[str, Protego] = field(default_factory=dict)
    _robots_lock: threading.Lock = field(default_factory=threading.Lock)  # robots.txt is read once, by one thread

    def get(self, url: str, params: dict[str, str] | None = None, *, most_bytes: int, accept: str = "*/*") -> Answer:
        """Ask for something until there is a complete answer of at most `most_bytes`.

        Pauses as the server asks (Retry-After) or ever longer, and asks `attempts` times in all.

        Raises:
            RefusedError: the answer is final and holds nothing: a status such as 404, too many bytes, robots.txt.
            TransientError: every attempt failed; the last reason.
        """
        self._obey_robots(url)
        return self.patiently(lambda: self._get_once(url, params, most_bytes, accept))

    def patiently(self, ask: Callable[[], T]) -> T:
        """What `ask` returns once it raises no TransientError: called `attempts` times in all, with pauses between."""
        for attempt in Retrying(
            retry=retry_if_exception_type(TransientError),
            stop=self._has_asked_enough,
            wait=self._pause,
            reraise=True,
        ):
            with attempt:
                return ask()
        raise AssertionError("tenacity returns or raises")

    def _has_asked_enough(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        broken = isinstance(error, TransientError) and error.status == BROKEN
        return state.attempt_number >= (min(self.attempts, self.attempts_at_broken) if broken else self.attempts)

    def _get_once(self, url: str, params: dict[str, str] | None, most_bytes: int, accept: str) -> Answer:
        self._wait_for_turn()
        try:
            with self._session().get(
                url, params=params, timeout=TIMEOUT_S, stream=True, headers={"Accept": accept}
            ) as response:
                _check_status(response)
                content = _read(response, most_bytes)
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise TransientError(f"{url}: {type(error).__name__}: {error}") from error
        except requests.RequestException as error:  # no such scheme, an endless redirection, broken compression
            raise RefusedError("cannot be asked", f"{url}: {type(error).__name__}: {error}") from error
        content_type = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
        return Answer(response.url, content, content_type, response.status_code)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()  # one for each thread; it makes no attempts of its own
            session.headers["User-Agent"] = f"RijksNet/{version('rijksnet')} (+{self.politeness.contact})"
        return session

    def _wait_for_turn(self) -> None:
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + 1 / self.politeness.requests_per_s
        time.sleep(turn - now)

    def _pause(self, state: RetryCallState) -> float:
        assert state.outcome is not None
        error = state.outcome.exception()
        asked = error.pause_s if isinstance(error, TransientError) else 0.0
        with self._lock:  # who asks for a pause is left alone by every thread
            self._next = max(self._next, time.monotonic() + asked)
        ever_longer = wait_exponential(self.first_pause_s, max=60.0) + wait_random(0.0, self.first_pause_s)
        return max(asked, ever_longer(state))

    def _obey_robots(self, url: str) -> None:
        if self.politeness.robots == "ignore":
            return
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise RefusedError("cannot be asked", f"{url}: {error}") from error
        host = f"{parts.scheme}://{parts.netloc}"
        with self._robots_lock:
            if host not in self._robots:
                self._robots[host] = self._read_robots(host)
        if not self._robots[host].can_fetch(url, "RijksNet"):
            raise RefusedError(
                "robots.txt forbids it",
                f"{host}/robots.txt forbids {url}; where the service's own documentation invites harvesting, set "
                "`robots: ignore`",
            )

    def _read_robots(self, host: str) -> Protego:
        """What a host allows: everything where there is no robots.txt, nothing while it cannot be had."""
        asked = self.politeness.model_copy(update={"robots": "ignore"})
        open_to_all = Server(asked, self.attempts, first_pause_s=self.first_pause_s)
        try:
            text = open_to_all.get(f"{host}/robots.txt", most_bytes=1 << 19).content.decode("utf-8-sig", "replace")
        except RefusedError:
            text = ""
        except TransientError as error:
            raise HarvestError(f"{host}/robots.txt cannot be had, so nothing else is asked: {error}") from error
        rules = Protego.parse(text)
        delay = rules.crawl_delay("RijksNet")
        if delay and float(delay) > 1 / self.politeness.requests_per_s:
            raise HarvestError(
                f"{host}/robots.txt asks for {delay} s between requests: set requests_per_s to {1 / float(delay):.3g} "
                f"or less, not {self.politeness.requests_per_s}"
            )
        return rules


def _check_status(response: requests.Response) -> None:
    if response.status_code in TRANSIENT:
        pause = _retry_after(response.headers.get("Retry-After", ""))
        if pause > LONGEST_PAUSE_S:
            raise RefusedError(
                "asks for a long pause", f"{response.url} answers {response.status_code}, Retry-After {pause:.0f} s"
            )
        detail = f"{response.url} answers {response.status_code} {response.reason}"
        raise TransientError(detail, pause, response.status_code)
    if response.status_code != 200:
        explanation = next(response.iter_content(EXPLANATION), b"")
        detail = f"{response.url} answers {response.reason}"
        raise RefusedError(f"HTTP {response.status_code}", detail, response.status_code, explanation)


def _read(response: requests.Response, most_bytes: int) -> bytes:
    parts, total = [], 0
    for chunk in response.iter_content(CHUNK):
        total += len(chunk)
        if total > most_bytes:
            raise RefusedError("too large", f"{response.url} is longer than {most_bytes} bytes")
        parts.append(chunk)
    return b"".join(parts)


def _retry_after(value: str) -> float:
    """Seconds from now: the header is a number of them or a date."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0
