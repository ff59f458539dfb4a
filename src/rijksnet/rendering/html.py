"""What the HTML pages share: one file each, no script, no network, their style and pictures inside."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markupsafe import Markup
    from PIL import Image

#: style.css and macros.html.j2, which all pages share, and a template a page.
TEMPLATES = Path(__file__).parent / "templates"

#: Between a number and its unit.
UNBROKEN = "\N{NO-BREAK SPACE}"


def render(template: str, **context: Any) -> str:
    """The page that a template of TEMPLATES makes of `context`; all but Markup is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"thousands": thousands, "percent": percent, "some": some}
    environment.filters |= {"sentence": sentence, "breakable": breakable}
    return environment.get_template(template).render(context)


def data_uri(content: bytes, media_type: str) -> str:
    """A file as an address that holds it."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def encoded(picture: Image.Image, form: str, quality: int) -> str:
    """A picture as an address, in the form `JPEG` or `WEBP` with a quality from 0 to 100."""
    buffer = BytesIO()
    options = {"optimize": True} if form == "JPEG" else {"method": 6}
    picture.save(buffer, form, quality=quality, **options)
    return data_uri(buffer.getvalue(), f"image/{form.lower()}")


def thousands(n: int) -> str:
    return f"{n:,}"


def percent(share: float) -> str:
    """A share in [0, 1] as per cent; what is not nothing, or not all, never reads as if it were."""
    if 0 < share < 0.001:
        text = "< 0.1 %"
    elif 0.999 < share < 1:
        text = "> 99.9 %"
    else:
        text = f"{100 * share:.0f} %" if share in (0, 1) else f"{100 * share:.1f} %"
    return text.replace(" ", UNBROKEN)


def sentence(text: str) -> str:
    """The text with a capital at its beginning, and names as they are."""
    return text[:1].upper() + text[1:]


def breakable(text: str) -> Markup:
    """A path or key that may be broken after each of its parts."""
    from markupsafe import Markup, escape

    return escape(text).replace("/", Markup("/<wbr>"))


def some(n: int, one: str, many: str = "") -> str:
    """`1 pair`, `2 pairs`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
