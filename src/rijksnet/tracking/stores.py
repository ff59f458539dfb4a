"""An open tracking store: opening it, what its client is asked in pages, and what is said when it fails."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse
from urllib.request import url2pathname

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines for every run
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # the defaults wait minutes for a server that is away
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

import mlflow
from filelock import FileLock, Timeout
from mlflow.exceptions import MlflowException
from rich.console import Console
from rich.markup import escape

from rijksnet.errors import TrackingError
from rijksnet.tracking import address, views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rijksnet.params import Tracking
    from rijksnet.runs.key import RunKey

console = Console(stderr=True, highlight=False, soft_wrap=True)

#: How long to wait for another process to make a local store's tables, which takes it seconds.
PATIENCE_S = 120.0
#: How long to wait for another process that publishes to a local store, s.
PUBLISHING_S = 900.0
#: Of one question's answer; MLflow's servers give no more than a thousand runs, or hundreds of models, at once.
PAGE = 100


#: The rule of splits that are the Rijksmuseum Challenge's own.
OFFICIAL = "challenge"


def experiment_name(key: RunKey, split_rule: str) -> str:
    return f"{key.collection}/{key.challenge}" + (" (official split)" if split_rule == OFFICIAL else "")


def studies_name(key: RunKey) -> str:
    return f"{key.collection}/{key.challenge} (studies)"


@dataclass
class Store:
    """An open tracking store."""

    client: mlflow.MlflowClient
    uri: str  #: as people know it
    artifacts: str | None  #: where experiments made here keep artifacts; None leaves it to the server
    file: Path | None  #: the database of a local store
    is_own: bool = True  #: this project's, not one that is only read from
    _experiments: dict[str, str] = field(default_factory=dict)

    def experiment(self, key: RunKey, split_rule: str = "paper") -> str:
        """Id of the experiment that groups the runs of a collection and challenge; made or restored if need be.

        The official split has experiments of its own: its figures do not compare with those of the paper's.
        """
        official = split_rule == OFFICIAL
        return self._experiment(experiment_name(key, split_rule), views.tags(key.collection, key.challenge, official))

    def experiment_of_studies(self, key: RunKey) -> str:
        """Id of the experiment that holds the studies of a collection and challenge, and their trials."""
        return self._experiment(studies_name(key), views.study_tags(key.collection, key.challenge))

    def standing(self, name: str) -> str | None:
        """Id of the experiment of a name; None: there is none, or it was deleted."""
        if name in self._experiments:
            return self._experiments[name]
        found = self.client.get_experiment_by_name(name)
        return str(found.experiment_id) if found and found.lifecycle_stage == "active" else None

    def _experiment(self, name: str, tags: dict[str, str]) -> str:
        if name not in self._experiments:
            found = self.client.get_experiment_by_name(name)
            if found and found.lifecycle_stage == "deleted":  # its name stays taken
                self.client.restore_experiment(found.experiment_id)
            found = found or self._create_experiment(name)
            self._describe(found, tags)
            self._experiments[name] = str(found.experiment_id)
        return self._experiments[name]

    def _create_experiment(self, name: str) -> Any:
        try:
            made = self.client.create_experiment(name, artifact_location=self.artifacts)
        except MlflowException:  # another process was quicker
            found = self.client.get_experiment_by_name(name)
            if found is None:
                raise
            return found
        return self.client.get_experiment(made)

    def _describe(self, experiment: Any, tags: dict[str, str]) -> None:
        """Set what is missing or of another version; what a person may have written stays."""
        for name, value in tags.items():
            is_ours = name.startswith(views.VIEW) or name not in experiment.tags
            if is_ours and experiment.tags.get(name) != value:
                self.client.set_experiment_tag(experiment.experiment_id, name, value)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes of this machine from publishing to a local store, where both would add the same runs.

        A server's other clients are not kept out: publish to it from one machine at a time.

        Raises:
            TrackingError: another process has been at it for too long.
        """
        if self.file is None:
            yield
            return
        lock = FileLock(f"{self.file}.publish.lock", timeout=PUBLISHING_S)
        try:
            lock.acquire()
        except Timeout as error:
            raise TrackingError(
                f"another process has been publishing to {self.file} for {PUBLISHING_S:.0f} s: wait for it, or end it; "
                "the next `rijksnet publish` completes what it leaves"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def runs(self, experiment: str, condition: str) -> list[Any]:
        """The runs of an experiment that a search finds, the newest first."""
        return pages(lambda **page: self.client.search_runs([experiment], condition, **page))

    def run(self, run_id: str) -> Any | None:
        """The run of an id; None: there is none, or it was deleted."""
        try:
            found = self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        return found if found.info.lifecycle_stage == "active" else None

    @contextmanager
    def answering(self, what: str) -> Iterator[None]:
        """Say in one message that the store failed, and at what.

        Raises:
            TrackingError: it did, whatever its server, the network, the database or the artifacts' place answered.
        """
        try:
            yield
        except Exception as error:
            if not _is_the_stores(error):
                raise
            at = address.without_password(self.uri)
            if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
                raise TrackingError(f"{what}: {at} does not have it ({said(error)})") from error
            goes_on = "Nothing is lost: `rijksnet publish` goes on from the runs once it answers" if self.is_own else ""
            raise TrackingError(
                f"{what}: the tracking store {at} failed ({said(error)}). {goes_on}".rstrip()
            ) from error


def pages(ask: Callable[..., Any]) -> list[Any]:
    """All that a question of MLflow's client finds, asked page by page."""
    found: list[Any] = []
    token: str | None = None
    while True:
        page = ask(max_results=PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _is_the_stores(error: Exception) -> bool:
    """Whether an exception comes of a store that fails: MLflow's, requests' (an OSError), or a cloud's client."""
    return isinstance(error, MlflowException | OSError) or type(error).__module__.split(".")[0] in ("botocore", "boto3")


def said(error: Exception) -> str:
    """The first line of what a store answered, or of why it did not."""
    text = str(error).strip() or "nothing is said of it"
    return f"{type(error).__name__}: {text.splitlines()[0][:500]}"


def open_store(tracking: Tracking) -> Store:
    """Open the store; a local one is made where it is not there, by one process while the others wait.

    Processes that first touch a new SQLite file together would break its migrations for good.

    Raises:
        TrackingError: the store cannot be reached.
    """
    at = address.uri(tracking)
    try:
        file = address.database(tracking)
        if file is None:
            client = mlflow.MlflowClient(at, at)
            client.search_experiments(max_results=1)
            return Store(client, at, None, None)
        file.parent.mkdir(parents=True, exist_ok=True)
        whole, artifacts = address.absolute(tracking), address.artifacts(tracking)
        with FileLock(f"{file}.lock", timeout=PATIENCE_S):
            client = mlflow.MlflowClient(whole, whole)
            client.search_experiments(max_results=1)
            _follow_a_move(file, artifacts)
        return Store(client, at, artifacts, file)
    except TrackingError:
        raise
    except Exception as error:  # whatever the server, the network or the database answers
        raise TrackingError(
            f"the tracking store {address.shown(tracking)} cannot be used ({type(error).__name__}: {error}); start it, "
            "or set tracking.uri or MLFLOW_TRACKING_URI. Nothing is lost: `rijksnet publish` brings it up to date from "
            "the run folders"
        ) from error


def open_other(uri: str) -> Store:
    """Open a store that is not this project's, to read from it.

    Raises:
        TrackingError: it cannot be reached.
    """
    file = address.file_of(uri)
    if file is not None and not file.is_file():  # MLflow would make one
        raise TrackingError(f"{file} is not there: name another project's store, a server or sqlite:///FILE")
    store = Store(mlflow.MlflowClient(uri, uri), uri, None, None, is_own=False)
    with store.answering("opening it"):
        store.client.search_experiments(max_results=1)
    return store


def _follow_a_move(file: Path, artifacts: str) -> None:
    """Correct the places of artifacts in a local store whose project was moved or copied.

    MLflow keeps them whole, so that a moved project would find none, and a copied one write into the original's. They
    are corrected where the artifacts themselves lie in the new place; another `tracking.artifacts` alone moves nothing.
    """
    if not artifacts.startswith("file:"):
        return
    with closing(sqlite3.connect(file)) as database, database:
        places = database.execute("SELECT DISTINCT artifact_location FROM experiments WHERE experiment_id != 0")
        for (place,) in places.fetchall():
            if place is None or not place.startswith("file:") or place == artifacts:
                continue
            beneath = (len(place) + 1, place + "/")
            runs = database.execute(
                "SELECT substr(artifact_uri, ?) FROM runs WHERE substr(artifact_uri, 1, ?) = ?",
                (beneath[0] + 1, beneath[0], beneath[1]),
            ).fetchall()
            if not any((_folder(artifacts) / url2pathname(run)).is_dir() for (run,) in runs):
                continue
            database.execute(
                "UPDATE experiments SET artifact_location = ? WHERE artifact_location = ?", (artifacts, place)
            )
            database.execute(
                "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) WHERE substr(artifact_uri, 1, ?) = ?",
                (artifacts, beneath[0], beneath[0], beneath[1]),
            )
            moved = f"{_folder(place)} → {_folder(artifacts)}"
            console.print(
                f"{file.name}: the project has moved; {len(runs)} runs find their artifacts again: {escape(moved)}"
            )


def _folder(uri: str) -> Path:
    return Path(url2pathname(urlparse(uri).path))
