"""`rijksnet init` for a table and its images: look at what is there, ask what is meant, and write params.yaml."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from rijksnet.collection_params import NAME, PLAINLY, Columns, TableCollection
from rijksnet.collections.cleaning.values import FIELDS
from rijksnet.collections.images import ImageRefusedError, locator
from rijksnet.collections.metadata.addresses import likely_kind
from rijksnet.collections.tables.reader import TableReader, is_web_address
from rijksnet.data.splits import COLUMN_OF
from rijksnet.errors import CollectionError, ParamsError
from rijksnet.paths import PARAMS
from rijksnet.starting.asking import console
from rijksnet.starting.guess import IMAGE_NAME, NAMES, propose
from rijksnet.starting.outlook import outlook
from rijksnet.starting.peek import peek
from rijksnet.starting.proposal import networks_for, parameters
from rijksnet.starting.write import commented

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rijksnet.params import Challenge
    from rijksnet.starting.asking import Asker
    from rijksnet.starting.outlook import Outlook
    from rijksnet.starting.peek import Peeked
    from rijksnet.starting.proposal import Networks

#: What tables' names end in.
TABLES = (".csv", ".tsv", ".txt", ".xlsx", ".xlsb", ".xls", ".ods", ".json", ".jsonl", ".ndjson")

#: Between several values of a cell: the first that occurs in so many of the cells.
SEPARATORS, OFTEN = ("|", "$", ";"), 0.05

#: Classes and reasons shown; examples of a column's values.
SHOWN, EXAMPLES = 6, 3

CONTACT = "Your e-mail address (museums' servers see it)"


@dataclass(frozen=True)
class Wishes:
    """What was said beforehand, by flags; empty: it is found out, or asked."""

    table: Path | None = None
    images: Path | None = None
    recognise: Sequence[Challenge] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    weights: Mapping[str, Path] = field(default_factory=dict)
    contact: str = ""
    kind: str = ""  #: of addresses, as `Download.kind`


def begin(wishes: Wishes, asker: Asker, home: Path = Path()) -> None:
    """Write params.yaml for a collection, from what a person has and says.

    Raises:
        ParamsError: something is missing, or nothing can be recognised; says what would help.
        CollectionError: the table or the images do not read.
    """
    require_names(wishes)
    table = wishes.table or _find_table(home, asker)
    seen = peek(table, lambda question, answers: asker.choose(question, answers))
    console.print(f"{escape(str(table))}: {seen.said}, {len(seen.header)} columns")
    images = wishes.images or _find_images(table, seen, asker)
    is_file = _finder(images)
    columns = _columns(seen, propose(seen, is_file) | dict(wishes.columns), asker)
    more: dict[str, Any] = {}
    if images is None:
        more["download"] = _download(seen.values(columns["image"]), wishes, asker)
    found = _outlook(_collection(table, images, seen, columns) | more)
    _show(found)
    challenges = list(wishes.recognise) or _challenges(found, asker)
    _require_that_it_works(found, challenges)
    cleaning = {COLUMN_OF[one]: ["nothing"] for one in challenges if found.challenges[one].words_for_nothing}
    if cleaning:
        more["cleaning"] = cleaning
    name = wishes.name or _name(table)
    collection = _collection(*_together(table, images, home, name), seen, columns) | more
    networks = networks_for(name, collection, challenges, found, wishes.weights)
    params = parameters(name, collection, challenges, found, networks)
    opening = (
        f"Parameters of {name}: {found.objects:,} objects, {found.images:,} images; written by `rijksnet init`.\n"
        "Every line may be changed; docs/parameters.md says more. Then: dvc repro"
    )
    (home / PARAMS).write_text(commented(params, opening), encoding="utf-8")
    _say_what_comes(networks, challenges, found, asker)


def require_names(wishes: Wishes) -> None:
    """What was said beforehand has to be such as params.yaml takes.

    Raises:
        ParamsError: a name or a column's role is none.
    """
    if wishes.name and not re.fullmatch(NAME, wishes.name):
        raise ParamsError(f"--name is {wishes.name!r}, which is no name: it may have {PLAINLY}")
    unknown = [what for what in wishes.columns if what not in NAMES]
    if unknown:
        raise ParamsError(f"--column names {unknown}, which is nothing that a column can be: choose from {list(NAMES)}")


# --- what is there ----------------------------------------------------------------------------------------------------


def _find_table(home: Path, asker: Asker) -> Path:
    """A table in the folder, or one below it, that is not the project's own."""
    own = {"conf", "docs", "reference", "results", "src", "tests", "benchmarks", "code", "runs", "data"}
    folders = [home, *(one for one in sorted(home.iterdir()) if one.is_dir() and one.name not in own)]
    found = [
        file
        for folder in folders
        if not folder.name.startswith(".") or folder == home
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in TABLES and file.is_file() and not file.name.startswith("requirements")
    ]
    if not found:
        raise ParamsError("there is no table here: name it by --table FILE (CSV, a workbook, or JSON)")
    shown = {str(file): f"{file.stat().st_size / 1000:,.0f} kB" for file in found}
    return Path(asker.choose("Which table lists the objects?", shown, "--table") if len(found) > 1 else str(found[0]))


