"""Records become MLflow runs: whole, once, and again after whatever interrupted it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from helpers import COLLECTION, KEY, PARAMS, STARTED_MS, epochs, write_run
from processes import Warm
from rijksnet.errors import RunError, TrackingError
from rijksnet.files import sha256_of
from rijksnet.params import Params
from rijksnet.paths import PUBLISHED, REGISTERED
from rijksnet.publishing import pictures, publish
from rijksnet.runs.findings import FindingPaths
from rijksnet.runs.key import RunKey
from rijksnet.runs.lineage import dvc_md5
from rijksnet.tracking import mlflow_store, registry, stores
from rijksnet.tracking.stores import Store
from stores import MODEL, PIXELS_MD5, write_lock
from stores import Published as PublishedRun

PICTURES = ("learning_curve.png", "confusion_matrix.png", "reliability.png")
OTHER = RunKey(COLLECTION, "artist", "test_resnet", "off_the_shelf", "imagenet", 1)


def tables(*names: str) -> dict[str, int]:
    """How many rows the store has."""
    with sqlite3.connect("mlflow.db") as database:
        return {name: database.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in names}


def counts() -> dict[str, int]:
    return tables(
        "experiments", "runs", "metrics", "latest_metrics", "params", "tags", "datasets", "inputs", "input_tags",
        "registered_models", "model_versions", "registered_model_aliases",
    )  # fmt: skip


def runs_of(store: Store, key: RunKey = KEY) -> list[Any]:
    return list(store.client.search_runs([store.experiment(key)]))


# --- what a published run shows ---------------------------------------------------------------------------------------


def test_the_run_is_named_and_timed_as_it_was(published: PublishedRun) -> None:
    store, found = published.store, published.run
    assert store.client.get_experiment(found.info.experiment_id).name == f"{COLLECTION}/type"
    assert found.info.run_name == "test_resnet/fine_tuning-imagenet-seed0"
    assert found.info.status == "FINISHED"
    assert (found.info.start_time, found.info.end_time) == (STARTED_MS, STARTED_MS + 3500)


def test_official_splits_have_experiments_of_their_own(store: Store, only_weights: None, params: Params) -> None:
    at = write_run(split_rule="challenge")
    ((_, outcome),) = [(one.run_id, one.outcome) for one in publish.publish_runs(store, [at])]
    assert outcome == "added"
    assert runs_of(store) == []
    (found,) = store.client.search_runs([store.experiment(KEY, "challenge")])
    assert store.client.get_experiment(found.info.experiment_id).name == f"{COLLECTION}/type (official split)"


def test_every_parameter_is_shown_and_so_are_the_parts_of_the_key(published: PublishedRun) -> None:
    assert published.run.data.params == {name: str(value) for name, value in (PARAMS | KEY.to_dict()).items()}


@pytest.mark.parametrize(
    ("shown_as", "name"),
    [
        ("train/loss", "train_loss"),
        ("train/accuracy", "train_accuracy"),
        ("validation/loss", "validation_loss"),
        ("validation/accuracy", "validation_accuracy"),
        ("run/images_per_s", "images_per_s"),
    ],
)
def test_curves_keep_values_steps_and_times(published: PublishedRun, shown_as: str, name: str) -> None:
    history = published.store.client.get_metric_history(published.run.info.run_id, shown_as)
    shown = [(one.step, one.timestamp, one.value) for one in history]
    assert sorted(shown) == [(one.epoch, one.time_ms, getattr(one, name)) for one in epochs(3)]


def test_final_metrics_are_those_of_the_record(published: PublishedRun) -> None:
    found, at = published.run, published.at
    measured, shown = json.loads(at.metrics.read_text()), found.data.metrics
    assert {name: shown[f"test/{name}"] for name in measured["test"]} == measured["test"]
    assert {name: shown[f"tested/{name}"] for name in measured["validation"]} == measured["validation"]
    assert shown["test/accuracy"] == 0.7
    assert shown["test/majority_accuracy"] == 0.4
    assert (shown["run/epochs"], shown["run/best_epoch"], shown["run/seconds"]) == (3, 1, 3.5)


def test_tags_say_what_the_run_is_and_where_it_comes_from(published: PublishedRun) -> None:
    found, at = published.run, published.at
    expected = {
        "collection": COLLECTION,
        "challenge": "type",
        "architecture": "test_resnet",
        "strategy": "fine_tuning",
        "initialisation": "imagenet",
        "seed": "0",
        "run_key": str(KEY),
        "status": "completed",
        "run_digest": at.digest(),
        "weights_sha256": at.read(verify=True).files["weights.safetensors"],
        "initial_weights_sha256": "b" * 64,
        "split_digest": "5" * 64,
        "git_commit": "c" * 40,
        "git_dirty": "False",
        "mlflow.source.git.commit": "c" * 40,
        "torch": "2.14.0",
        "dvc_stage": "fine_tuning@type-test_resnet",
        "dvc.dep.code/train.txt": "c0de5678901234567890123456789012",
        f"dvc.dep.data/{COLLECTION}/pixels": PIXELS_MD5,
        "dvc.dep.weights/imagenet/test_resnet.safetensors": "7e7a5678901234567890123456789012",
        f"dvc.out.runs/{KEY}": dvc_md5(at.root),
    }
    assert {name: found.data.tags.get(name) for name in expected} == expected


def test_a_doubtful_run_can_be_found_and_says_why(store: Store, params: Params, only_weights: None) -> None:
    at = write_run(KEY)
    run, measured = json.loads(at.run.read_text()), json.loads(at.metrics.read_text())
    at.metrics.write_text(json.dumps(measured | {"train": {"accuracy": 0.25, "n": 80}}))
    run["files"][at.metrics.name] = sha256_of(at.metrics)
    at.run.write_text(json.dumps(run | {"doubts": ["training accuracy fell", "validation accuracy fell"]}))
    write_run(replace(KEY, seed=1), seed=1)
    publish.publish(params)
    experiment = mlflow_store.experiment_of(store, at.read(verify=True))
    (found,) = store.client.search_runs([experiment], "tags.doubts LIKE '%fell%'")
    assert found.data.tags["run_key"] == str(KEY)
    assert found.data.tags["doubts"] == "training accuracy fell; validation accuracy fell"
    assert "**Doubtful**: training accuracy fell." in found.data.tags["mlflow.note.content"]
    assert found.data.metrics["tested/train_accuracy"] == 0.25


def test_data_inputs_carry_the_digests_of_dvc(published: PublishedRun) -> None:
    inputs = published.run.inputs.dataset_inputs
    assert {(one.dataset.name, one.dataset.digest) for one in inputs} == {
        (f"data/{COLLECTION}/pixels", PIXELS_MD5),
        ("weights/imagenet/test_resnet.safetensors", "7e7a5678901234567890123456789012"),
    }
    assert {one.dataset.source_type for one in inputs} == {"dvc"}
    assert json.loads(inputs[0].dataset.profile) == {"train_images": 80, "validation_images": 4, "test_images": 10}


def test_artifacts_can_be_looked_at(published: PublishedRun) -> None:
    store, found, at = published.store, published.run, published.at
    shown = {one.path: one for one in store.client.list_artifacts(found.info.run_id)}
    assert set(shown) == {*PICTURES, "artifacts.json", "per_class.csv", "model", "run"}
    folder = Path(store.client.download_artifacts(found.info.run_id, ""))
    for name in PICTURES:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert len((folder / "per_class.csv").read_text(encoding="utf-8").splitlines()) == 1 + 3
    for path in (at.run, at.history, at.metrics, at.predictions):
        assert (folder / "run" / path.name).read_bytes() == path.read_bytes()
    assert (folder / "model" / "artifacts" / "weights.safetensors").read_bytes() == at.weights.read_bytes()


def test_a_run_without_epochs_and_weights_is_shown_with_what_it_has(store: Store, params: Params) -> None:
    at = write_run(replace(KEY, strategy="random_forest"))
    run = json.loads(at.run.read_text())
    for file in (at.history, at.weights):
        file.unlink()
        del run["files"][file.name]
    measured = json.loads(at.metrics.read_text()) | {"epochs": 0, "best_epoch": None}
    at.metrics.write_text(json.dumps(measured))
    run["files"][at.metrics.name] = sha256_of(at.metrics)
    at.run.write_text(json.dumps(run | {"best_epoch": None}))
    publish.publish(params)
    (found,) = runs_of(store)
    assert {one.path for one in store.client.list_artifacts(found.info.run_id)} == {
        "artifacts.json", "confusion_matrix.png", "per_class.csv", "run",
    }  # fmt: skip
    assert {name.split("/")[0] for name in found.data.metrics} == {"test", "tested", "run"}
    assert not {"run/epochs", "run/best_epoch"} & set(found.data.metrics)
    assert "weights_sha256" not in found.data.tags


def test_what_is_shown_where_is_told_by_key(store: Store, params: Params, only_weights: None) -> None:
    runs = {str(KEY): write_run(), str(OTHER): write_run(OTHER)}
    publish.publish(params)
    shown = json.loads(PUBLISHED.read_text())
    assert list(shown) == sorted(runs)
    for name, at in runs.items():
        found = store.client.get_run(shown[name]["run_id"])
        assert found.data.tags["run_key"] == name
        assert found.info.experiment_id == shown[name]["experiment_id"]
        assert shown[name]["run_digest"] == at.digest() == found.data.tags["run_digest"]
    before = PUBLISHED.read_bytes()
    publish.publish(params)
    assert PUBLISHED.read_bytes() == before


def test_findings_is_shown_with_the_tuned_run_and_again_when_it_changes(
    store: Store, params: Params, only_weights: None, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run()
    write_run(replace(KEY, strategy="off_the_shelf"))
    saliency = FindingPaths(COLLECTION, "type", "test_resnet").saliency
    saliency.mkdir()
    (saliency / "gallery.png").write_bytes(b"not whole yet")
    told = []
    for content in (None, "{}", "{}", '{"changed": 1}'):
        if content is not None:
            (saliency / "saliency.json").write_text(content)
            (saliency / "gallery.png").write_bytes(content.encode())
        publish.publish(params)
        told.append(int(capsys.readouterr().err.split(" findings")[0].split()[-1]))
    assert told == [0, 1, 0, 1]
    shown = {
        run.data.tags["strategy"]: {one.path for one in store.client.list_artifacts(run.info.run_id)}
        for run in runs_of(store)
    }
    assert shown["fine_tuning"] - shown["off_the_shelf"] == {"saliency"}
    (tuned,) = (run for run in runs_of(store) if run.data.tags["strategy"] == "fine_tuning")
    kept = Path(store.client.download_artifacts(tuned.info.run_id, "saliency"))
    assert (kept / "gallery.png").read_text() == '{"changed": 1}'


def test_what_was_repeated_by_hand_is_not_said_to_be_what_the_stage_made(
    store: Store, params: Params, only_weights: None
) -> None:
    """A stage run by itself with other parameters leaves dvc.lock as it was."""
    write_run()
    write_lock()
    write_run(right=3)
    publish.publish(params)
    (found,) = runs_of(store)
    assert not any(name.startswith("dvc") for name in found.data.tags)
    assert not found.inputs.dataset_inputs


def test_a_lock_file_in_the_middle_of_a_merge_is_told(params: Params) -> None:
    write_run()
    write_lock()
    lock = Path("dvc.lock")
    lock.write_text("<<<<<<< HEAD\n" + lock.read_text() + "=======\n>>>>>>> theirs\n")
    with pytest.raises(RunError, match=r"dvc\.lock holds the marks of a merge conflict, lines \[1, 13\].*--ours"):
        publish.publish(params)


# --- once, and again --------------------------------------------------------------------------------------------------


def test_publishing_twice_adds_nothing(params: Params, only_weights: None, capsys: pytest.CaptureFixture[str]) -> None:
    write_run()
    write_lock()
    write_run(OTHER)
    publish.publish(params)
    assert "2 runs added, 0 completed, 0 already there; 1 versions registered" in capsys.readouterr().err
    before = counts()
    assert (before["runs"], before["model_versions"], before["registered_model_aliases"]) == (2, 1, 1)
    publish.publish(params)
    assert "0 runs added, 0 completed, 2 already there; 0 versions registered" in capsys.readouterr().err
    assert counts() == before


def test_a_fresh_store_is_rebuilt_from_the_records(params: Params, only_weights: None, blank_store: Path) -> None:
    write_run()
    write_lock()
    write_run(OTHER)
    publish.publish(params)
    (first,) = runs_of(stores.open_store(params.tracking))
    before = counts()
    shutil.copyfile(blank_store, "another.db")
    shutil.move("mlflow.db", "lost.db")
    elsewhere = params.model_copy(
        update={"tracking": params.tracking.model_copy(update={"uri": "sqlite:///another.db"})}
    )
    publish.publish(elsewhere)
    (again,) = runs_of(stores.open_store(elsewhere.tracking))
    shutil.move("another.db", "mlflow.db")
    assert counts() == before
    assert again.data.params == first.data.params
    assert again.data.metrics == first.data.metrics
    own = {"mlflow.user", "mlflow.source.name"}  # who published, not what
    assert {k: v for k, v in again.data.tags.items() if k not in own} == {
        k: v for k, v in first.data.tags.items() if k not in own
    }


def test_a_run_deleted_in_the_ui_comes_back(store: Store, params: Params, only_weights: None) -> None:
    write_run()
    publish.publish(params)
    (first,) = runs_of(store)
    store.client.delete_run(first.info.run_id)
    publish.publish(params)
    (again,) = runs_of(store)
    assert again.info.run_id != first.info.run_id
    assert again.data.tags["status"] == "completed"


def test_an_experiment_deleted_in_the_ui_comes_back(store: Store, params: Params, only_weights: None) -> None:
    write_run()
    publish.publish(params)
    store.client.delete_experiment(store.experiment(KEY))
    publish.publish(params)
    (again,) = runs_of(store)
    assert again.data.tags["status"] == "completed"


class StoppedError(Exception):
    """What comes in the middle."""


@pytest.mark.parametrize(
    "step", ["create_run", "log_batch", "log_inputs", "log_artifacts", "set_terminated", "set_tag"]
)
def test_an_interrupted_publication_is_completed_by_the_next(params: Params, only_weights: None, step: str) -> None:
    """Each step takes effect, and then the process dies."""
    write_run()
    write_lock()
    store = stores.open_store(params.tracking)
    original = getattr(type(store.client), step)

    def and_then_stop(*arguments: Any, **options: Any) -> None:
        original(*arguments, **options)
        raise StoppedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(store.client), step, and_then_stop)
        with pytest.raises(StoppedError):
            publish.publish(params)
    publish.publish(params)
    (found,) = runs_of(store)
    assert (found.info.status, found.info.end_time) == ("FINISHED", STARTED_MS + 3500)
    assert found.data.tags["status"] == "completed"
    assert tables("runs", "metrics", "inputs") == {"runs": 1, "metrics": 3 * 5 + len(final_metrics(found)), "inputs": 2}


def final_metrics(found: Any) -> set[str]:
    return set(found.data.metrics) - set(mlflow_store.EPOCH_METRICS.values())


def test_a_damaged_record_is_left_out_and_the_rest_published(
    params: Params, only_weights: None, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged, sound = write_run(), write_run(OTHER)
    damaged.metrics.write_text("{}")
    publish.publish(params)
    told = capsys.readouterr().err
    assert told.count("warning") == 1
    assert f"{damaged.metrics} is not the file that the run wrote" in told
    assert "1 runs added" in told
    store = stores.open_store(params.tracking)
    assert [one.data.tags["run_digest"] for one in runs_of(store, OTHER)] == [sound.digest()]
    assert runs_of(store) == []


def test_a_trained_again_run_is_a_run_of_its_own(store: Store, params: Params, only_weights: None) -> None:
    write_run()
    publish.publish(params)
    write_run(seed=1, started_ms=STARTED_MS + 60_000)
    publish.publish(params)
    assert len(runs_of(store)) == 2
    assert len(registry.versions(store, MODEL)) == 2


def test_a_record_no_stage_made_is_published_without_lineage(store: Store, params: Params, only_weights: None) -> None:
    write_run()
    publish.publish(params)
    (found,) = runs_of(store)
    assert "dvc_stage" not in found.data.tags
    assert found.inputs.dataset_inputs == []


def test_two_that_publish_at_once_add_a_run_once(params: Params, warm: Warm) -> None:
    write_run()
    code = (
        "from pathlib import Path; from rijksnet.params import load; from rijksnet.publishing.publish import publish; "
    )
    processes = [warm.start("python", "-c", code + "publish(load(Path('params.yaml')))") for _ in range(2)]
    told = [process.communicate(timeout=120)[1].splitlines()[-1] for process in processes]
    assert sorted(line.split(";")[0] for line in told) == [
        "0 runs added, 0 completed, 1 already there",
        "1 runs added, 0 completed, 0 already there",
    ]
    assert tables("runs", "model_versions") == {"runs": 1, "model_versions": 1}


def test_one_that_publishes_without_end_is_not_waited_for_without_end(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "PUBLISHING_S", 0.01)
    with FileLock("mlflow.db.publish.lock"), pytest.raises(TrackingError, match="another process has been publishing"):
        publish.publish(params)


def test_many_runs_are_drawn_by_other_processes_to_the_same_pictures(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [write_run(replace(KEY, seed=seed), right=seed) for seed in range(2)]
    damaged = write_run(OTHER)
    damaged.predictions.write_bytes(b"no table")
    monkeypatch.setattr(pictures, "MANY", 2)
    with pictures.pictures([*runs, damaged]) as write:
        for at in runs:
            Path("drawn", at.root.name).mkdir(parents=True)
            write(at, at.read(verify=True), Path("drawn", at.root.name))
    for at in runs:
        for name, content in pictures.draw(at).items():
            assert Path("drawn", at.root.name, name).read_bytes() == content


# --- the stage `register` ---------------------------------------------------------------------------------------------


def test_register_publishes_the_candidates_and_tells_their_content(
    store: Store, params: Params, only_weights: None
) -> None:
    own = write_run()
    write_run(RunKey(COLLECTION, "type", "test_resnet", "fine_tuning", "imagenet", seed=1), seed=1)
    write_run(RunKey(COLLECTION, "type", "test_resnet", "off_the_shelf", "imagenet"))
    elsewhere = write_run(RunKey("miniature-antwerp", "type", "test_resnet", "fine_tuning", "imagenet"))
    elsewhere.metrics.write_text("damaged, and none of this stage's business")
    for _ in range(2):
        publish.register(params, REGISTERED)
        assert json.loads(REGISTERED.read_text()) == {MODEL: own.read(verify=True).files["weights.safetensors"]}
        assert len(registry.versions(store, MODEL)) == 2
        assert {one.data.tags["strategy"] for one in runs_of(store)} == {"fine_tuning"}


def test_register_refuses_a_damaged_record_of_the_source(params: Params) -> None:
    at = write_run()
    at.weights.unlink()
    with pytest.raises(RunError, match=str(at.weights)):
        publish.register(params, REGISTERED)
    assert not REGISTERED.exists()
