from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rijksnet.data import splits
from rijksnet.errors import RunError
from rijksnet.files import sha256_of
from rijksnet.params import Params
from rijksnet.protocol import SPLITS, TEST, TRAIN, VALIDATION
from rijksnet.runs import metrics
from rijksnet.runs.folder import Run, RunFolder
from rijksnet.runs.history import Epoch, write_history
from rijksnet.runs.key import RunKey
from rijksnet.runs.plan import source_keys, target_keys
from rijksnet.runs.predictions import Predictions, write_predictions
from rijksnet.runs.result import load_asked, load_run, read_splits
from rijksnet.runs.writing import write_metrics

KEY = RunKey("miniature-rijksmuseum", "type", "test_resnet", "fine_tuning", "imagenet")


def test_a_record_is_read_as_it_was_written(write_run: Callable[..., Path]) -> None:
    run = load_run(write_run(KEY, [True, False, True, True]))
    assert run.key == KEY
    assert (run.test.accuracy, run.test.n) == (0.75, 4)
    assert run.classes == ("class 0", "class 1", "class 2")
    assert (run.weights_digest, run.split_digest) == ("a" * 64, "5" * 64)
    assert run.settings["input_size"] == "64"
    assert list(run.history()["epoch"]) == [0, 1, 2]


def test_a_record_is_read_as_tracking_writes_it(tmp_path: Path) -> None:
    at = RunFolder(tmp_path)
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    write_history(at.history, [Epoch(0, 1000, 0.7, 0.5, 0.6, 0.5, 100.0)])
    write_predictions(
        at.predictions,
        [Predictions(split, ["a", "b"], ["a.jpg", "b.jpg"], np.array([0, 0]), probabilities) for split in SPLITS],
    )
    scores = metrics.evaluate(probabilities, np.array([0, 0])) | {"n": 2}
    measured = {"test": scores, "validation": scores, "majority_accuracy": 1.0, "epochs": 1, "best_epoch": 0}
    write_metrics(at.metrics, measured)
    at.weights.write_bytes(b"weights")
    flat = {
        "protocol": "as_written",
        "normalisation": "unit",
        "batch_norm_constants": "own",
        "batch_norm_frozen": "running",
        "input_size": 64,
    }
    flat |= {"split_rule": "paper"}
    digests = {"split": "s", "initial_weights": ""}
    at.write(Run(KEY, 0, 1, flat, ["x", "y"], 99, 8, 0, digests, {}, {}))
    run = load_run(tmp_path)
    assert run.key == KEY
    assert run.test.accuracy == 0.5
    assert run.weights_digest == sha256_of(at.weights)
    assert list(run.history()["validation_accuracy"]) == [0.5]
    assert run.correct().to_dict() == {("a", "a.jpg"): True, ("b", "b.jpg"): False}


def test_predictions_are_read_by_split_and_in_whole_rows(write_run: Callable[..., Path]) -> None:
    run = load_run(write_run(KEY, [True, False, True, True], classes=3))
    test = run.predictions()
    assert test.probabilities.shape == (4, 3)
    assert test.probabilities.dtype == np.float32
    assert sorted(test.index) == [(f"object {i}", f"{i}.jpg") for i in range(4)]
    assert len(run.predictions(VALIDATION).labels) == 2


def test_right_answers_belong_to_their_images(write_run: Callable[..., Path]) -> None:
    correct = load_run(write_run(KEY, [True, False, True, True])).correct()
    assert correct.name == str(KEY)
    assert [bool(correct[f"object {i}", f"{i}.jpg"]) for i in range(4)] == [True, False, True, True]


def test_a_missing_file_is_named(write_run: Callable[..., Path]) -> None:
    root = write_run(KEY, [True])
    (root / "predictions.parquet").unlink()
    with pytest.raises(RunError, match=r"predictions\.parquet is not a file"):
        load_run(root).correct()
    (root / "metrics.json").unlink()
    with pytest.raises(RunError, match=r"incomplete.*metrics\.json"):
        load_run(root)


def test_a_split_without_predictions_is_refused(write_run: Callable[..., Path]) -> None:
    run = load_run(write_run(KEY, [True]))
    with pytest.raises(RunError, match="no prediction on the train split"):
        run.predictions(TRAIN)


@pytest.mark.parametrize("lost", ["key", "parameters", "files", "classes"])
def test_a_record_that_lacks_a_field_is_refused_by_name(write_run: Callable[..., Path], lost: str) -> None:
    root = write_run(KEY, [True])
    content = json.loads((root / "run.json").read_text())
    del content[lost]
    (root / "run.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match=lost):
        load_run(root)


def test_params_ask_for_these_runs(params: Params) -> None:
    source, target = source_keys(params), target_keys(params)
    assert len(source) == 3 * (2 * 2 + 1)
    assert len(target) == 2 * 2 * 4
    assert str(source[4]) == "miniature-rijksmuseum/material/test_resnet/scratch-random-seed0"
    assert str(target[1]) == "miniature-antwerp/type/test_resnet/off_the_shelf-miniature-rijksmuseum-seed0"


def test_only_runs_of_the_asked_seed_are_loaded(
    params: Params, write_run: Callable[..., Path], runs_root: Path
) -> None:
    write_run(KEY, [True])
    write_run(replace(KEY, seed=1), [True])
    write_run(replace(KEY, architecture="resnet50"), [True])
    assert list(load_asked(params, runs_root)) == [KEY]


def test_a_record_in_the_folder_of_another_is_refused(
    params: Params, write_run: Callable[..., Path], runs_root: Path
) -> None:
    root = write_run(KEY, [True])
    root.rename(root.with_name("off_the_shelf-imagenet-seed0"))
    with pytest.raises(RunError, match="folder is named after it"):
        load_asked(params, runs_root)


def test_splits_are_read_and_may_be_absent(write_splits: Callable[..., None], data_root: Path) -> None:
    write_splits("antwerp", {"type": (90, ["print", "vase"])})
    split = read_splits(data_root, "antwerp")["type"]
    assert (split.objects, split.classes, split.digest) == (90, ("print", "vase"), "digest of type")
    assert read_splits(data_root, "rijksmuseum") == {}


def test_splits_are_read_as_the_splits_stage_writes_them(data_root: Path) -> None:
    kept = pd.DataFrame({"object_id": ["a", "b", "b", "c"], "label": ["vase", "print", "print", "vase"]})
    kept["split"] = [TRAIN, VALIDATION, VALIDATION, TEST]
    folder = data_root / "antwerp"
    folder.mkdir(parents=True)
    (folder / "splits.json").write_text(json.dumps({"type": {**splits.summarise(kept, kept), "digest": "d"}}))
    split = read_splits(data_root, "antwerp")["type"]
    assert (split.objects, split.classes, split.digest) == (3, ("print", "vase"), "d")


def test_a_damaged_summary_of_splits_is_refused(data_root: Path) -> None:
    (data_root / "antwerp").mkdir(parents=True)
    (data_root / "antwerp" / "splits.json").write_text('{"type": {}}')
    with pytest.raises(RunError, match=r"splits\.json does not read as a summary"):
        read_splits(data_root, "antwerp")
