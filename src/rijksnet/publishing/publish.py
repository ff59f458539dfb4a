"""Bringing runs to MLflow: publishing them, and registering the source's as models."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from rijksnet.errors import RunError, TrackingError
from rijksnet.exploration.verdict import verdict
from rijksnet.files import replacing
from rijksnet.paths import PUBLISHED, RUNS
from rijksnet.progress import progress
from rijksnet.publishing.card import card
from rijksnet.publishing.pictures import pictures
from rijksnet.runs import lineage
from rijksnet.runs.findings import FindingPaths
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.key import RunKey
from rijksnet.runs.study import StudyFolder
from rijksnet.tracking import address, mlflow_store, pins, registry, stores, studies

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rijksnet.params import Params
    from rijksnet.runs.folder import Run
    from rijksnet.tracking.mlflow_store import Outcome
    from rijksnet.tracking.stores import Store

console = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Publication:
    """A run that the store now shows."""

    at: RunFolder
    run: Run
    run_id: str
    outcome: Outcome


def register(params: Params, out: Path) -> None:
    """Publish the source's fine-tuned runs and make their weights versions of the registered models.

    Writes what it registers, by content, to `out`: {model name: sha256 of the weights of the pipeline's own run}. A
    store that fails is told: what starts from θ needs none, and the next publication registers what is missing.

    Raises:
        RunError: a run of the source is damaged; what can be left out is for `publish` to decide.
    """
    of_source = [at for at in RunFolder.complete_in() if at.root.is_relative_to(RUNS / params.source.collection)]
    candidates = {at: at.read(verify=True) for at in of_source if is_candidate(params, at.read(verify=False))}
    try:
        store = stores.open_store(params.tracking)
        with store.alone():
            for one in publish_runs(store, list(candidates), verified=True):
                version, is_new = _register(store, one)
                name = pins.model_of(one.run.key).name
                console.print(f"{name}: version {version} {'is new' if is_new else 'is there already'} ({one.run.key})")
    except TrackingError as error:
        console.print(f"[yellow]warning[/]: {escape(str(error))}")
    own = {at: run for at, run in candidates.items() if run.key.seed == params.training.seed}
    _write(out, {pins.model_of(run.key).name: run.files[at.weights.name] for at, run in own.items()})


def is_candidate(params: Params, run: Run) -> bool:
    """Whether a run's weights may become θ̂: tuned from θ on the source."""
    key = run.key
    return (key.collection, key.strategy, key.initialisation) == (params.source.collection, "fine_tuning", "imagenet")


def publish(params: Params, thorough: bool = False) -> bool:
    """Make MLflow complete from the run folders and the pins: runs, findings, registered versions, champions.

    Twice adds nothing. Which of MLflow's runs show them is written to `published.json`, also where the store failed
    midway. An experiment of DVC's moves no champion.

    Args:
        thorough: look at the bytes of what is there, too, and put right what differs.

    Returns:
        Whether nothing was left out as damaged.

    Raises:
        TrackingError: it did.
    """
    folders, left_out = list(RunFolder.complete_in()), list[RunError]()
    published: list[Publication] = []
    try:
        store = stores.open_store(params.tracking)
        with store.alone():
            try:
                publish_runs(store, folders, published, thorough)
            finally:
                _write(PUBLISHED, known() | {str(one.run.key): _shown(store, one) for one in published})
            with store.answering("showing which runs are current"):
                mlflow_store.tell_current(store, {one.run_id: one.run for one in published}, address.experiment())
            added = publish_findings(store, params, published, thorough)
            explored = publish_studies(store, thorough, left_out)
            registered = sum(_register(store, one)[1] for one in published if is_candidate(params, one.run))
            for model in pins.source_models(params) if not address.experiment() else []:
                pin = pins.read_pin(model.challenge, model.architecture)
                registry.ensure_champion(store, model.name, model.own(params.training.seed), pin)
    finally:
        if not published:
            _write(PUBLISHED, known())
    outcomes = Counter(one.outcome for one in published)
    mended = f", {outcomes['mended']} mended" if outcomes["mended"] else ""
    console.print(
        f"{outcomes['added']} runs added, {outcomes['completed']} completed{mended}, {outcomes['present']} already "
        f"there; {registered} versions registered, {added} findings and {explored} studies added at "
        f"{escape(address.shown(params.tracking))}"
    )
    return len(published) == len(folders) and not left_out


def publish_or_warn(params: Params) -> bool:
    """`publish` as a stage: a store that fails is told, and the next `dvc repro` goes on, for the stage always runs.

    Returns:
        Whether nothing failed or was left out.
    """
    try:
        return publish(params)
    except TrackingError as error:
        console.print(f"[yellow]warning[/]: {escape(str(error))}")
        return False


def publish_runs(
    store: Store,
    folders: Sequence[RunFolder],
    published: list[Publication] | None = None,
    thorough: bool = False,
    verified: bool = False,
) -> list[Publication]:
    """Publish runs, a damaged one left out with a warning.

    Args:
        published: the list to which each is added once it is shown.
        thorough: look at the bytes of what is there, too.
        verified: the caller has compared the folders' files with what the runs wrote.

    Raises:
        TrackingError: the store failed at some; those that it took are shown.
    """
    published = [] if published is None else published
    by_output = lineage.stages_by_output()
    runs = {at: run for at in folders if (run := _read(at, thorough and not verified))}
    verified |= thorough
    with store.answering("looking for what is there"):
        complete = mlflow_store.complete_runs(store, runs.values())
        shown = {at: mlflow_store.look(store, at, run, complete, thorough) for at, run in runs.items()}
    waiting = [at for at, its in shown.items() if not its.whole and (verified or _read(at, verify=True))]
    runs = {at: run for at, run in runs.items() if at in waiting or shown[at].whole}
    failed: dict[RunFolder, TrackingError] = {}
    with progress("publish", len(runs)) as report, pictures(waiting) as write_pictures:
        for done, (at, run) in enumerate(runs.items(), 1):
            with TemporaryDirectory() as folder:
                try:
                    lineage_of_run = lineage.stage_of(at.run, by_output) if at in waiting else None
                    with store.answering(f"publishing {at.root}"):
                        how = mlflow_store.publish(
                            store, at, run, shown[at], lineage_of_run, write_pictures, Path(folder)
                        )
                    published.append(Publication(at, run, *how))
                except RunError as error:
                    _warn(error)
                except TrackingError as error:
                    failed[at] = error
                    if not _is_alive(store):
                        break
            report(done, str(at.root))
    if failed:
        first = next(iter(failed.values()))
        raise TrackingError(f"{len(published)} of {len(runs)} runs are shown, {len(failed)} failed; {first}") from first
    return published


def _is_alive(store: Store) -> bool:
    with suppress(TrackingError), store.answering("asking whether it is there"):
        store.client.search_experiments(max_results=1)
        return True
    return False


def _register(store: Store, one: Publication) -> tuple[str, bool]:
    with store.answering(f"registering {one.run.key}"):
        return registry.register(store, one.at, one.run, one.run_id, card(one.at, one.run))


def findings(params: Params) -> Iterator[tuple[RunFolder, Path]]:
    """The folders of findings, saliency maps and probes, each with the folder of the run that it is of."""
    for challenge, architecture in product(params.side_experiments.challenges, params.side_experiments.architectures):
        at = FindingPaths(params.source.collection, challenge, architecture)
        key = RunKey(at.collection, challenge, architecture, "fine_tuning", "imagenet", params.training.seed)
        yield from ((RunFolder.of(key), folder) for folder in (at.saliency, at.probes))


def publish_findings(store: Store, params: Params, published: Sequence[Publication], thorough: bool = False) -> int:
    """Show findings with the runs that they are of; the number of folders that were not shown yet."""
    run_ids = {one.at: one.run_id for one in published}
    added = 0
    for at, folder in findings(params):
        if at in run_ids:
            with store.answering(f"publishing {folder}"):
                added += mlflow_store.publish_finding(store, run_ids[at], folder, thorough)
    return added


def publish_studies(store: Store, thorough: bool = False, left_out: list[RunError] | None = None) -> int:
    """Show the concluded studies, a damaged one left out with a warning; the number that were not shown yet.

    Args:
        left_out: the list to which is added why a study was.
    """
    added = 0
    for at in StudyFolder.concluded_in():
        try:
            study = at.read()
        except RunError as error:
            _warn(error)
            if left_out is not None:
                left_out.append(error)
            continue
        with TemporaryDirectory() as folder, store.answering(f"publishing {at.root}"):
            says = "\n\n".join(verdict(study))
            added += studies.publish(store, at, study, says, Path(folder), thorough) != "present"
    return added


def _read(at: RunFolder, verify: bool) -> Run | None:
    """A run, its files seen if asked for: those of a thousand runs are hundreds of gigabytes."""
    try:
        return at.read(verify=verify)
    except RunError as error:
        _warn(error)
        return None


def _warn(error: RunError) -> None:
    console.print(f"[yellow]warning[/]: {escape(str(error))}")


def _shown(store: Store, one: Publication) -> dict[str, str]:
    digest = one.at.digest()
    return {"experiment_id": mlflow_store.experiment_of(store, one.run), "run_id": one.run_id, "run_digest": digest}


def known() -> dict[str, Any]:
    """What published.json says of the runs that are here as they are: what shows them in MLflow, by their keys."""
    with suppress(OSError, ValueError):
        said = json.loads(PUBLISHED.read_text(encoding="utf-8"))
        digests = {str(at.root.relative_to(RUNS)): at.digest() for at in RunFolder.complete_in()}
        return {key: shown for key, shown in said.items() if digests.get(key) == shown.get("run_digest", "")}
    return {}


def _write(file: Path, content: Mapping[str, object]) -> None:
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    with suppress(OSError, ValueError):
        if file.read_text(encoding="utf-8") == text:
            return
    with replacing(file) as partial:
        partial.write_text(text, encoding="utf-8")
