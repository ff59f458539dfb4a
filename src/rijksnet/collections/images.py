"""Finding and reading image bytes in a folder or a tar. Standard library only: decoding processes import this."""

from __future__ import annotations

import os
import stat
import tarfile
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from rijksnet.collections.records import Extent, Reason
from rijksnet.errors import CollectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The most that one read of a tar's headers may ask for, bytes: a member's name can claim to be gigabytes long.
MAX_HEADER = 1 << 20

#: What museums publish: Pillow's name of a format, and how its files' names end. Formats that Pillow reads through
#: other programs (EPS, for one) stay out.
FORMATS = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "TIFF": ".tif",
    "GIF": ".gif",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "PPM": ".ppm",
    "JPEG2000": ".jp2",
}


class ImageRefusedError(Exception):
    """A named image cannot be used."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def read_image(file: str, offset: int, length: int) -> bytes:
    """The bytes of one image, as the catalogue locates it.

    Raises:
        OSError: the file cannot be opened.
        CollectionError: it ends before the image does.
    """
    with Path(file).open("rb") as stream:
        stream.seek(offset)
        data = stream.read(length)
    if len(data) < length:
        raise CollectionError(
            f"{file} ends {length - len(data)} bytes before the {length} at {offset} that the catalogue names: "
            "it changed; make the catalogue again"
        )
    return data


def locator(images: Path) -> Callable[[str], Extent]:
    """A function from an image's name (POSIX path inside `images`) to where its bytes lie.

    The function raises ImageRefusedError. A tar's headers are scanned once, here; it is never unpacked.

    Raises:
        CollectionError: `images` is absent, or a file that is no plain, undamaged tar.
    """
    if images.is_dir():
        return partial(_find_in_folder, images)
    return partial(_find_in_tar, images, _scan_tar(images))


def listing(images: Path) -> dict[str, Extent | str]:
    """Everything in `images` by its name (POSIX path inside it): where a file's bytes lie, or what else it is.

    Folders are left out, and so are members of a tar whose own path leads outside.

    Raises:
        CollectionError: as `locator`.
    """
    if not images.is_dir():
        return {name: found for name, found in _scan_tar(images).items() if found != _FOLDER}
    found: dict[str, Extent | str] = {}
    for folder, _, names in os.walk(images):
        inner = PurePosixPath(Path(folder).relative_to(images).as_posix())
        for inside in (str(inner / name) for name in names):
            try:
                found[inside] = _find_in_folder(images, inside)
            except ImageRefusedError as refusal:
                found[inside] = refusal.detail
    return found


def normal_name(name: str) -> str:
    """The image's name without `./` and doubled slashes, so that equal paths are equal strings.

    Raises:
        ImageRefusedError: the path is absolute or climbs with `..`.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ImageRefusedError(Reason.OUTSIDE, f"{name!r} is not a path inside `images`")
    return str(path)


def _find_in_folder(folder: Path, name: str) -> Extent:
    # Links are followed: DVC may check files out as links to its cache.
    path = folder / normal_name(name)
    try:
        status = path.stat()
    except (OSError, ValueError):  # ValueError: a null character in the name
        raise ImageRefusedError(Reason.MISSING, f"{path.as_posix()} does not exist") from None
    if not stat.S_ISREG(status.st_mode):
        raise ImageRefusedError(Reason.NOT_A_FILE, f"{path.as_posix()} is a folder or a device")
    return Extent(path.as_posix(), 0, status.st_size)


def _find_in_tar(tar: Path, members: dict[str, Extent | str], name: str) -> Extent:
    found = members.get(normal_name(name))
    if found is None:
        raise ImageRefusedError(Reason.MISSING, f"{tar.as_posix()} has no member {name!r}")
    if isinstance(found, str):
        raise ImageRefusedError(Reason.NOT_A_FILE, f"member {name!r} of {tar.as_posix()} is {found}")
    return found


def _scan_tar(tar: Path) -> dict[str, Extent | str]:
    """Extent of every regular member, or what else the member is; of equal names the last, as unpacking would.

    Members whose own path leads outside get no entry: no record can name them.
    """
    if not tar.is_file():
        raise CollectionError(f"{tar} is neither a folder nor a .tar file: `images` says where the images are")
    file, members = tar.as_posix(), dict[str, Extent | str]()
    with tar.open("rb") as stream:
        for member in tar_members(tar, stream):
            try:
                name = normal_name(member.name)
            except ImageRefusedError:
                continue
            if is_file(member):
                members[name] = Extent(file, member.offset_data, member.size)
            else:
                members[name] = _kind(member)
    return members


_FOLDER = "a folder"


def _kind(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return f"a link to {member.linkname!r}"
    return _FOLDER if member.isdir() else "a device or a sparse file"


# --- tars ----------------------------------------------------------------------------------------------------------


def is_file(member: tarfile.TarInfo) -> bool:
    """Whether a member is a regular file whose bytes lie in one piece."""
    return member.isreg() and not member.issparse()


def tar_members(tar: Path, stream: BinaryIO, kind: str = "an uncompressed .tar") -> Iterator[tarfile.TarInfo]:
    """The members of a tar from front to back; none is kept in memory.

    Args:
        tar: what errors call it.
        stream: its bytes, uncompressed. A member's data may be read (from `offset_data`) before the next is asked for.
        kind: what errors say it should be.

    Raises:
        OSError, or whatever else the stream raises.
        CollectionError: it is no tar, is cut off, or is damaged anywhere. (`tarfile` itself takes a damaged header
            in the middle for the end.)
    """
    watched, at = _TailKeeper(stream), 0
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", watched), mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # else every header stays in memory
                if archive.offset <= at:  # a negative size: an endless loop
                    raise tarfile.ReadError(f"impossible size of a member at byte {at}")
                at = archive.offset
                yield member
        _require_end(watched, at)
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise CollectionError(f"{tar} cannot be read as {kind}: {error}") from error


def _require_end(stream: _TailKeeper, at: int) -> None:
    """After the last member only zeros may follow."""
    block = stream.last
    while block:
        if block.strip(b"\0"):
            raise tarfile.ReadError(
                f"it is damaged after byte {at}: what follows is neither a member nor the end. Fetch it again "
                "(several archives in one file must be packed as one)"
            )
        block = stream.read(MAX_HEADER)


class _TailKeeper:
    """A stream that remembers what was read last and is never read without a bound."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.tell, self.seek = stream.tell, stream.seek
        self.last = b""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self.last = self.stream.read(size)
        return self.last
