"""A museum's image server on this machine, for tests and benchmarks: plain images, IIIF, and all that goes wrong.

    python tests/image_server.py FOLDER      # serves the folder's images, prints its address, ends with standard input

It serves

- `/plain/<anything>/<name>`: the file as it is;
- `/iiif/<name>/…`: Image API 2 or 3, really resized; at level 0, whole images at three listed sizes only;
- `/manifest/2/<name>` and `/manifest/3/<name>`: Presentation manifests of two canvases, the first of which is `<name>`;
- `/hostile/<kind>`: see `HOSTILE`.
"""

from __future__ import annotations

import io
import json
import re
import struct
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from PIL import Image

HTML = b"<!DOCTYPE html><html><body>Sorry, we are redecorating.</body></html>"


@dataclass
class ImageServer:
    """What is served, how, and what has been asked for."""

    folder: Path
    api: int = 3
    level: int = 1
    robots: str | None = None
    delay_s: float = 0.0  #: before every answer
    down: bool = False  #: everything but robots.txt is answered 503
    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)  #: paths without their query
    agents: set[str] = field(default_factory=set)

    def plain(self, name: str) -> str:
        return f"{self.url}/plain/{quote(name)}"

    def service(self, name: str) -> str:
        return f"{self.url}/iiif/{quote(name)}"

    def manifest(self, name: str, version: int) -> str:
        return f"{self.url}/manifest/{version}/{quote(name)}"

    def hostile(self, kind: str) -> str:
        return f"{self.url}/hostile/{kind}"


@contextmanager
def serve(folder: Path, **settings: Any) -> Iterator[ImageServer]:
    """Serve while the block runs."""
    museum = ImageServer(folder, **settings)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"museum": museum}))
    museum.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield museum
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    block_on_close = False  # kept-alive connections of a client that is not closed would be waited for
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no error here."""


class _Handler(BaseHTTPRequestHandler):
    museum: ImageServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        self.museum.asked[path] += 1
        self.museum.agents.add(self.headers.get("User-Agent", ""))
        room, _, rest = path.removeprefix("/").partition("/")
        time.sleep(self.museum.delay_s)
        if path == "/robots.txt":
            self.robots()
        elif self.museum.down:
            self.answer(b"", status=503)
        elif room == "plain":
            self.image_file(unquote(rest.split("/")[-1]))
        elif room == "iiif":
            self.iiif(rest)
        elif room == "manifest":
            version, _, name = rest.partition("/")
            self.json(manifest(self.museum, unquote(name), int(version)))
        elif room == "hostile" and rest.split("/")[0] in HOSTILE:
            HOSTILE[rest.split("/")[0]](self)
        else:
            self.answer(b"", status=404)

    def answer(
        self, body: bytes, content_type: str = "image/jpeg", status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        every = {"Content-Type": content_type, "Content-Length": str(len(body)), **(headers or {})}
        for key, value in every.items():
            if value:
                self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def json(self, content: Any) -> None:
        self.answer(json.dumps(content).encode(), "application/ld+json")

    def robots(self) -> None:
        text = self.museum.robots
        self.answer((text or "").encode(), "text/plain", 404 if text is None else 200)

    def image_file(self, name: str, content_type: str = "image/jpeg") -> None:
        path = self.museum.folder / Path(name).name
        if path.is_file():
            self.answer(path.read_bytes(), content_type)
        else:
            self.answer(b"", status=404)

    def any_image(self) -> Path:
        return min(self.museum.folder.glob("*.jpg"))

    def iiif(self, rest: str) -> None:
        name, _, request = rest.partition("/")
        path = self.museum.folder / Path(unquote(name)).name
        if not path.is_file():
            return self.answer(b"", status=404)
        if request == "info.json":
            return self.json(info(self.museum, path))
        size = re.fullmatch(r"full/([^/]+)/0/default\.jpg", request)
        wanted = None if size is None else sized(self.museum, path, unquote(size[1]))
        if wanted is None:
            return self.answer(b"not supported", "text/plain", 400)
        return self.answer(resized(path, wanted))

    def log_message(self, *args: Any) -> None:
        pass


def info(museum: ImageServer, path: Path) -> dict[str, Any]:
    """An image's info.json."""
    width, height = size_of(path)
    context = f"http://iiif.io/api/image/{museum.api}/context.json"
    sizes = [{"width": w, "height": h} for w, h in listed(path)]
    content = {"@context": context, "protocol": "http://iiif.io/api/image", "width": width, "height": height}
    if museum.api == 3:
        return {**content, "type": "ImageService3", "id": museum.service(path.name), "sizes": sizes}
    return {**content, "@id": museum.service(path.name), "sizes": sizes}


