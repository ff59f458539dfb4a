"""Sound pictures in files that are not: metadata that nobody reads is damaged, or the mark of the end is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PNG, JPEG, END_OF_JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"\xff\xd9"

#: Segments of a JPEG that say how its pixels are to be read: JFIF's and Adobe's. The other application segments, and
#: comments, say what only people read.
NEEDED_SEGMENTS = frozenset({0xE0, 0xEE})

START_OF_SCAN = 0xDA

#: What follows a JPEG's last bytes, to learn whether they were its last: of a picture that is whole it changes nothing.
FILLER = b"\x55\xaa" * 64


def mended(data: bytes) -> Iterator[bytes]:
    """Files that may hold the picture where a file itself cannot be read: without metadata, or as it is, to be ended.

    None where it is neither PNG nor JPEG.
    """
    plain = _png(data) if data.startswith(PNG) else _jpeg(data) if data.startswith(JPEG) else data
    if plain != data:
        yield plain
    if is_open_jpeg(data):
        yield data


def is_open_jpeg(data: bytes) -> bool:
    """Whether a JPEG lacks the mark of its end."""
    return data.startswith(JPEG) and not data.endswith(END_OF_JPEG)


def _png(data: bytes) -> bytes:
    """Critical chunks (their names begin with a capital letter), and transparency."""
    kept, at = [PNG], len(PNG)
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        name = data[at + 4 : at + 8]
        if name[:1].isupper() or name == b"tRNS":
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def _jpeg(data: bytes) -> bytes:
    kept, at = [JPEG], len(JPEG)
    while at + 4 <= len(data) and data[at] == 0xFF:
        kind = data[at + 1]
        if kind == 0xFF:  # padding
            at += 1
            continue
        if kind == START_OF_SCAN:
            break
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if not (0xE0 <= kind <= 0xEF or kind == 0xFE) or kind in NEEDED_SEGMENTS:
            kept.append(data[at:end])
        at = end
    return b"".join([*kept, data[at:]])
