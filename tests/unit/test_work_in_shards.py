from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from rijksnet import shards
from rijksnet.errors import RunError
from rijksnet.shards import Shards


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shards, "PATIENCE_S", 0.1)
    monkeypatch.setattr(shards, "LOOK_S", 0.01)


def work(identity: str = "this", identity_of: Callable[[int], str] = lambda _: "") -> Shards:
    return Shards("work", identity, [3, 3, 2], identity_of)


def do(of: Shards, letters: str = "abc", *, only: int = 3) -> list[int]:
    """Each shard's file holds its letter, once for each image; the shards that were done."""
    done = []
    for shard in of.take(waits=False):
        (of.part(shard) / "all").write_text(letters[shard] * of.sizes[shard])
        of.put(shard)
        done.append(shard)
        if len(done) == only:
            break
    return done


def whole(of: Shards, lengths: tuple[int, ...] = (3, 3, 2)) -> str:
    return of.collect({"all": (b"H", lengths)})["all"].read_text()


def test_what_is_done_is_put_together_and_gone() -> None:
    one = work()
    with one.begun():
        assert do(one) == [0, 1, 2]
        assert one.done() == 8
        assert whole(one) == "Haaabbbcc"
        one.clear()
    assert not one.folder.exists()


def test_an_interrupted_work_goes_on_and_another_s_does_not_count() -> None:
    with work().begun():
        do(work(), only=2)
    with work().begun():
        assert work().done() == 6
        assert do(work(), "xyz") == [2]
        assert whole(work()) == "Haaabbbzz"
    other = work("other")
    with other.begun():
        assert other.done() == 0
        assert do(other, "xyz") == [0, 1, 2]
    with work().begun():
        assert work().done() == 0


def test_a_lost_process_of_another_work_writes_into_no_other(recwarn: Any) -> None:
    old = work("old")
    with old.begun():
        taken = next(old.take(waits=False))
        part = old.part(taken)
    new = work("new")
    with new.begun():
        with pytest.raises(FileNotFoundError):
            (part / "all").write_text("old")
        assert do(new) == [0, 1, 2]
        assert whole(new) == "Haaabbbcc"


@pytest.mark.parametrize("copied", [0, 1, 2, 3])
def test_putting_together_goes_on_where_it_was_killed(copied: int, monkeypatch: pytest.MonkeyPatch) -> None:
    one, copy = work(), shutil.copyfileobj
    copies: list[int] = []

    def killed(*arguments: Any) -> None:
        if len(copies) == copied:
            raise KeyboardInterrupt
        copies.append(1)
        copy(*arguments)

    with one.begun():
        do(one)
        monkeypatch.setattr(shutil, "copyfileobj", killed)
        if copied < 3:
            with pytest.raises(KeyboardInterrupt):
                whole(one)
        else:
            whole(one)
    monkeypatch.setattr(shutil, "copyfileobj", copy)
    again = work()
    with again.begun():
        assert do(again) == []
        assert whole(again) == "Haaabbbcc"


def test_a_shard_that_changes_after_some_are_together_has_all_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    with work().begun():
        do(work())
        whole(work())
    changed = work(identity_of=lambda shard: "changed" if shard == 0 else "")
    with changed.begun():
        assert do(changed, "xyz") == [0, 1, 2]
        assert whole(changed) == "Hxxxyyyzz"


def test_a_whole_that_was_taken_away_has_all_made_anew() -> None:
    with work().begun():
        do(work())
        work().collect({"all": (b"H", (3, 3, 2))})["all"].rename("taken")
    with work().begun():
        assert do(work(), "xyz") == [0, 1, 2]


def test_a_shard_whose_images_changed_is_made_anew_and_counts_once() -> None:
    with work().begun():
        do(work())
    changed = work(identity_of=lambda shard: "changed" if shard == 1 else "")
    with changed.begun():
        assert changed.done() == 5
        assert do(changed, "xyz") == [1]
        assert whole(changed) == "Haaayyycc"


def test_a_shard_that_is_cut_off_is_told_and_made_anew() -> None:
    one = work()
    with one.begun():
        do(one)
        os.truncate(one.of(1) / "all", 1)
        with pytest.raises(
            RunError, match="has 1 bytes in place of 3: the shard is removed; the same command makes it"
        ):
            whole(one)
    with work().begun():
        do(work())
        assert whole(work()) == "Haaabbbcc"


def test_nobody_takes_what_another_holds_and_who_waits_takes_what_is_left() -> None:
    one, two = work(), work()
    with one.begun():
        held = next(one.take(waits=False))
        assert do(two) == [1, 2]
        one.let_go()
        assert held == 0
        assert list(_done(two)) == [0]
        assert whole(two) == "Hwwwbbbcc"


def test_who_still_helps_when_all_is_done_does_nothing() -> None:
    one, helper = work(), work()
    with one.begun():
        do(one, only=1)
        taken = helper.take(waits=False)
        assert next(taken) == 1
        helper.let_go()
        do(one)
        one.clear()
    assert list(taken) == []
    assert list(work().take(waits=False)) == []


def _done(of: Shards) -> list[int]:
    done = []
    for shard in of.take(waits=True):
        (of.part(shard) / "all").write_text("w" * of.sizes[shard])
        of.put(shard)
        done.append(shard)
    return done


def test_who_waits_may_hold_nothing() -> None:
    one = work()
    with one.begun():
        next(one.take(waits=False))
        with pytest.raises(AssertionError, match="would wait for ever"):
            list(one.take(waits=True))


def test_two_are_not_at_one_work() -> None:
    with work().begun(), pytest.raises(RunError, match="another process is at this work"), work().begun():
        pass


def test_who_helps_waits_until_it_has_begun() -> None:
    assert not work().join()
    with work().begun():
        assert work().join()
        assert not work("other").join()
    lock = FileLock(work().folder.with_suffix(".lock"), timeout=0)
    lock.acquire()
    lock.release()
