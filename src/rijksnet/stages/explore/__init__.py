"""The command that explores what the paper fixed: a worker of a study, and what it concludes."""

from rijksnet.stages.explore.worker import explore

__all__ = ["explore"]
