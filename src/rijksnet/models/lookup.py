"""A trained network by its name: a run here, or a version in the registry with the run that it came from."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rijksnet.errors import RunError, TrackingError
from rijksnet.files import sha256_of
from rijksnet.paths import RUNS
from rijksnet.runs.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rijksnet.params import Params
    from rijksnet.runs.folder import Run
    from rijksnet.tracking.stores import Store


@dataclass(frozen=True)
class TrainedModel:
    """A network that a run left, and what the run says of it."""

    name: str  #: the run's key, or NAME/VERSION of a registered model
    at: RunFolder  #: the run's files but for its weights
    run: Run
    weights: Path

    @property
    def identity(self) -> str:
        """sha256 of its weights."""
        return self.run.files[self.at.weights.name]


@contextmanager
def open_model(params: Params, what: str) -> Iterator[TrainedModel]:
    """The model that is meant; its files are there as long as the block runs.

    Args:
        what: a run's key or folder, or a registered model: its name (its champion), NAME/VERSION or NAME@ALIAS.

    Raises:
        RunError: the run left no network, or its weights are not those that it wrote.
        TrackingError: there is no such run or model, or the store is away.
    """
    at = RunFolder(RUNS / what.removeprefix(f"{RUNS}/"))
    if at.run.is_file():
        run = at.read(verify=False)
        yield _whole(TrainedModel(str(run.key), at, run, at.weights))
        return
    from rijksnet.tracking import registry, stores  # MLflow takes seconds to import

    store = stores.open_store(params.tracking)
    with TemporaryDirectory() as folder:
        with store.answering(f"fetching {what}"):
            version = _version(store, what)
            kept = RunFolder(Path(store.client.download_artifacts(version.run_id, "run", folder)))
            file = registry.fetch_version(store, version, Path(folder) / "model")
        yield _whole(TrainedModel(f"{version.name}/{version.version}", kept, kept.read(verify=False), file))


def _whole(model: TrainedModel) -> TrainedModel:
    if not model.weights.is_file():
        raise RunError(f"{model.at.root} has no {model.weights.name}: a {model.run.key.strategy} leaves no network")
    if sha256_of(model.weights) != model.run.files.get(model.at.weights.name):
        raise RunError(f"{model.weights} is not what the run {model.run.key} wrote: it is another network's")
    return model


def _version(store: Store, what: str) -> Any:
    from rijksnet.tracking import registry

    reference = registry.Reference.parse(what)
    found = registry.find(store, reference)
    if found is None:
        known = [str(one.version) for one in registry.versions(store, reference.name)] if reference else []
        raise TrackingError(
            f"{what!r} is neither a run here nor a registered model with such a version; of "
            f"{reference.name if reference else what!r} there are the versions {known}"
        )
    return found
