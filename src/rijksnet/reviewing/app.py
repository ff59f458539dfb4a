"""The review page over HTTP: suggestions one by one, decisions kept as they are made."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field, StringConstraints

from rijksnet.errors import ReviewError
from rijksnet.rendering import html
from rijksnet.reviewing import decisions
from rijksnet.reviewing.decisions import GIVING, Decision, Kind
from rijksnet.reviewing.queue import Photographs, Queue
from rijksnet.service.problems import Problem, ProblemError, add_handlers

Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]

#: What a decision about an object may hold.
REFUSALS: dict[int | str, dict[str, Any]] = {404: {"model": Problem}, 422: {"model": Problem}, 507: {"model": Problem}}


class Made(BaseModel, extra="forbid"):
    """A decision as the page sends it."""

    object_id: str
    decision: Kind
    label: Text = Field("", description="for `correct`, what the object gets")
    who: Name
    seconds: float = Field(ge=0, le=1e6, description="since the object was shown")


class Standing(BaseModel):
    """How far one person has come."""

    decided: int
    objects: int
    minutes_per_hundred: float | None
    decisions: dict[str, tuple[Kind, str]] = Field(description="by object: decision and label")


@dataclass
class Desk:
    """What all requests share."""

    queue: Queue
    photographs: Photographs

    @property
    def made(self) -> list[Decision]:
        """All decisions about what is in the queue, those of other processes too."""
        return [one for one in decisions.read(self.queue.file) if one.object_id in self.queue.position]

    def standing(self, who: str) -> Standing:
        made = self.made
        pace = decisions.pace(made, who)
        its = {key: one for (name, key), one in decisions.standing(made).items() if name == who}
        return Standing(
            decided=pace.decided,
            objects=len(self.queue.objects),
            minutes_per_hundred=pace.minutes_per_hundred,
            decisions={key: (one.decision, one.label) for key, one in its.items()},
        )


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


Shared = Annotated[Desk, Depends(desk_of)]
Who = Annotated[str, Query(min_length=1, max_length=100)]
router = APIRouter()


@router.get("/", response_class=HTMLResponse)
def page(desk: Shared) -> HTMLResponse:
    """The page."""
    return HTMLResponse(html.render("review.html.j2", queue=desk.queue))


@router.get("/objects")
def objects(desk: Shared) -> list[dict[str, Any]]:
    """What there is to review, the surest first."""
    return desk.queue.objects


@router.get("/picture", response_class=Response, responses=REFUSALS)
def picture(desk: Shared, image: Annotated[str, Query()]) -> Response:
    """The museum's picture of an object."""
    try:
        jpeg = desk.photographs.jpeg(image)
    except ReviewError as error:
        raise ProblemError(404, "no picture", str(error)) from error
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "max-age=3600"})


@router.get("/standing")
def standing(desk: Shared, who: Who) -> Standing:
    """How far a person has come."""
    return desk.standing(who.strip())


@router.post("/decisions", responses=REFUSALS)
def decide(desk: Shared, made: Made) -> Standing:
    """Keep a decision; it is on the disk when the answer comes."""
    try:
        one = desk.queue.object(made.object_id)
    except ReviewError as error:
        raise ProblemError(404, "no such object", str(error)) from error
    first = one["ranked"][0]
    label = {"accept": first["label"], "correct": made.label}.get(made.decision, "")
    if made.decision in GIVING and not label:
        raise ProblemError(422, "no label", "a correction needs a label")
    decision = Decision(
        made.object_id,
        desk.queue.challenge,
        made.decision,
        label,
        first["label"],
        f"{first['probability']:.4f}",
        one["why_not"] or "",
        one["model"],
        one["weights"],
        made.who,
        datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds"),
        f"{made.seconds:.1f}",
    )
    try:
        decisions.append(desk.queue.file, decision)
    except ReviewError as error:
        raise ProblemError(507, "not kept", str(error)) from error
    return desk.standing(made.who)


@router.get("/agreement")
def agreement(desk: Shared) -> list[dict[str, Any]]:
    """How far people agree about objects that both decided: share and Cohen's κ."""
    return [asdict(one) for one in decisions.agreements(desk.made)]


@router.get("/decisions.csv", response_class=Response)
def table(desk: Shared) -> Response:
    """All decisions, to be taken along."""
    name = desk.queue.file.with_suffix(".csv").name
    text = decisions.as_csv(decisions.read(desk.queue.file))
    return Response(text, media_type="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'})


def make_app(queue: Queue, photographs: Photographs) -> FastAPI:
    app = FastAPI(title="RijksNet: review", version="1", docs_url=None, redoc_url=None)
    app.state.desk = Desk(queue, photographs)
    app.include_router(router)
    add_handlers(app)
    return app
