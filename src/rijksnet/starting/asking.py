"""Questions to a person at a terminal; a script says beforehand what is to be answered, or takes what is proposed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.prompt import Prompt

from rijksnet.errors import ParamsError

if TYPE_CHECKING:
    from collections.abc import Mapping

console = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass
class Asker:
    """Asks, and counts how often.

    Args:
        yes: nothing is asked: the first answer is taken.
    """

    yes: bool
    questions: int = 0

    def choose(self, question: str, answers: Mapping[str, str], flag: str = "") -> str:
        """One of several answers, each shown with what it would be.

        Args:
            flag: by which a script answers.

        Raises:
            ParamsError: there is nobody to ask.
        """
        first = next(iter(answers))
        if self.yes:
            console.print(f"{question} [bold]{escape(first)}[/] {escape(answers[first])}")
            return first
        self._require_somebody(question, flag)
        console.print(question)
        numbered = {str(i): answer for i, answer in enumerate(answers, 1)}
        for number, answer in numbered.items():
            console.print(f"  [bold]{number}[/] {escape(answer)}  [dim]{escape(answers[answer])}[/]")
        return numbered[Prompt.ask("Number", choices=list(numbered), default="1", console=console, show_choices=False)]

    def text(self, question: str, proposed: str, flag: str = "") -> str:
        """What a person types; nothing: what is proposed."""
        if self.yes:
            return proposed
        self._require_somebody(question, flag)
        return Prompt.ask(question, default=proposed, console=console).strip()

    def _require_somebody(self, question: str, flag: str) -> None:
        if not sys.stdin.isatty():
            how = f"; a script answers by {flag}" if flag else ""
            raise ParamsError(f"{question} There is nobody to ask: --yes takes what is proposed{how}")
        self.questions += 1
