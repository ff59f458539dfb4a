"""The workers, which are Dask's: in this process for this machine, or wherever a scheduler has them."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psutil

from rijksnet.data.pixels import cores
from rijksnet.errors import RunError
from rijksnet.scheduling.command import run_command
from rijksnet.scheduling.output import OUTPUT
from rijksnet.scheduling.resources import Resources

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from distributed import Client

    from rijksnet.cluster_params import Cluster
    from rijksnet.scheduling.command import Command, Ended

#: How Dask's workers say what they have: `dask worker ADDRESS --resources "cores=16 gpus=1 memory_mib=64000"`.
RESOURCES = ("cores", "gpus", "memory_mib")

#: Where NVIDIA's driver lists its GPUs, and the variable that says which of them a process sees.
NVIDIA, VISIBLE = Path("/proc/driver/nvidia/gpus"), "CUDA_VISIBLE_DEVICES"

#: Where Dask's pages are, which it does not do without: on this machine alone, at any port.
NOBODY = "127.0.0.1:0"

#: Jobs that may end while they run the same stage, as each ends at its walltime.
LOSSES = 1000

#: Seconds to wait for a scheduler that does not answer.
ANSWER_S = 20


@dataclass(frozen=True)
class Engine:
    """Workers that run commands, and what they have.

    `largest` is what the largest worker has: no stage can have more. `together` is what all `workers` have. `gpus` are
    the numbers of this machine's that are free; elsewhere each worker sees its own.
    """

    client: Client
    stop_name: str
    largest: Resources
    together: Resources
    workers: Sequence[Resources]
    gpus: SimpleQueue[str] | None = None
    tasks: dict[str, Task] = field(default_factory=dict)  #: that are not done
    stopped: set[str] = field(default_factory=set)  #: groups

    def run(self, command: Command, needs: Resources, group: str = "") -> Ended:
        """Run a command on a worker that has what it needs; on another one if that worker is lost meanwhile.

        Args:
            group: of commands that `stop` can end by themselves, and that come after all others.

        Raises:
            RunError: the workers cannot be reached any more, or do not see the project.
        """
        from distributed import CancelledError
        from distributed.scheduler import KilledWorker

        resources = {name: getattr(needs, name) for name in RESOURCES if getattr(needs, name)}
        key = f"{command.stage}-{uuid4().hex}"
        try:
            with self._own_gpu(command, needs) as its:
                names = [f"{self.stop_name}-{its_group}" for its_group in {"", group}]
                task = self.client.submit(
                    _on_worker, its, names, key=key, resources=resources, pure=False, priority=-1 if group else 0
                )
                self.tasks[key] = Task(task, Path(its.output), group)
                if group in self.stopped:  # in between
                    task.cancel()
                ended: Ended = task.result()
        except KilledWorker as error:
            raise RunError(f"every worker that ran it was lost: too little memory or time? ({error})") from error
        except CancelledError as error:
            raise RunError("cancelled before a worker had taken it, or the scheduler is gone") from error
        finally:
            self.tasks.pop(key, None)
        return ended

    @contextmanager
    def _own_gpu(self, command: Command, needs: Resources) -> Iterator[Command]:
        if self.gpus is None or not needs.gpus:
            yield command
            return
        number = self.gpus.get()
        try:
            yield replace(command, environment={**command.environment, VISIBLE: number})
        finally:
            self.gpus.put(number)

    def places(self, needs: Resources) -> int:
        """How many commands of such needs the workers have room for at once, if they do nothing else."""
        each = [getattr(self.together, name) // getattr(needs, name) for name in RESOURCES if getattr(needs, name)]
        return max(1, min(each, default=1))

    def stop(self, group: str = "") -> None:
        """End all commands, or those of a group, as Ctrl-C would, and call back what no worker has begun of them."""
        from distributed import Event

        self.stopped.add(group)
        Event(f"{self.stop_name}-{group}", client=self.client).set()
        for task in list(self.tasks.values()):
            if group in ("", task.group) and not task.output.exists():
                task.future.cancel()


@dataclass(frozen=True)
class Task:
    """A command that Dask has, with the file that is there once a worker has begun it."""

    future: Any
    output: Path
    group: str


def _on_worker(command: Command, stop_names: list[str]) -> Ended:
    from distributed import Event

    events = [Event(name) for name in stop_names]
    return run_command(command, lambda: any(event.is_set() for event in events))


@contextmanager
def this_machine(jobs: int) -> Iterator[Engine]:
    """This machine, for that many stages at a time."""
    import dask
    from distributed import Client, LocalCluster

    has, numbers = machine(), SimpleQueue[str]()
    for number in _gpus():
        numbers.put(number)
    # no heartbeat of a process to itself may be missed: it may be stopped for hours (Ctrl-Z)
    dask.config.set({"distributed.scheduler.worker-ttl": None})
    cluster = LocalCluster(
        n_workers=1,
        threads_per_worker=jobs,
        processes=False,  # commands are processes of their own
        worker_dashboard_address=NOBODY,
        scheduler_kwargs={"dashboard_address": NOBODY},
        memory_limit=0,
        resources={name: getattr(has, name) for name in RESOURCES},
    )
    with cluster, Client(cluster) as client:
        yield Engine(client, f"stop-{uuid4().hex}", has, has, [has], numbers)


@contextmanager
def of_scheduler(address: str) -> Iterator[Engine]:
    """The workers of the Dask scheduler at an address such as `tcp://10.0.0.1:8786`.

    Raises:
        RunError: none answers there, it has no workers, or one that does not say what it has.
    """
    from distributed import Client

    try:
        client = Client(address, timeout=ANSWER_S)
    except (OSError, ValueError) as error:
        raise RunError(
            f"no Dask scheduler answers at {address} ({error}); start one with `dask scheduler`, and workers with "
            f'`dask worker {address} --resources "cores=16"`'
        ) from error
    with client:
        has = _has(client, address)
        largest = max(has, key=lambda one: (one.gpus, one.cores))
        yield Engine(client, f"stop-{uuid4().hex}", largest, sum(has[1:], has[0]), has)


@contextmanager
def of_batch_system(cluster: Cluster) -> Iterator[Engine]:
    """Workers that a batch system starts as its jobs; what they say to the scheduler is encrypted.

    Raises:
        RunError: the batch system's commands are not here, or refuse.
    """
    from distributed import Client

    has = Resources(cluster.cores, cluster.gpus, int(1000 * cluster.memory_gb / 1.048576))
    jobs = _submitted(cluster, has)
    try:
        with Client(jobs) as client:
            jobs.adapt(minimum_jobs=cluster.jobs, maximum_jobs=cluster.jobs)  # one that ends too soon is replaced
            workers = [has] * cluster.jobs
            yield Engine(client, f"stop-{uuid4().hex}", has, sum(workers[1:], has), workers)
    finally:
        jobs.close()


def _submitted(cluster: Cluster, has: Resources) -> Any:
    """Dask's view of the batch system, which has taken the jobs."""
    import dask

    dask_jobqueue = _dask_jobqueue()
    dask.config.set({"distributed.scheduler.allowed-failures": LOSSES})
    names = {"slurm": "SLURM", "pbs": "PBS", "sge": "SGE", "lsf": "LSF", "oar": "OAR", "htcondor": "HTCondor"}
    own: dict[str, Any] = {"queue": cluster.queue, "walltime": cluster.walltime}
    own["account" if cluster.system in ("slurm", "pbs") else "project"] = cluster.account
    if cluster.system == "oar":
        own["memory_per_core_property_name"] = "not_applicable"  # memory is asked for by a directive, if at all
    if cluster.system == "htcondor":
        own = {"disk": "1 GB"}
    OUTPUT.mkdir(parents=True, exist_ok=True)
    jobs = getattr(dask_jobqueue, f"{names[cluster.system]}Cluster")(
        cores=cluster.cores,
        processes=1,
        memory=f"{cluster.memory_gb} GB",
        interface=cluster.interface,
        protocol="tls",
        security=True,
        shared_temp_directory=str(OUTPUT.absolute()),
        log_directory=str(OUTPUT.absolute()),
        scheduler_options={"dashboard_address": NOBODY},
        nanny=False,  # it would set how many threads a stage has; a job whose worker is lost ends, and is replaced
        job_extra_directives=cluster.directives,
        job_script_prologue=cluster.prologue,
        worker_extra_args=[
            *("--resources", ",".join(f"{name}={getattr(has, name)}" for name in RESOURCES)),
            *("--no-dashboard", "--dashboard-address", NOBODY),
        ],
        **own,
    )

    async def taken() -> None:
        jobs.scale(jobs=cluster.jobs)
        await jobs._correct_state()  # what `scale` itself calls, without telling what came of it

    try:
        jobs.sync(taken)
    except (OSError, RuntimeError, ValueError) as error:
        with suppress(AssertionError):  # Dask's, of jobs that were never taken
            jobs.close()
        why = " ".join(str(error).split())
        raise RunError(
            f"{cluster.system} does not take the jobs that `cluster` in params.yaml asks for: {why}"
        ) from error
    return jobs


