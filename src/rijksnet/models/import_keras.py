"""Weights that Keras saved: as a file of one's own, or as a version of this project's model, a θ̂ from elsewhere."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from rijksnet.errors import ParamsError
from rijksnet.files import sha256_of
from rijksnet.networks import theta
from rijksnet.runs.key import RunKey
from rijksnet.tracking import pins, registry, stores
from rijksnet.tracking.mlflow_store import MODEL_WEIGHTS

if TYPE_CHECKING:
    from rijksnet.params import Challenge, Params

console = Console(stderr=True, highlight=False, soft_wrap=True)


def import_keras(file: Path, architecture: str, out: Path) -> None:
    """Write the backbone in a file of Keras' as safetensors, which `imagenet.file` takes.

    Raises:
        ParamsError: it is none of the networks that can be read.
        WeightsError: the file is damaged, or of another network; says which layer differs.
    """
    for note in theta.import_file(architecture, file, out):
        console.print(escape(note))
    console.print(escape(f"{out}: {architecture}, sha256 {sha256_of(out)}"))


def register_keras(params: Params, file: Path, architecture: str, challenge: Challenge) -> None:
    """Make the backbone in a file of Keras' a version of this project's model of a challenge; no alias moves.

    So transfer can start from weights that others tuned and published. What they answer is not known, since their
    head stays behind: `promote` needs a person's reason.

    Raises:
        ParamsError: this project has no such model.
        TrackingError: the store is away.
        WeightsError: as with `import_keras`.
    """
    models = {(str(one.challenge), one.architecture): one for one in pins.source_models(params)}
    model = models.get((challenge, architecture))
    if model is None:
        raise ParamsError(f"this project tunes {sorted(models)}, and not {architecture} for {challenge}")
    store = stores.open_store(params.tracking)
    with TemporaryDirectory() as folder, store.alone():
        weights = Path(folder) / MODEL_WEIGHTS
        notes = theta.import_file(architecture, file, weights)
        identity, origin = sha256_of(weights), f"{file.name} (Keras, sha256 {sha256_of(file)})"
        with store.answering(f"registering {file}"):
            known = registry.with_weights(store, model.name, identity)
            if known is None:
                # its place among the runs of the model; it was never a run of this project's, and has no folder
                key = RunKey(model.collection, challenge, architecture, "fine_tuning", "imagenet", params.training.seed)
                name = f"{architecture}, published: {file.name}"
                run = store.client.create_run(
                    store.experiment(key), tags={"taken_from": origin, "status": "imported"}, run_name=name
                )
                store.client.log_artifacts(run.info.run_id, folder)
                store.client.set_terminated(run.info.run_id)
                card = (
                    f"The backbone of {architecture} in {origin}, as others published it. Left behind or supposed: "
                    f"{'; '.join(notes) or 'nothing'}. Without a head it labels nothing; it is there to transfer from."
                )
                tags = {"taken_from": origin, "run_key": f"published {file.name}"}
                version, is_new = registry.add_version(store, model, str(run.info.run_id), identity, tags, card)
            else:
                version, is_new = str(known.version), False
    for note in notes:
        console.print(escape(note))
    console.print(
        escape(
            f"{model.name}: version {version} {'is new' if is_new else 'is there already'} (from {file}); `rijksnet "
            f"promote {model.name} {version} --force --reason WHY` makes it θ̂"
        )
    )
