"""Sound pictures in files that are not: metadata that nobody reads is damaged, or the mark of the end is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PNG, JPEG, END_OF_JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"\xff\xd9"

#: Segments of a JPEG that say how its pixels are to be read: JFIF's and Adobe's. The other application segments, and
#: comments, say what only people read.
NEEDED_SEGMENTS = frozenset({0xE0, 0xEE})

EXIF_SEGMENT, START_OF_SCAN = 0xE1, 0xDA

#: What follows a JPEG's last bytes, to learn whether they were its last: of a picture that is whole it changes nothing.
FILLER = b"\x55\xaa" * 64


def mended(data: bytes) -> Iterator[bytes]:
    """Files that may hold the picture where a file itself cannot be read: without metadata, or as it is, to be ended.

    None where it is neither PNG nor JPEG.
    """
    if is_open_jpeg(data):
        yield data
    plain = _png if data.startswith(PNG) else _jpeg if data.startswith(JPEG) else None
    if plain is not None:
        for upright in (True, False):  # EXIF says how it is to be turned, and may be what is damaged
            if (found := plain(data, upright)) != data:
                yield found


def is_open_jpeg(data: bytes) -> bool:
    """Whether a JPEG lacks the mark of its end."""
    return data.startswith(JPEG) and not data.endswith(END_OF_JPEG)


def _png(data: bytes, upright: bool) -> bytes:
    """Critical chunks (their names begin with a capital letter), transparency, and EXIF if asked for."""
    kept, at = [PNG], len(PNG)
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        name = data[at + 4 : at + 8]
        if name[:1].isupper() or name == b"tRNS" or (upright and name == b"eXIf"):
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def _jpeg(data: bytes, upright: bool) -> bytes:
    kept, at = [JPEG], len(JPEG)
    while at + 4 <= len(data) and data[at] == 0xFF:
        kind = data[at + 1]
        if kind == 0xFF:  # padding
            at += 1
            continue
        if kind == START_OF_SCAN:
            break
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        needed = kind in NEEDED_SEGMENTS or (upright and kind == EXIF_SEGMENT)
        if needed or not (0xE0 <= kind <= 0xEF or kind == 0xFE):
            kept.append(data[at:end])
        at = end
    return b"".join([*kept, data[at:]])
