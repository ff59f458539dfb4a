"""The parts of a long-tailed histogram of classes, by how many objects or images a class has."""

from __future__ import annotations

from typing import NamedTuple


class BandRule(NamedTuple):
    """Classes of `least` to `most` objects; no upper bound where `most` is None."""

    name: str
    least: int
    most: int | None

    def __str__(self) -> str:
        if self.most is None:
            return f"{self.least} and more"
        return str(self.least) if self.least == self.most else f"{self.least} to {self.most}"


#: The parts of a long-tailed histogram, by a class's number of objects. The bounds are ours: ten objects are the fewest
#: of which a 80/10/10 split expects one in every part, and a hundred are ten to test on.
BANDS = (
    BandRule("head", 100, None),
    BandRule("middle", 10, 99),
    BandRule("tail", 2, 9),
    BandRule("singletons", 1, 1),
)
