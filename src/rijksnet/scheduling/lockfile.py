"""dvc.lock written a stage at a time: DVC parses and writes all of it whenever a stage ends, which takes two seconds
where it has a thousand stages."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rijksnet.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: What stands before the stages, and before the name of each.
STAGES, INDENT = "stages:\n", "  "
BEGINNING = f"schema: '2.0'\n{STAGES}"


@contextmanager
def written_by_stage() -> Iterator[None]:
    """While the block runs, DVC writes dvc.lock by `with_stages`, to the same bytes; a kill leaves it whole."""
    from dvc import dvcfile

    before = dvcfile.modify_yaml

    @contextmanager
    def modified(path: str, fs: Any = None) -> Iterator[dict[str, Any]]:
        file = Path(path)
        text = file.read_text(encoding="utf-8") if file.name == dvcfile.LOCK_FILE and file.is_file() else ""
        if file.name != dvcfile.LOCK_FILE or _blocks(text or BEGINNING) is None:
            with before(path, fs=fs) as data:
                yield data
            return
        content: dict[str, Any] = {"schema": "2.0", "stages": {}}
        yield content
        changed = with_stages(text, content["stages"])
        if changed != text:
            with replacing(file) as part:
                part.write_text(changed, encoding="utf-8")

    dvcfile.modify_yaml = modified
    try:
        yield
    finally:
        dvcfile.modify_yaml = before


def with_stages(text: str, stages: Mapping[str, Any]) -> str:
    """dvc.lock's text with what it says of these stages exchanged or added, as DVC would write it."""
    from dvc.utils.serialize import dumps_yaml

    found = _blocks(text or BEGINNING)
    assert found is not None, "looked at before"
    blocks, tail = found
    for name, data in stages.items():
        blocks[name] = dumps_yaml({"stages": {name: data}}).removeprefix(STAGES)
    return "".join([BEGINNING, *blocks.values(), tail])


def _blocks(text: str) -> tuple[dict[str, str], str] | None:
    """Each stage's lines, and what follows; None where it is not as DVC writes it."""
    if not text.startswith(BEGINNING) or not text.endswith("\n"):
        return None
    rest = text.removeprefix(BEGINNING)
    blocks: dict[str, str] = {}
    name, lines = "", list[str]()
    everything = [f"{line}\n" for line in rest.removesuffix("\n").split("\n")] if rest else []
    for number, line in enumerate(everything):
        if not line.startswith(INDENT):
            return (_ended(blocks, name, lines), "".join(everything[number:])) if line[0].isalpha() else None
        if line[2] == " ":
            lines.append(line)
            continue
        _ended(blocks, name, lines)
        name, lines = line.strip().removesuffix(":"), [line]
        if not line.endswith(":\n") or not name[0].isalnum() or name in blocks:  # quoted, or a key of several lines
            return None
    return _ended(blocks, name, lines), ""


def _ended(blocks: dict[str, str], name: str, lines: list[str]) -> dict[str, str]:
    if lines:
        blocks[name] = "".join(lines)
    return blocks
