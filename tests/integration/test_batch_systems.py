"""Stages as jobs of a batch system: SLURM itself, and what the others would be handed."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from threading import Thread

import psutil
import pytest

import slurm
from rijksnet.cluster_params import Cluster
from rijksnet.errors import RunError
from rijksnet.params import Params, load
from rijksnet.scheduling import engine
from rijksnet.scheduling.repro import repro
from small_pipeline import Small, Watched
from waiting import wait_for

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # DVC's


@pytest.fixture
def params() -> Params:
    return load(Path(__file__).parents[2] / "params.yaml")


def asked(system: str, **changes: object) -> Cluster:
    return Cluster.model_validate(
        {
            "system": system,
            "jobs": 2,
            "cores": 1,
            "memory_gb": 0.5,
            "gpus": 0,
            "walltime": "0:10:00",
            "queue": None,
            "account": None,
            "interface": "lo",
            "directives": [],
            "prologue": [],
            **changes,
        }
    )


@pytest.mark.skipif(bool(slurm.missing()), reason=f"SLURM: {slurm.missing()}")
def test_a_stage_whose_job_is_cancelled_runs_again_in_another(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Small(tmp_path / "project", {"a": [], "b": [], "c": ["a", "b"]})
    project.does("a", "[ $(wc -l < started/a) -gt 1 ] || sleep 600\n")
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("PATH", project.environment["PATH"])
    with slurm.running() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

        def cancel_it() -> None:
            wait_for(lambda: project.processes("a") != [])
            job = psutil.Process(project.processes("a")[0]).environ()["SLURM_JOB_ID"]
            subprocess.run(["scancel", job], check=True)

        thread, watched = Thread(target=cancel_it), Watched()
        thread.start()
        with engine.of_batch_system(asked("slurm", jobs=1)) as workers:
            repro(params, [], workers, 2, watched)
        thread.join()
    assert set(watched.outcome.ran) == {"a", "b", "c"}
    assert len(project.processes("a")) == 2
    assert project.status() == "Data and pipelines are up to date."


@pytest.mark.parametrize("system", ["slurm", "pbs", "sge", "lsf", "oar", "htcondor"])
def test_what_a_job_asks_for(system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The systems' own commands are stood in for by one that keeps what it is handed, and refuses."""
    for name in ("sbatch", "qsub", "bsub", "oarsub", "condor_submit"):
        (tmp_path / name).write_text(
            f'#!/bin/sh\n{{ echo "$@"; cat "$1" || cat; }} > {tmp_path}/handed 2>/dev/null\n'
            "echo no such queue >&2; exit 1\n"
        )
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    directives = {"slurm": ["--gres=gpu:1"]}.get(system, [])
    cluster = asked(system, cores=4, gpus=1, queue="long", account="museum", directives=directives)
    why = "bsub" if system == "lsf" else "no such queue"  # dask-jobqueue does not look at what LSF says
    with pytest.raises(RunError, match=f"{system} does not take the jobs .*{why}"), engine.of_batch_system(cluster):
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler  # dask-jobqueue takes it when it is imported
    handed = (tmp_path / "handed").read_text()
    assert "cores=4,gpus=1,memory_mib=476" in handed
    for directive in directives:
        assert f"#SBATCH {directive}" in handed
    if system != "htcondor":
        assert "long" in handed
        assert "museum" in handed
        assert "10:00" in handed
