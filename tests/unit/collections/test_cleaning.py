from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rijksnet.collection_params import CREATOR_RULES, Cleaning
from rijksnet.collections.catalogue import Change
from rijksnet.collections.cleaning import ORDER, clean
from rijksnet.collections.cleaning.names import names, unnamed
from rijksnet.collections.cleaning.nothing import nothing
from rijksnet.collections.cleaning.roles import maker_of, roles
from rijksnet.collections.cleaning.values import FIELDS, fold, spelling, tidy
from rijksnet.collections.cleaning.vocabulary import BUILT_IN, read_vocabulary, vocabulary
from rijksnet.collections.records import Record
from rijksnet.errors import CollectionError

SHARED = Path(__file__).parents[3] / ".." / "shared" / "data"
REMBRANDT = "Rijn, Rembrandt van"


def counted(*values: str) -> Counter[str]:
    return Counter(values)


def record(object_id: str, *creator: str, image: str = "", **labels: tuple[str, ...]) -> Record:
    return Record(object_id, image or f"{object_id}.jpg", "images.tar", 0, 1, creator, **labels)


# --- text ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Dürer, Albrecht", "durer, ALBRECHT"),
        ("soft paste porcelain", "soft-paste porcelain"),
        ("ex libris", "ex-libris"),
        ("Cocq, H.de", "Cocq, H. de"),
        ("’t Hooft", "'t hooft"),
        ("Straße", "STRASSE"),
        ("Gheyn, Jacob de (II)", "Gheyn, Jacob de II"),
        ("cafe\u0301", "café"),
        ("Søren", "Soren"),
    ],
)
def test_fold_sees_no_case_diacritics_white_space_or_punctuation(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Aliamet", "A. Liamet"),
        ("Gheyn, Jacob de (I)", "Gheyn, Jacob de (II)"),
        ("monogrammist P+P", "monogrammist PP"),
        ("?", "-"),
        ("カ", "ガ"),
        ("d\x1arer", "drer"),  # a letter that the challenge's file lost is no punctuation
    ],
)
def test_fold_keeps_apart_what_is_not_the_same(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_spelling_takes_the_most_frequent_and_of_equals_the_first() -> None:
    counts = {"Zilver": 3, "zilver": 5, "zil-ver": 1, "ex libris": 2, "ex-libris": 2, "goud": 1}
    assert spelling(counts) == {"Zilver": "zilver", "zil-ver": "zilver", "ex-libris": "ex libris"}


# --- makers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        f"prentmaker: {REMBRANDT}",
        f"print maker: {REMBRANDT}",
        f"naar eigen ontwerp van: {REMBRANDT}",
        f"naar eigen ontwerp van {REMBRANDT}",
        f"after own design by: {REMBRANDT}",
        f"toegeschreven aan {REMBRANDT}",
        f"toegeschreven aan: {REMBRANDT}",
        f"Attributed to {REMBRANDT}",
        f"attribué à {REMBRANDT}",
        f"{REMBRANDT} (toegeschreven aan)",
        f"{REMBRANDT}, attributed to",
        f"{REMBRANDT} (zugeschrieben)",
        f"vermoedelijk {REMBRANDT}",
        f"prentmaker: {REMBRANDT} (vermeld op object)",
        f"prentmaker: toegeschreven aan {REMBRANDT} (mentioned on object)",
    ],
)
def test_roles_attributions_and_inscriptions_are_stripped(value: str) -> None:
    assert maker_of(value) == REMBRANDT


@pytest.mark.parametrize(
    "value",
    [
        f"naar ontwerp van: {REMBRANDT}",
        f"naar {REMBRANDT}",
        f"after: {REMBRANDT}",
        f"After {REMBRANDT}",
        f"prentmaker: naar {REMBRANDT}",
        f"kopie naar: {REMBRANDT}",
        f"omgeving van {REMBRANDT}",
        f"atelier van {REMBRANDT}",
        f"in de stijl van {REMBRANDT}",
        f"circle of {REMBRANDT}",
        f"{REMBRANDT}, follower of",
        f"{REMBRANDT} (school)",
        f"nach {REMBRANDT}",
        f"Umkreis des {REMBRANDT}",
        f"d’après {REMBRANDT}",
        f"mogelijk {REMBRANDT}",
        f"possibly {REMBRANDT}",
        f"voorheen toegeschreven aan {REMBRANDT}",
        f"formerly attributed to: {REMBRANDT}",
        f"attributed to workshop of {REMBRANDT}",
    ],
)
def test_another_hand_is_dropped(value: str) -> None:
    assert maker_of(value) == ""


