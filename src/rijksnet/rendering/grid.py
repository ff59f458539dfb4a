"""Tables as text: a grid of cells, and how numbers and a museum's words stand in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

NOT_RUN = "not run"
NOT_APPLICABLE = "–"


class Cell(str):
    """A cell that knows where its figure comes from: a run's key, or a file from the project root."""

    __slots__ = ("source",)
    source: str

    def __new__(cls, text: str, source: str) -> Cell:
        cell = super().__new__(cls, text)
        cell.source = source
        return cell


@dataclass(frozen=True)
class Grid:
    """A table as text; the first `text_columns` columns are words, the others figures."""

    title: str
    headings: list[str]
    rows: list[list[str]]
    text_columns: int

    def markdown(self) -> str:
        """A Markdown table, without the title."""
        rule = ["---" if i < self.text_columns else "---:" for i in range(len(self.headings))]
        lines = [self.headings, rule, *self.rows]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def escaped(text: str) -> str:
    """A museum's words as Markdown that shows them as they are."""
    return re.sub(r"([\\`*\[<])", r"\\\1", text)


def p_value(p: float) -> str:
    """Four decimals, so that none on either side of 0.05 reads as 0.05."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def signed(points: float) -> str:
    """A difference with its sign, one decimal; none is zero's."""
    return minus(points, "{:+z.1f}")


def minus(value: float, form: str) -> str:
    """A number in the form given, with a true minus sign."""
    return form.format(value).replace("-", "−")
