"""Finding and reading image bytes in a folder or a tar. Standard library only: decoding processes import this."""

from __future__ import annotations

import os
import shlex
import stat
import tarfile
import unicodedata
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from rijksnet.collections.records import Extent, Reason
from rijksnet.errors import CollectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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
    "AVIF": ".avif",
    "HEIF": ".heic",
}

#: Names in a hint.
NEAR = 3


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


def locator(images: Path) -> Callable[[str], tuple[str, Extent]]:
    """A function from an image's name, as a table writes it, to its name inside `images` (a POSIX path) and where its
    bytes lie.

    A name that is no file's is looked for in Unicode's other form, with slashes for backslashes, and in whatever case,
    if only one file can be meant; and without what leads to a folder of the same name as `images`, as tables from
    another place have it: `C:/export/photos/1.jpg` in a folder `photos`. The function raises ImageRefusedError, which
    says what is nearly so. A tar's headers are scanned once, here; it is never unpacked.

    Raises:
        CollectionError: `images` is absent, or a file that is no plain, undamaged tar.
    """
    if images.is_dir():
        return _Locator(images.absolute().name, partial(_find_in_folder, images), lambda: listing(images))
    members = _scan_tar(images)
    return _Locator(images.stem, partial(_find_in_tar, images, members), lambda: members)


class _Locator:
    def __init__(self, folder: str, find: Callable[[str], Extent], names: Callable[[], Iterable[str]]) -> None:
        self._folder, self._find, self._names = _loosely(folder), find, names

    @cached_property
    def _written_alike(self) -> dict[str, list[str]]:
        """The names there are, by how they are written whatever their case and Unicode form."""
        return _grouped(self._names(), _loosely)

    @cached_property
    def _called_alike(self) -> dict[str, list[str]]:
        """The same, by their last part without its ending."""
        return _grouped(self._names(), _stem)

    def __call__(self, name: str) -> tuple[str, Extent]:
        try:
            plain = normal_name(name)
            return plain, self._find(plain)
        except ImageRefusedError as refusal:
            if refusal.reason not in (Reason.MISSING, Reason.OUTSIDE):
                raise
            same = self._same(name) if refusal.reason == Reason.MISSING else []
            same = same or self._same(self._inside(name))
            if len(same) == 1:
                return same[0], self._find(same[0])
            if refusal.reason == Reason.OUTSIDE:
                raise
            near = same or self._called_alike.get(_stem(name), [])
            if not near:
                raise
            hint = f"; there is {', '.join(map(repr, near[:NEAR]))}" + (" and more" if len(near) > NEAR else "")
            raise ImageRefusedError(refusal.reason, refusal.detail + hint) from None

    def _same(self, name: str) -> list[str]:
        written = self._written_alike.get(_loosely(name), []) if name else []
        return [one for one in written if _composed(one) == _composed(name)] or written

    def _inside(self, name: str) -> str:
        """What follows a folder that is called as `images` is; empty where there is none, or `..` leads elsewhere."""
        parts = _composed(name).split("/")
        folders = [_loosely(part) for part in parts[:-1]]
        if ".." in folders or self._folder not in folders:
            return ""
        return "/".join(parts[len(folders) - folders[::-1].index(self._folder) :])


def _grouped(names: Iterable[str], by: Callable[[str], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(by(name), []).append(name)
    return found


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/").removeprefix("./"))


def _loosely(name: str) -> str:
    return _composed(name).casefold()


def _stem(name: str) -> str:
    return PurePosixPath(_loosely(name)).stem


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
    path = folder / name
    try:
        status = path.stat()
    except (OSError, ValueError):  # ValueError: a null character in the name
        raise ImageRefusedError(Reason.MISSING, f"{path.as_posix()} does not exist") from None
    if not stat.S_ISREG(status.st_mode):
        raise ImageRefusedError(Reason.NOT_A_FILE, f"{path.as_posix()} is a folder or a device")
    return Extent(path.as_posix(), 0, status.st_size)


def _find_in_tar(tar: Path, members: dict[str, Extent | str], name: str) -> Extent:
    found = members.get(name)
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
    _require_plain(tar)
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


#: How archives begin whose members' bytes do not lie in one piece, and how each is unpacked.
PACKED = {
    b"PK\x03\x04": "a zip archive: unpack it (`unzip {0} -d {1}`)",
    b"\x1f\x8b": "compressed with gzip: unpack it (`mkdir {1} && tar -xzf {0} -C {1}`)",
    b"BZh": "compressed with bzip2: unpack it (`mkdir {1} && tar -xjf {0} -C {1}`)",
    b"\xfd7zXZ": "compressed with xz: unpack it (`mkdir {1} && tar -xJf {0} -C {1}`)",
    b"7z\xbc\xaf": "a 7z archive: unpack it (`7z x {0} -o{1}`)",
    b"Rar!": "a RAR archive: unpack it (`unrar x {0} {1}/`)",
}


def _require_plain(tar: Path) -> None:
    with tar.open("rb") as stream:
        head = stream.read(tarfile.BLOCKSIZE)
    if head[257:262] == b"ustar":  # which begins with the name of its first member, whatever that is
        return
    for magic, what in PACKED.items():
        if head.startswith(magic):
            folder = tar.with_name(tar.name.partition(".")[0] or "unpacked")
            said = what.format(shlex.quote(tar.as_posix()), shlex.quote(folder.as_posix()))
            raise CollectionError(
                f"{tar} is {said}, and set `images` to {folder.name!r}: images are read where they lie, from a folder "
                "or an uncompressed .tar"
            )


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