@pytest.mark.parametrize(
    "name",
    [
        "Gheyn, Jacob de (II)",
        "Cats, Jacob (1741-1799)",
        "Monogrammist AS (Duits; graveur)",
        "Borman werkplaats",
        "Verlag von Hanfstaengl's Nachfolger",
        "School voor Kunstnijverheid",
        "Nach, Jan",
        "Janssen, Art",
        "Nieu(landt), Jan van",
        "http://data.rijksmuseum.nl/210102",
        "naar",
        "Rubens, Peter Paul (naar Titiaan)",
    ],
)
def test_a_name_stays_as_it_is(name: str) -> None:
    assert maker_of(name) == name


def test_a_trade_in_brackets_tells_namesakes_apart_where_few_have_one() -> None:
    assert roles(counted("Both, Jan", "Both, Jan (zilversmid)", "Bol, Ferdinand")) == {}


def test_a_trade_in_brackets_is_a_role_where_most_have_one() -> None:
    values = ("Rubens, Peter Paul (schilder)", "Rubens, Peter Paul (print maker, publisher)", "Both, Jan (II)")
    assert roles(counted(*values)) == dict.fromkeys(values[:2], "Rubens, Peter Paul")


def test_names_take_the_inverted_form_that_occurs() -> None:
    known = "Gheyn, Jacob de (II)"
    others = ("Jacob de Gheyn (II)", "jacob de gheyn II", "de Gheyn, Jacob (II)", "Gheyn (II), Jacob de")
    assert names({known: 9} | dict.fromkeys(others, 1)) == dict.fromkeys(others, known)
    assert names(counted("Jacob de Gheyn II", "Gheyn, Jacob de, II")) == {"Jacob de Gheyn II": "Gheyn, Jacob de, II"}


def test_the_most_frequent_of_two_inverted_forms_is_taken() -> None:
    assert names({"Jonghe, Jan de": 1, "de Jonghe, Jan": 6}) == {"Jonghe, Jan de": "de Jonghe, Jan"}


@pytest.mark.parametrize(
    "values",
    [
        ("Gheyn, Jacob de (I)", "Gheyn, Jacob de (II)", "Jacob de Gheyn"),
        ("Rembrandt van Rijn", "rembrandt van rijn"),
        ("Picart, Bernard", "Bernard, Picart"),
        ("Liamet, A.", "Aliamet"),
        ("GHEYN, Jacob de", "Gheyn, Jacob de"),  # mere spelling
        ("Rembrandt, 1606-1669", "1606-1669 Rembrandt"),
    ],
)
def test_names_guesses_nothing(values: tuple[str, ...]) -> None:
    assert names(counted(*values)) == {}


NOBODIES = """
    anoniem, Anonymous, ONBEKEND, unknown, unbekannt, anonyme, inconnu, ignoto, anónimo, desconocido, anonymus, various,
    diverse vervaardigers, niet van toepassing, N/A, [s.n.], (onbekend), artiste inconnu, Autore ignoto,
    anoniem (Monumentenzorg), Unknown Flemish master, unbekannter Künstler
"""


@pytest.mark.parametrize("value", [*map(str.strip, NOBODIES.split(",")), "anoniem, Noordelijke Nederlanden"])
def test_nobody_is_dropped(value: str) -> None:
    assert unnamed(counted(value)) == {value: ""}


@pytest.mark.parametrize(
    "value",
    [
        "Monogrammist IVA",
        "Meester van Delft",
        "Master E.S.",
        "S.N.",
        "Descourtis, Charles Melchior",
        "Graveur",
        "Unknown Pleasures",
    ],
)
def test_a_maker_known_by_another_word_than_a_name_stays(value: str) -> None:
    assert unnamed(counted(value)) == {}


# --- vocabulary ----------------------------------------------------------------------------------------------------


def test_the_built_in_vocabulary_translates_materials() -> None:
    labels = read_vocabulary(None, Path())["material"]
    values = ("Paper", "japans papier", "glas (materiaal)", "Ölfarbe", "mother of pearl", "laiton", "eikenhout")
    assert vocabulary(counted(*values), labels) == {
        "Paper": "papier",
        "japans papier": "Japans papier",
        "glas (materiaal)": "glas",
        "Ölfarbe": "olieverf",
        "mother of pearl": "parelmoer",
    }


