"""Registered models, their champions, and the pins that tie a pipeline to them.

A version is identified by the sha256 of its weights. A pin is a small file with that identity: stages depend on pins,
so that moving the alias `champion` re-runs exactly what the new champion touches.

A champion is chosen by the pipeline, then it follows the pipeline's own run; or by a person, then it stays.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.exceptions import MlflowException

from rijksnet.errors import RunError, TrackingError
from rijksnet.files import replacing, sha256_of
from rijksnet.runs.folder import RunFolder
from rijksnet.tracking import address
from rijksnet.tracking.mlflow_store import MODEL_WEIGHTS
from rijksnet.tracking.pins import Pin, model_of, settings_of, weights_of
from rijksnet.tracking.stores import pages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rijksnet.runs.folder import Run
    from rijksnet.tracking.pins import By, SourceModel
    from rijksnet.tracking.stores import Store

CHAMPION = "champion"

#: Tag of a registered model: the version to which a pipeline last moved the alias. Any other champion is a person's.
CHOSEN = "chosen_by_pipeline"

# --- versions ---------------------------------------------------------------------------------------------------------


def versions(store: Store, name: str, condition: str = "") -> list[Any]:
    """The versions of a registered model, the first one first.

    Args:
        condition: ` and …`, in the words of MLflow's search.
    """
    found = pages(lambda **page: store.client.search_model_versions(f"name = '{name}'{condition}", **page))
    return sorted(found, key=lambda version: int(version.version))


def is_backed(store: Store, version: Any) -> bool:
    """Whether the run that holds a version's files is there: runs can be deleted under their versions."""
    return store.run(version.run_id) is not None


def with_weights(store: Store, name: str, identity: str) -> Any | None:
    """The first version of a model that has these weights and can be loaded; None: there is none."""
    found = versions(store, name, f" and tags.weights_sha256 = '{identity}'") if identity else []
    return next((version for version in found if is_backed(store, version)), None)


@dataclass(frozen=True)
class Reference:
    """How people name a version: NAME/NUMBER, NAME@ALIAS, or NAME alone, which is its champion."""

    name: str
    number: str = ""
    alias: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference | None:
        """With or without `models:/`; None: it is no such name."""
        found = re.fullmatch(r"(models:/)?(?P<name>[^/@:]+)(/(?P<number>\d+)|@(?P<alias>[^/@]+))?", text)
        return cls(found["name"], found["number"] or "", found["alias"] or "") if found else None


def find(store: Store, reference: Reference | None) -> Any | None:
    """The version that is meant; None: the registry does not have it."""
    if reference is None:
        return None
    try:
        if reference.number:
            version = store.client.get_model_version(reference.name, reference.number)
            return version if str(version.version) == reference.number else None  # MLflow takes 01 for 1
        return store.client.get_model_version_by_alias(reference.name, reference.alias or CHAMPION)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def register(
    store: Store, at: RunFolder, run: Run, run_id: str, card: str, model: SourceModel | None = None
) -> tuple[str, bool]:
    """Make a run's weights a version of its model; a second time, the version is found by the weights' identity.

    Where the version's run is gone, another version takes its place, and the alias if it had that.

    Args:
        card: what the version's page says of it.
        model: of which it becomes a version, in place of its own run's.

    Returns:
        The version, and whether it is new.
    """
    model = model or model_of(run.key)
    identity = run.files[at.weights.name]
    accuracy = json.loads(at.metrics.read_text(encoding="utf-8"))["test"]["accuracy"]
    tags = {
        "run_key": str(run.key),
        "run_digest": at.digest(),
        "split_digest": run.digests["split"],
        "settings": json.dumps(settings_of(run), sort_keys=True),
        "test_accuracy": f"{accuracy:.4f}",
    }
    return add_version(store, model, run_id, identity, tags, card)


