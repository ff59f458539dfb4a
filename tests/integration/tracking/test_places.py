"""Stores and artifacts that are moved, copied, lost, linked, elsewhere, or behind a server that fails."""

from __future__ import annotations

import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import pytest
from mlflow import MlflowClient
from moto.server import ThreadedMotoServer

from helpers import COLLECTION, KEY, write_run
from rijksnet import paths
from rijksnet.errors import TrackingError
from rijksnet.files import sha256_of
from rijksnet.params import Params, Tracking, load
from rijksnet.paths import PUBLISHED, REGISTERED
from rijksnet.publishing import check, publish
from rijksnet.runs.findings import FindingPaths
from rijksnet.runs.folder import Run, RunFolder
from rijksnet.runs.key import RunKey
from rijksnet.stages import champions
from rijksnet.tracking import address, mlflow_store, pins, registry, stores
from rijksnet.tracking.stores import Store
from stores import MODEL, free_port, make_project

OTHER = RunKey(COLLECTION, "artist", "test_resnet", "off_the_shelf", "imagenet", 1)

pytestmark = pytest.mark.usefixtures("only_weights")


def tracking(uri: str = "sqlite:///mlflow.db", artifacts: str = "mlartifacts") -> Tracking:
    return Tracking(uri=uri, ui="http://ui", artifacts=artifacts, live_after_s=0.0)


def at_uri(params: Params, uri: str) -> Params:
    return params.model_copy(update={"tracking": params.tracking.model_copy(update={"uri": uri})})


