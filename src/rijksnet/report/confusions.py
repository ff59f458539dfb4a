"""Which classes a run gets wrong, and what it takes them for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rijksnet.runs.metrics import confusion_matrix

if TYPE_CHECKING:
    import numpy.typing as npt

    from rijksnet.runs.result import RunResult

#: Worst classes listed; frequent mistakes shown, and pictures of each side of one.
WORST, MISTAKES, EXAMPLES = 8, 3, 4

Image = tuple[str, str]  #: object id and the image's own name


@dataclass(frozen=True)
class WorstClass:
    """A class, its test images, how many of them are classified rightly, and the wrong answers, most frequent first."""

    name: str
    images: int
    right: int
    answers: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Mistake:
    """`images` of a class's `of` test images are taken for `answer`: some of them, and some that are one."""

    label: str
    answer: str
    images: int
    of: int
    examples: tuple[Image, ...]
    rightly: tuple[Image, ...]  #: test images of the class `answer` that are classified rightly


@dataclass(frozen=True)
class Confusions:
    """A run's mistakes on the test split; `matrix` (Q, Q) counts, row = label, column = answer."""

    run: RunResult
    matrix: npt.NDArray[np.int64]
    worst: tuple[WorstClass, ...]
    mistakes: tuple[Mistake, ...]


def confusions(run: RunResult) -> Confusions:
    """The classes with the smallest share of right answers (of equals those with more images), and the most frequent
    mistakes (of equals those that take a larger share of the class)."""
    predictions = run.predictions()
    labels, answers = predictions.labels, predictions.probabilities.argmax(axis=1)
    images: list[Image] = list(predictions.index)
    matrix = confusion_matrix(labels, answers, len(run.classes))
    support, right = matrix.sum(axis=1), matrix.diagonal()
    tested = [int(i) for i in np.flatnonzero(support)]
    worst = sorted(tested, key=lambda i: (right[i] / support[i], -support[i], run.classes[i]))[:WORST]
    pairs = [(int(i), int(j)) for i, j in np.argwhere(matrix) if i != j]
    frequent = sorted(pairs, key=lambda pair: (-matrix[pair], -matrix[pair] / support[pair[0]], pair))[:MISTAKES]

    def shown(label: int, answer: int) -> tuple[Image, ...]:
        """The first images with that label and answer, each of another object."""
        firsts: dict[str, Image] = {}
        for n in sorted(np.flatnonzero((labels == label) & (answers == answer)), key=images.__getitem__):
            firsts.setdefault(images[n][0], images[n])
        return tuple(firsts.values())[:EXAMPLES]

    return Confusions(
        run,
        matrix,
        tuple(
            WorstClass(
                run.classes[i],
                int(support[i]),
                int(right[i]),
                tuple(
                    (run.classes[j], int(matrix[i, j]))
                    for j in np.argsort(-matrix[i], kind="stable").tolist()
                    if j != i and matrix[i, j]
                ),
            )
            for i in worst
            if right[i] < support[i]
        ),
        tuple(
            Mistake(run.classes[i], run.classes[j], int(matrix[i, j]), int(support[i]), shown(i, j), shown(j, j))
            for i, j in frequent
        ),
    )