def add_version(
    store: Store, model: SourceModel, run_id: str, identity: str, tags: Mapping[str, str], card: str
) -> tuple[str, bool]:
    """Make the weights that a run of the store holds a version, unless one has them.

    Args:
        identity: sha256 of the weights.

    Returns:
        The version, and whether it is new.
    """
    try:
        store.client.create_registered_model(
            model.name,
            tags={"collection": model.collection, "challenge": model.challenge, "architecture": model.architecture},
            description=f"{model.architecture}, tuned for {model.challenge} on {model.collection}: image files in, "
            f"ranked labels out. The version with the alias `{CHAMPION}` gives the target its θ̂.",
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    found = with_weights(store, model.name, identity)
    if found is not None:
        if not found.description:  # registered before there were cards
            store.client.update_model_version(model.name, found.version, card)
        return str(found.version), False
    made = store.client.create_model_version(
        model.name,
        f"runs:/{run_id}/model",
        run_id,
        tags={"weights_sha256": identity, **tags},
        description=card,
    )
    had = champion(store, model.name)
    if had is not None and had.tags.get("weights_sha256") == identity:
        move(store, model.name, made, chosen_by(store, had))
    return str(made.version), True


# --- champions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Champion:
    """The champion, and how it came to be it."""

    version: Any
    by: By
    instead_of: Any | None = None  #: the version that had the alias until now


def champion(store: Store, name: str) -> Any | None:
    """The version that carries the alias; None where the registry knows no such model or alias."""
    return find(store, Reference(name))


def chosen_by(store: Store, version: Any) -> By:
    """Who gave the alias to the version that has it."""
    return "pipeline" if str(version.version) in _chosen(store, version.name).split() else "person"


def _chosen(store: Store, name: str) -> str:
    return str(store.client.get_registered_model(name).tags.get(CHOSEN, ""))


def move(store: Store, name: str, version: Any, by: By) -> None:
    """Give the alias to a version; who dies in the middle leaves a champion that is still whose it was."""
    to = str(version.version)
    store.client.set_registered_model_tag(name, CHOSEN, f"{_chosen(store, name)} {to}" if by == "pipeline" else "")
    store.client.set_registered_model_alias(name, CHAMPION, to)
    if by == "pipeline":
        store.client.set_registered_model_tag(name, CHOSEN, to)


def ensure_champion(store: Store, name: str, own: Run | None, pin: Pin | None) -> Champion | None:
    """The champion. A person's stays; the pipeline's is its own run, once it is registered.

    Where no version has the alias, it goes to the pinned one if a person had chosen that, else to the own run's.

    Returns:
        None where the registry knows no version that could be it: the own run may not be registered yet.

    Raises:
        TrackingError: the registry does not answer, or refuses.
    """
    with store.answering(f"who is champion of {name}"):
        return _ensure(store, name, own, pin)


def _ensure(store: Store, name: str, own: Run | None, pin: Pin | None) -> Champion | None:
    found = champion(store, name)
    by = None if found is None else chosen_by(store, found)
    if by == "person":
        return Champion(found, "person")
    ours = with_weights(store, name, weights_of(own)) if own else None
    if found is None and pin is not None and (pin.chosen_by == "person" or ours is None):
        ours, by = with_weights(store, name, pin.weights_sha256), pin.chosen_by
    if found is not None and own is None:
        return Champion(found, "pipeline")
    if ours is None:  # an own run that is not registered yet: θ̂ is that, not what it replaces
        return None
    if found is not None and ours.version == found.version:
        return Champion(found, "pipeline")
    move(store, name, ours, by or "pipeline")
    return Champion(ours, by or "pipeline", found)


def pin_of(choice: Champion, model: SourceModel) -> Pin:
    """
    Raises:
        TrackingError: the champion does not say what its weights are.
    """
    version = choice.version
    identity = version.tags.get("weights_sha256")
    if not identity:
        raise TrackingError(
            f"version {version.version} of {model.name} has no tag `weights_sha256`, so that it cannot be pinned: give "
            f"the alias `{CHAMPION}` to a version that `rijksnet register` made"
        )
    tags: Mapping[str, str] = version.tags
    key, split = tags.get("run_key", ""), tags.get("split_digest", "")
    settings = json.loads(tags.get("settings", "{}"))
    return Pin(model.challenge, model.architecture, identity, model.name, key, split, choice.by, settings)


def fetch_weights(pin: Pin, name: str, out: Path, open_registry: Callable[[], Store]) -> str:
    """Copy the pinned weights to `out`: from a run here that holds them, else from the registry.

    Args:
        name: of the registered model.
        open_registry: gives the store; called only if no run holds the weights.

    Returns:
        Where they were found.

    Raises:
        TrackingError: nowhere.
    """
    for at in RunFolder.complete_in():
        if _claims(at) == pin.weights_sha256 and at.weights.is_file() and sha256_of(at.weights) == pin.weights_sha256:
            with replacing(out) as partial:
                shutil.copyfile(at.weights, partial)
            return str(at.root)
    store = open_registry()
    with store.answering(f"fetching the weights of {name}"), TemporaryDirectory() as folder:
        version = with_weights(store, name, pin.weights_sha256)
        if version is not None:
            file = Path(store.client.download_artifacts(version.run_id, MODEL_WEIGHTS, folder))
            if sha256_of(file) != pin.weights_sha256:
                raise TrackingError(f"version {version.version} of {name} does not hold the weights that it names")
            with replacing(out) as partial:
                shutil.copyfile(file, partial)
            return f"version {version.version} of {name}"
    raise TrackingError(
        f"{pin.file} names weights {pin.weights_sha256[:12]}…, which neither a run here nor the registry holds: "
        f"`dvc pull` them, or move the alias to a version that is there: `rijksnet promote {name} VERSION`"
    )


def _claims(at: RunFolder) -> str:
    """The identity of a run's weights as it says itself; empty: none, or it does not read."""
    try:
        return weights_of(at.read(verify=False))
    except RunError:
        return ""


# --- a model's files --------------------------------------------------------------------------------------------------


def fetch_model(store: Store, uri: str, folder: Path) -> tuple[str, Path]:
    """Download the one safetensors file of a model.

    Args:
        uri: models:/NAME@ALIAS, models:/NAME/VERSION or runs:/ID/PATH.

    Returns:
        The model's name with its version, whichever way it was asked for, and the file, in `folder`.

    Raises:
        TrackingError: there is no such model, or it holds no such file, or several.
    """
    if uri.startswith("runs:/"):
        run_id, inside = uri.removeprefix("runs:/").split("/", 1)
        return uri, _only(Path(store.client.download_artifacts(run_id, inside.strip("/"), str(folder))), uri, store)
    version = find(store, Reference.parse(uri))
    if version is None:
        raise TrackingError(f"fetching {uri}: {address.without_password(store.uri)} does not have it")
    return f"models:/{version.name}/{version.version}", fetch_version(store, version, folder)


def fetch_version(store: Store, version: Any, folder: Path) -> Path:
    """Download the one safetensors file of a version.

    Raises:
        TrackingError: it holds no such file, or several.
    """
    place, run_id = store.client.get_model_version_download_uri(version.name, version.version), version.run_id
    # what `log_model` registers lies beside its run's artifacts, not among them
    in_run = re.fullmatch(rf"(runs:/{run_id}|.*/{run_id}/artifacts)/(?P<inside>.+)", place) if run_id else None
    if in_run:
        root = store.client.download_artifacts(run_id, in_run["inside"].strip("/"), str(folder))
    else:
        root = mlflow.artifacts.download_artifacts(place, dst_path=str(folder), tracking_uri=store.uri)
    return _only(Path(root), f"models:/{version.name}/{version.version}", store)


def _only(root: Path, named: str, store: Store) -> Path:
    files = [root] if root.is_file() else sorted(root.rglob("*.safetensors"))
    if len(files) != 1:
        at = address.without_password(store.uri)
        raise TrackingError(f"{named} at {at} holds {len(files)} safetensors files: name one by runs:/ID/PATH")
    return files[0]
