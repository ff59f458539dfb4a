"""What the service refuses, and how it says so: RFC 9457, with a status, what is wrong, and what would be right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA_TYPE = "application/problem+json"


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
