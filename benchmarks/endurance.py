"""What the service bears: malformed requests, and another champion every few seconds while visitors ask.

    python benchmarks/endurance.py NAME@ALIAS [--malformed 1000] [--moves 10]

In a copy of a project that has been run: the alias is moved between the versions of NAME (of a single one a second is
made), and back in the end. Nothing may be answered by 5xx, and of the sound requests none may fail.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import psutil
import requests
from PIL import Image

from rijksnet.params import load
from rijksnet.paths import PARAMS
from rijksnet.tracking import registry, stores

KINDS = ("image/png", "image/jpeg", "application/octet-stream", "application/json", "multipart/form-data; boundary=b",
         "multipart/form-data", "text/plain", "", "image/", "application/json; charset=utf-16", "\xe9/x")  # fmt: skip

ADDRESSES = ("http://127.0.0.1:22/", "file:///etc/passwd", "http://[::1", "https://a@b@c/", "http://\x00", "//x", "",
             "http://169.254.169.254/latest/meta-data", "gopher://x", "http://" + "a" * 3000, "\ud800")  # fmt: skip


def encoded(form: str, seed: int, side: int = 60) -> bytes:
    stream = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(noise).save(stream, form)
    return stream.getvalue()


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header announces a size that its few bytes do not hold."""
    chunks = {b"IHDR": width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0",
              b"IDAT": zlib.compress(b"\0" * 10**6), b"IEND": b""}  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")
        for name, data in chunks.items()
    )


def broken(draw: np.random.Generator) -> bytes:
    """A picture's bytes, or none, with some of them changed, cut off or repeated."""
    forms = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP")
    body = bytearray(encoded(forms[draw.integers(len(forms))], int(draw.integers(100))))
    how = draw.integers(5)
    if how == 0:
        body = body[: int(draw.integers(len(body)))]
    elif how == 1:
        body = bytearray(draw.bytes(int(draw.integers(1, 3000))))
    elif how == 2:
        body = bytearray(png_of(*(int(2 ** draw.uniform(0, 31)) for _ in range(2))))
    for place in draw.integers(0, max(1, len(body)), int(draw.integers(1, 30))):
        body[place : place + 1] = draw.bytes(1)
    return bytes(body)


def malformed(draw: np.random.Generator) -> dict[str, object]:
    """A request that is wrong in one way or several."""
    kind, body = KINDS[draw.integers(len(KINDS))], broken(draw)
    if "json" in kind and draw.random() < 0.8:
        address = ADDRESSES[draw.integers(len(ADDRESSES))]
        forms: tuple[object, ...] = (
            {"url": address},
            {"url": 1},
            [address],
            {"uri": address},
            {"url": None},
            {"url": [[[[]]]]},
        )
        body = json.dumps(forms[draw.integers(len(forms))]).encode()
        body = b"[" * 10**5 if draw.random() < 0.1 else body
    if kind.startswith("multipart") and draw.random() < 0.8:
        name, file = ("image", "imag", "")[draw.integers(3)], ('; filename="x"', "", '; filename="')[draw.integers(3)]
        part = f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + body + b"\r\n"
        body = part * int(draw.integers(1, 50)) + (b"--b--\r\n" if draw.random() < 0.7 else b"")
    path = ("/classify", "/classify?overlay=true", "/classify?overlay=9", "/none", "/%00", "/classify/../health")
    method = "POST" if draw.random() < 0.9 else ("PUT", "DELETE", "GET", "PATCH", "BREW")[draw.integers(5)]
    headers = {"content-type": kind} if draw.random() < 0.95 else {"content-type": kind, "content-encoding": "gzip"}
    return {"method": method, "path": path[min(5, int(draw.exponential(1)))], "data": body, "headers": headers}


