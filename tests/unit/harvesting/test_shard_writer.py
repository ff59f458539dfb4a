from __future__ import annotations

import csv
import os
import random
import sqlite3
import subprocess
import tarfile
from pathlib import Path

import pytest

from rijksnet.collections.images import read_image
from rijksnet.collections.records import Address
from rijksnet.collections.shards import INDEX, Shards
from rijksnet.errors import CollectionError
from rijksnet.harvesting import shard_writer
from rijksnet.harvesting.shard_writer import ImageHeader, ShardWriter, Verification, verify

PICTURE = ImageHeader("JPEG", 4, 3)


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_writer, "SHARD_BYTES", 20_000)


def address(i: int) -> Address:
    return Address(f"SK-{i}", f"https://m.org/{i}.jpg")


def data(i: int) -> bytes:
    """Between 1 and 2000 bytes, different for each."""
    return f"{i:06}".encode() * (i * 37 % 333 + 1)


def write(folder: Path, numbers: range) -> None:
    with ShardWriter.open(folder) as writer:
        for i in numbers:
            if not writer.has(address(i).url):
                writer.add(address(i), data(i), "image/jpeg", PICTURE)


def assert_whole(folder: Path, numbers: range) -> None:
    """Each image is there, whole and once, by the index and for any program that reads tar files."""
    with Shards.open(folder) as shards:
        found = [shards.find(address(i).url) for i in numbers]
    assert [read_image(*one.extent) for one in found if one] == [data(i) for i in numbers]
    members: dict[str, bytes] = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                assert member.name not in members
                members[member.name] = tar.extractfile(member).read()  # type: ignore[union-attr]
    assert members == {one.name: data(i) for one, i in zip(found, numbers, strict=True) if one}


def test_shards_are_bounded_and_any_tar_reads_them(tmp_path: Path) -> None:
    write(tmp_path, range(100))
    assert_whole(tmp_path, range(100))
    tars = sorted(tmp_path.glob("*.tar"))
    assert [tar.name for tar in tars] == [f"{i:05}.tar" for i in range(len(tars))]
    assert len(tars) > 3
    assert max(tar.stat().st_size for tar in tars) <= 20_000
    listing = subprocess.run(["tar", "tf", tars[0]], capture_output=True, text=True, check=True)
    assert listing.stderr == ""
    assert listing.stdout.startswith("SK-0-")


def test_an_image_larger_than_a_shard_has_one_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_writer, "SHARD_BYTES", 600)
    write(tmp_path, range(9))
    assert_whole(tmp_path, range(9))
    assert len(list(tmp_path.glob("*.tar"))) == 9


def test_writing_goes_on_in_the_shard_that_was_begun(tmp_path: Path) -> None:
    for end in (1, 2, 40, 40, 41):
        write(tmp_path, range(end))
        assert_whole(tmp_path, range(end))


@pytest.mark.parametrize(
    "object_id", ["../../etc/passwd", "/a", ".", "", "SK/A 1\n\0", "ééé", "x" * 5000, "-rf", "CON"]
)
def test_member_names_are_safe_whatever_the_object_is_called(tmp_path: Path, object_id: str) -> None:
    with ShardWriter.open(tmp_path) as writer:
        for i in range(2):  # two images of one object
            writer.add(Address(object_id, f"https://m.org/{i}"), data(i), "image/jpeg", PICTURE)
    with tarfile.open(tmp_path / "00000.tar") as tar:
        names = tar.getnames()
    assert len(set(names)) == 2
    for name in names:
        assert name.isascii()
        assert len(name) <= 100
        assert (tmp_path / name).resolve().parent == tmp_path.resolve()
        assert name[0].isalnum()
        assert not set(name) & set("/\\ \n\0")


def test_a_writer_killed_at_any_byte_leaves_only_whole_images(tmp_path: Path) -> None:
    """Every state of the disk that a kill can leave: committed rows, and any part of what comes behind them."""
    write(tmp_path / "full", range(30))
    tars = {path.name: path.read_bytes() for path in (tmp_path / "full").glob("*.tar")}
    generator = random.Random(0)
    for trial in range(12):
        killed = tmp_path / str(trial)
        known = generator.randrange(30)
        write(killed, range(known))
        for name, content in tars.items():  # the writer had got further than the index, and was cut short anywhere
            path = killed / name
            written = path.stat().st_size - 1024 if path.exists() else 0
            torn = content[written : generator.randrange(written, len(content) + 1)]
            path.write_bytes((path.read_bytes()[:written] if path.exists() else b"") + torn)
        with Shards.open(killed) as shards:
            assert [shards.find(address(i).url) is not None for i in range(30)] == [i < known for i in range(30)]
        write(killed, range(30))
        assert_whole(killed, range(30))


