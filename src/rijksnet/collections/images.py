"""Finding and reading image bytes in a folder or a tar. Standard library only: decoding processes import this."""

from __future__ import annotations

import stat
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath

from rijksnet.collections.records import Extent, Reason
from rijksnet.errors import CollectionError


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
        CollectionError: `images` is absent, or a file that is no plain tar.
    """
    if images.is_dir():
        return partial(_find_in_folder, images)
    if images.is_file():
        return partial(_find_in_tar, images, _scan_tar(images))
    raise CollectionError(f"{images} is neither a folder nor a .tar file: `images` says where the images are")


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
    members: dict[str, Extent | str] = {}
    try:
        with tarfile.open(tar, mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # else every header stays in memory
                try:
                    name = normal_name(member.name)
                except ImageRefusedError:
                    continue
                if member.isreg() and not member.issparse():
                    members[name] = Extent(tar.as_posix(), member.offset_data, member.size)
                else:
                    members[name] = _kind(member)
    except tarfile.TarError as error:
        raise CollectionError(f"{tar} cannot be read as an uncompressed .tar: {error}") from error
    return members


def _kind(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return f"a link to {member.linkname!r}"
    return "a folder" if member.isdir() else "a device or a sparse file"
