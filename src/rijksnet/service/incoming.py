"""What is sent to the service: forms with files, single pictures, addresses; bounded while it comes in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from rijksnet.data.decode import UnreadableError
from rijksnet.service.fetching import fetch
from rijksnet.service.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import numpy as np
    from numpy.typing import NDArray
    from starlette.requests import Request

    from rijksnet.service.desk import Adviser
    from rijksnet.service_params import Service

#: Pictures in one form.
MOST_FILES = 32

#: What a request may be, for OpenAPI.
BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {
                    "image": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": MOST_FILES,
                        "items": {"type": "string", "format": "binary"},
                    }
                },
            }
        },
        "image/*": {"schema": {"type": "string", "format": "binary", "minLength": 1}},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}},
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["url"],
                "additionalProperties": False,
                "properties": {"url": {"type": "string", "format": "uri"}},
            }
        },
    },
}


class Address(BaseModel, extra="forbid"):
    url: str


@dataclass(frozen=True)
class Upload:
    """One picture: its bytes, or its address."""

    name: str
    content: bytes | None

    def had(self, limits: Service) -> Upload:
        """With its bytes: fetched, if it is an address.

        Raises:
            ProblemError: it cannot be had.
        """
        if self.content is not None:
            return self
        return replace(self, content=fetch(self.name, limits.hosts, _most_bytes(limits), limits.seconds))

    def pixels(self, adviser: Adviser) -> NDArray[np.uint8]:
        """As the network reads it.

        Raises:
            ProblemError: it cannot be read.
        """
        try:
            return adviser.pixels(self.content or b"")
        except UnreadableError as error:
            raise ProblemError(422, error.reason, f"{self.name}: {error.detail}") from error


async def read_uploads(request: Request, limits: Service) -> list[Upload]:
    """The pictures of a request, at least one.

    Raises:
        ProblemError: it holds none, or too much, or is not what its headers say.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _form(request, limits)
    if kind == "application/json":
        body = await _whole(request, limits)
        try:
            return [Upload(Address.model_validate_json(body).url, None)]
        except ValidationError as error:
            first = error.errors()[0]
            raise ProblemError(
                422, "not understood", f'JSON with an address is wanted, {{"url": "https://…"}}: {first["msg"]}'
            ) from error
    if kind in ("", "application/octet-stream") or kind.startswith("image/"):
        body = await _whole(request, limits)
        if not body:
            raise ProblemError(400, "nothing was sent", "a picture as the body is wanted, or a form with files `image`")
        return [Upload("image", body)]
    raise ProblemError(
        415, "another kind", f"{kind!r}: multipart/form-data, image/…, application/octet-stream or application/json"
    )


async def _form(request: Request, limits: Service) -> list[Upload]:
    parser = MultiPartParser(request.headers, _bounded(request, limits), max_files=MOST_FILES, max_fields=MOST_FILES)
    try:
        form = await parser.parse()
        files = [one for one in form.getlist("image") if isinstance(one, UploadFile)]
        if not files:
            names = sorted({*form})[:10]
            raise ProblemError(422, "no picture", f"the form has no file named `image`; it has {names}")
        return [Upload(one.filename or "image", await one.read()) for one in files]
    except (MultiPartException, FormParserError, KeyError, ValueError) as error:
        said = getattr(error, "message", "") or str(error) or type(error).__name__
        raise ProblemError(400, "no form", f"the body is no multipart/form-data: {said}") from error
    finally:
        # of a form that breaks off the parser itself closes none
        for file in getattr(parser, "_files_to_close_on_error", ()):
            file.close()


async def _whole(request: Request, limits: Service) -> bytes:
    return b"".join([chunk async for chunk in _bounded(request, limits)])


async def _bounded(request: Request, limits: Service) -> AsyncGenerator[bytes, None]:
    """The body, as it comes in, up to what may be uploaded."""
    most, seen = _most_bytes(limits), 0
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced) > most:
        raise _too_large(most)
    async for chunk in request.stream():
        seen += len(chunk)
        if seen > most:
            raise _too_large(most)
        yield chunk


def _too_large(most: int) -> ProblemError:
    return ProblemError(413, "too large", f"at most {most:,} bytes may be sent", {"Connection": "close"})


def _most_bytes(limits: Service) -> int:
    return int(limits.megabytes * 1_000_000)
