"""The service over HTTP: pictures in, advice out; a page to drop a picture on, health, metrics, OpenAPI."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse

from rijksnet.rendering import html
from rijksnet.service.answers import Answers, Health, Model, PictureAnswer, answer_of, model_of, without_answer
from rijksnet.service.desk import Adviser, Desk
from rijksnet.service.incoming import BODY, Upload, read_uploads
from rijksnet.service.measuring import Meters
from rijksnet.service.overlay import overlay_uri
from rijksnet.service.problems import MEDIA_TYPE, Problem, ProblemError, add_handlers, failed
from rijksnet.service_params import Service

T = TypeVar("T")

#: Threads that decode pictures, and that fetch them.
DECODERS, FETCHERS = 2, 8

#: What needs the token, where there is one.
GUARDED = ("/classify", "/metrics")

REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"description": says, "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}}
    for status, says in {
        400: "the request is not what its headers say",
        401: "the token is missing or wrong",
        403: "the picture's server is not named in params.yaml",
        408: "the request did not come in time",
        413: "more bytes than are taken",
        415: "neither a form, nor a picture, nor JSON with an address",
        422: "what was sent is no picture that can be read",
        503: "too many pictures at a time: come again",
        504: "the answer was not there in time",
    }.items()
}


@dataclass
class Office:
    """What all requests share."""

    desk: Desk
    limits: Service
    token: str = ""  #: that requests have to bear; empty: none
    following: Callable[[], str] = lambda: ""  #: why the registry could not be looked at
    pending: int = 0  #: pictures that have no answer yet
    meters: Meters = field(init=False)
    #: A picture may take `decode.MAX_MEMORY` while it is decoded, so that few are at a time.
    decoders: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(DECODERS, "decoder"))
    fetchers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(FETCHERS, "fetcher"))

    def __post_init__(self) -> None:
        self.meters = Meters(self.desk)

    async def answer(self, adviser: Adviser, upload: Upload, with_overlay: bool) -> PictureAnswer:
        """
        Raises:
            ProblemError: it cannot be read, or too many are asked at a time.
        """
        if self.pending >= self.limits.requests:
            busy = f"{self.limits.requests} pictures are waiting already: come again"
            raise ProblemError(503, "too busy", busy, {"Retry-After": "1"})
        self.pending += 1
        loop = asyncio.get_running_loop()
        reading: asyncio.Future[Any] | None = None
        try:
            reading = loop.run_in_executor(self.fetchers, upload.had, self.limits)
            had = await asyncio.shield(reading)
            reading = loop.run_in_executor(self.decoders, had.pixels, adviser)
            pixels = await asyncio.shield(reading)
            advice = await self.desk.ask(adviser, pixels)
            overlay = None
            if with_overlay:
                overlay = overlay_uri(pixels, await self.desk.look(adviser, pixels, advice.label))
            return answer_of(upload.name, advice, overlay)
        finally:
            if reading is None or reading.done():
                self.pending -= 1
            else:  # whoever asked has given up; the thread works on, and counts until it ends
                reading.add_done_callback(self._ended)

    def _ended(self, reading: asyncio.Future[Any]) -> None:
        self.pending -= 1
        if not reading.cancelled():
            reading.exception()  # nobody waits for it

    def close(self) -> None:
        self.desk.close()
        for threads in (self.fetchers, self.decoders):
            threads.shutdown(wait=False, cancel_futures=True)

    def is_refused(self, request: Request) -> bool:
        """Whether a request lacks the token that it needs."""
        if not self.token or request.scope["path"] not in GUARDED:
            return False
        given = request.headers.get("authorization", "")
        return not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode())


def office_of(request: Request) -> Office:
    office: Office = request.app.state.office
    return office


Shared = Annotated[Office, Depends(office_of)]
router = APIRouter()


@router.post("/classify", responses=REFUSALS, openapi_extra={"requestBody": BODY})
async def classify(
    request: Request,
    office: Shared,
    overlay: Annotated[bool, Query(description="also say where the network looked")] = False,
) -> Answers:
    """Ask about pictures: a form with files, one picture as the body, or JSON with an address.

    One picture that cannot be read is refused; of several, each has its own problem, and the others their answers.
    """
    seconds = office.limits.seconds
    uploads = await _in_time(read_uploads(request, office.limits), seconds, 408, "the request did not come")
    adviser = office.desk.adviser
    asked = [office.answer(adviser, upload, overlay) for upload in uploads]
    found = await _in_time(asyncio.gather(*asked, return_exceptions=True), seconds, 504, "no answer came")
    answers = []
    for upload, one in zip(uploads, found, strict=True):
        if isinstance(one, ProblemError):
            office.meters.refused(one.problem.title)
        if isinstance(one, ProblemError) and len(uploads) > 1:
            answers.append(without_answer(upload.name, one.problem))
        elif isinstance(one, BaseException):
            raise one
        else:
            answers.append(one)
    return Answers(model=model_of(adviser), answers=answers)


@router.get("/model")
async def model(office: Shared) -> Model:
    """The network that would answer now."""
    return model_of(office.desk.adviser)


@router.get("/health")
async def health(office: Shared) -> Health:
    """Whether the service answers."""
    return Health(status="ok", model=office.desk.adviser.name, following=office.following())


@router.get("/metrics", response_class=Response, responses={401: REFUSALS[401]})
async def metrics(office: Shared) -> Response:
    """For Prometheus."""
    return Response(office.meters.text(), media_type=office.meters.media_type)


@router.get("/", response_class=HTMLResponse)
async def page(office: Shared) -> HTMLResponse:
    """A page to drop a picture on."""
    adviser, has_token = office.desk.adviser, bool(office.token)
    return HTMLResponse(html.render("serve.html.j2", adviser=adviser, limits=office.limits, has_token=has_token))


def make_app(office: Office) -> FastAPI:
    """The service; what it refuses has a status and a reason, and never a traceback."""
    app = FastAPI(
        title="RijksNet",
        version="1",
        description="Suggests what an object is made of, what it is, or who made it, and says where it does not dare.",
        docs_url=None,  # their page takes its scripts from another server
        redoc_url=None,
    )
    app.state.office = office
    app.include_router(router)
    add_handlers(app)
    app.middleware("http")(_watched)
    return app


async def _watched(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    office, started = office_of(request), time.perf_counter()
    if office.is_refused(request):
        how = {"WWW-Authenticate": "Bearer"}
        response: Response = ProblemError(401, "no token", "send Authorization: Bearer TOKEN", how).response()
    elif request.method == "POST" and request.headers.get("sec-fetch-site") == "cross-site":
        response = ProblemError(403, "another site", "pages of other sites may not ask").response()
    else:
        try:
            response = await call_next(request)
        except Exception as error:  # whatever fails is counted, and told without a traceback
            response = failed(error)
    response.headers["X-Content-Type-Options"] = "nosniff"
    office.meters.answered(request.scope["path"], response.status_code, time.perf_counter() - started)
    return response


async def _in_time(work: Awaitable[T], seconds: float, status: int, what: str) -> T:
    """
    Raises:
        ProblemError: it took longer.
    """
    try:
        return await asyncio.wait_for(work, seconds)
    except TimeoutError:
        raise ProblemError(status, "too slow", f"{what} within {seconds:g} s") from None