def test_the_built_in_vocabulary_is_sorted_and_says_nothing_twice() -> None:
    with BUILT_IN.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows == sorted(rows, key=lambda row: (row["label"].casefold(), row["term"].casefold()))
    assert len({fold(row["term"]) for row in rows}) == len(rows)
    assert not [row for row in rows if fold(row["term"]) == fold(row["label"])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("term,label\npaper,papier\n", r"has the columns \['term', 'label'\]"),
        ("field,term,label\nmaterial,paper\n", "line 2: 2 cells"),
        ("field,term,label\n\nstuff,paper,papier\n", r"line 3: field is 'stuff', but can only be one of \['creator'"),
        ("field,term,label\nmaterial,paper,\n", "line 2: .*must both say something"),
        ("field,term,label\nmaterial,paper,papier\nmaterial,Paper,karton\n", "line 3: 'Paper' .* 'papier' by line 2"),
        ("field,term,label\nmaterial,oak,wood\nmaterial,wood,hout\n", "line 3: 'wood' .*label is no term of another"),
        ('field,term,label\nmaterial,"pa"per,x\n', "no CSV file at line 2"),
        ("field,term,label\nmaterial,l\udcffer,leer\n", "not UTF-8"),
    ],
)
def test_a_vocabulary_that_cannot_be_used_names_its_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "terms.csv").write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(CollectionError, match=message):
        read_vocabulary("terms.csv", tmp_path)


@pytest.mark.parametrize(
    ("file", "message"), [("../terms.csv", "outside `raw`"), ("/terms.csv", "outside"), ("no.csv", "is not a file")]
)
def test_a_vocabulary_lies_inside_raw(tmp_path: Path, file: str, message: str) -> None:
    (tmp_path / "terms.csv").write_text("field,term,label\n", encoding="utf-8")
    (tmp_path / "raw").mkdir()
    with pytest.raises(CollectionError, match=message):
        read_vocabulary(file, tmp_path / "raw")


def test_a_vocabulary_without_terms_of_a_field_is_refused() -> None:
    with pytest.raises(CollectionError, match=r"cleaning\.type .*built-in vocabulary has no term of type"):
        clean([record("1")], Cleaning(type=["vocabulary"]), Path())


# --- all together --------------------------------------------------------------------------------------------------


def test_without_rules_values_are_only_tidied() -> None:
    untouched = record("1", "anoniem", "prentmaker: X", type=("prent", "kaart"))
    untidy = record("2", " Borcht,  Jacob ", "Borcht, Jacob", "", "e\u0301", material=("\u00a0", "goud", "goud"))
    cleaned, changes = clean([untouched, untidy], Cleaning(), Path())
    assert cleaned[0] is untouched
    assert (cleaned[1].creator, cleaned[1].material) == (("Borcht, Jacob", "é"), ("goud",))
    assert [(change.rule, change.before, change.after) for change in changes] == [
        ("tidy", " Borcht,  Jacob ", "Borcht, Jacob"),
        ("tidy", "e\u0301", "é"),
        ("tidy", "\u00a0", ""),
    ]


def test_rules_run_in_their_order_whatever_the_list_says() -> None:
    cleaning = Cleaning(creator=["first_value", "spelling", "unnamed", "names", "roles"])
    records = [
        record("1", "anoniem", "prentmaker: Jacob de Gheyn", "uitgever: Hondius, H."),
        record("2", "naar: Hondius, H.", "tekenaar: GHEYN, JACOB DE"),
        record("3", "prentmaker: Gheyn, Jacob de"),
        record("4", "Gheyn, Jacob de"),
    ]
    cleaned, changes = clean(records, cleaning, Path())
    assert [one.creator for one in cleaned] == [("Gheyn, Jacob de",)] * 4
    assert [change.rule for change in changes] == sorted(
        ["first_value", "names", "roles", "roles", "roles", "roles", "roles", "spelling", "unnamed"]
    )
    assert Change("creator", "spelling", "GHEYN, JACOB DE", "Gheyn, Jacob de", 1) in changes


def test_an_object_counts_once_whatever_the_number_of_its_images() -> None:
    front, back = (record("1", "Anoniem", "X", image=side) for side in ("front", "back"))
    records = [front, back, record("2", "anoniem"), record("3", "anoniem")]
    _, changes = clean(records, Cleaning(creator=["spelling", "first_value"]), Path())
    assert changes == [
        Change("creator", "first_value", "X", "", 1),
        Change("creator", "spelling", "Anoniem", "anoniem", 1),
    ]


def test_values_that_become_one_stand_once() -> None:
    records = [record("1", material=("paper", "goud", "papier"))]
    cleaned, _ = clean(records, Cleaning(material=["vocabulary"]), Path())
    assert cleaned[0].material == ("papier", "goud")


