"""A run's run: what is written is what is read, and damage is noticed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from helpers import CLASSES, KEY, epochs, run, write_run
from rijksnet.errors import RunError
from rijksnet.files import sha256_of
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.history import read_history, write_history
from rijksnet.runs.key import RunKey
from rijksnet.runs.predictions import Predictions, write_predictions


@pytest.fixture(autouse=True)
def _in_a_fresh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_run_reads_back_as_it_was_written() -> None:
    at = write_run()
    found = at.read(verify=True)
    assert found.key == KEY
    assert found.classes == CLASSES  # not only ASCII
    assert found.files == {path.name: sha256_of(path) for path in at.root.iterdir() if path != at.run}
    assert {**vars(found), "files": {}} == vars(run())


def test_history_keeps_every_digit_and_grows(tmp_path: Path) -> None:
    file = tmp_path / "of" / "a" / "run" / "history.csv"
    for n in (1, 2, 5):
        write_history(file, epochs(n))
        assert read_history(file) == epochs(n)


def test_predictions_keep_both_splits() -> None:
    rng = np.random.default_rng(0)
    splits = []
    for name, n in (("validation", 3), ("test", 5)):
        probabilities = rng.dirichlet(np.ones(4), n).astype(np.float32)
        ids = [f"{name} {i}" for i in range(n)]
        splits.append(Predictions(name, ids, [f"{i}.jpg" for i in ids], rng.integers(0, 4, n), probabilities))
    write_predictions(Path("predictions.parquet"), splits)
    table = pq.read_table("predictions.parquet")
    assert table["split"].to_pylist() == ["validation"] * 3 + ["test"] * 5
    assert table["object_id"].to_pylist() == [*splits[0].object_ids, *splits[1].object_ids]
    assert table["image"].to_pylist() == [*splits[0].images, *splits[1].images]
    np.testing.assert_array_equal(table["label"].to_numpy(), np.concatenate([one.labels for one in splits]))
    written = np.array(table["probabilities"].to_pylist(), np.float32)
    np.testing.assert_array_equal(written, np.concatenate([one.probabilities for one in splits]))


def test_the_marker_is_written_only_once_all_else_is_there() -> None:
    at = write_run()
    at.run.unlink()
    at.metrics.unlink()
    with pytest.raises(FileNotFoundError, match=r"metrics\.json"):
        at.write(run())
    assert not at.run.exists()
    assert not list(at.root.glob(".*"))  # no half-written one either


def test_a_record_without_its_marker_is_neither_found_nor_read() -> None:
    at = write_run()
    assert list(RunFolder.complete_in()) == [at]
    at.run.unlink()
    assert list(RunFolder.complete_in()) == []
    with pytest.raises(RunError, match=r"has no run\.json.*dvc repro"):
        at.read(verify=True)


@pytest.mark.parametrize("name", ["history.csv", "metrics.json", "predictions.parquet", "weights.safetensors"])
@pytest.mark.parametrize("harm", ["change", "remove"])
def test_damage_is_named(name: str, harm: str) -> None:
    at = write_run()
    file = at.root / name
    if harm == "remove":
        file.unlink()
    else:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    with pytest.raises(RunError, match=f"{file} is not the file that the run wrote.*dvc checkout {file}"):
        at.read(verify=True)


@pytest.mark.parametrize(
    "content",
    ["", "[1, 2]", "{}", '{"key": {"collection": "c"}}', "\udcff"],
    ids=["empty", "list", "no key", "half a key", "not UTF-8"],
)
def test_a_marker_that_is_not_understood_is_named(content: str) -> None:
    at = write_run()
    at.run.write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(RunError, match=f"{at.run} cannot be read"):
        at.read(verify=True)


def test_a_marker_with_a_field_too_many_is_refused() -> None:
    at = write_run()
    at.run.write_text(json.dumps({**json.loads(at.run.read_text()), "colour": "blue"}))
    with pytest.raises(RunError, match="colour"):
        at.read(verify=True)


def test_the_digest_is_that_of_all_files() -> None:
    first = write_run().digest()
    assert write_run().digest() == first
    assert write_run(seed=1).digest() != first  # other weights
    assert write_run(right=6).digest() != first  # other predictions
    assert write_run(n_epochs=4).digest() != first  # another history


def test_records_are_found_in_the_order_of_their_keys() -> None:
    other = RunKey("antwerp", "artist", "test_resnet", "off_the_shelf", "imagenet", 3)
    written = [write_run(KEY), write_run(other)]
    assert [str(at.root) for at in RunFolder.complete_in()] == [f"runs/{other}", f"runs/{KEY}"]
    assert set(RunFolder.complete_in()) == set(written) == {RunFolder.of(KEY), RunFolder.of(other)}
