"""Stages that bring records to MLflow: publish runs, register source models."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.markup import escape

from rijksnet.errors import RecordError
from rijksnet.params import Params
from rijksnet.paths import RUNS, RecordPaths
from rijksnet.progress import progress
from rijksnet.stages.pictures import pictures
from rijksnet.tracking import lineage, mlflow_store, record, registry
from rijksnet.tracking.mlflow_store import Outcome, Store

console = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Published:
    """A record that the store now shows."""

    at: RecordPaths
    run: record.Run
    run_id: str
    outcome: Outcome


def register(params: Params, out: Path) -> None:
    """Publish the source's fine-tuned runs and make their weights versions of the registered models.

    Writes what it registered, by content, to `out`: {model name: sha256 of the weights of the pipeline's own run}.

    Raises:
        RecordError: a record of the source is damaged; what can be left out is for `publish` to decide.
    """
    store = mlflow_store.open_store(params.tracking)
    of_source = [at for at in record.find() if at.root.is_relative_to(RUNS / params.source.collection)]
    own = {}
    for one in publish_records(store, [at for at in of_source if is_candidate(params, record.read_run(at))]):
        key = one.run.key
        version, is_new = registry.register(store, one.at, one.run, one.run_id)
        name = registry.model_name(key.challenge, key.architecture)
        console.print(f"{name}: version {version} {'is new' if is_new else 'is there already'} ({key})")
        if key.seed == params.training.seed:
            own[name] = one.run.files[one.at.weights.name]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(own, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def is_candidate(params: Params, run: record.Run) -> bool:
    """Whether a run's weights may become θ̂: tuned from θ on the source."""
    key = run.key
    return (key.collection, key.strategy, key.initialisation) == (params.source.collection, "fine_tuning", "imagenet")


def publish(params: Params) -> None:
    """Make MLflow complete from the records and the pins: runs, registered versions, champions. Twice adds nothing."""
    store = mlflow_store.open_store(params.tracking)
    published = publish_records(store, list(record.find()))
    registered = sum(
        registry.register(store, one.at, one.run, one.run_id)[1] for one in published if is_candidate(params, one.run)
    )
    for challenge, architecture in registry.source_models(params):
        registry.ensure_champion(store, challenge, architecture, registry.read_pin(challenge, architecture))
    outcomes = Counter(one.outcome for one in published)
    console.print(
        f"{outcomes['added']} runs added, {outcomes['completed']} completed, {outcomes['present']} already there; "
        f"{registered} versions registered at {mlflow_store.uri(params.tracking)}"
    )


def publish_records(store: Store, records: Sequence[RecordPaths]) -> list[Published]:
    """Publish records, a damaged one left out with a warning."""
    by_output = lineage.stages_by_output()
    published = []
    with progress("publish", len(records)) as report:
        for done, at in enumerate(records, 1):
            with TemporaryDirectory() as folder:
                try:
                    run = record.read_run(at)
                    lineage_of_run = by_output.get(at.run.as_posix())
                    run_id, outcome = mlflow_store.publish(store, at, run, lineage_of_run, pictures, Path(folder))
                    published.append(Published(at, run, run_id, outcome))
                except RecordError as error:
                    console.print(f"[yellow]warning[/]: {escape(str(error))}")
            report(done, str(at.root))
    return published
