"""How fast `rijksnet fetch` downloads, and that its memory does not grow with the number of images.

    python benchmarks/fetch.py [--images 5000 20000] [--connections 4] [--kilobytes 30]

A server in a process of its own, on this machine, gives plain images as fast as it can; the rate limit is lifted. The
baseline is a loop over `requests` in one thread that keeps nothing. Memory is the peak resident size of a process that
does nothing else, one for each number of images.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import requests
from PIL import Image

SERVER = Path(__file__).parents[1] / "tests" / "image_server.py"

FETCHING = """
import json, resource, sys
from pathlib import Path
from rijksnet.collections.records import Address
from rijksnet.harvesting.fetch import fetch
from rijksnet.collection_params import Download

class Numbered:
    def addresses(self):
        return (Address(f"object-{i}", f"{url}/plain/{i}/{i % 50}.jpg") for i in range(images))

url, images, connections = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
download = Download(contact="benchmark", requests_per_s=100, kind="url", connections=connections)
unlimited = download.model_copy(update={"requests_per_s": 1e6})
summary = fetch(Numbered(), unlimited, Path("images"))
assert summary.fetched == images, summary
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"rate": summary.fetched / summary.seconds, "mebibytes": peak}))
"""


def draw(folder: Path, kilobytes: int) -> None:
    """50 JPEGs of noise, of about the size asked for."""
    generator = np.random.default_rng(0)
    side = int((kilobytes * 1000 / 0.75) ** 0.5)
    for i in range(50):
        stream = io.BytesIO()
        noise = generator.integers(0, 256, (side, side), dtype=np.uint8)
        Image.fromarray(noise).save(stream, "JPEG", quality=75)
        (folder / f"{i}.jpg").write_bytes(stream.getvalue())


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    with subprocess.Popen([sys.executable, SERVER, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield server.stdout.readline().decode().strip()
        finally:
            server.stdin.close()


def plain_loop(url: str, images: int) -> float:
    """Images a second."""
    started = time.perf_counter()
    with requests.Session() as session:
        for i in range(images):
            assert session.get(f"{url}/plain/{i}/{i % 50}.jpg").content
    return images / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[2000, 20000], help="numbers of images to fetch")
    parser.add_argument("--connections", type=int, default=4, help="downloads at the same time")
    parser.add_argument("--kilobytes", type=int, default=30, help="size of an image")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder), chosen.kilobytes)
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 50_000
        with serving(Path(folder)) as url:
            print(f"JPEGs of {size:.0f} kB on average, {chosen.connections} connections")
            print(f"plain loop, one connection: {plain_loop(url, 1000):7.1f} images/s")
            for images in chosen.images:
                with tempfile.TemporaryDirectory() as work:
                    command = [sys.executable, "-c", FETCHING, url, str(images), str(chosen.connections)]
                    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=True)
                told = json.loads(done.stdout)
                print(f"fetch, {images:6d} images:      {told['rate']:7.1f} images/s, {told['mebibytes']:.0f} MiB")


if __name__ == "__main__":
    main()
