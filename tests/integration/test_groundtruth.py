"""The complete real ground truth of the Rijksmuseum Challenge: 112,039 objects."""

from __future__ import annotations

import csv
import gzip
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from rijksnet.collections.rijks_challenge import groundtruth, join
from rijksnet.collections.rijks_challenge.archive import ObjectDescription, Stem
from rijksnet.collections.rijks_challenge.groundtruth import GroundTruth
from rijksnet.data.official import creator_class, kept_classes, kept_creators
from rijksnet.data.table1 import GROUNDTRUTH_TABLE
from rijksnet.errors import CollectionError
from rijksnet.protocol import TEST, label_of

ROOT = Path(__file__).parents[2]
DATA = ROOT / ".." / "shared" / "data"
MAT = DATA / "rijksmuseum-challenge-groundtruth" / "rijksgt.mat"

pytestmark = pytest.mark.skipif(not MAT.is_file(), reason="the real ground truth, ../shared/data, is not here")


@pytest.fixture(scope="module")
def truth() -> GroundTruth:
    return groundtruth.read(MAT)


def test_every_row_is_as_others_read_it(truth: GroundTruth) -> None:
    with gzip.open(MAT.with_name("rijksgt_rows.csv.gz"), "rt", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(truth) == len(rows) == 112_039
    assert Counter(truth.splits) == {"train": 78_427, "validation": 11_204, "test": 22_408}
    assert [split[: len(row["set"])] for split, row in zip(truth.splits, rows, strict=True)] == [r["set"] for r in rows]
    for ours, field in ((truth.types, "types"), (truth.materials, "materials")):
        theirs = [_plain(row[field]).split("|") for row in rows]
        assert [[_plain(name) for name in names] for names in ours] == [list(filter(None, names)) for names in theirs]
    assert [_plain(name) for name in truth.creators] == [_plain(row["creator"]) for row in rows]
    assert truth.years.tolist() == [[int(row["year_from"]), int(row["year_to"])] for row in rows]


def _plain(text: str) -> str:
    """Without lost letters, which either file marks in its own way."""
    return " ".join(re.sub("[^ -~]+", "", text).split())


def test_the_label_rule_counts_as_the_paper_prints(truth: GroundTruth) -> None:
    labels = {
        "type": [label_of("type", values) for values in truth.types],
        "material": [label_of("material", values) for values in truth.materials],
        "artist": [label_of("artist", (creator,)) for creator in truth.creators],
    }
    counts = {name: Counter(filter(None, values)) for name, values in labels.items()}
    assert (counts["type"].total(), len(counts["type"])) == (112_012, 1_053)
    assert (counts["material"].total(), len(counts["material"])) == (110_668, 207)
    assert len(truth.nameless) == 1  # the 208th first value
    assert sum(n >= 10 for n in counts["artist"].values()) == 1_196


def test_the_challenges_own_classes_are_those_that_it_published(truth: GroundTruth) -> None:
    assert len(kept_classes(truth.types, truth.splits)) == 103
    assert len(kept_classes(truth.materials, truth.splits)) == 81
    creators = [(creator,) for creator in truth.creators]
    kept = kept_creators(creators, truth.splits)
    assert len(kept) == 374
    test = [creator_class(c, kept) for c, split in zip(creators, truth.splits, strict=True) if split == TEST]
    assert round(100 * (1 - test.count("rest") / len(test)), 1) == 59.1  # as the released code prints


def test_the_committed_table_is_what_the_ground_truth_gives_in_less_than_1_gib(tmp_path: Path) -> None:
    script = (
        "import re, sys; from pathlib import Path; from rijksnet.data.table1 import write_groundtruth_table;"
        "write_groundtruth_table(Path(sys.argv[1]), Path(sys.argv[2]));"
        # not ru_maxrss, in which the process that started this one counts, too
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1])"
    )
    table = tmp_path / "table.csv"
    done = subprocess.run([sys.executable, "-c", script, MAT, table], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 1 << 20
    assert table.read_bytes() == (ROOT / GROUNDTRUTH_TABLE).read_bytes()


# --- the join, on as many files as there are rows --------------------------------------------------------------------


@pytest.fixture(scope="module")
def stems(truth: GroundTruth) -> list[Stem]:
    """Files as the museum names them: numbers that tell the type, and gaps in the index that grow to some 300."""
    prefix = {kind: start for start, kind in join.PREFIXES.items()}
    starts = [next((prefix[name] for name in names if name in prefix), "BK-") for names in truth.types]
    gaps = np.cumsum(np.random.default_rng(0).random(len(truth)) < 0.003)
    return [_file(row + 1 + gap, f"{starts[row]}{row}") for row, gap in enumerate(gaps.tolist())]


def _file(place: int, object_id: str) -> Stem:
    return Stem(f"{place:07d}_{object_id}", place, object_id)


def records(truth: GroundTruth, stems: list[Stem]) -> dict[Stem, ObjectDescription]:
    return {
        stem: ObjectDescription(creator=(f"prentmaker: {truth.creators[row].title()}",), type=truth.types[row])
        for row, stem in enumerate(stems)
    }


def test_the_right_join_is_taken(truth: GroundTruth, stems: list[Stem]) -> None:
    join.require_agreement(stems, truth, {})
    join.require_agreement(stems, truth, records(truth, stems))


def test_a_shift_is_refused_although_nearly_all_neighbours_are_alike(truth: GroundTruth, stems: list[Stem]) -> None:
    """Judged by numbers alone, more agree than are needed, and all labels are wrong."""
    shifted = [*stems[1:], _file(9_999_999, "BK-0")]
    with pytest.raises(CollectionError, match=r"agrees .* for 95\.4% of .* objects more agree \+1 rows away"):
        join.require_agreement(shifted, truth, {})


def test_a_shift_of_a_stretch_is_refused(truth: GroundTruth, stems: list[Stem]) -> None:
    """A file is missing, and 1,000 rows later there is one that does not belong."""
    some = [*stems[:20_000], *stems[20_001:21_001], _file(stems[21_000].place, "BK-0"), *stems[21_001:]]
    with pytest.raises(CollectionError, match=r"for (99\.\d|100\.0)% of .* \+1 rows away") as caught:
        join.require_agreement(some, truth, records(truth, stems))
    # a shift shows first where neighbours have different makers: here, after a series of prints by Callot
    first = next(row for row in range(20_000, 21_000) if truth.creators[row] != truth.creators[row + 1])
    assert any(f"From {stems[row].text!r}" in str(caught.value) for row in (first, first + 1))


def test_right_joins_of_real_records_gain_nothing_by_a_shift() -> None:
    """How well numbers tell types, and that no stretch of 62,000 real records in order looks shifted."""
    file = DATA / "rijksmuseum-oai-dc" / "records.csv.gz"
    if not file.is_file():
        pytest.skip("the museum's records, ../shared/data, are not here")
    with gzip.open(file, "rt", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    types = [tuple(filter(None, row["type"].split("|"))) for row in rows]
    nothing = [""] * len(rows)
    truth = GroundTruth(nothing, nothing, types, types, np.zeros((len(rows), 2), np.int64), frozenset())
    stems = [_file(row, one["object_id"]) for row, one in enumerate(rows, start=1)]
    join.require_agreement(stems, truth, {})
