"""What the service refuses, and how it says so: RFC 9457, with a status, what is wrong, and what would be right."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI, Request, Response

MEDIA_TYPE = "application/problem+json"

LOG = logging.getLogger(__name__)


class Problem(BaseModel):
    """Why a request, or one picture of several, has no answer."""

    type: str = Field("about:blank", description="an address that says more, where there is one")
    title: str = Field(description="what is wrong, in a few words")
    status: int = Field(ge=400, le=599, description="of HTTP")
    detail: str = Field(description="the value, and what would be right")


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(self, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.problem = Problem(type="about:blank", title=title, status=status, detail=detail)
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        return JSONResponse(self.problem.model_dump(), self.problem.status, self.headers, MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Have an application say everything that it refuses as a problem."""
    app.add_exception_handler(ProblemError, _refused)
    app.add_exception_handler(HTTPException, _not_known)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(Exception, _failed)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return error.response()


async def _not_known(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return ProblemError(error.status_code, str(error.detail), "see /openapi.json", error.headers).response()


async def _not_understood(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return ProblemError(422, "not understood", f"{'.'.join(map(str, first['loc']))}: {first['msg']}").response()


async def _failed(_: Request, error: Exception) -> Response:
    return failed(error)


def failed(error: Exception) -> Response:
    """What is said of a fault of our own; its traceback goes to the log."""
    LOG.exception("a request failed", exc_info=error)
    return ProblemError(500, "failed", f"a fault of the service: {type(error).__name__}").response()
