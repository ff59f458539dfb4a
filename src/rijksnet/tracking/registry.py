"""Registered models, their champions, and the pins that tie a pipeline to them.

A version is identified by the sha256 of its weights. A pin is a small file with that identity: stages depend on pins,
so that moving the alias `champion` re-runs exactly what the new champion touches.
"""

from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow.exceptions import MlflowException

from rijksnet import paths
from rijksnet.errors import TrackingError
from rijksnet.files import replacing, sha256_of
from rijksnet.params import Challenge, Params
from rijksnet.paths import RecordPaths
from rijksnet.tracking import record
from rijksnet.tracking.mlflow_store import Store

CHAMPION = "champion"


def model_name(challenge: str, architecture: str) -> str:
    return f"rijksnet-{challenge}-{architecture}"


def source_models(params: Params) -> list[tuple[Challenge, str]]:
    """Challenge and architecture of every model that the pipeline registers."""
    return list(itertools.product(params.source.challenges, params.architectures))


@dataclass(frozen=True)
class Pin:
    """Content identity of a champion."""

    challenge: str
    architecture: str
    weights_sha256: str

    @property
    def file(self) -> Path:
        return paths.pin(self.challenge, self.architecture)

    def write(self) -> None:
        with replacing(self.file) as partial:
            partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def read_pin(challenge: str, architecture: str) -> Pin | None:
    file = paths.pin(challenge, architecture)
    return Pin(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def versions(store: Store, name: str) -> list[Any]:
    """The versions of a registered model, the first one first."""
    found = store.client.search_model_versions(f"name = '{name}'")
    return sorted(found, key=lambda version: int(version.version))


def register(store: Store, at: RecordPaths, run: record.Run, run_id: str) -> tuple[str, bool]:
    """Make a record's weights a version of its model; a second time, the version is found by the weights' identity.

    Returns:
        The version, and whether it is new.
    """
    name = model_name(run.key.challenge, run.key.architecture)
    identity = run.files[at.weights.name]
    try:
        store.client.create_registered_model(
            name,
            tags={"challenge": run.key.challenge, "architecture": run.key.architecture},
            description=f"{run.key.architecture}, tuned for {run.key.challenge} on {run.key.collection}: image files "
            f"in, ranked labels out. The version with the alias `{CHAMPION}` gives the target its θ̂.",
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for version in versions(store, name):
        if version.tags.get("weights_sha256") == identity:
            return str(version.version), False
    accuracy = json.loads(at.metrics.read_text(encoding="utf-8"))["test"]["accuracy"]
    tags = {
        "weights_sha256": identity,
        "run_key": str(run.key),
        "split_digest": run.digests["split"],
        "test_accuracy": f"{accuracy:.4f}",
    }
    made = store.client.create_model_version(
        name,
        f"runs:/{run_id}/model",
        run_id,
        tags=tags,
        description=f"{run.key}: test accuracy {accuracy:.1%}",
    )
    return str(made.version), True


def champion(store: Store, name: str) -> Any | None:
    """The version that carries the alias; None where the registry knows no such model or alias."""
    try:
        return store.client.get_model_version_by_alias(name, CHAMPION)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def ensure_champion(store: Store, challenge: str, architecture: str, pin: Pin | None) -> Any | None:
    """The champion; where there is none, the alias goes to the pinned version, or without a pin to the first.

    Returns None where the registry knows no version, or not the pinned one.

    Raises:
        TrackingError: the registry does not answer, or refuses.
    """
    name = model_name(challenge, architecture)
    try:
        return _ensure(store, name, pin)
    except MlflowException as error:
        raise TrackingError(f"the registry does not say which version of {name} is champion: {error}") from error


def _ensure(store: Store, name: str, pin: Pin | None) -> Any | None:
    found = champion(store, name)
    if found is not None:
        return found
    candidates = versions(store, name)
    if pin is not None:
        candidates = [version for version in candidates if version.tags.get("weights_sha256") == pin.weights_sha256]
    if not candidates:
        return None
    store.client.set_registered_model_alias(name, CHAMPION, candidates[0].version)
    return champion(store, name)


def promote(store: Store, name: str, version: str) -> None:
    """Move the alias to a version."""
    store.client.set_registered_model_alias(name, CHAMPION, version)


def pin_of(version: Any, challenge: str, architecture: str) -> Pin:
    """
    Raises:
        TrackingError: the version does not say which weights it holds.
    """
    identity = version.tags.get("weights_sha256")
    if not identity:
        raise TrackingError(
            f"version {version.version} of {version.name} has no tag `weights_sha256`: it was not registered by "
            "rijksnet; give the alias `champion` to one that was"
        )
    return Pin(challenge, architecture, identity)


def fetch_weights(pin: Pin, out: Path, open_registry: Any) -> str:
    """Copy the pinned weights to `out`: from a record here that holds them, else from the registry.

    Args:
        open_registry: gives the store; called only if no record holds the weights.

    Returns:
        Where they were found.

    Raises:
        TrackingError: nowhere.
    """
    for at in record.find():
        if at.weights.is_file() and sha256_of(at.weights) == pin.weights_sha256:
            with replacing(out) as partial:
                shutil.copyfile(at.weights, partial)
            return str(at.root)
    store: Store = open_registry()
    name = model_name(pin.challenge, pin.architecture)
    for version in versions(store, name):
        if version.tags.get("weights_sha256") == pin.weights_sha256:
            with TemporaryDirectory() as folder, replacing(out) as partial:
                file = store.client.download_artifacts(version.run_id, "model/artifacts/weights.safetensors", folder)
                if sha256_of(Path(file)) != pin.weights_sha256:
                    raise TrackingError(f"version {version.version} of {name} does not hold the weights that it names")
                shutil.copyfile(file, partial)
            return f"version {version.version} of {name}"
    raise TrackingError(
        f"{pin.file} names weights {pin.weights_sha256[:12]}…, which neither a record here nor the registry holds: "
        f"`dvc pull` them, or move the alias to a version that is there: `rijksnet promote {name} VERSION`"
    )