def _find_images(table: Path, seen: Peeked, asker: Asker) -> Path | None:
    """A folder or tar of images beside the table; None where the table has addresses of images."""
    beside = [one for one in sorted(table.parent.iterdir()) if one != table and not one.name.startswith(".")]
    found = [one for one in beside if one.suffix == ".tar" or (one.is_dir() and _holds_images(one))]
    if _has_images(table.parent):
        found.append(table.parent)
    if not found:
        if any(sum(map(is_web_address, seen.values(name))) > len(seen.rows) / 2 for name in seen.header):
            return None
        raise ParamsError(f"there are no images beside {table}: name their folder or .tar by --images")
    shown = {str(one): "images" for one in found}
    return Path(asker.choose("Where are the images?", shown, "--images") if len(found) > 1 else str(found[0]))


def _holds_images(folder: Path) -> bool:
    """In it, or one folder below."""
    return _has_images(folder) or any(_has_images(inner) for inner in folder.iterdir() if inner.is_dir())


def _has_images(folder: Path) -> bool:
    return any(IMAGE_NAME.search(file.name) for file in folder.iterdir())


def _finder(images: Path | None) -> Callable[[str], bool]:
    if images is None:
        return lambda value: False
    find = locator(images)

    def is_file(value: str) -> bool:
        try:
            find(value)
        except (ImageRefusedError, CollectionError):
            return False
        return True

    return is_file


# --- what is meant ----------------------------------------------------------------------------------------------------


def _columns(seen: Peeked, proposed: dict[str, str], asker: Asker) -> dict[str, str]:
    """The columns by field, as a person confirms or corrects them."""
    unknown = [column for column in proposed.values() if column not in seen.header]
    if unknown:
        raise ParamsError(f"--column names {unknown}, which the table lacks; its columns: {seen.header}")
    while True:
        table = Table("what", "column", "for example")
        for what in NAMES:
            column = proposed.get(what, "")
            examples = " · ".join(list(dict.fromkeys(seen.values(column)))[:EXAMPLES]) if column else ""
            table.add_row(what, escape(column) or "[dim]none[/]", escape(examples[:70]))
        console.print(table)
        missing = [what for what in ("object_id", "image") if what not in proposed]
        if asker.yes and missing:
            raise ParamsError(f"no column was found for {missing}: name it by --column {missing[0]}=COLUMN")
        said = asker.text("Is that right? Enter, or what=column to change (what= for none)", "yes", "--column")
        if said.lower() in ("yes", "y", ""):
            if not missing:
                return proposed
            console.print(f"[yellow]still to be named[/]: {', '.join(missing)}")
            continue
        what, _, column = (part.strip() for part in said.partition("="))
        if what not in NAMES or (column and column not in seen.header):
            console.print(f"[yellow]no such thing[/]: of {', '.join(NAMES)} one, and a column of {seen.header}")
        elif column:
            proposed = {**proposed, what: column}
        else:
            proposed = {one: its for one, its in proposed.items() if one != what}


def _together(table: Path, images: Path | None, home: Path, name: str) -> tuple[Path, Path | None]:
    """Table and images in one folder with nothing else in it: DVC watches a collection as a whole.

    What lies in the project's own folder is moved into one of the collection's.
    """
    places = [one for one in (table, images) if one is not None]
    inside = [one.resolve().parent == home.resolve() for one in places]
    own = home / "data" / name / "raw"
    if all(inside):
        own.mkdir(parents=True, exist_ok=True)
        moved = [Path(shutil.move(one, own / one.name)) for one in places]
        console.print(f"moved into {escape(str(own))}: {', '.join(escape(one.name) for one in moved)}")
        return moved[0], moved[1] if images is not None else None
    common = Path(os.path.commonpath([one.resolve() if one.is_dir() else one.resolve().parent for one in places]))
    near = {table.resolve().parent, *([images.resolve(), images.resolve().parent] if images else [])}
    if any(inside) or common not in near or home.resolve().is_relative_to(common):
        raise ParamsError(
            f"{' and '.join(map(str, places))} lie in different folders, or in one with other things in it, and DVC "
            f"watches a collection's folder as a whole: put them into one of their own, such as {own}, and name them "
            "there"
        )
    return table, images


def _separator(seen: Peeked, columns: Mapping[str, str]) -> str:
    """What separates several values of one cell."""
    counts = Counter[str]()
    total = 0
    for what in FIELDS:
        for value in seen.values(columns.get(what, "")):
            total += 1
            counts.update(sign for sign in SEPARATORS if sign in value)
    return next((sign for sign in SEPARATORS if total and counts[sign] >= OFTEN * total), SEPARATORS[0])


