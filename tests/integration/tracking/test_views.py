"""What a person finds prepared in the UI: descriptions, views, and the command that tells where they are."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from helpers import COLLECTION, write_run
from processes import Warm
from rijksnet.errors import TrackingError
from rijksnet.params import Params
from rijksnet.publishing import publish
from rijksnet.runs.key import COMMON_CLASSES, RunKey
from rijksnet.tracking import stores, views
from rijksnet.tracking.stores import Store
from rijksnet.tracking.ui import ui
from stores import Published, answers, free_port
from waiting import wait_for


def test_views_show_only_what_runs_have(published: Published) -> None:
    """A column or axis that no run has would be empty, and MLflow would not say so."""
    params, metrics = set(published.run.data.params), set(published.run.data.metrics)
    columns = {f"params.`{name}`" for name in params} | {f"metrics.`{name}`" for name in metrics}
    for view in views.VIEWS:
        assert {view.state["orderByKey"], *view.state["selectedColumns"]} <= columns
        for chart in view.state.get("compareRunCharts", []):
            named = {chart.get("metricKey"), *chart.get("selectedMetrics", [])}
            named |= {chart[axis]["key"] for axis in ("xaxis", "yaxis") if axis in chart}
            assert named - {None} <= metrics
            assert set(chart.get("selectedParams", [])) <= params
        assert {name.split("/")[0] for name in metrics} == set(views.FOLDED)


def test_views_fit_into_tags_and_read_back(published: Published) -> None:
    experiment = published.store.client.get_experiment(published.run.info.experiment_id)
    for rank, view in enumerate(views.VIEWS):
        content = experiment.tags[f"mlflow.sharedViewState.{view.id}"]
        assert len(content) <= 20_000  # the most that the UI would save
        envelope = json.loads(content)
        assert envelope["name"] == view.name
        assert json.loads(envelope["state"]) == json.loads(json.dumps(view.state))
        assert envelope["createdAt"] == 1_700_000_000_000 - rank
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


@pytest.mark.parametrize(
    ("challenge", "rule", "said"),
    [
        ("artist", "paper", "who made an object"),
        ("type" + COMMON_CLASSES, "paper", "what kind of object it is"),
        ("type" + COMMON_CLASSES, "paper", "Only the classes that the source collection has too"),
        ("material", "challenge", "figures compare only within it"),
    ],
)
def test_an_experiment_says_what_its_runs_have_in_common(store: Store, challenge: str, rule: str, said: str) -> None:
    key = RunKey(COLLECTION, challenge, "test_resnet", "fine_tuning", "imagenet")
    note = store.client.get_experiment(store.experiment(key, rule)).tags["mlflow.note.content"]
    assert note.startswith(f"**{challenge}** on **{COLLECTION}**")
    assert said in note


def test_views_are_renewed_and_a_persons_own_words_stay(params: Params, only_weights: None) -> None:
    write_run()
    publish.publish(params)
    client = stores.open_store(params.tracking).client
    experiment = client.get_experiment_by_name(f"{COLLECTION}/type").experiment_id
    table = f"mlflow.sharedViewState.{views.VIEWS[0].id}"
    made = client.get_experiment(experiment).tags[table]
    own = {"mlflow.note.content": "mine", "mlflow.sharedViewState.mine": "{}"}
    for name, value in {**own, table: "an older version"}.items():
        client.set_experiment_tag(experiment, name, value)
    publish.publish(params)
    tags = client.get_experiment(experiment).tags
    assert {name: tags[name] for name in own} == own
    assert tags[table] == made


def test_the_run_list_can_show_what_a_run_is_in_words(published: Published) -> None:
    assert published.run.data.tags["mlflow.note.content"] == (
        "test_resnet, fine tuning from imagenet weights, seed 0: **70.0%** of 10 test images of "
        f"{COLLECTION} right for type; always answering the most frequent class gives 40.0%."
    )


# --- `rijksnet ui` ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "name", "answered"),
    [(["--name", "museum.example"], "museum.example", {200}), ([], "127.0.0.1", {200, 403})],
    ids=["named", "not named"],
)
def test_ui_serves_tells_where_the_views_are_and_ends_with_all_its_processes(
    params: Params, only_weights: None, warm: Warm, options: list[str], name: str, answered: set[int]
) -> None:
    """It answers to the names that it is given; a proxy that leads nowhere has no business between it and itself."""
    write_run()
    publish.publish(params)
    port = free_port()
    command = ["rijksnet", "ui", "--host", "0.0.0.0", "--port", str(port), *options]
    environment = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    environment |= {"http_proxy": f"http://127.0.0.1:{free_port()}", "HTTP_PROXY": f"http://127.0.0.1:{free_port()}"}
    process = warm.start(*command, environment=environment)
    try:
        wait_for(lambda: process.poll() is not None or "Ctrl-C" in process.written(), seconds=120)
        told = process.written()
        assert process.poll() is None, told
        address = f"http://127.0.0.1:{port}"
        assert answers(f"{address}/health")
        assert f"{COLLECTION}/type" in told.splitlines()
        for view in views.VIEWS:
            assert f"http://{name}:{port}/#/experiments/1/runs?viewStateShareKey={view.id}" in told
        statuses = []
        for host in (f"127.0.0.1:{port}", f"museum.example:{port}"):
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
                connection.putrequest("GET", "/api/2.0/mlflow/experiments/search?max_results=1", skip_host=True)
                connection.putheader("Host", host)
                connection.endheaders()
                statuses.append(connection.getresponse().status)
        assert statuses[0] == 200  # this machine's own name
        assert set(statuses) == answered
        started = psutil.Process(process.pid).children(recursive=True)
        assert started
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 0
        wait_for(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in started))
        assert not answers(f"{address}/health")
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGTERM)
            process.wait(60)


def test_ui_of_a_server_starts_none(server: str, params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    ui(params.model_copy(update={"tracking": params.tracking.model_copy(update={"uri": server})}), "127.0.0.1", 1)
    assert server in capsys.readouterr().out


def test_ui_without_a_store_says_what_makes_one(params: Params) -> None:
    Path("mlflow.db").unlink()
    with pytest.raises(TrackingError, match=r"no tracking store at sqlite:///mlflow\.db yet: `rijksnet publish`"):
        ui(params, "127.0.0.1", free_port())
    assert not Path("mlflow.db").exists()


def test_ui_on_a_taken_port_says_so(params: Params) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TrackingError, match=rf"cannot listen on 127\.0\.0\.1:{port} .*choose another --port"):
            ui(params, "127.0.0.1", port)


def test_ui_whose_server_ends_by_itself_says_so(params: Params) -> None:
    Path("mlflow.db").write_text("no database")
    with pytest.raises(TrackingError, match=r"does not answer at .* \(exit status 1\)"):
        ui(params, "127.0.0.1", free_port())
