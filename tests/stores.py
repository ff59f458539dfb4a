"""Projects whose stores are real: SQLite files, and a server on the loopback interface."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from helpers import COLLECTION, KEY
from processes import Warm
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.lineage import dvc_md5
from rijksnet.tracking.stores import Store
from waiting import wait_for

PROJECT = Path(__file__).parents[1]
MODEL = f"rijksnet-{COLLECTION}-type-test_resnet"

PIXELS_MD5 = "0123456789abcdef0123456789abcdef.dir"  # 36 characters: as many as a dataset's digest may have
LOCK = f"""\
schema: '2.0'
stages:
  fine_tuning@type-test_resnet:
    cmd: rijksnet fine_tuning
    deps:
    - {{path: code/train.txt, hash: md5, md5: c0de5678901234567890123456789012}}
    - {{path: data/{COLLECTION}/pixels, hash: md5, md5: {PIXELS_MD5}}}
    - {{path: weights/imagenet/test_resnet.safetensors, hash: md5, md5: 7e7a5678901234567890123456789012}}
    outs:
    - {{path: runs/{KEY}, hash: md5, md5: THE_MD5}}
"""


def write_lock(folder: Path = Path()) -> str:
    """Write the dvc.lock of the stage that made the run of `KEY`, which lies there; its md5."""
    md5 = dvc_md5(folder / RunFolder.of(KEY).root)
    (folder / "dvc.lock").write_text(LOCK.replace("THE_MD5", md5))
    return md5


def make_project(folder: Path, blank_store: Path, uri: str = "sqlite:///mlflow.db") -> None:
    """A params.yaml with one source model, `MODEL`, and a blank store."""
    content: dict[str, Any] = YAML(typ="safe").load(PROJECT / "params.yaml")
    content["source"] = {"collection": COLLECTION, "challenges": ["type"]}
    content["target"] |= {"challenges": ["type"], "architectures": ["test_resnet"]}
    content["architectures"] = ["test_resnet"]
    content["scratch"]["challenges"] = []
    content["seeds"] = {"further": [], "source_challenges": [], "target_challenges": [], "architectures": []}
    content["side_experiments"] |= {
        "challenges": ["type"],
        "architectures": ["test_resnet"],
        "common_classes": [],
        "multi_task": [],
    }
    content["tracking"] |= {"uri": uri, "artifacts": "mlartifacts", "live_after_s": 0}
    with (folder / "params.yaml").open("w") as file:
        YAML().dump(content, file)
    shutil.copyfile(blank_store, folder / "mlflow.db")


@dataclass(frozen=True)
class Published:
    """A run and the run that shows it."""

    store: Store
    run: Any
    at: RunFolder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@contextmanager
def served(folder: Path, warm: Warm) -> Iterator[str]:
    """Address of a real tracking server on the store `mlflow.db` of a folder; it ends with all its processes."""
    port = free_port()
    command = ["mlflow", "server", "--backend-store-uri", "sqlite:///mlflow.db"]
    command += ["--artifacts-destination", "artifacts", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    process = warm.start(*command, folder=folder, environment=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: process.poll() is not None or answers(f"{address}/health"), seconds=120)
        assert process.poll() is None, process.communicate(timeout=0)
        yield address
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