def manifest(museum: ImageServer, name: str, version: int) -> dict[str, Any]:
    if version == 3:
        service = {"id": museum.service(name), "type": "ImageService3", "profile": "level1"}
        body = {"id": f"{museum.service(name)}/full/max/0/default.jpg", "type": "Image", "service": [service]}
        pages = [{"type": "AnnotationPage", "items": [{"type": "Annotation", "motivation": "painting", "body": body}]}]
        verso = {"type": "Canvas", "items": []}
        return {"type": "Manifest", "items": [{"type": "Canvas", "items": pages}, verso]}
    resource = {"@id": museum.plain(name), "service": {"@id": museum.service(name)}}
    canvases = [{"@type": "sc:Canvas", "images": [{"resource": resource}]}, {"@type": "sc:Canvas", "images": []}]
    return {"@type": "sc:Manifest", "sequences": [{"canvases": canvases}]}


@cache
def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def listed(path: Path) -> list[tuple[int, int]]:
    """A quarter, a half and the whole."""
    width, height = size_of(path)
    return [(max(1, width // part), max(1, height // part)) for part in (4, 2, 1)]


def sized(museum: ImageServer, path: Path, size: str) -> tuple[int, int] | None:
    """The size in px that a request names; None where the server does not make it."""
    width, height = size_of(path)
    if size == ("max" if museum.api == 3 else "full"):
        return width, height
    if museum.level == 0:
        forms = {f"{w},{h}" if museum.api == 3 else f"{w},": (w, h) for w, h in listed(path)}
        return forms.get(size)
    best_fit = re.fullmatch(r"!(\d+),(\d+)", size)
    if best_fit is None:
        return None
    scale = min(int(best_fit[1]) / width, int(best_fit[2]) / height, 1.0)
    return max(1, round(width * scale)), max(1, round(height * scale))


@cache
def resized(path: Path, size: tuple[int, int]) -> bytes:
    stream = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").resize(size).save(stream, "JPEG", quality=80)
    return stream.getvalue()


# --- what goes wrong -------------------------------------------------------------------------------------------------


def png(width: int, height: int) -> bytes:
    """A small PNG that claims to be large."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    framed = [struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def _truncated(handler: _Handler) -> None:
    data = handler.any_image().read_bytes()
    handler.answer(data[: len(data) // 2], headers={"Content-Length": str(len(data))})
    handler.close_connection = True


def _endless(handler: _Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "image/jpeg")
    handler.end_headers()
    handler.close_connection = True
    block = b"\xff\xd8\xff" + bytes(1 << 20)
    while True:  # until the client hangs up
        handler.wfile.write(block)


def _busy_once(handler: _Handler) -> None:
    if handler.museum.asked["/hostile/busy"] == 1:
        handler.answer(b"", status=503, headers={"Retry-After": "1"})
    else:
        handler.answer(handler.any_image().read_bytes())


HOSTILE: dict[str, Callable[[_Handler], None]] = {
    "html": lambda handler: handler.answer(HTML),  # as image/jpeg
    "page": lambda handler: handler.answer(HTML, "text/html; charset=utf-8"),
    "empty": lambda handler: handler.answer(b""),
    "bomb": lambda handler: handler.answer(png(50_000, 50_000), "image/png"),
    "wide": lambda handler: handler.answer(png(66_000, 1), "image/png"),
    "truncated": _truncated,
    "endless": _endless,
    "loop": lambda handler: handler.answer(b"", status=302, headers={"Location": "/hostile/loop"}),
    "busy": _busy_once,
    "away": lambda handler: handler.answer(b"", status=503),
    "broken": lambda handler: handler.answer(b"", status=500),
    "tomorrow": lambda handler: handler.answer(b"", status=503, headers={"Retry-After": "86400"}),
    "untyped": lambda handler: handler.answer(handler.any_image().read_bytes(), "application/octet-stream"),
    "text": lambda handler: handler.answer(handler.any_image().read_bytes(), "text/plain"),
    "file": lambda handler: handler.answer(b"", status=302, headers={"Location": "file:///etc/passwd"}),
    "json": lambda handler: handler.answer(b"[" * 100_000, "application/json"),
}


if __name__ == "__main__":
    with serve(Path(sys.argv[1])) as running:
        print(running.url, flush=True)
        sys.stdin.read()
