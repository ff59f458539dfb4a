"""A Dask scheduler and workers as people start them, on the loopback interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from processes import Process, Warm
from stores import free_port


@dataclass
class Cluster:
    address: str
    workers: list[Process]


@contextmanager
def clusters(folder: Path, warm: Warm) -> Iterator[Callable[..., Cluster]]:
    """A function that starts one, with a worker for each of the resources it is given; all end with the block."""
    processes: list[Process] = []

    def start(*arguments: str) -> Process:
        process = warm.start("dask", *arguments, folder=folder)
        processes.append(process)
        return process

    def started(*resources: str, nanny: bool = False) -> Cluster:
        address = f"tcp://127.0.0.1:{free_port()}"
        port = address.rpartition(":")[2]
        start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
        kind = "--nanny" if nanny else "--no-nanny"
        workers = [
            start("worker", address, "--host", "127.0.0.1", kind, "--no-dashboard", "--resources", one)
            for one in resources
        ]
        return Cluster(address, workers)

    try:
        yield started
    finally:
        for process in processes:
            process.kill()
            process.wait(60)


def workers_at(address: str, number: int) -> None:
    """Wait until so many are there."""
    from distributed import Client

    with Client(address, timeout=30) as client:
        client.wait_for_workers(number, timeout=30)
