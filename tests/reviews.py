"""A project with suggestions, and the page on which they are reviewed, really served."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import requests
import uvicorn
from PIL import Image

from blanks import BLANK, IN_SPLIT, ODD, write_museum
from rijksnet.paths import CollectionPaths
from rijksnet.reviewing.app import make_app
from rijksnet.reviewing.decisions import Decision, read
from rijksnet.reviewing.queue import Photographs, read_queue
from workspace import make_workspace

PATHS = CollectionPaths("source")


@dataclass(frozen=True)
class Page:
    url: str
    file: Path

    def decide(self, number: int, decision: str, label: str = "", who: str = "Anna", **other: Any) -> requests.Response:
        made = {"object_id": f"source-{number:03}", "decision": decision, "label": label, "who": who, "seconds": 6.0}
        return requests.post(f"{self.url}/decisions", json=made | other, timeout=9)

    @property
    def kept(self) -> list[Decision]:
        return read(self.file)


def write_suggestions(folder: Path) -> None:
    """As `rijksnet suggest` writes them, of the objects without a type; and pictures that can be looked at."""
    (folder / "source").mkdir(parents=True)
    ranked = [{"label": one, "probability": p} for one, p in (("blauw", 0.7), ("geel", 0.2), ("kleurloos", 0.1))]
    near = [{"object_id": "source-000", "image": "000.jpg", "label": "blauw", "similarity": 0.9}]
    common = {
        "challenge": "type",
        "ranked": ranked,
        "nearest": near,
        "model": "m/1",
        "weights": "f00",
        "confidence": 0.7,
        "precision_asked": 0.95,
    }
    lines = []
    for i in range(IN_SPLIT, IN_SPLIT + BLANK + ODD):
        why = None if i < IN_SPLIT + 10 else "not sure enough"
        its = {"object_id": f"source-{i:03}", "images": [f"{i:03}.jpg"], "why_not": why}
        lines.append(json.dumps(common | its | {"suggestion": None if why else "blauw", "least_confidence": 0.5}))
    (folder / "source/type.jsonl").write_text("\n".join(lines) + "\n")
    pixels = np.load(PATHS.pixels_of_size(32))
    catalogue = pq.read_table(PATHS.catalogue)
    Path("photos").mkdir()
    places: list[tuple[str, int]] = []
    for i, image in enumerate(catalogue["image"].to_pylist()):
        stream = io.BytesIO()
        Image.fromarray(pixels[i]).save(stream, "JPEG")
        Path("photos", image).write_bytes(stream.getvalue())
        places.append((f"photos/{image}", len(stream.getvalue())))
    columns = catalogue.to_pydict() | {"file": [file for file, _ in places], "offset": [0] * len(places)}
    pq.write_table(
        type(catalogue).from_pydict(columns | {"length": [n for _, n in places]}, catalogue.schema), PATHS.catalogue
    )


def make_review_project() -> Path:
    """In the working directory; the folder of its suggestions."""
    make_workspace()
    write_museum("source")
    write_suggestions(Path("suggestions"))
    return Path("suggestions")


@contextmanager
def open_page(suggestions: Path) -> Iterator[Page]:
    """The page of a folder of suggestions, while the block runs."""
    queue = read_queue(PATHS, "type", suggestions)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(make_app(queue, Photographs(PATHS)), log_level="critical"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield Page(f"http://127.0.0.1:{listening.getsockname()[1]}", queue.file)
        finally:
            server.should_exit = True
            thread.join()