def _dask_jobqueue() -> Any:
    """dask-jobqueue, which makes Ctrl-C a quiet success of the whole process when it is imported."""
    before = signal.getsignal(signal.SIGINT)
    import dask_jobqueue

    signal.signal(signal.SIGINT, before)
    return dask_jobqueue


def _has(client: Client, address: str) -> list[Resources]:
    """What each worker says that it has."""
    workers: dict[str, Any] = client.scheduler_info(n_workers=-1)["workers"]
    if not workers:
        raise RunError(f'the scheduler at {address} has no workers: `dask worker {address} --resources "cores=16"`')
    silent = [name for name, worker in workers.items() if not worker["resources"].get("cores")]
    if silent:
        raise RunError(
            f"of the workers at {address} {silent[:3]} do not say how many cores they have for stages: start them with "
            '--resources "cores=16", and "cores=16 gpus=1" where there is a GPU'
        )
    # what a worker does not say it has is not asked for
    return [
        Resources(**{name: int(worker["resources"].get(name, 0)) for name in RESOURCES}) for worker in workers.values()
    ]


def machine() -> Resources:
    """What this machine has: cores that this process may use, NVIDIA's GPUs, memory."""
    return Resources(cores(), len(_gpus()), psutil.virtual_memory().total // 2**20)


def _gpus() -> list[str]:
    """The numbers of NVIDIA's GPUs that this process may use."""
    if VISIBLE in os.environ:
        numbers = (number.strip() for number in os.environ[VISIBLE].split(","))
        return list(takewhile(lambda number: number and not number.startswith("-"), numbers))  # as CUDA reads it
    return [str(number) for number, _ in enumerate(NVIDIA.glob("*"))]
