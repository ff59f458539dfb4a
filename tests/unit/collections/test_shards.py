"""Reading shards; tests/unit/harvesting/test_shard_writer.py writes them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from rijksnet.collections.images import read_image
from rijksnet.collections.records import Address
from rijksnet.collections.shards import INDEX, Shards, shard_path
from rijksnet.errors import CollectionError
from rijksnet.harvesting.shard_writer import ImageHeader, ShardWriter

HERE = Address("SK-1", "https://m.org/1.jpg")
GONE = Address("SK-2", "https://m.org/2.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with ShardWriter.open(tmp_path / "raw images") as writer:
        writer.add(HERE, b"bytes of an image", "image/jpeg", ImageHeader("JPEG", 3, 2))
        writer.fail(GONE, "HTTP 404", "no such image", permanent=True)
    return tmp_path / "raw images"


def test_an_image_is_found_by_its_address(folder: Path) -> None:
    with Shards.open(folder) as shards:
        found = shards.find(HERE.url)
        assert found is not None
        assert read_image(*found.extent) == b"bytes of an image"
        assert found.extent.file == (folder / "00000.tar").as_posix()
        assert shards.failure(HERE.url) is None


def test_why_an_image_is_not_there(folder: Path) -> None:
    with Shards.open(folder) as shards:
        assert shards.find(GONE.url) is None
        assert shards.failure(GONE.url) == "HTTP 404: no such image"
        assert (shards.find("https://m.org/3.jpg"), shards.failure("https://m.org/3.jpg")) == (None, None)


def test_a_folder_that_is_not_there_yet_holds_nothing_and_is_not_made(tmp_path: Path) -> None:
    with Shards.open(tmp_path / "none") as shards:
        assert (shards.find(HERE.url), shards.failure(HERE.url)) == (None, None)
    assert list(tmp_path.iterdir()) == []


def test_an_index_that_a_kill_left_empty_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / INDEX).touch()
    with Shards.open(tmp_path) as shards:
        assert shards.find(HERE.url) is None


def test_reading_changes_nothing(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with Shards.open(folder) as shards:
        assert shards._index is not None
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            shards._index.execute("DELETE FROM images")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("left", [0, 512, None])
def test_bytes_that_are_lost_are_named(folder: Path, left: int | None) -> None:
    tar = shard_path(folder, 0)
    tar.write_bytes(tar.read_bytes()[:left]) if left is not None else tar.unlink()
    with pytest.raises(CollectionError, match=r"00000\.tar has \d+ bytes, but its index says 1024.*--verify"):
        Shards.open(folder).__enter__()


def test_a_damaged_index_is_named(folder: Path) -> None:
    (folder / INDEX).write_bytes(b"no database at all" * 100)
    with pytest.raises(CollectionError, match=r"index\.db cannot be used \(file is not a database\)"):
        Shards.open(folder).__enter__()


def test_it_can_be_read_while_it_is_written(folder: Path) -> None:
    with ShardWriter.open(folder) as writer:
        writer.add(GONE, b"late", "image/jpeg", ImageHeader("JPEG", 1, 1))
        with Shards.open(folder) as shards:
            assert shards.find(HERE.url) is not None
            assert shards.find(GONE.url) is None  # not committed yet
            writer.commit()
            assert shards.find(GONE.url) is not None


def test_what_a_killed_writer_left_of_a_commit_is_undone(folder: Path, tmp_path: Path) -> None:
    index = sqlite3.connect(folder / INDEX, isolation_level=None)
    index.execute("PRAGMA cache_spill = 1")
    index.execute("PRAGMA cache_size = 1")
    index.execute("BEGIN")
    row = "https://m.org/{}", "x", "name-{}", 0, 512, 17, "0" * 64, "image/jpeg", 1, 1
    for i in range(2000):  # enough to spill over into the file before the commit
        values = [value.format(i) if isinstance(value, str) else value for value in row]
        index.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    killed = tmp_path / "killed"
    killed.mkdir()
    for path in folder.iterdir():  # as a kill leaves it: the database half written, its journal beside it
        (killed / path.name).write_bytes(path.read_bytes())
    index.close()
    assert (killed / "index.db-journal").stat().st_size > 0
    with Shards.open(killed) as shards:
        assert shards.find(HERE.url) is not None
        assert shards.find("https://m.org/1") is None
