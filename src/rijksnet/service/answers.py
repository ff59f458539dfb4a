"""What the service answers, as OpenAPI describes it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from rijksnet.service.problems import Problem

if TYPE_CHECKING:
    from rijksnet.service.desk import Adviser
    from rijksnet.suggesting.suggestion import Advice


class Label(BaseModel):
    label: str
    probability: float = Field(ge=0, le=1, description="calibrated")


class NearestObject(BaseModel):
    object_id: str
    image: str
    label: str
    similarity: float = Field(description="cosine of the network's features")


class PictureAnswer(BaseModel):
    """What the network says of one picture. `suggestion` is null where it does not dare, and `why_not` says why."""

    name: str = Field(description="the file's, or its address")
    suggestion: str | None
    why_not: str | None
    confidence: float | None
    least_confidence: float | None = Field(description="from which on its first label is suggested; null: never")
    ranked: list[Label]
    nearest: list[NearestObject]
    similarity: float | None = Field(description="to the most similar picture that the network learnt from")
    overlay: str | None = Field(description="where it looked, as a data: address, if asked for")
    problem: Problem | None = Field(description="why this picture has no answer, where others of the request have")


class Model(BaseModel):
    name: str
    run: str
    weights: str = Field(description="sha256")
    challenge: str
    precision_asked: float
    labels: list[str]
    unknown_because: str = Field(description="why likeness to what it learnt from is not known; empty: it is")


class Answers(BaseModel):
    model: Model
    answers: list[PictureAnswer]


class Health(BaseModel):
    status: str
    model: str
    following: str = Field(description="why the registry could not be looked at; empty: it could, or none is followed")


def model_of(adviser: Adviser) -> Model:
    return Model(
        name=adviser.name,
        run=str(adviser.run.key),
        weights=adviser.weights,
        challenge=adviser.run.key.challenge,
        precision_asked=adviser.asked,
        labels=list(adviser.rule.classes),
        unknown_because=adviser.known if isinstance(adviser.known, str) else "",
    )


def answer_of(name: str, advice: Advice, overlay: str | None) -> PictureAnswer:
    return PictureAnswer(
        name=name,
        suggestion=None if advice.why_not else advice.label,
        why_not=advice.why_not or None,
        confidence=advice.confidence,
        least_confidence=advice.least if math.isfinite(advice.least) else None,
        ranked=[Label(label=label, probability=min(1.0, probability)) for label, probability in advice.ranked],
        nearest=[NearestObject(**vars(one)) for one in advice.neighbours],
        similarity=advice.similarity,
        overlay=overlay,
        problem=None,
    )


def without_answer(name: str, problem: Problem) -> PictureAnswer:
    return PictureAnswer(
        name=name,
        suggestion=None,
        why_not=None,
        confidence=None,
        least_confidence=None,
        ranked=[],
        nearest=[],
        similarity=None,
        overlay=None,
        problem=problem,
    )
