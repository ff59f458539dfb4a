"""What the pages say is there: tables as the code has them, links, commands and their options, files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from rijksnet.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_tables_are_what_the_code_says() -> None:
    subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], check=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not link.startswith("https://") and not (page.parent / link).exists()]
    assert not missing


def commands() -> dict[str, set[str]]:
    """The options of each command, by its name."""
    group = typer.main.get_command(app)
    return {
        name: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for name, command in group.commands.items()  # type: ignore[attr-defined]
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_there_with_their_options(page: Path) -> None:
    known = commands()
    said = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = [line.split("#")[0] for block in re.findall(r"```sh\n(.*?)```", said, re.S) for line in block.splitlines()]
    for line in [*blocks, *re.findall(r"`([^`\n]+)`", said)]:
        for name, rest in re.findall(r"\brijksnet ([a-z_]+)([^;&|]*)", line):
            assert name in known, f"{page.name}: there is no command {name!r}"
            unknown = set(re.findall(r"(?<!\S)--[a-z-]+", rest)) - known[name] - {"--help"}
            assert not unknown, f"{page.name}: `rijksnet {name}` has no {unknown}"
