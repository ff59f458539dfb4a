"""Objects that show how often a network is right here: labelled, and none that it learnt from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rijksnet.collections.decided import read as decided_labels
from rijksnet.data import labelled
from rijksnet.errors import RunError
from rijksnet.protocol import TEST, TRAIN, VALIDATION
from rijksnet.runs.predictions import read_predictions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rijksnet.models.lookup import TrainedModel
    from rijksnet.paths import CollectionPaths
    from rijksnet.runs.predictions import Predictions
    from rijksnet.suggesting.answers import Answers
    from rijksnet.suggesting.objects import Objects

#: Into so many parts are objects dealt that no split parts.
PARTS = 5

#: The label of an object whose class the network does not know, so that each of its answers is wrong.
UNKNOWN = -1

#: Parts of a collection with one split.
VALIDATED, TESTED = 0, 1


@dataclass(frozen=True)
class Reference:
    """N labelled objects that the network did not learn from.

    Where `crossed`, each part is measured by a rule that the others set, and all together set the rule that is used;
    otherwise the validation split sets it, and the test split measures it.
    """

    positions: NDArray[np.int64]  #: (N,) among the collection's objects
    labels: NDArray[np.int64]  #: (N,) classes of the network, or UNKNOWN
    probabilities: NDArray[np.float32]  #: (N, Q), the mean over each object's pictures
    parts: NDArray[np.int64]  #: (N,)
    crossed: bool

    def __len__(self) -> int:
        return len(self.positions)

    def only(self, keep: NDArray[np.bool_]) -> Reference:
        """Those for which `keep` (N,) is true."""
        return Reference(
            self.positions[keep],
            self.labels[keep],
            self.probabilities[keep],
            self.parts[keep],
            self.crossed,
        )

    @property
    def setting(self) -> NDArray[np.bool_]:
        """(N,), those that set the rule."""
        return np.ones(len(self), bool) if self.crossed else self.parts == VALIDATED

    @property
    def measurements(self) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
        """Which objects set a rule, and which measure it: pairs of (N,)."""
        if not self.crossed:
            return [(self.parts == VALIDATED, self.parts == TESTED)]
        return [(self.parts != part, self.parts == part) for part in np.unique(self.parts)]


def own_reference(model: TrainedModel, paths: CollectionPaths, objects: Objects, answers: Answers) -> Reference:
    """Of a network that was trained on this collection: what it was validated and tested on, as its run answered; of
    several folds, what each was tested on.

    Labelled objects that are in no split, whose class is too rare, say, are among them, as many as there would be by
    chance, since blank ones may be such, too.

    Raises:
        RunError: it was trained on another split, so that nothing says what it learnt from.
    """
    challenge = model.run.key.challenge
    split = paths.split(challenge)
    if model.run.digests["split"] != labelled.digest_of(split, paths.images):
        raise RunError(
            f"{model.name} was trained on another split than {split}, so that nothing says which objects it did not "
            "learn from: `dvc repro` trains it anew, or name another with --model"
        )
    folds = labelled.folds_in(split)
    data = [labelled.load(split, paths.images, fold) for fold in range(folds)]
    if folds == 1:
        part_of = {TEST: TESTED, VALIDATION: VALIDATED}
        of_object = {one: part_of[name] for name in part_of for one in data[0][name].object_ids}
        found = [read_predictions(model.at.predictions, name) for name in part_of]
        shares = [len(set(data[0][name].object_ids)) for name in (VALIDATION, TEST, TRAIN)]
    else:
        of_object = {one: fold for fold, its in enumerate(data) for one in its[TEST].object_ids}
        found = [read_predictions(model.at.predictions, TEST)]
        shares = [len(set(its[TEST].object_ids)) for its in data]
    ids, labels, probabilities = _by_object(found)
    parts = [of_object[one] for one in ids]
    in_split = {one for name in (TRAIN, VALIDATION, TEST) for one in data[0][name].object_ids}
    number = {name: i for i, name in enumerate(model.run.classes)}
    strangers = [i for i in objects.labelled if objects.ids[i] not in in_split]
    dealt = _deal([objects.ids[i] for i in strangers], shares)
    counted = [(i, part) for i, part in zip(strangers, dealt, strict=True) if folds > 1 or part in (VALIDATED, TESTED)]
    further = np.array([i for i, _ in counted], np.int64)
    theirs = np.array([number.get(objects.labels[i] or "", UNKNOWN) for i in further], np.int64)
    found_all = Reference(
        np.concatenate([np.array([objects.position[one] for one in ids], np.int64), further]),
        np.concatenate([labels, theirs]),
        np.concatenate([probabilities, objects.mean(answers.probabilities, further)]),
        np.array([*parts, *(part for _, part in counted)], np.int64),
        folds > 1,
    )
    return without_decided(paths, challenge, objects, found_all)


def foreign_reference(model: TrainedModel, paths: CollectionPaths, objects: Objects, answers: Answers) -> Reference:
    """Of a network of another collection: all that the museum has labelled here.

    Raises:
        RunError: its weights learnt from this collection before, so that nothing says what they did not learn from.
    """
    key, classes = model.run.key, model.run.classes
    before = [step["name"] for step in model.run.ancestry if paths.collection in step.get("name", "").split("/")]
    if key.initialisation == paths.collection or before:
        raise RunError(
            f"the weights of {model.name} learnt from objects of {paths.collection} before "
            f"({', '.join(before) or key.initialisation}), and nothing says which they did not learn from: name a run "
            "of that collection with --model"
        )
    number = {name: i for i, name in enumerate(classes)}
    labels = [number.get(objects.labels[i] or "", UNKNOWN) for i in objects.labelled]
    parts = _deal([objects.ids[i] for i in objects.labelled], [1] * PARTS)
    found = Reference(
        objects.labelled,
        np.array(labels, np.int64),
        objects.mean(answers.probabilities, objects.labelled),
        np.array(parts, np.int64),
        True,
    )
    return without_decided(paths, key.challenge, objects, found)


def without_decided(paths: CollectionPaths, challenge: str, objects: Objects, reference: Reference) -> Reference:
    """Those whose label is the museum's own.

    Labels that people decided on are those of objects that a network found easy: with them it would seem right more
    often than it is on what is blank still.
    """
    file = paths.decided(challenge)
    decided = decided_labels(file) if file.is_file() else {}
    return reference.only(np.array([objects.ids[i] not in decided for i in reference.positions], bool))


def elsewhere(model: TrainedModel) -> Reference:
    """What a network was validated and tested on where it was trained, as its run says; its objects are not here."""
    found = [read_predictions(model.at.predictions, name) for name in (VALIDATION, TEST)]
    halves = [_by_object([one]) for one in found]
    return Reference(
        np.full(sum(len(ids) for ids, _, _ in halves), -1),
        np.concatenate([labels for _, labels, _ in halves]),
        np.concatenate([probabilities for _, _, probabilities in halves]),
        np.repeat([VALIDATED, TESTED], [len(ids) for ids, _, _ in halves]),
        False,
    )


def _by_object(found: Sequence[Predictions]) -> tuple[list[str], NDArray[np.int64], NDArray[np.float32]]:
    """Of each object its label, and the mean of the probabilities over its pictures."""
    ids = [one for part in found for one in part.object_ids]
    unique, first, inverse = np.unique(np.array(ids, dtype=object), return_index=True, return_inverse=True)
    probabilities = np.concatenate([part.probabilities for part in found])
    sums = np.zeros((len(unique), probabilities.shape[1]), np.float32)
    np.add.at(sums, inverse, probabilities)
    labels = np.concatenate([part.labels for part in found])[first]
    counts = np.bincount(inverse).astype(np.float32)
    means: NDArray[np.float32] = np.divide(sums, counts[:, None], dtype=np.float32)
    return list(unique), labels, means


def _deal(ids: Sequence[str], shares: Sequence[int]) -> list[int]:
    """A part for each object, by their shares; always the same for the same objects."""
    drawn = sorted(range(len(ids)), key=lambda i: hashlib.sha256(ids[i].encode()).digest())
    bounds = np.cumsum(shares) / sum(shares) * len(ids)
    part_of = np.searchsorted(bounds, np.arange(len(ids)) + 0.5)
    return [part for _, part in sorted(zip(drawn, part_of.tolist(), strict=True))]
