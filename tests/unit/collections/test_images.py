from __future__ import annotations

import io
import os
import tarfile
import unicodedata
from pathlib import Path

import pytest

from rijksnet.collections.images import ImageRefusedError, listing, locator, read_image
from rijksnet.collections.records import Extent, Reason
from rijksnet.errors import CollectionError


def tar_of(path: Path, members: list[tuple[str, bytes | tuple[bytes, str]]], fmt: int = tarfile.PAX_FORMAT) -> Path:
    """A tar with regular members (bytes) and others ((type, link target))."""
    with tarfile.open(path, "w", format=fmt) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = content
                tar.addfile(info)
    return path


def refusal(images: Path, name: str) -> ImageRefusedError:
    with pytest.raises(ImageRefusedError) as caught:
        locator(images)(name)
    return caught.value


LONG = "images/" + "a" * 180 + "/" + "é" * 60 + ".jpg"


@pytest.mark.parametrize("fmt", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_folder_and_tar_give_the_same_bytes(tmp_path: Path, fmt: int) -> None:
    contents = {"images/a.jpg": b"first", "images/b.jpg": b"", "c.jpg": b"x" * 2000}
    if fmt != tarfile.USTAR_FORMAT:  # which holds no such name
        contents[LONG] = b"long"
    folder = tmp_path / "folder"
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    tar = tar_of(tmp_path / "a.tar", list(contents.items()), fmt)
    in_folder, in_tar = locator(folder), locator(tar)
    for name, data in contents.items():
        assert read_image(*in_folder(name)[1]) == read_image(*in_tar(name)[1]) == data
    assert in_folder("c.jpg") == ("c.jpg", Extent((folder / "c.jpg").as_posix(), 0, 2000))
    assert in_tar("c.jpg")[1].file == tar.as_posix()


def test_names_are_compared_without_dots_and_doubled_slashes(tmp_path: Path) -> None:
    tar = tar_of(tmp_path / "a.tar", [("./images/a.jpg", b"a")])
    assert read_image(*locator(tar)("images//a.jpg")[1]) == b"a"


def test_of_equal_members_the_last_counts(tmp_path: Path) -> None:
    tar = tar_of(tmp_path / "a.tar", [("a.jpg", b"old"), ("a.jpg", b"new")])
    assert read_image(*locator(tar)("a.jpg")[1]) == b"new"


@pytest.mark.parametrize("name", ["../secret.jpg", "images/../../secret.jpg", "/etc/passwd"])
def test_a_path_that_leaves_the_collection_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    assert refusal(tmp_path / "folder", name).reason is Reason.OUTSIDE
    tar = tar_of(tmp_path / "a.tar", [(name, b"secret"), ("a.jpg", b"a")])
    assert refusal(tar, name).reason is Reason.OUTSIDE
    assert read_image(*locator(tar)("a.jpg")[1]) == b"a"


@pytest.mark.parametrize(
    ("member", "detail"),
    [
        ((tarfile.SYMTYPE, "../../etc/passwd"), "a link to '../../etc/passwd'"),
        ((tarfile.LNKTYPE, "b.jpg"), "a link to 'b.jpg'"),
        ((tarfile.CHRTYPE, ""), "a device"),
        ((tarfile.FIFOTYPE, ""), "a device"),
        ((tarfile.DIRTYPE, ""), "a folder"),
    ],
)
def test_a_member_that_is_no_file_is_refused(tmp_path: Path, member: tuple[bytes, str], detail: str) -> None:
    error = refusal(tar_of(tmp_path / "a.tar", [("a.jpg", member)]), "a.jpg")
    assert error.reason is Reason.NOT_A_FILE
    assert detail in error.detail


def test_a_sparse_member_is_refused(tmp_path: Path) -> None:
    """Its bytes do not lie in one piece."""
    info = tarfile.TarInfo("a.jpg")
    info.size = 6
    info.pax_headers = {"GNU.sparse.map": "0,3,10,3", "GNU.sparse.size": "20", "GNU.sparse.name": "a.jpg"}
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(b"abcdef"))
    error = refusal(tmp_path / "a.tar", "a.jpg")
    assert error.reason is Reason.NOT_A_FILE
    assert "sparse" in error.detail


def test_in_a_folder_a_link_is_followed_and_other_things_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"from DVC's cache")
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    (folder / "link.jpg").symlink_to(tmp_path / "cache")
    os.mkfifo(folder / "fifo.jpg")
    assert read_image(*locator(folder)("link.jpg")[1]) == b"from DVC's cache"
    assert refusal(folder, "sub").reason is Reason.NOT_A_FILE
    assert refusal(folder, "fifo.jpg").reason is Reason.NOT_A_FILE


