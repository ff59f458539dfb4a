"""What image formats there are beyond those that Pillow reads by itself."""

from __future__ import annotations

from rijksnet.collections.images import FORMATS

#: How HEIC photographs of telephones begin, after the length of their first box.
HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})


#: Those that Pillow reads by itself.
OWN = tuple(name for name in FORMATS if name != "HEIF")


def readable(data: bytes) -> tuple[str, ...]:
    """The formats that an image may be of; HEIC's decoder is loaded only for one that is: it takes time and memory."""
    if data[4:8] != b"ftyp" or data[8:12] not in HEIF_BRANDS:
        return OWN
    from pillow_heif import register_heif_opener

    register_heif_opener()
    return tuple(FORMATS)
