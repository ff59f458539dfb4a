"""What Prometheus may ask the service: requests, refusals, batches, how long it all takes, which network answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

if TYPE_CHECKING:
    from rijksnet.service.desk import Desk

#: Paths that are counted by name; all others are one, whatever visitors make up.
PATHS = ("/", "/classify", "/health", "/metrics", "/model", "/openapi.json")


class Meters:
    """The metrics of one service."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self, desk: Desk) -> None:
        self._desk, self._registry = desk, CollectorRegistry()
        self._requests = Counter(
            "rijksnet_requests", "requests, by path and status", ("path", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "rijksnet_request_seconds", "from request to answer", ("path",), registry=self._registry
        )
        self._refusals = Counter(
            "rijksnet_refusals", "pictures without an answer", ("reason",), registry=self._registry
        )
        self._model = Info("rijksnet_model", "the network that answers", registry=self._registry)
        waiting = Gauge("rijksnet_waiting", "pictures that wait for the network", registry=self._registry)
        waiting.set_function(lambda: desk.waiting)
        batch = Gauge("rijksnet_batch_mean", "pictures in each of the last thousand batches", registry=self._registry)
        batch.set_function(lambda: sum(desk.batches) / max(1, len(desk.batches)))

    def answered(self, path: str, status: int, seconds: float) -> None:
        path = path if path in PATHS else "other"
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def refused(self, reason: str) -> None:
        self._refusals.labels(reason).inc()

    def text(self) -> bytes:
        adviser = self._desk.adviser
        self._model.info({"name": adviser.name, "weights": adviser.weights})
        return generate_latest(self._registry)