@pytest.mark.parametrize("name", ["none.jpg", "a\0b.jpg", "x" * 300])
def test_a_missing_image_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "images").mkdir()
    assert refusal(tmp_path / "images", name).reason is Reason.MISSING
    assert refusal(tar_of(tmp_path / "a.tar", [("a.jpg", b"a")]), name).reason is Reason.MISSING


def test_the_first_member_s_name_makes_no_tar_a_zip(tmp_path: Path) -> None:
    folder = tmp_path / "PK-1912"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"an image")
    with tarfile.open(tmp_path / "i.tar", "w") as archive:
        archive.add(folder / "a.jpg", arcname="PK\x03\x04.jpg")
        archive.add(folder / "a.jpg", arcname="PK-1912/a.jpg")
    assert locator(tmp_path / "i.tar")("PK-1912/a.jpg")


def test_images_that_are_no_folder_and_no_tar(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="neither a folder"):
        locator(tmp_path / "images")
    (tmp_path / "a.tar").write_bytes(b"<html>not found</html>" * 100)
    with pytest.raises(CollectionError, match=r"a\.tar cannot be read as an uncompressed \.tar"):
        locator(tmp_path / "a.tar")


def test_a_compressed_or_cut_tar_is_an_error(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("a.jpg"))
    with pytest.raises(CollectionError, match="uncompressed"):
        locator(tmp_path / "a.tar")
    whole = tar_of(tmp_path / "b.tar", [("a.jpg", b"a" * 5000)])
    whole.write_bytes(whole.read_bytes()[:3000])
    with pytest.raises(CollectionError, match="unexpected end of data"):
        locator(whole)


def damaged(path: Path, at: int, content: bytes) -> Path:
    """Three members of one block each, so that headers are at 0, 1024 and 2048 and the end is at 3072."""
    tar = tar_of(path, [(name, b"x" * 512) for name in ("a.jpg", "b.jpg", "c.jpg")], tarfile.USTAR_FORMAT)
    data = bytearray(tar.read_bytes())
    data[at : at + len(content)] = content
    tar.write_bytes(data)
    return tar


@pytest.mark.parametrize(
    ("at", "content"),
    [
        (1024, b"B"),  # the second header's checksum is wrong
        (1024, bytes(512)),  # it is lost
        (4096, b"another archive"),  # something follows the end
    ],
)
def test_damage_after_the_first_member_is_an_error(tmp_path: Path, at: int, content: bytes) -> None:
    """`tarfile` takes it for the end: the members behind it would be missing, and nothing said."""
    with pytest.raises(CollectionError, match="damaged after byte"):
        locator(damaged(tmp_path / "a.tar", at, content))


