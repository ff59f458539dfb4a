"""Pictures by their address: only from servers that params.yaml names, and never more than may be uploaded."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import requests

from rijksnet.service.problems import ProblemError

#: Redirects that are followed, each to a server that is named, too.
REDIRECTS = 3

#: Bytes that are read at a time.
CHUNK = 1 << 16

FIRST_ERROR = 400


def fetch(address: str, hosts: list[str], most_bytes: int, seconds: float) -> bytes:
    """The bytes behind an address.

    Args:
        hosts: `name` or `name:port` of the servers that may be asked.
        seconds: to wait for the server, and for each of its next bytes.

    Raises:
        ProblemError: the address is none, or of another server, or what is there is no answer or too large.
    """
    for _ in range(REDIRECTS + 1):
        _require_named(address, hosts)
        try:
            with requests.get(address, stream=True, timeout=seconds, allow_redirects=False) as answer:
                if answer.is_redirect:
                    address = urljoin(address, answer.headers["location"])
                    continue
                if answer.status_code >= FIRST_ERROR:
                    raise ProblemError(422, "no picture there", f"{address} answers {answer.status_code}")
                return _limited(answer, address, most_bytes)
        except requests.RequestException as error:
            raise ProblemError(422, "no picture there", f"{address}: {type(error).__name__}") from error
    raise ProblemError(422, "no picture there", f"{address}: more than {REDIRECTS} redirects")


def _require_named(address: str, hosts: list[str]) -> None:
    try:
        parts = urlsplit(address)
        at = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    except ValueError as error:
        raise ProblemError(422, "no address", f"{address[:200]!r}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ProblemError(422, "no address", f"{address[:200]!r}: one that begins with https:// or http:// is wanted")
    if at not in hosts:
        raise ProblemError(403, "server not named", f"{at} is not among service.hosts of params.yaml: {hosts}")


def _limited(answer: requests.Response, address: str, most_bytes: int) -> bytes:
    content = bytearray()
    for chunk in answer.iter_content(CHUNK):
        content += chunk
        if len(content) > most_bytes:
            raise ProblemError(413, "too large", f"{address} has more than {most_bytes:,} bytes")
    return bytes(content)
