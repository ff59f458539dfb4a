"""Labels for objects of which a museum says nothing, each with what speaks for it; and labels that look wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import torch

from rijksnet.data.labelled import open_pixels
from rijksnet.errors import CollectionError, RunError
from rijksnet.models.lookup import open_model
from rijksnet.paths import CollectionPaths
from rijksnet.progress import progress
from rijksnet.runs.folder import RunFolder
from rijksnet.saliency.attributions import BATCH_SIZE, by_grad_cam
from rijksnet.serving.classifier import Classifier
from rijksnet.statistics.calibration import rescale
from rijksnet.statistics.label_errors import doubts
from rijksnet.suggesting.adviser import advise
from rijksnet.suggesting.answers import answers_to
from rijksnet.suggesting.likeness import learnt
from rijksnet.suggesting.neighbours import USUAL, LabelledNeighbours
from rijksnet.suggesting.objects import read_objects
from rijksnet.suggesting.reference import UNKNOWN, elsewhere, foreign_reference, own_reference
from rijksnet.suggesting.rule import Precision, measure, precision_of, set_rule
from rijksnet.suggesting.suggestion import Doubt, Drift, Suggestion, Suggestions
from rijksnet.training import compute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rijksnet.models.lookup import TrainedModel
    from rijksnet.params import Challenge, Params
    from rijksnet.suggesting.answers import Answers
    from rijksnet.suggesting.likeness import Learnt
    from rijksnet.suggesting.objects import Objects
    from rijksnet.suggesting.reference import Reference
    from rijksnet.suggesting.rule import Rule

#: Strategies whose runs are asked where no model is named.
ASKED = ("off_the_shelf", "fine_tuning", "scratch")


def suggest(
    params: Params, collection: str, challenge: Challenge, model: str, asked: float, check: bool, looked: int = 0
) -> Suggestions:
    """Ask a network for what the museum does not say.

    Args:
        model: as `open_model` takes it; empty for the run, of this collection or else of the source, whose accuracy on
            its validation split is best.
        asked: precision in (0, 1) of what is suggested.
        check: also look for labels that are probably wrong.
        looked: of so many objects, the surest first, also say where the network looked.

    Raises:
        CollectionError: nothing is blank, and nothing is to be checked; or the collection is not there.
        RunError, TrackingError, WeightsError: there is no such model, or it does not fit.
    """
    paths = CollectionPaths(collection)
    objects = read_objects(paths, challenge)
    if not len(objects.blank) and not check:
        raise CollectionError(
            f"all {len(objects)} objects of {collection} have a label for {challenge}: nothing is blank. With --check, "
            "labels that are probably wrong are found"
        )
    with open_model(params, model or best_run(params, collection, challenge)) as found:
        _require_challenge(found, challenge)
        answers = answers_to(params, found, paths)
        is_own = found.run.key.collection == collection
        classes = tuple(found.run.classes)
        if is_own:
            reference = own_reference(found, paths, objects, answers)
        else:
            reference = foreign_reference(found, paths, objects, answers)
        rule = set_rule(reference, reference.setting, classes, asked)
        known = learnt(params, found, paths, answers)
        similarity = None if isinstance(known, str) else known.similarity(answers.features)
        neighbours = LabelledNeighbours(objects, answers)
        promised = None
        if not is_own and len(reference):
            home = elsewhere(found)
            promised = precision_of(set_rule(home, home.setting, classes, asked), reference)
        suggestions = _suggestions(objects, answers, rule, known, similarity, neighbours)
        return Suggestions(
            collection,
            challenge,
            found.name,
            str(found.run.key),
            found.identity,
            asked,
            rule,
            measure(reference, classes, asked),
            int(reference.setting.sum()),
            int((reference.labels[reference.setting] == UNKNOWN).sum()),
            _drift(objects, known, similarity, promised),
            suggestions,
            _checked(reference) if check else None,
            len(objects.labelled) - int((reference.labels != UNKNOWN).sum()),
            _doubts(objects, reference, rule, neighbours) if check else (),
            where_it_looked(params, found, paths, objects, suggestions[:looked]),
        )


def best_run(params: Params, collection: str, challenge: Challenge) -> str:
    """The key of the run of a collection, or else of the source, that did best on its validation split.

    Raises:
        RunError: there is none.
    """
    for home in dict.fromkeys((collection, params.source.collection)):
        scores = []
        for at in RunFolder.complete_in():
            run = at.read(verify=False)
            of = (run.key.collection, run.key.challenge)
            if of == (home, challenge) and run.key.strategy in ASKED and at.weights.name in run.files:
                validation = json.loads(at.metrics.read_text(encoding="utf-8"))["validation"]["accuracy"]
                scores.append((-validation, str(run.key)))
        if scores:
            return min(scores)[1]
    raise RunError(
        f"no run of {collection} or {params.source.collection} has a network for {challenge}: `dvc repro` trains some, "
        "or name a run or a registered model with --model"
    )


def _require_challenge(model: TrainedModel, challenge: str) -> None:
    if model.run.key.challenge != challenge:
        raise RunError(f"{model.name} was trained for {model.run.key.challenge}, not for {challenge}: name another")


def _suggestions(
    objects: Objects,
    answers: Answers,
    rule: Rule,
    known: Learnt | str,
    similarity: NDArray[np.float32] | None,
    neighbours: LabelledNeighbours,
) -> tuple[Suggestion, ...]:
    most_alike = None if similarity is None else np.array([similarity[objects.rows[i]].max() for i in objects.blank])
    probabilities = objects.mean(answers.probabilities, objects.blank)
    advice = advise(rule, known, probabilities, most_alike, neighbours.of(objects.blank))
    found = [
        Suggestion(**vars(its), object_id=objects.ids[i], images=objects.images[i])
        for i, its in zip(objects.blank, advice, strict=True)
    ]
    return tuple(sorted(found, key=lambda one: (bool(one.why_not), -one.confidence, one.object_id)))


def _checked(reference: Reference) -> Precision:
    """How often the network says what the label says, of those that it can doubt."""
    its = reference.only(reference.labels != UNKNOWN)
    right = int((its.probabilities.argmax(axis=1) == its.labels).sum()) if len(its) else 0
    return Precision(right, len(its), len(its))


def _doubts(objects: Objects, reference: Reference, rule: Rule, neighbours: LabelledNeighbours) -> tuple[Doubt, ...]:
    its = reference.only(reference.labels != UNKNOWN)
    found = doubts(rescale(its.probabilities, rule.temperature), its.labels)
    positions = its.positions[found.positions]
    return tuple(
        Doubt(
            objects.ids[position],
            objects.images[position],
            objects.labels[position] or "",
            rule.classes[instead],
            float(margin),
            near,
        )
        for position, instead, margin, near in zip(
            positions, found.instead, found.margins, neighbours.of(positions), strict=True
        )
    )


def where_it_looked(
    params: Params, model: TrainedModel, paths: CollectionPaths, objects: Objects, suggestions: Sequence[Suggestion]
) -> dict[str, NDArray[np.float32]]:
    """What of each object's first picture speaks for its first class (Grad-CAM), by its id; in float32."""
    if not suggestions:
        return {}
    inputs = model.run.inputs
    network = Classifier(model.weights, **inputs).network.to(compute.choose(params.training).device)
    pixels = open_pixels(paths.pixels_of_size(inputs["input_size"]))
    number = {name: i for i, name in enumerate(model.run.classes)}
    found: dict[str, NDArray[np.float32]] = {}
    with progress("where it looked", len(suggestions)) as report:
        for start in range(0, len(suggestions), BATCH_SIZE):
            part = suggestions[start : start + BATCH_SIZE]
            rows = [int(objects.rows[objects.position[one.object_id]][0]) for one in part]
            asked = torch.from_numpy(np.array(pixels[rows])).to(network.pixel_scale.device)
            classes = torch.tensor([number[one.label] for one in part], device=asked.device)
            maps = by_grad_cam(network, network.normalised(asked), classes).cpu().numpy()
            found |= {one.object_id: its for one, its in zip(part, maps, strict=True)}
            report(len(found))
    return found


def _drift(
    objects: Objects, known: Learnt | str, similarity: NDArray[np.float32] | None, promised: Precision | None
) -> Drift:
    if isinstance(known, str) or similarity is None:
        return Drift(None, 1 - USUAL, promised, str(known))
    rows = (
        np.concatenate([objects.rows[i] for i in objects.blank]) if len(objects.blank) else np.arange(len(similarity))
    )
    return Drift(float((similarity[rows] < known.least).mean()), 1 - USUAL, promised, "")
