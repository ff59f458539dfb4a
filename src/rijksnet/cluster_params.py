"""What params.yaml says of a batch system whose machines run stages: `rijksnet repro --scheduler slurm`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rijksnet.collection_params import Frozen

System = Literal["slurm", "pbs", "sge", "lsf", "oar", "htcondor"]


class Cluster(Frozen):
    """Each worker is a job of the batch system, which the scheduler starts, and replaces where it ends too soon."""

    system: System = Field(description="the batch system")
    jobs: Annotated[int, Field(ge=1)] = Field(description="workers, each a job of its own")
    cores: Annotated[int, Field(ge=1)] = Field(description="of each job")
    memory_gb: Annotated[float, Field(gt=0)] = Field(description="of each job")
    gpus: Annotated[int, Field(ge=0, le=1)] = Field(
        description="1: each job has a GPU, for which a directive asks, such as `--gres=gpu:1`"
    )
    walltime: str = Field(pattern=r"^\d+:\d\d:\d\d$", description="of each job, hours:minutes:seconds")
    queue: str | None = Field(description="queue or partition; null: the system's default")
    account: str | None = Field(description="the account or project that pays; null: the system's default")
    interface: str | None = Field(description="network that workers reach this machine by, as `ip address` names it")
    directives: list[str] = Field(description="further lines of a job's head, as the batch system writes them")
    prologue: list[str] = Field(description="shell lines before the worker starts, such as `module load cuda`")
