"""SLURM on this machine alone, on the loopback interface: one node of two cores."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stores import free_port
from waiting import wait_for

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")

CONFIGURATION = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/control.pid
SlurmdPidFile={folder}/node.pid
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why it cannot run here; empty: it can."""
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    absent = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    return "" if os.geteuid() == 0 else "only root can start it"


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """The variables that lead its commands to it."""
    folder = Path(tempfile.mkdtemp())  # the address of a socket may have some hundred characters at most
    folder.chmod(0o755)
    (folder / "spool").mkdir()
    munge = folder / "munge"
    munge.mkdir()
    (munge / "key").write_bytes(os.urandom(1024))
    (munge / "key").chmod(0o400)
    configuration = folder / "slurm.conf"
    configuration.write_text(
        CONFIGURATION.format(
            host=socket.gethostname().partition(".")[0], folder=folder, control=free_port(), node=free_port()
        ),
        encoding="utf-8",
    )
    environment = {**os.environ, "SLURM_CONF": str(configuration), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    files = [f"--{name}={munge / name}" for name in ("socket", "pid-file", "log-file", "seed-file")]
    processes = []
    try:
        for command in (
            ["munged", "--foreground", "--force", f"--key-file={munge / 'key'}", *files],
            ["slurmctld", "-D", "-i"],
            ["slurmd", "-D"],
        ):
            with (folder / f"{command[0]}.txt").open("wb") as output:
                processes.append(
                    subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
                )
            if command[0] == "munged":
                wait_for((munge / "socket").exists, 20)
        idle = ["sinfo", "--noheader", "--format=%T"]
        try:
            wait_for(lambda: "idle" in subprocess.run(idle, env=environment, text=True, capture_output=True).stdout, 30)
        except AssertionError:
            said = {file.name: file.read_text()[-500:] for file in folder.glob("*.txt")}
            pytest.skip(f"SLURM is installed but does not start here: {said}")
        yield {"SLURM_CONF": str(configuration)}
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
