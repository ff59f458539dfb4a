"""Stages that bring records to MLflow: publish runs, register source models."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.markup import escape

from rijksnet.errors import RecordError
from rijksnet.exploration.verdict import verdict
from rijksnet.files import replacing
from rijksnet.params import Params
from rijksnet.paths import PUBLISHED, RUNS, EvidencePaths, RecordPaths, RunKey
from rijksnet.progress import progress
from rijksnet.stages.pictures import pictures
from rijksnet.tracking import lineage, mlflow_store, record, registry, studies, study_record
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
        TrackingError: the store cannot be used.
    """
    store = mlflow_store.open_store(params.tracking)
    of_source = [at for at in record.find() if at.root.is_relative_to(RUNS / params.source.collection)]
    candidates = [at for at in of_source if is_candidate(params, record.read_run(at))]
    own = {}
    with store.alone():
        for one in publish_records(store, candidates):
            key = one.run.key
            version, is_new = registry.register(store, one.at, one.run, one.run_id)
            name = registry.model_name(key.challenge, key.architecture)
            console.print(f"{name}: version {version} {'is new' if is_new else 'is there already'} ({key})")
            if key.seed == params.training.seed:
                own[name] = one.run.files[one.at.weights.name]
    _write(out, own)


def is_candidate(params: Params, run: record.Run) -> bool:
    """Whether a run's weights may become θ̂: tuned from θ on the source."""
    key = run.key
    return (key.collection, key.strategy, key.initialisation) == (params.source.collection, "fine_tuning", "imagenet")


def publish(params: Params) -> None:
    """Make MLflow complete from the records and the pins: runs, evidence, registered versions, champions.

    Twice adds nothing. What is shown where is written to `published.json`, last.
    """
    store = mlflow_store.open_store(params.tracking)
    with store.alone():
        published = publish_records(store, list(record.find()))
        evidence = publish_evidence(store, params, published)
        explored = publish_studies(store)
        registered = sum(
            registry.register(store, one.at, one.run, one.run_id)[1]
            for one in published
            if is_candidate(params, one.run)
        )
        for challenge, architecture in registry.source_models(params):
            registry.ensure_champion(store, challenge, architecture, registry.read_pin(challenge, architecture))
    _write(PUBLISHED, {str(one.run.key): _shown(store, one) for one in published})
    outcomes = Counter(one.outcome for one in published)
    console.print(
        f"{outcomes['added']} runs added, {outcomes['completed']} completed, {outcomes['present']} already there; "
        f"{registered} versions registered, {evidence} folders of evidence and {explored} studies added at "
        f"{mlflow_store.uri(params.tracking)}"
    )


def publish_records(store: Store, records: Sequence[RecordPaths]) -> list[Published]:
    """Publish records, a damaged one left out with a warning."""
    by_output = lineage.stages_by_output()
    runs = {at: run for at in records if (run := _read(at))}
    waiting = [at for at, run in runs.items() if store.published_run(run, record.digest(at)) is None]
    published = []
    with progress("publish", len(runs)) as report, pictures(waiting) as write_pictures:
        for done, (at, run) in enumerate(runs.items(), 1):
            with TemporaryDirectory() as folder:
                try:
                    lineage_of_run = lineage.stage_of(at.run, by_output)
                    shown = mlflow_store.publish(store, at, run, lineage_of_run, write_pictures, Path(folder))
                    published.append(Published(at, run, *shown))
                except RecordError as error:
                    _warn(error)
            report(done, str(at.root))
    return published


def publish_evidence(store: Store, params: Params, published: Sequence[Published]) -> int:
    """Show saliency maps and probes with the runs that were tuned; the number of folders that were not shown yet."""
    run_ids = {one.run.key: one.run_id for one in published}
    added = 0
    for challenge in params.evidence.challenges:
        for architecture in params.evidence.architectures:
            at = EvidencePaths(params.source.collection, challenge, architecture)
            key = RunKey(at.collection, challenge, architecture, "fine_tuning", "imagenet", params.training.seed)
            if key in run_ids:
                folders = (at.saliency, at.probes)
                added += sum(mlflow_store.publish_evidence(store, run_ids[key], folder) for folder in folders)
    return added


def publish_studies(store: Store) -> int:
    """Show the concluded studies, a damaged one left out with a warning; the number that were not shown yet."""
    added = 0
    for at in study_record.find():
        try:
            study = study_record.read(at)
        except RecordError as error:
            _warn(error)
            continue
        with TemporaryDirectory() as folder:
            says = "\n\n".join(verdict(study))
            added += studies.publish(store, at, study, says, Path(folder)) != "present"
    return added


def _read(at: RecordPaths) -> record.Run | None:
    try:
        return record.read_run(at)
    except RecordError as error:
        _warn(error)
        return None


def _warn(error: RecordError) -> None:
    console.print(f"[yellow]warning[/]: {escape(str(error))}")


def _shown(store: Store, one: Published) -> dict[str, str]:
    digest = record.digest(one.at)
    return {"experiment_id": store.experiment_of(one.run), "run_id": one.run_id, "record_digest": digest}


def _write(file: Path, content: Mapping[str, object]) -> None:
    with replacing(file) as partial:
        partial.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