def test_a_tar_that_ends_in_a_header_is_an_error_and_one_without_padding_is_none(tmp_path: Path) -> None:
    whole = damaged(tmp_path / "a.tar", 0, b"")
    data = whole.read_bytes()
    whole.write_bytes(data[: 2048 + 100])
    with pytest.raises(CollectionError, match="damaged after byte 2048"):
        locator(whole)
    whole.write_bytes(data[: 3072 + 1024])
    assert read_image(*locator(whole)("c.jpg")[1]) == b"x" * 512


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        (tarfile.REGTYPE, -1024, "impossible size"),  # which tarfile would read for ever
        (tarfile.GNUTYPE_LONGNAME, -1024, "a header of"),
        (tarfile.GNUTYPE_LONGNAME, 1 << 40, "a header of"),
        (tarfile.XHDTYPE, 1 << 40, "a header of"),
    ],
)
def test_a_hostile_size_neither_loops_nor_fills_the_memory(
    tmp_path: Path, kind: bytes, size: int, message: str
) -> None:
    info = tarfile.TarInfo("b.jpg")
    info.type, info.size = kind, size
    tar = damaged(tmp_path / "a.tar", 1024, info.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(CollectionError, match=message):
        locator(tar)


def test_a_listing_is_the_same_for_a_folder_and_a_tar(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"a")
    (folder / "sub" / "b.jpg").write_bytes(b"b")
    os.mkfifo(folder / "c.jpg")
    tar = tar_of(
        tmp_path / "a.tar",
        [
            ("sub", (tarfile.DIRTYPE, "")),
            ("a.jpg", b"a"),
            ("./sub/b.jpg", b"b"),
            ("c.jpg", (tarfile.FIFOTYPE, "")),
            ("../d.jpg", b"d"),
        ],
    )
    for images in (folder, tar):
        found = listing(images)
        assert sorted(found) == ["a.jpg", "c.jpg", "sub/b.jpg"]
        assert isinstance(found["c.jpg"], str)
        extents = {name: extent for name, extent in found.items() if not isinstance(extent, str)}
        assert {name: read_image(*extent) for name, extent in extents.items()} == {"a.jpg": b"a", "sub/b.jpg": b"b"}
    with pytest.raises(CollectionError, match="neither a folder"):
        listing(tmp_path / "absent")


def test_reading_past_the_end_says_that_the_file_changed(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"12345")
    assert read_image(str(tmp_path / "a.jpg"), 1, 3) == b"234"
    with pytest.raises(CollectionError, match="ends 2 bytes before the 4 at 3"):
        read_image(str(tmp_path / "a.jpg"), 3, 4)


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def as_tar(folder: Path, tar: Path) -> Path:
    with tarfile.open(tar, "w") as archive:
        archive.add(folder, arcname=".")
    return tar


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("asked", "there"),
    [
        (unicodedata.normalize("NFC", "Dürer.jpg"), unicodedata.normalize("NFD", "Dürer.jpg")),
        (unicodedata.normalize("NFD", "Dürer.jpg"), unicodedata.normalize("NFC", "Dürer.jpg")),
        ("A.JPG", "a.jpg"),
        (r"zaal\5\x.jpg", "zaal/5/x.jpg"),
        (r".\Zaal\5\X.jpg", "zaal/5/x.jpg"),
    ],
)
def test_a_name_that_only_looks_different_is_found(tmp_path: Path, asked: str, there: str, packed: bool) -> None:
    folder = files(tmp_path / "images", there, "other.jpg")
    name, extent = locator(as_tar(folder, tmp_path / "i.tar") if packed else folder)(asked)
    assert name == there
    assert read_image(*extent) == there.encode()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "asked", ["Fotos/zaal/x.jpg", r"C:\export\fotos\zaal\x.jpg", "/home/me/Fotos/zaal/x.jpg", "fotos/fotos/zaal/X.jpg"]
)
def test_a_path_through_a_folder_of_that_name_is_found(tmp_path: Path, asked: str, packed: bool) -> None:
    folder = files(tmp_path / "Fotos", "zaal/x.jpg", "other.jpg")
    assert locator(as_tar(folder, tmp_path / "Fotos.tar") if packed else folder)(asked)[0] == "zaal/x.jpg"


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("photos/zaal/x.jpg", Reason.MISSING),
        ("fotos/saal/x.jpg", Reason.MISSING),
        ("/fotos/x.jpg", Reason.OUTSIDE),
        ("../fotos/zaal/x.jpg", Reason.OUTSIDE),
        ("fotos/", Reason.MISSING),
    ],
)
def test_a_path_through_any_other_folder_is_not(tmp_path: Path, asked: str, reason: Reason) -> None:
    with pytest.raises(ImageRefusedError) as refused:
        locator(files(tmp_path / "fotos", "zaal/x.jpg"))(asked)
    assert refused.value.reason == reason


def test_two_files_that_differ_in_case_stay_two(tmp_path: Path) -> None:
    find = locator(files(tmp_path / "images", "a.jpg", "A.jpg"))
    assert [find(name)[0] for name in ("a.jpg", "A.jpg")] == ["a.jpg", "A.jpg"]
    with pytest.raises(ImageRefusedError, match=r"A\.JPG does not exist; there is '[aA]\.jpg', '[aA]\.jpg'"):
        find("A.JPG")


@pytest.mark.parametrize("asked", ["x.jpg", "zaal/5/x", "zaal/6/x.tif", "X"])
def test_what_is_nearly_so_is_said(tmp_path: Path, asked: str) -> None:
    find = locator(files(tmp_path / "images", "zaal/5/x.jpg", "other.jpg"))
    with pytest.raises(ImageRefusedError, match=r"does not exist; there is 'zaal/5/x\.jpg'"):
        find(asked)


def test_a_name_like_none_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ImageRefusedError, match=r"does not exist$"):
        locator(files(tmp_path / "images", "x.jpg"))("y.jpg")


def test_a_link_s_own_refusal_stays(tmp_path: Path) -> None:
    with pytest.raises(ImageRefusedError, match="not a path inside"):
        locator(files(tmp_path / "images", "x.jpg"))("../X.jpg")