def raw(draw: np.random.Generator) -> bytes:
    """What is no HTTP, or breaks it off."""
    heads = (
        b"POST /classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n",
        b"GET / HTTP/9\r\n",
        b"\0" * 99,
    )
    ends = (b"Content-Length: -1\r\n\r\n", b"Content-Length: 9\r\n\r\nab", b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na", b"X: " + b"a" * 10**5 + b"\r\n\r\n", b"")  # fmt: skip
    return heads[draw.integers(len(heads))] + ends[draw.integers(len(ends))]


@contextmanager
def served(what: str) -> Iterator[tuple[str, psutil.Process]]:
    """The address of `rijksnet serve`, and its process."""
    words = [sys.executable, "-m", "rijksnet", "serve", what, "--port", "0", "--follow", "0.5"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if found := re.search(r"http://\S+?:\d+", line):
                    threading.Thread(target=process.stderr.read, daemon=True).start()
                    yield found[0], psutil.Process(process.pid)
                    break
            else:
                raise SystemExit("the service did not start")
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def send_malformed(url: str, n: int) -> Counter[str]:
    draw, answers = np.random.default_rng(0), Counter[str]()
    host, port = url.removeprefix("http://").split(":")
    with requests.Session() as session:
        for i in range(n):
            if i % 10 == 0:
                with socket.create_connection((host, int(port)), timeout=60) as visitor:
                    visitor.sendall(raw(draw))
                    visitor.shutdown(socket.SHUT_WR)
                    said = visitor.recv(1000).split(b"\r\n")[0].decode("latin-1")
                answers[said.split(" ")[1] if said.startswith("HTTP") else "closed"] += 1
                continue
            one = malformed(draw)
            request = requests.Request(one["method"], url, data=one["data"], headers=one["headers"]).prepare()
            request.url = url + str(one["path"])
            answer = session.send(request, timeout=60)
            assert "Traceback" not in answer.text, answer.text
            answers[str(answer.status_code)] += 1
    return answers


def move(store: stores.Store, name: str, alias: str, url: str, moves: int) -> tuple[Counter[str], Counter[str]]:
    """Answers by their status, and by the version that gave them, while the alias moves."""
    client, over = store.client, threading.Event()
    found = registry.versions(store, name)
    if len(found) == 1:  # the same files once more
        found.append(client.create_model_version(name, found[0].source, found[0].run_id, found[0].tags))
    numbers = [one.version for one in found]
    before = client.get_model_version_by_alias(name, alias).version
    statuses, versions, picture = Counter[str](), Counter[str](), encoded("JPEG", 1, 300)
    kind = {"content-type": "image/jpeg"}

    def visit() -> None:
        with requests.Session() as session:
            while not over.is_set():
                try:
                    answer = session.post(f"{url}/classify", data=picture, headers=kind, timeout=60)
                except requests.RequestException as error:
                    statuses[type(error).__name__] += 1
                    continue
                statuses[str(answer.status_code)] += 1
                versions[answer.json()["model"]["name"]] += 1

    everyone = [threading.Thread(target=visit) for _ in range(8)]
    for one in everyone:
        one.start()
    try:
        for i in range(moves):
            client.set_registered_model_alias(name, alias, numbers[i % len(numbers)])
            time.sleep(4)
    finally:
        over.set()
        for one in everyone:
            one.join()
        client.set_registered_model_alias(name, alias, before)
    return statuses, versions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="NAME@ALIAS")
    parser.add_argument("--malformed", type=int, default=1000)
    parser.add_argument("--moves", type=int, default=10)
    asked = parser.parse_args()
    reference = registry.Reference.parse(asked.model)
    if reference is None or not reference.alias:
        raise SystemExit(f"{asked.model}: NAME@ALIAS is wanted")
    with served(asked.model) as (url, process):
        before = process.memory_info().rss
        answers = send_malformed(url, asked.malformed)
        grown = (process.memory_info().rss - before) >> 20
        print(f"{asked.malformed} malformed requests: {dict(sorted(answers.items()))}; memory {grown:+} MiB")
        store = stores.open_store(load(PARAMS).tracking)
        statuses, versions = move(store, reference.name, reference.alias, url, asked.moves)
        print(f"alias moved {asked.moves} times: {dict(statuses)} by {dict(versions)}")
    if any(status.startswith("5") for status in answers) or {*statuses} != {"200"}:
        raise SystemExit("a fault of the service")


if __name__ == "__main__":
    main()
