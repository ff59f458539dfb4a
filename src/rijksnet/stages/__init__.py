"""One function per stage: what a line of dvc.yaml runs. Each module is one group of stages with the same code deps."""
