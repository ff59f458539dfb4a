"""Stages that bring records to MLflow: publish runs, register source models."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from rijksnet.errors import RecordError
from rijksnet.params import Params
from rijksnet.paths import RecordPaths
from rijksnet.progress import progress
from rijksnet.stages.pictures import pictures
from rijksnet.tracking import lineage, mlflow_store, record, registry
from rijksnet.tracking.mlflow_store import Store

console = Console(stderr=True, highlight=False, soft_wrap=True)


def register(params: Params, out: Path) -> None:
    """Publish the source's fine-tuned runs and make their weights versions of the registered models.

    Writes what it registered, by content, to `out`: {model name: sha256 of the weights of the pipeline's own run}.
    """
    store = mlflow_store.open_store(params.tracking)
    records = [at for at in record.find() if is_candidate(params, record.read_run(at))]
    publish_records(store, records)
    for at in records:
        run = record.read_run(at)
        run_id = store.published_run(run.key, record.digest(at))
        assert run_id is not None, "published above"
        version, is_new = registry.register(store, at, run, run_id)
        name = registry.model_name(run.key.challenge, run.key.architecture)
        console.print(f"{name}: version {version} {'is new' if is_new else 'is there already'} ({run.key})")
    own = {
        registry.model_name(run.key.challenge, run.key.architecture): run.files[RecordPaths.of(run.key).weights.name]
        for run in map(record.read_run, records)
        if run.key.seed == params.training.seed
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(own, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def is_candidate(params: Params, run: record.Run) -> bool:
    """Whether a run's weights may become θ̂: tuned from θ on the source."""
    key = run.key
    return (key.collection, key.strategy, key.initialisation) == (params.source.collection, "fine_tuning", "imagenet")


def publish(params: Params) -> None:
    """Make MLflow complete from the records and the pins: runs, registered versions, champions. Twice adds nothing."""
    store = mlflow_store.open_store(params.tracking)
    outcomes = publish_records(store, list(record.find()))
    registered = 0
    for at in record.find():
        run = record.read_run(at)
        if is_candidate(params, run):
            run_id = store.published_run(run.key, record.digest(at))
            assert run_id is not None, "published above"
            registered += registry.register(store, at, run, run_id)[1]
    for challenge, architecture in registry.source_models(params):
        registry.ensure_champion(store, challenge, architecture, registry.read_pin(challenge, architecture))
    console.print(
        f"{outcomes['added']} runs added, {outcomes['completed']} completed, {outcomes['present']} already there; "
        f"{registered} versions registered at {mlflow_store.uri(params.tracking)}"
    )


def publish_records(store: Store, records: Sequence[RecordPaths]) -> Counter[str]:
    """Publish records, a damaged one skipped with a warning; counts of what came of each."""
    by_output = lineage.stages_by_output()
    outcomes: Counter[str] = Counter()
    with progress("publish", len(records)) as report:
        for done, at in enumerate(records, 1):
            with TemporaryDirectory() as folder:
                try:
                    _, outcome = mlflow_store.publish(
                        store, at, by_output.get(at.run.as_posix()), pictures, Path(folder)
                    )
                    outcomes[outcome] += 1
                except RecordError as error:
                    outcomes["damaged"] += 1
                    console.print(f"[yellow]warning[/]: {error}")
            report(done, str(at.root))
    return outcomes
