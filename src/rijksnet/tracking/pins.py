"""Pins: small files that tie the pipeline to a champion's weights, and the models that have one."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rijksnet import paths
from rijksnet.errors import RunError, TrackingError
from rijksnet.files import replacing
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.key import RunKey

if TYPE_CHECKING:
    from rijksnet.params import Challenge, Params
    from rijksnet.runs.folder import Run

By = Literal["pipeline", "person"]

#: What run.json counts rather than settles: two runs may differ in it and still be trained alike.
COUNTED = ("classes", "train_images", "validation_images", "test_images", "device", "threads")


@dataclass(frozen=True)
class SourceModel:
    """A model that the pipeline registers: one network, tuned on the source for one challenge."""

    collection: str
    challenge: Challenge
    architecture: str

    @property
    def name(self) -> str:
        return f"rijksnet-{self.collection}-{self.challenge}-{self.architecture}"

    def own(self, seed: int) -> Run | None:
        """The pipeline's own run, whose weights θ̂ are unless a person chose others; None where it left no run."""
        key = RunKey(self.collection, self.challenge, self.architecture, "fine_tuning", "imagenet", seed)
        try:
            return RunFolder.of(key).read(verify=False)
        except RunError:
            return None


def source_models(params: Params) -> list[SourceModel]:
    """Every model that the pipeline registers."""
    of = itertools.product(params.source.challenges, params.architectures)
    return [SourceModel(params.source.collection, *one) for one in of]


def model_of(key: RunKey) -> SourceModel:
    return SourceModel(key.collection, key.challenge, key.architecture)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Pin:
    """Content identity of a champion, and what a reader of the tables should know of it."""

    challenge: str
    architecture: str
    weights_sha256: str
    model: str = ""
    run_key: str = ""
    split_digest: str = ""
    chosen_by: By = "pipeline"
    settings: dict[str, Any] = field(default_factory=dict)  #: how the run was trained, as its run.json says

    @classmethod
    def of_run(cls, run: Run) -> Pin:
        """Of the pipeline's own run."""
        key, weights = run.key, weights_of(run)
        split, settings = run.digests["split"], settings_of(run)
        return cls(key.challenge, key.architecture, weights, model_of(key).name, str(key), split, "pipeline", settings)

    @property
    def file(self) -> Path:
        return paths.pin(self.challenge, self.architecture)

    def write(self) -> None:
        with replacing(self.file) as partial:
            partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def differences(self, own: Run) -> list[str]:
        """In what the champion was trained or tested otherwise than the pipeline's own run; empty: in nothing known."""
        found = [] if self.run_key == str(own.key) else [f"it is the run {self.run_key}"]
        if self.split_digest and self.split_digest != own.digests["split"]:
            found.append("it was trained and tested on another split of the collection, or on another state of it")
        for name, value in settings_of(own).items():
            if self.settings and self.settings.get(name) != value:
                found.append(f"{name} {self.settings.get(name)} rather than {value}")
        return found


def weights_of(run: Run) -> str:
    """sha256 of a run's weights; empty: it has none."""
    return run.files.get(RunFolder(Path()).weights.name, "")


def settings_of(run: Run) -> dict[str, Any]:
    """How a run was trained, without what it merely counts."""
    return {name: value for name, value in sorted(run.params.items()) if name not in COUNTED}


def read_pin(challenge: str, architecture: str) -> Pin | None:
    """
    Raises:
        TrackingError: the file is there, but is no pin.
    """
    file = paths.pin(challenge, architecture)
    if not file.is_file():
        return None
    try:
        return Pin(**json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise TrackingError(
            f"{file} cannot be read ({error}): `dvc checkout {file.parent}` restores it, and without it `rijksnet "
            "champions` asks the registry anew"
        ) from error
