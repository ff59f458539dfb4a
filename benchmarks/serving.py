"""The service under visitors: pictures a second and waiting times of 1 and 16 clients, batched and one by one; memory.

    python benchmarks/serving.py [MODEL] [--seconds 10] [--memory 0]

In a project that has been run; MODEL is a run's key or a registered model, by default the best run of the source's
first challenge. The baseline, in the same process, is the same service that gives the network one picture at a time.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import torch
import uvicorn
from PIL import Image

from rijksnet.params import load
from rijksnet.paths import PARAMS
from rijksnet.service import desk as desk_module
from rijksnet.service.app import Office, make_app
from rijksnet.service.desk import Adviser, Desk, load_adviser
from rijksnet.service_params import Service
from rijksnet.suggesting.suggest import best_run

CLIENTS = (1, 16)


def pictures(n: int = 32) -> list[bytes]:
    """Photograph-like JPEGs of 500 by 400 px."""
    found = []
    for seed in range(n):
        coarse = np.random.default_rng(seed).integers(0, 256, (10, 12, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(coarse).resize((500, 400), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
        found.append(stream.getvalue())
    return found


@contextmanager
def served(adviser: Adviser, limits: Service) -> Iterator[int]:
    """The port of the service."""
    desk = Desk(adviser)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(make_app(Office(desk, limits)), log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()
    desk.close()


#: A process of its own, so that visitors and service do not share an interpreter; it imports nothing heavy.
VISITORS = """
import http.client, json, sys, threading, time
port, clients, seconds, most = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
folder = sys.argv[5]
pictures, times = [open(f"{folder}/{i}.jpg", "rb").read() for i in range(8)], []

def visit(seed):
    connection, end, n = http.client.HTTPConnection("127.0.0.1", port), time.perf_counter() + seconds, 0
    while time.perf_counter() < end and n < most:
        begun = time.perf_counter()
        connection.request("POST", "/classify", pictures[(seed + n) % 8], {"Content-Type": "image/jpeg"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        times.append(time.perf_counter() - begun)
        n += 1

everyone = [threading.Thread(target=visit, args=(i,)) for i in range(clients)]
for one in everyone: one.start()
for one in everyone: one.join()
print(json.dumps(times))
"""


def load_of(port: int, clients: int, seconds: float, most: int = 1 << 30) -> np.ndarray:
    """All waiting times, s."""
    with TemporaryDirectory() as folder:
        for i, picture in enumerate(pictures(8)):
            Path(folder, f"{i}.jpg").write_bytes(picture)
        words = [sys.executable, "-c", VISITORS, *map(str, (port, clients, seconds, most, folder))]
        return np.array(json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--memory", type=int, default=0, help="then so many requests, and the memory before and after")
    asked = parser.parse_args()
    params = load(Path(PARAMS))
    model = asked.model or best_run(params, params.source.collection, params.source.challenges[0])
    adviser = load_adviser(params, model, 0.9)
    print(
        f"{adviser.name}, {adviser.computed}, {torch.get_num_threads()} threads, {platform.processor() or 'processor'}"
    )
    limits = Service(hosts=[], megabytes=20, seconds=60, requests=1000)
    process, speed = psutil.Process(), dict[tuple[int, int], float]()
    for batch in (1, desk_module.BATCH, 1, desk_module.BATCH):
        desk_module.BATCH = batch
        with served(adviser, limits) as port:
            load_of(port, 2, 2)
            for clients in CLIENTS:
                times = load_of(port, clients, asked.seconds)
                speed[batch, clients] = max(speed.get((batch, clients), 0), len(times) / asked.seconds)
                print(
                    f"{clients:2} clients, {adviser.at_once:2} at a time: {len(times) / asked.seconds:6.1f}/s, "
                    f"median {1000 * np.median(times):5.0f} ms, 95 % below {1000 * np.quantile(times, 0.95):5.0f} ms"
                )
    largest = max(batch for batch, _ in speed)
    print(f"batched against one by one, 16 clients: {speed[largest, 16] / speed[1, 16]:.2f} times")
    if asked.memory:
        with served(adviser, limits) as port:
            load_of(port, 16, 5)
            before = process.memory_info().rss
            for _ in range(4):
                load_of(port, 16, 1e9, asked.memory // 4 // 16)
                grown = (process.memory_info().rss - before) >> 20
                print(f"memory after {asked.memory // 4} more requests: {grown:+} MiB")


if __name__ == "__main__":
    main()
