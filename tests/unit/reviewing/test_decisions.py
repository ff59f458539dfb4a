from __future__ import annotations

import csv
import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from rijksnet.errors import ReviewError
from rijksnet.reviewing.decisions import COLUMNS, Decision, agreements, append, as_csv, pace, read, standing

ONE = Decision("NG-1", "type", "accept", "vaas", "vaas", "0.9", "", "m/1", "f00", "Anna", "2026-11-27T10:00:00", "6.0")


def about(object_id: str, label: str, who: str = "Anna", **other: str) -> Decision:
    kind = "correct" if label else "reject"
    return replace(ONE, object_id=object_id, label=label, decision=kind, who=who, **other)  # type: ignore[arg-type]


def test_what_is_appended_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "a/type-decisions.jsonl"
    assert read(file) == []
    odd = replace(ONE, object_id='b "2", c\nd', who="Œil, “X”")
    for one in (ONE, odd):
        append(file, one)
    assert read(file) == [ONE, odd]
    rows = list(csv.DictReader(io.StringIO(as_csv([ONE, odd]))))
    assert [tuple(row) for row in rows] == [COLUMNS, COLUMNS]
    assert [Decision(**row) for row in rows] == [ONE, odd]  # type: ignore[arg-type]


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    """In the middle of a word, and of a letter."""
    file = tmp_path / "d.jsonl"
    append(file, ONE)
    for torn in (b'{"object_id": "NG-2", "label": "oil, on', '{"label": "é'.encode()[:-1]):
        with file.open("ab") as kept:
            kept.write(torn)  # and the power went
        append(file, replace(ONE, object_id="NG-3"))
    assert [one.object_id for one in read(file)] == ["NG-1", "NG-3", "NG-3"]


def test_what_cannot_be_written_whole_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "d.jsonl"
    append(file, ONE)
    before = file.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ReviewError, match=r"No space left on device.*: the decision is not kept"):
            append(file, replace(ONE, object_id="NG-2"))
    assert file.read_bytes() == before


def test_another_file_is_neither_read_nor_written_to(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    file.write_text("id,material\n1,wood\n")
    for act in (lambda: append(file, ONE), lambda: read(file)):
        with pytest.raises(ReviewError, match=r"holds no decision in 2 lines: it is another file"):
            act()
    assert file.read_text() == "id,material\n1,wood\n"
    (tmp_path / "folder").mkdir()
    with pytest.raises(ReviewError, match=r"cannot be written .*: the decision is not kept"):
        append(tmp_path / "folder", ONE)


def test_several_may_write_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    many = [replace(ONE, object_id=f"NG-{i}", who=f"w{i % 4}") for i in range(80)]
    with ThreadPoolExecutor(8) as writers:
        list(writers.map(lambda one: append(file, one), many))
    assert sorted(read(file), key=lambda one: one.object_id) == sorted(many, key=lambda one: one.object_id)


def test_the_last_decision_of_a_person_stands_unless_it_is_undone() -> None:
    made = [ONE, about("NG-1", "kom"), about("NG-1", "", "Ben"), about("NG-2", "bord"), replace(ONE, object_id="NG-2")]
    undo = replace(ONE, object_id="NG-2", decision="undo", label="")
    its = standing([*made, undo])
    assert {key: one.label for key, one in its.items()} == {
        ("Anna", "NG-1"): "kom",
        ("Ben", "NG-1"): "",
        ("Anna", "NG-2"): "bord",  # what was decided before, in another window perhaps
    }
    assert ("Anna", "NG-2") not in standing([*made, undo, undo, undo])


def test_pauses_are_no_work() -> None:
    made = [about(f"NG-{i}", "kom", seconds=seconds) for i, seconds in enumerate(["3", "9", "4000", "?"])]
    made.append(replace(about("NG-9", "kom", seconds="3"), decision="skip"))
    its = pace(made, "Anna")
    assert (its.decided, its.minutes_per_hundred) == (4, pytest.approx(10.0))
    assert pace(made, "Ben").minutes_per_hundred is None


def test_agreement_is_of_what_both_decided() -> None:
    made = [about("1", "kom"), about("2", "bord"), about("3", "kom"), about("4", "vaas"), about("5", "kom")]
    made += [about("1", "kom", "Ben"), about("2", "kom", "Ben"), about("3", "kom", "Ben"), about("4", "", "Ben")]
    made.append(replace(ONE, object_id="5", decision="skip", label="", who="Ben"))
    made.append(about("6", "kom", "Carla"))
    (found,) = agreements(made)
    assert (found.first, found.second, found.objects, found.share) == ("Anna", "Ben", 4, 0.5)
    assert found.kappa == pytest.approx(cohen_kappa_score(["kom", "bord", "kom", "vaas"], ["kom", "kom", "kom", ""]))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=2, max_size=30))
def test_kappa_is_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    made = [about(str(i), one, who) for i, pair in enumerate(pairs) for who, one in zip(("A", "B"), pair, strict=True)]
    (found,) = agreements(made)
    first, second = zip(*pairs, strict=True)
    if len({*first, *second}) == 1:
        assert found.kappa is None
    else:
        assert found.kappa == pytest.approx(cohen_kappa_score(first, second))