def test_own_vocabulary_takes_the_place_of_the_built_in_one(tmp_path: Path) -> None:
    (tmp_path / "terms.csv").write_text("field,term,label\ntype,print,prent\nmaterial,paper,drager\n", encoding="utf-8")
    cleaning = Cleaning(type=["vocabulary"], material=["vocabulary"], vocabulary="terms.csv")
    cleaned, _ = clean([record("1", type=("Print",), material=("paper", "Papier", "wood"))], cleaning, tmp_path)
    assert (cleaned[0].type, cleaned[0].material) == (("prent",), ("drager", "Papier", "wood"))


def test_every_rule_is_built_and_does_something() -> None:
    records = [record("1", "prentmaker: Jan Both", "anoniem"), record("2", "Both, Jan", "BOTH, JAN", "Bol, Hans")]
    records.append(record("3", material=("paper", "NULL")))
    apart = ["nothing", "vocabulary"]
    rules = {"creator": [rule for rule in ORDER if rule not in apart], "material": apart}
    _, changes = clean(records, Cleaning.model_validate(rules), Path())
    assert {change.rule for change in changes} == set(ORDER)


@given(st.lists(st.text("abI éÉ.,:()-", max_size=20), max_size=6))
@pytest.mark.parametrize("rule", [roles, names, unnamed, nothing, spelling])
def test_a_rule_changes_nothing_the_second_time(
    rule: Callable[[Counter[str]], dict[str, str]], values: list[str]
) -> None:
    counts = Counter(filter(None, map(tidy, values)))
    once = rule(counts)
    again: Counter[str] = Counter()
    for value, count in counts.items():
        again[once.get(value, value)] += count
    assert rule(again) == {}


# --- the real collections ------------------------------------------------------------------------------------------


def real(path: Path, columns: dict[str, str]) -> list[Record]:
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        return [
            Record(
                str(n), f"{n}.jpg", "", 0, 1, **{f: tuple(filter(None, row[c].split("|"))) for f, c in columns.items()}
            )
            for n, row in enumerate(csv.DictReader(stream))
        ]


def changed(changes: list[Change], field: str, rule: str) -> dict[str, str]:
    return {change.before: change.after for change in changes if (change.field, change.rule) == (field, rule)}


def test_the_ground_truth_of_the_challenge() -> None:
    path = SHARED / "rijksmuseum-challenge-groundtruth" / "rijksgt_rows.csv.gz"
    records = real(path, {"creator": "creator", "type": "types", "material": "materials"})
    cleaning = Cleaning(
        creator=["roles", "names", "unnamed", "spelling"],
        type=["spelling"],
        material=["vocabulary", "spelling", "first_value"],
    )
    cleaned, changes = clean(records, cleaning, Path())
    assert changed(changes, "creator", "roles") == {"eisen (school)": "", "ramberg, johann heinrich (atelier)": ""}
    assert changed(changes, "creator", "names") == {
        "jonghe, jan baptiste de": "de jonghe, jan baptiste",
        "suzuki kason": "kason, suzuki",
    }
    nobody = ["anoniem", "unknown", "onbekend", "niet van toepassing", "diverse vervaardigers"]
    assert changed(changes, "creator", "unnamed") == dict.fromkeys(nobody, "")
    assert changed(changes, "type", "spelling") == {}
    makers = Counter(one.creator[0] for one in cleaned if one.creator)
    assert (makers.total(), len(makers), sum(n >= 10 for n in makers.values())) == (94_562, 6_610, 1_196)
    materials = Counter(one.material for one in cleaned if one.material)
    assert (materials.total(), len(materials)) == (110_668, 205)


def test_the_fields_are_those_of_the_parameters() -> None:
    assert set(FIELDS) == set(Cleaning.model_fields) - {"vocabulary"}
    assert set(CREATOR_RULES) < set(ORDER)


@pytest.mark.parametrize(
    "value",
    ["NULL", "nan", "n/a", "N.v.t.", "#N/A", "#REF!", "-", "–", "?", "...", "Onbekend", "(unknown)", "Unbekannt",
     "inconnu", "Sconosciuto", "desconocido", "não aplicável", "niet van toepassing", "k. A."],
)  # fmt: skip
def test_words_for_nothing_are_dropped(value: str) -> None:
    assert nothing({value: 3, "hout": 1}) == {value: ""}


@pytest.mark.parametrize(
    "value", ["onbekend hout", "hout (onbekend)", "Nanking", "leer", "blank", "木", "P+P", "None, S."]
)
def test_what_says_something_stays(value: str) -> None:
    assert nothing({value: 1}) == {}