def test_a_shard_that_was_begun_and_never_entered_the_index_is_removed(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    (tmp_path / "00001.tar").write_bytes(b"half a header")
    write(tmp_path, range(3))
    assert [path.name for path in tmp_path.glob("*.tar")] == ["00000.tar"]


def test_tar_files_that_no_index_knows_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    (tmp_path / INDEX).unlink()
    before = (tmp_path / "00000.tar").read_bytes()
    with pytest.raises(CollectionError, match=r"holds 00000\.tar but no index\.db"):
        write(tmp_path, range(3))
    assert (tmp_path / "00000.tar").read_bytes() == before


def test_what_the_disk_refused_does_not_enter_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    def one_that_fits_and_one_that_does_not() -> None:
        with ShardWriter.open(tmp_path) as writer:
            writer.add(address(0), data(0), "image/jpeg", PICTURE)
            writer.commit()
            writer.add(address(1), data(1), "image/jpeg", PICTURE)
            monkeypatch.setattr(os, "fsync", full)
            writer.commit()

    with pytest.raises(CollectionError, match=r"cannot be written.*No space left on device.*goes on"):
        one_that_fits_and_one_that_does_not()
    monkeypatch.undo()
    with Shards.open(tmp_path) as shards:
        assert shards.find(address(0).url)
        assert not shards.find(address(1).url)
    write(tmp_path, range(3))
    assert_whole(tmp_path, range(3))


def test_an_error_of_the_caller_loses_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with ShardWriter.open(tmp_path) as writer:
            writer.add(address(0), data(0), "image/jpeg", PICTURE)
            writer.fail(address(1), "HTTP 404", "gone", permanent=True)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert_whole(tmp_path, range(1))
    with (tmp_path / "failures.csv").open(newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["object_id", "url", "reason", "detail", "attempts"],
            ["SK-1", "https://m.org/1.jpg", "HTTP 404", "gone", "1"],
        ]


def test_what_is_added_is_safe_after_some_images_bytes_or_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_writer, "SHARD_BYTES", 1 << 30)  # a full shard is made safe, too

    def seen(i: int) -> bool:
        with Shards.open(tmp_path) as shards:
            return shards.find(address(i).url) is not None

    with ShardWriter.open(tmp_path) as writer:
        for i in range(shard_writer.BATCH):
            assert not seen(0)
            writer.add(address(i), data(i), "image/jpeg", PICTURE)
        assert seen(0)
        assert seen(shard_writer.BATCH - 1)
        writer.add(address(100), bytes(shard_writer.BATCH_BYTES), "image/jpeg", PICTURE)
        assert seen(100)
        writer.add(address(101), data(101), "image/jpeg", PICTURE)
        assert not seen(101)
        monkeypatch.setattr(shard_writer, "BATCH_S", -1.0)
        writer.commit_if_due()
        assert seen(101)


@pytest.mark.parametrize("where", ["data", "header", "lost end", "lost shard", "nothing"])
def test_what_is_damaged_is_found_and_can_be_fetched_again(tmp_path: Path, where: str) -> None:
    write(tmp_path, range(60))
    tar = tmp_path / "00001.tar"
    with Shards.open(tmp_path) as shards:
        extents = [found.extent for i in range(60) if (found := shards.find(address(i).url))]
    inside = [extent for extent in extents if extent.file == tar.as_posix()]
    content = bytearray(tar.read_bytes())
    match where:
        case "data":
            content[inside[2].offset] ^= 1
            expected = 1
        case "header":
            content[inside[2].offset - 500] ^= 1
            expected = 0  # mended
        case "lost end":
            del content[inside[-2].offset + 1 :]
            expected = 2
        case "lost shard":
            expected = len(inside)
        case _:
            expected = 0
    tar.unlink() if where == "lost shard" else tar.write_bytes(content)
    assert verify(tmp_path) == Verification(60 - expected, expected)
    assert verify(tmp_path) == Verification(60 - expected, 0)
    write(tmp_path, range(60))
    with Shards.open(tmp_path) as shards:
        found = [shards.find(address(i).url) for i in range(60)]
    assert [read_image(*one.extent) for one in found if one] == [data(i) for i in range(60)]
    for path in tmp_path.glob("*.tar"):
        subprocess.run(["tar", "tf", path], capture_output=True, check=True)


def test_a_damaged_index_is_named(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_bytes(b"no database at all" * 100)
    with pytest.raises(CollectionError, match="file is not a database"):
        write(tmp_path, range(1))


def test_the_index_keeps_what_is_known_of_an_image(tmp_path: Path) -> None:
    write(tmp_path, range(1))
    index = sqlite3.connect(tmp_path / INDEX)
    row = index.execute("SELECT object_id, length, content_type, width, height FROM images").fetchall()
    mode = index.execute("PRAGMA journal_mode").fetchone()
    index.close()
    assert row == [("SK-0", 6, "image/jpeg", 4, 3)]
    assert mode == ("delete",)
