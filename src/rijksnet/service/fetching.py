"""Pictures by their address: only from servers that params.yaml names, and never more than may be uploaded."""

from __future__ import annotations

import time
from urllib.parse import urljoin

import requests
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

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
        seconds: for all of it.

    Raises:
        ProblemError: the address is none, or of another server, or what is there is no answer, too large or too slow.
    """
    end = time.monotonic() + seconds
    with requests.Session() as session:
        session.trust_env = False  # neither proxies nor passwords of whoever serves
        for _ in range(REDIRECTS + 1):
            try:
                asked = requests.Request("GET", address).prepare()
            except (requests.RequestException, ValueError) as error:
                raise ProblemError(422, "no address", f"{address[:200]!r}: {error}") from error
            _require_named(address, str(asked.url), hosts)
            try:
                left = max(0.1, end - time.monotonic())
                with session.send(asked, stream=True, timeout=left, allow_redirects=False) as answer:
                    if answer.is_redirect:
                        address = urljoin(str(asked.url), answer.headers["location"])
                        continue
                    if answer.status_code >= FIRST_ERROR:
                        raise ProblemError(422, "no picture there", f"{address} answers {answer.status_code}")
                    return _limited(answer, address, most_bytes, end)
            except requests.RequestException as error:
                raise ProblemError(422, "no picture there", f"{address}: {type(error).__name__}") from error
    raise ProblemError(422, "no picture there", f"{address}: more than {REDIRECTS} redirects")


def _require_named(said: str, asked: str, hosts: list[str]) -> None:
    """Look at the very address that will be asked: parsers disagree about strange ones.

    Raises:
        ProblemError: it is none, or of a server that is not named.
    """
    try:
        parts = parse_url(asked)
    except LocationParseError as error:
        raise ProblemError(422, "no address", f"{said[:200]!r}: {error}") from error
    strange = "\\" in said or any(ord(letter) <= ord(" ") for letter in said) or parts.auth
    if parts.scheme not in ("http", "https") or not parts.host or strange:
        raise ProblemError(422, "no address", f"{said[:200]!r}: one that begins with https:// or http:// is wanted")
    at = f"{parts.host}:{parts.port}" if parts.port else parts.host
    if at not in hosts:
        raise ProblemError(403, "server not named", f"{at} is not among service.hosts of params.yaml: {hosts}")


def _limited(answer: requests.Response, address: str, most_bytes: int, end: float) -> bytes:
    content = bytearray()
    for chunk in answer.iter_content(CHUNK):
        content += chunk
        if len(content) > most_bytes:
            raise ProblemError(413, "too large", f"{address} has more than {most_bytes:,} bytes")
        if time.monotonic() > end:
            raise ProblemError(422, "no picture there", f"{address} sends too slowly")
    return bytes(content)