def _collection(
    table: Path,
    images: Path | None,
    seen: Peeked,
    columns: Mapping[str, str],
) -> dict[str, Any]:
    places = [table.resolve()] + ([images.resolve()] if images else [])
    raw = Path(os.path.commonpath([place if place.is_dir() else place.parent for place in places]))
    relative = os.path.relpath(raw, Path.cwd())
    found: dict[str, Any] = {
        "reader": "table",
        "raw": relative if not relative.startswith("../../..") else str(raw),
        "table": table.resolve().relative_to(raw).as_posix(),
        "images": "images" if images is None else images.resolve().relative_to(raw).as_posix(),
        "columns": dict(columns),
        "separator": _separator(seen, columns),
    }
    asked = {"delimiter": seen.delimiter, "encoding": seen.encoding, "sheet": seen.sheet}
    found |= {name: value for name, value in asked.items() if value is not None}
    return found


def _download(addresses: Sequence[str], wishes: Wishes, asker: Asker) -> dict[str, Any]:
    """How images are fetched: what their addresses are, most of them say."""
    contact = wishes.contact or asker.text(CONTACT, "name@example.org", "--contact")
    return {"kind": wishes.kind or likely_kind(addresses), "contact": contact, "requests_per_s": 2.0}


def _outlook(collection: Mapping[str, Any]) -> Outlook:
    columns = Columns.model_validate(collection["columns"])
    reader = TableReader(TableCollection.model_validate({**collection, "columns": columns}))
    return outlook(reader.announced() if "download" in collection else reader)


# --- what comes of it -------------------------------------------------------------------------------------------------


def _show(found: Outlook) -> None:
    console.print(f"{found.objects:,} objects, {found.images:,} images")
    for reason, (n, example) in list(found.left_out.items())[:SHOWN]:
        console.print(f"[yellow]left out[/]: {n:,} × {reason}, for example {escape(example)}")
    for challenge, one in found.challenges.items():
        if not one.classes:
            continue
        largest = ", ".join(f"{label} {n:,}" for label, n in list(one.classes.items())[:SHOWN])
        more = f", and {len(one.classes) - SHOWN:,} more" if len(one.classes) > SHOWN else ""
        few = f"; {one.too_few:,} have too few objects to be learnt and tested, and are left out" if one.too_few else ""
        console.print(f"[bold]{challenge}[/]: {len(one.classes):,} classes: {escape(largest)}{more}{few}")


def _challenges(found: Outlook, asker: Asker) -> list[Challenge]:
    work = [challenge for challenge, one in found.challenges.items() if one.works]
    if not work:
        return []
    said = asker.text(f"What shall be recognised? ({', '.join(work)})", ", ".join(work), "--recognise")
    chosen = [one.strip() for one in said.split(",")]
    unknown = [one for one in chosen if one not in found.challenges]
    if unknown:
        raise ParamsError(f"{unknown} is nothing that can be recognised here: choose from {work}")
    return [challenge for challenge in found.challenges if challenge in chosen]


def _require_that_it_works(found: Outlook, challenges: Sequence[Challenge]) -> None:
    if not found.images:
        (reason, (n, example)) = next(iter(found.left_out.items()), ("", (0, "")))
        raise ParamsError(f"no image can be used: {n:,} × {reason}, for example {example}")
    if not challenges:
        raise ParamsError(
            "nothing can be recognised: no column of types, materials or makers has two classes with "
            f"{found.least} objects or more; name another by --column type=COLUMN, or bring "
            "more objects"
        )
    for challenge in challenges:
        if not found.challenges[challenge].works:
            raise ParamsError(
                f"{challenge} cannot be recognised: fewer than two of its {len(found.challenges[challenge].classes)} "
                "classes have enough objects to be learnt and tested"
            )


def _name(table: Path) -> str:
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in table.stem.lower())
    return "-".join(filter(None, plain.split("-")))[:60] or "collection"


def _say_what_comes(networks: Networks, challenges: Sequence[Challenge], found: Outlook, asker: Asker) -> None:
    side = networks.input_size if networks.input_size == "native" else f"{networks.input_size} px"
    hours = "" if networks.hours is None else f", some {networks.hours:.1f} hours here"
    folds = f" in {found.folds} folds" if found.folds > 1 else ""
    console.print(
        f"[green]{PARAMS}[/] written: {', '.join(challenges)} by {', '.join(networks.architectures)} at {side}{folds}"
        f"{hours}; {asker.questions} questions asked. Now:\n  rijksnet plan     what will be done\n"
        "  dvc repro         do it; it goes on where it was interrupted\n  rijksnet tables   what came of it"
    )
