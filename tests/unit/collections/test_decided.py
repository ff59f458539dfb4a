"""Labels that people have decided on, laid over a museum's own; and decisions of the review page as such labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rijksnet.collections.build import build
from rijksnet.collections.records import Record, Reject
from rijksnet.errors import CollectionError, ReviewError
from rijksnet.paths import CollectionPaths
from rijksnet.reviewing.adopt import adopt
from rijksnet.reviewing.decisions import Decision, append

PATHS = CollectionPaths("museum")


def record(object_id: str, image: str, type_: Sequence[str] = ()) -> Record:
    return Record(object_id, image, image, 0, 1, creator=("Rembrandt",), type=tuple(type_))


@pytest.fixture(autouse=True)
def _in_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def decided(text: str) -> None:
    PATHS.decided("type").parent.mkdir(parents=True, exist_ok=True)
    PATHS.decided("type").write_text(text, encoding="utf-8")


def made(*items: Record | Reject) -> str:
    return str(build(items, PATHS))


def types() -> dict[str, list[str]]:
    table = pq.read_table(PATHS.catalogue)
    return dict(zip(table["image"].to_pylist(), table["type"].to_pylist(), strict=True))


def test_a_decided_label_stands_over_the_museums_on_all_pictures_of_an_object() -> None:
    decided("object_id,label,who\nA,vaas,Anna\nB,kom,Anna\nC,bord,\nD,,Anna\nelsewhere,vaas,Ben\n")
    said = made(
        record("A", "a1"), record("A", "a2"), record("B", "b", ["vaas", "glas"]), record("C", "c", ["bord"]),
        record("D", "d", ["beeld"]),
    )  # fmt: skip
    assert types() == {"a1": ["vaas"], "a2": ["vaas"], "b": ["kom"], "c": ["bord"], "d": ["beeld"]}
    assert PATHS.cleaning.read_text(encoding="utf-8").splitlines()[1:] == [
        "type,decided,,vaas,1",
        "type,decided,vaas | glas,kom,1",
    ]
    assert "decided_labels has 1 labels of objects that are not here" in said
    assert "2 × type decided" in said


def test_without_a_table_everything_is_as_it_was() -> None:
    assert "decided" not in made(record("A", "a", ["vaas"]))
    assert types() == {"a": ["vaas"]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,label\nA,vaas\n", r"lacks the columns \['object_id'\]; it has \['id', 'label'\]"),
        ("object_id,label\nA,vaas\nA,kom\n", r"line 3: object 'A' is 'kom' here and 'vaas' before: give it one label"),
    ],
)
def test_what_is_no_such_table_is_refused(text: str, says: str) -> None:
    decided(text)
    with pytest.raises(CollectionError, match=says):
        made(record("A", "a", ["vaas"]))


def test_another_encoding_is_named() -> None:
    decided("")
    PATHS.decided("type").write_bytes("object_id,label\nA,glazen schaal é\n".encode("cp1252"))
    with pytest.raises(CollectionError, match="cannot be read as CSV in UTF-8"):
        made(record("A", "a"))


# --- from decisions to labels -----------------------------------------------------------------------------------------


def decide(object_id: str, decision: str, label: str = "", who: str = "Anna") -> None:
    one = Decision(object_id, "type", decision, label, "vaas", "0.9", "", "m/1", "f0", who, "2026-11-27", "5")  # type: ignore[arg-type]
    append(Path("suggestions/museum/type-decisions.jsonl"), one)


def test_what_people_agree_on_is_adopted_and_what_stands_there_stays() -> None:
    decided("object_id,label\nold,beeld\nA,kom\n")
    decide("A", "accept", "vaas")
    decide("B", "correct", "bord", "Ben")
    decide("C", "reject")
    decide("D", "skip")
    decide("E", "accept", "vaas")
    decide("E", "correct", "kom", "Ben")
    decide("F", "accept", "vaas")
    decide("F", "accept", "vaas", "Ben")
    decide("G", "accept", "vaas")
    decide("G", "undo")
    found = adopt(PATHS, "type", Path("suggestions"))
    assert (found.new, found.kept) == (3, 0)
    assert found.disputed == {"E": {"Anna": "vaas", "Ben": "kom"}}
    assert found.file.read_text(encoding="utf-8").splitlines() == [
        "object_id,label,who", "A,vaas,Anna", "B,bord,Ben", "F,vaas,Anna | Ben", "old,beeld,",
    ]  # fmt: skip
    assert found.withdrawn == []
    again = adopt(PATHS, "type", Path("suggestions"))
    assert (again.new, again.kept) == (0, 3)
    assert again.file.read_text(encoding="utf-8").count("Anna | Ben") == 1
    made(record("A", "a"), record("B", "b"))
    assert types() == {"a": ["vaas"], "b": ["bord"]}


def test_what_nobody_says_any_more_is_taken_out_and_columns_of_ones_own_stay() -> None:
    decided("object_id,label,note\nmine,beeld,from the catalogue of 1904\n")
    for one in ("A", "B", "C"):
        decide(one, "accept", "vaas")
    adopt(PATHS, "type", Path("suggestions"))
    decide("A", "undo")
    decide("B", "reject")
    found = adopt(PATHS, "type", Path("suggestions"))
    assert found.withdrawn == ["A", "B"]
    assert found.file.read_text(encoding="utf-8").splitlines() == [
        "object_id,label,note,who", "C,vaas,,Anna", "mine,beeld,from the catalogue of 1904,",
    ]  # fmt: skip


def test_nothing_decided_is_said() -> None:
    with pytest.raises(ReviewError, match=r"holds no decision: `rijksnet review museum type` makes some"):
        adopt(PATHS, "type", Path("suggestions"))
    decide("A", "skip")
    with pytest.raises(ReviewError, match="holds no decision"):
        adopt(PATHS, "type", Path("suggestions"))
