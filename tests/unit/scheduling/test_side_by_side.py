"""Stages side by side, in small pipelines whose commands are shell scripts; DVC, Dask and the processes are real."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from dask_cluster import Cluster, clusters, workers_at
from processes import Process, Warm
from rijksnet.cli import app
from rijksnet.errors import ParamsError, RunError
from rijksnet.params import Params
from rijksnet.planning import durations
from rijksnet.scheduling import engine
from rijksnet.scheduling.engine import Engine
from rijksnet.scheduling.output import last_lines, output_of
from rijksnet.scheduling.pipeline import Pipeline
from rijksnet.scheduling.repro import repro
from rijksnet.scheduling.resources import Resources
from small_pipeline import WAIT_FOR, Small, Watched
from waiting import wait_for

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # DVC's


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Small]:
    def made(**needs: list[str]) -> Small:
        project = Small(tmp_path / "project", needs)
        monkeypatch.chdir(project.folder)
        monkeypatch.setenv("PATH", project.environment["PATH"])
        return project

    return made


@pytest.fixture
def run(params: Params) -> Callable[..., Watched]:
    def carried_out(*targets: str, jobs: int = 3, workers: Engine | None = None) -> Watched:
        watched = Watched()
        if workers is not None:
            repro(params, targets, workers, jobs, watched)
            return watched
        with engine.this_machine(jobs) as local:
            repro(params, targets, local, jobs, watched)
        return watched

    return carried_out


@pytest.fixture(autouse=True)
def _three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "machine", lambda: Resources(3, 0, 10_000))


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_stages_that_do_not_need_each_other_run_side_by_side(
    small: Callable[..., Small], run: Callable[..., Watched]
) -> None:
    project = small(a=[], b=[], c=["a", "b"])
    project.does("a", WAIT_FOR.format("b", "b"))
    project.does("b", WAIT_FOR.format("a", "a"))
    watched = run()
    assert set(watched.outcome.ran) == {"a", "b", "c"}
    assert watched.started_stages[2] == "c"
    assert project.status() == "Data and pipelines are up to date."


def test_dvc_lock_and_cache_are_those_of_dvc_repro(
    small: Callable[..., Small], run: Callable[..., Watched], tmp_path: Path
) -> None:
    project = small(a=[], b=[], c=["a", "b"], d=["c"])
    shutil.copytree(project.folder, tmp_path / "other", symlinks=True)
    subprocess.run(["dvc", "repro", "--quiet"], cwd=tmp_path / "other", env=project.environment, check=True)
    run()
    other = tmp_path / "other"
    assert sorted(project.lock().splitlines()) == sorted((other / "dvc.lock").read_text().splitlines())
    cached, theirs = (
        {path.relative_to(folder).as_posix() for path in (folder / ".dvc" / "cache").rglob("*") if path.is_file()}
        for folder in (project.folder, other)
    )
    assert cached == theirs  # the run cache too


def test_what_has_not_changed_does_not_run_and_the_run_cache_counts(
    small: Callable[..., Small], run: Callable[..., Watched]
) -> None:
    project = small(a=[], b=["a"], c=[])
    run()
    assert set(run().outcome.unchanged) == {"a", "b", "c"}
    project.change("b")
    assert set(run().outcome.ran) == {"b"}
    (project.folder / "in" / "b").write_text("b\n", encoding="utf-8")
    run()
    assert len(project.processes("b")) == 2  # what it wrote first is in the run cache
    assert (project.folder / "out" / "b").read_text() == "b\n"


def test_targets_bring_what_they_need(small: Callable[..., Small], run: Callable[..., Watched]) -> None:
    small(a=[], b=["a"], c=[])
    assert set(run("b").outcome.ran) == {"a", "b"}
    with pytest.raises(RunError, match="nowhere"):
        run("nowhere")


def test_a_failure_keeps_back_only_what_needs_it(small: Callable[..., Small], run: Callable[..., Watched]) -> None:
    project = small(a=[], b=["a"], c=["b"], d=[], e=["d"])
    project.does("a", "echo the disk is full; exit 7\n")
    with pytest.raises(RunError) as caught:
        run(jobs=1)
    told = str(caught.value)
    assert "1 of 5 stages failed" in told
    assert "a: exit status 7 on " in told
    assert "not run, for they need them: b, c" in told
    assert last_lines(output_of("a"), 3) == ["the disk is full"]
    assert (project.folder / "out" / "e").is_file()
    project.does("a", "")
    assert set(run().outcome.ran) == {"a", "b", "c"}


def test_an_output_that_is_missing_fails_its_stage_alone(
    small: Callable[..., Small], run: Callable[..., Watched]
) -> None:
    project = small(a=[], b=[])
    project.does("a", "exit 0\n")
    with pytest.raises(RunError, match=r"a: .*out.a.* does not exist"):
        run()
    assert (project.folder / "out" / "b").is_file()


def test_whatever_goes_wrong_with_a_stage_is_its_own(
    small: Callable[..., Small], run: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = small(a=[], b=[], c=["a"], d=["b"])
    before = Pipeline.reproduce

    def fails(self: Pipeline, stage: Any) -> None:
        if stage.addressing == "a":
            raise OSError(28, "No space left on device")
        before(self, stage)

    monkeypatch.setattr(Pipeline, "reproduce", fails)
    with pytest.raises(RunError, match=r"a: OSError: .*No space left"):
        run()
    assert (project.folder / "out" / "d").is_file()


def test_a_stage_that_another_dvc_is_at_fails_alone(small: Callable[..., Small], run: Callable[..., Watched]) -> None:
    project = small(a=[], b=[])
    project.does("a", "sleep 600\n")
    other = subprocess.Popen(
        ["dvc", "repro", "a"],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(lambda: project.processes("a") != [])
        with pytest.raises(RunError, match=r"a: .*is busy"):
            run()
    finally:
        os.killpg(other.pid, signal.SIGKILL)
        other.wait()
    assert (project.folder / "out" / "b").is_file()


def test_a_command_that_a_signal_ends_is_told(small: Callable[..., Small], run: Callable[..., Watched]) -> None:
    small(a=[]).does("a", "kill -9 $$\n")
    with pytest.raises(RunError, match=r"a: ended by signal 9 on .*memory"):
        run()


def test_several_lines_other_folders_and_data_of_dvc_add(
    small: Callable[..., Small], run: Callable[..., Watched]
) -> None:
    project = small(a=[], b=[])
    (project.folder / "inner").mkdir()
    project.edit("a", cmd=["rijksnet splits a", "echo more >> out/a"])
    project.edit("b", cmd="pwd > where", wdir="inner", deps=["../raw.txt"], outs=["where"])
    raw = project.folder / "raw.txt"
    raw.write_text("raw")
    subprocess.run(["dvc", "add", "--quiet", "raw.txt"], cwd=project.folder, env=project.environment, check=True)
    raw.write_text("changed")
    assert set(run().outcome.ran) == {"raw.txt.dvc", "a", "b"}
    assert (project.folder / "out" / "a").read_text() == "a\nmore\n"
    assert (project.folder / "inner" / "where").read_text().strip() == str(project.folder / "inner")
    assert project.status() == "Data and pipelines are up to date."


def test_a_frozen_stage_waits_for_what_it_reads_and_is_not_kept_back(
    small: Callable[..., Small], run: Callable[..., Watched]
) -> None:
    project = small(a=[], b=["a"])
    run()
    project.edit("b", frozen=True)
    project.change("a")
    project.does("a", "sleep 1\n")
    watched = run()
    assert "a" in watched.outcome.ran
    assert len(project.processes("b")) == 1
    project.change("a")
    project.does("a", "exit 1\n")
    with pytest.raises(RunError, match="1 of 2 stages failed") as caught:
        run()
    assert "not run" not in str(caught.value)


def test_each_training_on_a_gpu_has_one_to_itself(
    small: Callable[..., Small], run: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = small(a=[], b=[], c=[])
    (project.folder / "dvc.yaml").write_text((project.folder / "dvc.yaml").read_text().replace("splits", "scratch"))
    for name, other in (("a", "b"), ("b", "a")):
        project.does(name, f"echo $CUDA_VISIBLE_DEVICES > seen-{name}; {WAIT_FOR.format(other, other)}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.setattr(engine, "machine", lambda: Resources(8, 2, 10_000))
    run(jobs=8)
    assert {(project.folder / f"seen-{name}").read_text() for name in "ab"} == {"3\n", "5\n"}


@pytest.fixture
def cli(small: Callable[..., Small], reference: Path, warm: Warm) -> Callable[..., Process]:
    """`rijksnet repro` as a process of its own, in the project that was made last."""

    def started(project: Small) -> Process:
        shutil.copyfile(reference.parent / "params.yaml", project.folder / "params.yaml")
        return warm.start("rijksnet", "repro", "--jobs", "2", folder=project.folder, environment=project.environment)

    return started


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_when_it_ends_its_commands_end_and_the_same_command_goes_on(
    small: Callable[..., Small],
    cli: Callable[[Small], Process],
    run: Callable[..., Watched],
    sign: signal.Signals,
) -> None:
    project = small(a=[], b=["a"])
    project.does("b", "sleep 600\n")
    process = cli(project)
    wait_for(lambda: project.processes("b") != [])
    os.killpg(process.pid, sign)  # as a terminal does
    _, said = process.communicate(timeout=60)
    (child,) = project.processes("b")
    wait_for(lambda: not alive(child))
    assert process.returncode == (130 if sign == signal.SIGINT else -sign), said
    project.does("b", "")
    assert set(run().outcome.ran) == {"b"}


# --- workers of a scheduler -------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(tmp_path: Path, warm: Warm) -> Iterator[Callable[..., Cluster]]:
    with clusters(tmp_path, warm) as started:
        yield started


def test_a_stage_whose_worker_is_lost_runs_again_on_another(
    small: Callable[..., Small], run: Callable[..., Watched], cluster: Callable[..., Cluster]
) -> None:
    project = small(a=[], b=["a"])
    project.does("a", "[ $(wc -l < started/a) -gt 1 ] || sleep 600\n")
    found = cluster("cores=1", "cores=1")
    workers_at(found.address, 2)

    def lose_it() -> None:
        wait_for(lambda: project.processes("a") != [])
        for worker in found.workers:
            if any(child == project.processes("a")[0] for child in descendants(worker.pid)):
                worker.kill()

    thread = Thread(target=lose_it)
    thread.start()
    with engine.of_scheduler(found.address) as workers:
        assert workers.together.cores == 2
        watched = run(workers=workers)
    thread.join()
    assert set(watched.outcome.ran) == {"a", "b"}
    first, second = project.processes("a")
    assert first != second
    wait_for(lambda: not alive(first))
    assert project.status() == "Data and pipelines are up to date."


def test_stages_on_workers_have_the_threads_and_memory_that_they_have_here(
    small: Callable[..., Small],
    run: Callable[..., Watched],
    cluster: Callable[..., Cluster],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = small(a=[])
    project.does("a", "env > seen\n")
    durations.FILE.parent.mkdir(exist_ok=True)
    durations.FILE.write_text("a,1.0,300\n")  # a worker that does not say how much memory it has is not asked for it
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    found = cluster("cores=2", nanny=True)
    workers_at(found.address, 1)
    with engine.of_scheduler(found.address) as workers:
        run(workers=workers)
    seen = (project.folder / "seen").read_text().splitlines()
    assert "OMP_NUM_THREADS=7" in seen
    assert not [line for line in seen if line.startswith("MKL_NUM_THREADS")]


def test_what_no_worker_has_begun_is_called_back(
    small: Callable[..., Small], run: Callable[..., Watched], cluster: Callable[..., Cluster]
) -> None:
    project = small(a=[], b=[])
    project.does("a", "sleep 600\n")
    project.does("b", "sleep 600\n")
    found = cluster("cores=1")
    workers_at(found.address, 1)
    with engine.of_scheduler(found.address) as workers:
        more = replace(workers, together=Resources(9))  # as if another worker were to come

        def stop() -> None:
            wait_for(lambda: len(project.processes("a") + project.processes("b")) == 1)
            more.stop()

        thread = Thread(target=stop)
        thread.start()
        with pytest.raises(RunError, match="2 of 2 stages failed"):
            run(workers=more)
        thread.join()


def descendants(process: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(process).children(recursive=True)]


def test_workers_that_do_not_say_what_they_have_are_told(cluster: Callable[..., Cluster]) -> None:
    found = cluster("memory_mib=100")
    workers_at(found.address, 1)
    with pytest.raises(RunError, match=r"do not say how many cores.*--resources"), engine.of_scheduler(found.address):
        pass


def test_a_scheduler_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "ANSWER_S", 1)
    with (
        pytest.raises(RunError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"),
        engine.of_scheduler("tcp://127.0.0.1:9"),
    ):
        pass


@pytest.mark.parametrize(
    ("scheduler", "told"),
    [("slum", r"--scheduler is 'slum': give an address .*'slurm'"), ("slurm", "params.yaml has no `cluster`")],
)
def test_a_scheduler_that_is_none_is_told(
    monkeypatch: pytest.MonkeyPatch, reference: Path, scheduler: str, told: str
) -> None:
    monkeypatch.chdir(reference.parent)
    with pytest.raises(ParamsError, match=told):
        app(["repro", "--scheduler", scheduler], standalone_mode=False)