def kept_weights(store: Store, folder: Path) -> str:
    """Digest of the weights that the first version of the model gives out."""
    folder.mkdir()
    version = registry.versions(store, MODEL)[0]
    return sha256_of(Path(store.client.download_artifacts(version.run_id, mlflow_store.MODEL_WEIGHTS, str(folder))))


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("sqlite:///mlflow.db", "mlflow.db"),
        ("sqlite:///a/mlflow.db?timeout=60", "a/mlflow.db"),
        ("sqlite+pysqlite:///mlflow.db", "mlflow.db"),
        ("http://127.0.0.1:5000", None),
        ("postgresql://u:p@h/d", None),
        ("databricks", None),
    ],
)
def test_the_file_of_a_local_store(uri: str, file: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert address.database(tracking(uri)) == (tmp_path / file if file else None)
    assert address.absolute(tracking(uri)) == (uri.replace(file, str(tmp_path / file)) if file else uri)


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:"])
def test_a_store_in_memory_is_refused(uri: str) -> None:
    with pytest.raises(TrackingError, match="is kept in no file"):
        stores.open_store(tracking(uri))


def test_artifacts_may_lie_in_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert address.artifacts(tracking(artifacts="s3://bucket/a")) == "s3://bucket/a"
    assert address.artifacts(tracking(artifacts="a b")) == f"{tmp_path.as_uri()}/a%20b"


def test_a_copy_in_which_dvc_tries_something_has_the_project_s_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "tmpa1b2"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    assert address.database(tracking()) == tmp_path / "mlflow.db"
    assert address.artifacts(tracking()) == f"{tmp_path.as_uri()}/mlartifacts"


# --- moved and copied -------------------------------------------------------------------------------------------------


@pytest.fixture
def project(params: Params, tmp_path: Path) -> Path:
    """A folder of its own, with a published run."""
    folder = tmp_path / "one"
    folder.mkdir()
    for name in ("params.yaml", "mlflow.db"):
        shutil.move(name, folder / name)
    os.chdir(folder)
    write_run()
    publish.publish(params)
    return folder


@pytest.mark.parametrize("how", ["moved", "copied"])
@pytest.mark.parametrize("name", ["two", "a?b #c %41 é"])
def test_a_project_that_was_moved_or_copied_keeps_what_it_has(
    project: Path, params: Params, how: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    new = project.parent / name
    shutil.move(project, new) if how == "moved" else shutil.copytree(project, new)
    old = {path for path in project.rglob("*") if path.is_file()}
    os.chdir(new)
    capsys.readouterr()
    publish.publish(params)
    told = capsys.readouterr().err
    assert f"mlflow.db: the project has moved; 1 runs find their artifacts again: {project}/mlartifacts → {new}" in told
    assert "0 runs added, 0 completed, 1 already there" in told
    assert check.check(params) == []
    store = stores.open_store(params.tracking)
    assert kept_weights(store, new / "fetched") == sha256_of(RunFolder.of(KEY).weights)
    write_run(OTHER)
    publish.publish(params)
    assert "has moved" not in capsys.readouterr().err
    assert {path for path in project.rglob("*") if path.is_file()} == old  # nothing more went to the old place
    assert len(list(Path("mlartifacts").rglob("run.json"))) == 2


def test_a_project_whose_path_needs_quoting_is_one_like_others(
    params: Params, tmp_path: Path, blank_store: Path
) -> None:
    folder = tmp_path / "a?b #c %41 é"
    folder.mkdir()
    make_project(folder, blank_store)
    os.chdir(folder)
    write_run()
    publish.publish(params)
    assert check.check(params) == []
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["mlartifacts", "runs"]


def test_another_place_for_what_is_new_moves_nothing(project: Path, params: Params) -> None:
    elsewhere = params.model_copy(update={"tracking": params.tracking.model_copy(update={"artifacts": "new"})})
    Path("new").mkdir()
    write_run(OTHER)
    publish.publish(elsewhere)
    assert check.check(elsewhere) == []
    assert [path.parts[0] for path in sorted(Path().glob("*/*/artifacts/run/run.json"))] == ["mlartifacts", "new"]


# --- lost and damaged -------------------------------------------------------------------------------------------------


def test_lost_artifacts_are_seen_and_brought_back(
    project: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree("mlartifacts")
    (found,) = check.check(params)
    assert f"{RunFolder.of(KEY).root}: run " in found
    assert found.endswith(
        "lacks artifacts.json, model/artifacts/weights.safetensors, run/history.csv, run/metrics.json, "
        "run/predictions.parquet, run/run.json"
    )
    publish.publish(params)
    assert "0 runs added, 0 completed, 1 mended, 0 already there; 0 versions registered" in capsys.readouterr().err
    assert check.check(params) == []
    store = stores.open_store(params.tracking)
    assert kept_weights(store, Path("fetched")) == sha256_of(RunFolder.of(KEY).weights)


def test_a_record_that_was_damaged_since_it_was_shown_is_left_out(
    project: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = write_run(OTHER)
    publish.publish(params)
    RunFolder.of(KEY).metrics.unlink()
    capsys.readouterr()
    publish.publish(params)
    told = capsys.readouterr().err
    assert "metrics.json is not the file that the run wrote" in told
    assert "0 runs added, 0 completed, 1 already there" in told
    assert sound.run.is_file()


def test_damaged_artifacts_are_seen_by_a_thorough_look(project: Path, params: Params) -> None:
    (kept,) = Path("mlartifacts").rglob("weights.safetensors")
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    assert "lacks model/artifacts/weights.safetensors" in check.check(params)[0]
    publish.publish(params)
    assert check.check(params) != []
    publish.publish(params, thorough=True)
    assert check.check(params) == []


@pytest.mark.parametrize(
    "name", ["picture.png", "model/artifacts/weights.safetensors", "run/history.csv", "artifacts.json"]
)
def test_every_artifact_that_is_lost_is_seen_by_a_thorough_look(
    params: Params, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def write(at: RunFolder, run: Run, folder: Path) -> None:
        (folder / "model" / "artifacts").mkdir(parents=True)
        shutil.copyfile(at.weights, folder / "model" / "artifacts" / "weights.safetensors")
        (folder / "picture.png").write_bytes(b"a picture")

    monkeypatch.setattr(publish, "pictures", lambda records: nullcontext(write))
    write_run()
    publish.publish(params)
    (run,) = Path("mlartifacts").glob("*/artifacts")
    for how in ("lost", "damaged"):
        (run / name).unlink() if how == "lost" else (run / name).write_bytes(b"x")
        (said,) = check.check(params)
        assert said == f"{RunFolder.of(KEY).root}: run {run.parent.name} lacks {name}"
        publish.publish(params, thorough=True)
        assert check.check(params) == []


def test_findings_that_is_not_shown_is_told_and_mended(params: Params) -> None:
    write_run()
    publish.publish(params)
    saliency = FindingPaths(COLLECTION, "type", "test_resnet").saliency
    saliency.mkdir()
    (saliency / "saliency.json").write_text("{}")
    (saliency / "gallery.png").write_bytes(b"a picture")
    (run,) = Path("mlartifacts").glob("*/artifacts")
    told = f"{saliency}: run {run.parent.name} does not show it"
    store = stores.open_store(params.tracking)
    assert (list(check.unshown(store, params)), check.check(params)) == ([told], [told])
    publish.publish(params)
    assert check.check(params) == []
    (run / "saliency" / "gallery.png").write_bytes(b"another")
    assert (list(check.unshown(store, params)), check.check(params)) == ([], [told])
    publish.publish(params, thorough=True)
    assert check.check(params) == []


def test_a_version_of_before_there_were_cards_gets_one(project: Path, params: Params) -> None:
    store = stores.open_store(params.tracking)
    store.client.update_model_version(MODEL, "1", "")
    assert check.check(params) == [f"{RunFolder.of(KEY).root}: version 1 of {MODEL} has no card"]
    publish.publish(params)
    assert registry.versions(store, MODEL)[0].description.startswith("**test_resnet**")
    store.client.update_model_version(MODEL, "1", "a person's words")
    publish.publish(params)
    assert registry.versions(store, MODEL)[0].description == "a person's words"


def test_looking_changes_nothing_and_asks_once_for_an_experiment(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(6):
        write_run(replace(OTHER, seed=seed), seed=seed)
    store = stores.open_store(params.tracking)
    assert len(list(check.unshown(store, params))) == 6
    assert [one.name for one in store.client.search_experiments()] == ["Default"]
    publish.publish(params)
    asked = []
    search = MlflowClient.search_runs
    monkeypatch.setattr(MlflowClient, "search_runs", lambda *of, **how: asked.append(of) or search(*of, **how))
    assert list(check.unshown(stores.open_store(params.tracking), params)) == []
    assert len(asked) == 1


def test_what_else_is_amiss_is_told(project: Path, params: Params) -> None:
    champions.champions(params)
    store = stores.open_store(params.tracking)
    write_run(OTHER)
    write_run(replace(KEY, seed=1), seed=1)
    store.client.delete_registered_model(MODEL)
    known = sha256_of(RunFolder.of(KEY).weights)[:12]
    assert set(check.check(params)) == {
        f"pins/type-test_resnet.json: {known}… is not the champion: {MODEL} has none",
        f"{RunFolder.of(OTHER).root}: no run shows it",
        f"{RunFolder.of(KEY).root}: {MODEL} has no version of it that can be loaded",
        f"{RunFolder.of(replace(KEY, seed=1)).root}: no run shows it",
        f"{RunFolder.of(replace(KEY, seed=1)).root}: {MODEL} has no version of it that can be loaded",
    }
    publish.publish(params)
    assert check.check(params) == []


def test_records_may_be_links_into_a_cache(params: Params, tmp_path: Path) -> None:
    """As with DVC's cache.type symlink; what they link to keeps its content whatever is made again."""
    at = write_run()
    cache = tmp_path / "cache"
    cache.mkdir()
    for file in list(at.root.iterdir()):
        shutil.move(file, cache / file.name)
        file.symlink_to(cache / file.name)
    before = {file.name: file.read_bytes() for file in cache.iterdir()}
    publish.publish(params)
    assert check.check(params) == []
    write_run(right=2, seed=3)
    assert {file.name: file.read_bytes() for file in cache.iterdir()} == before
    assert not at.weights.is_symlink()


# --- which is current -------------------------------------------------------------------------------------------------


def test_an_experiment_of_dvc_s_moves_no_champion(
    store: Store, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = write_run()
    publish.publish(params)
    champions.champions(params)
    tried = write_run(seed=1)
    monkeypatch.setenv("DVC_EXP_NAME", "tried-once")
    publish.register(params, REGISTERED)
    champions.champions(params)
    publish.publish(params)
    assert str(registry.champion(store, MODEL).version) == "1"
    pin = pins.read_pin("type", "test_resnet")
    assert pin == pins.Pin.of_run(tried.read(verify=True))
    monkeypatch.delenv("DVC_EXP_NAME")
    champions.champions(params)
    assert str(registry.champion(store, MODEL).version) == "2"
    assert own.run.is_file()


def test_an_own_run_that_is_not_registered_yet_is_what_the_target_starts_from(store: Store, params: Params) -> None:
    """The server was away while it was to be registered, and is back."""
    write_run()
    publish.publish(params)
    champions.champions(params)
    again = write_run(seed=1)
    champions.champions(params)
    pin = pins.read_pin("type", "test_resnet")
    assert pin == pins.Pin.of_run(again.read(verify=True))
    publish.publish(params)
    assert str(registry.champion(store, MODEL).version) == "2"
    champions.champions(params)
    assert pins.read_pin("type", "test_resnet") == pin


def test_an_address_is_shown_without_its_password() -> None:
    assert address.without_password("https://me:secret@h:5000/a?b=c") == "https://me:***@h:5000/a?b=c"
    assert address.without_password("postgresql://me:s@h/d") == "postgresql://me:***@h/d"
    for plain in ("sqlite:///mlflow.db", "http://h:1", "databricks"):
        assert address.without_password(plain) == plain


def test_a_run_that_was_made_again_is_told_from_the_one_it_replaces(
    store: Store, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    def current() -> dict[str, str]:
        experiment = mlflow_store.experiment_of(store, RunFolder.of(KEY).read(verify=True))
        return {one.data.tags["run_digest"]: one.data.tags["current"] for one in store.runs(experiment, "")}

    first = write_run().digest()
    publish.publish(params)
    assert current() == {first: "yes"}
    second = write_run(right=9).digest()
    publish.publish(params)
    assert current() == {first: "no", second: "yes"}
    at = write_run()
    publish.publish(params)
    assert current() == {first: "yes", second: "no"}
    run = json.loads(at.run.read_text())
    run["lineage"]["dvc_experiment"] = "tried-once"
    at.run.write_text(json.dumps(run))
    monkeypatch.setenv("DVC_EXP_NAME", "tried-once")
    publish.publish(params)
    tried = at.digest()
    assert current() == {first: "yes", second: "no", tried: "no"}
    monkeypatch.delenv("DVC_EXP_NAME")  # applied
    publish.publish(params)
    assert current() == {first: "no", second: "no", tried: "yes"}
    (shown,) = store.runs(mlflow_store.experiment_of(store, at.read(verify=True)), "tags.dvc_experiment = 'tried-once'")
    assert shown.info.run_name == "test_resnet/fine_tuning-imagenet-seed0 (tried-once)"


# --- away -------------------------------------------------------------------------------------------------------------


def test_without_a_server_the_source_s_own_run_is_what_the_target_starts_from(
    params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    at = write_run()
    away = at_uri(params, f"http://127.0.0.1:{free_port()}")
    publish.register(away, REGISTERED)
    assert json.loads(REGISTERED.read_text()) == {MODEL: sha256_of(at.weights)}
    champions.champions(away)
    champions.tuned(away, "type", "test_resnet")
    publish.publish_or_warn(away)
    assert sha256_of(paths.tuned_weights(COLLECTION, "type", "test_resnet")) == sha256_of(at.weights)
    assert json.loads(PUBLISHED.read_text()) == {}
    told = capsys.readouterr().err
    assert told.count("warning") == 3
    assert f"{MODEL}: this project's own run is θ̂" in told
    again = write_run(seed=1)  # trained again, and the server still away
    champions.champions(away)
    assert pins.read_pin("type", "test_resnet") == pins.Pin.of_run(again.read(verify=True))
    publish.publish(params)
    before = paths.pin("type", "test_resnet").read_bytes()
    champions.champions(params)
    assert paths.pin("type", "test_resnet").read_bytes() == before


@contextmanager
def between(server: str, refuses: Callable[[str, str], int | None]) -> Iterator[str]:
    """Address of a server that hands requests on, but for those it refuses with a status of its own."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def hand_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status = refuses(self.command, self.path)
            content = f"refused with {status}".encode()
            if status is None:
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                request = urllib.request.Request(server + self.path, body or None, headers, method=self.command)
                try:
                    with urllib.request.urlopen(request, timeout=60) as response:
                        status, content = response.status, response.read()
                except urllib.error.HTTPError as error:
                    status, content = error.code, error.read()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = hand_on  # noqa: N815

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
    finally:
        proxy.shutdown()
        proxy.server_close()


@pytest.mark.parametrize(("status", "part"), [(413, "weights.safetensors"), (500, "runs/log-batch")])
def test_a_server_that_refuses_midway_is_one_message_and_the_next_publication_goes_on(
    params: Params, server: str, status: int, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = (replace(one, collection=f"refused-{status}") for one in (KEY, OTHER))  # the server is one for all tests
    first, second = map(write_run, keys)
    refused: list[str] = []

    def refuse(method: str, path: str) -> int | None:
        """What belongs to the first run that asks."""
        if method in ("PUT", "POST") and part in path and refused in ([], [path]):
            refused.append(path)
            return status
        return None

    with between(server, refuse) as proxy:
        behind = at_uri(params, proxy)
        with pytest.raises(TrackingError) as caught:
            publish.publish(behind)
        assert str(status) in str(caught.value)
        assert str(caught.value).startswith("1 of 2 runs are shown, 1 failed; publishing runs/")
        assert "`rijksnet publish` goes on from the runs once it answers" in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
        assert len(json.loads(PUBLISHED.read_text())) == 1
        refused.append("no more")
        capsys.readouterr()
        publish.publish(behind)
        assert "1 already there" in capsys.readouterr().err
        assert len(json.loads(PUBLISHED.read_text())) == 2
        assert check.check(behind) == []
    assert first.run.is_file()
    assert second.run.is_file()


# --- elsewhere --------------------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket on a server that speaks S3."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", endpoint)
    try:
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="museum")
        yield "s3://museum/models"
    finally:
        server.stop()


def test_artifacts_in_a_bucket(params: Params, bucket: str, tmp_path: Path) -> None:
    in_bucket: Any = params.model_copy(update={"tracking": params.tracking.model_copy(update={"artifacts": bucket})})
    at = write_run()
    publish.publish(in_bucket)
    assert not [path for path in Path().iterdir() if path.name.startswith(("s3", "mlartifacts"))]
    assert check.check(in_bucket) == []
    weights = sha256_of(at.weights)
    champions.champions(in_bucket)
    shutil.rmtree("runs")
    champions.tuned(in_bucket, "type", "test_resnet")
    assert sha256_of(paths.tuned_weights(COLLECTION, "type", "test_resnet")) == weights


def test_the_parameters_of_a_project_name_its_places(params: Params) -> None:
    assert load(Path("params.yaml")).tracking == params.tracking
