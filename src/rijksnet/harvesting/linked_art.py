"""Names of things that records give by id only, asked of the ids themselves: Linked Art (linked.art), as JSON-LD.

Written from the model (linked.art/model/base) and from published answers of id.rijksmuseum.nl, which redirects to
data.rijksmuseum.nl; it was not tried against the service, which could not be reached.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rijksnet.harvesting.http import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rijksnet.harvesting.http import Server

#: No answer may be longer, bytes.
MOST_BYTES = 8 << 20

#: How a name is marked that is preferred to others in its language (Getty AAT, "preferred terms").
PREFERRED = "http://vocab.getty.edu/aat/300404670"

#: Languages (ISO 639-1) as Linked Art writes them: Getty AAT, and the label.
LANGUAGES = {
    "nl": ("http://vocab.getty.edu/aat/300388256", "Dutch"),
    "en": ("http://vocab.getty.edu/aat/300388277", "English"),
    "de": ("http://vocab.getty.edu/aat/300388344", "German"),
    "fr": ("http://vocab.getty.edu/aat/300388306", "French"),
}


def ask_name(server: Server, id_: str, language: str) -> str:
    """The name of what an id stands for, in a language or the next best.

    Raises:
        RefusedError: there is no such thing, or it has no name.
        TransientError: the server does not answer.
    """
    answer = server.get(id_, most_bytes=MOST_BYTES, accept="application/ld+json")
    try:
        thing = json.loads(answer.content)
    except (ValueError, RecursionError) as error:
        raise RefusedError("no JSON", f"{answer.url} answers {answer.content_type!r}") from error
    name = name_of(thing, language)
    if not name:
        raise RefusedError("no name", f"{answer.url} gives no name")
    return name


def name_of(thing: Any, language: str) -> str:
    """The best name in a Linked Art description; empty where there is none.

    Preferred names in the language come first, then others in it, then preferred ones in any, then any, then `_label`.
    """
    if not isinstance(thing, dict):
        return ""
    marks = {language, *LANGUAGES.get(language, ())}
    ranked: list[tuple[int, str]] = []
    for name in _dicts(thing.get("identified_by")):
        content = name.get("content")
        if name.get("type") != "Name" or not isinstance(content, str) or not content.strip():
            continue
        in_language = any(marks & {one.get("id"), one.get("_label")} for one in _dicts(name.get("language")))
        preferred = any(one.get("id") == PREFERRED for one in _dicts(name.get("classified_as")))
        ranked.append((2 * in_language + preferred, content.strip()))
    if ranked:
        return max(ranked, key=lambda one: one[0])[1]
    label = thing.get("_label")
    return label.strip() if isinstance(label, str) else ""


def _dicts(value: Any) -> Iterable[dict[str, Any]]:
    """The objects in a JSON-LD value, which is one, a list of them, or neither."""
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, dict)]
