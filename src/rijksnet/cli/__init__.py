"""The command line: every stage of dvc.yaml and what a person does beside it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rijksnet.cli import exploration, museums, repro, results, side_experiments, stages, starting, suggesting  # noqa: F401  each adds its commands to the application
from rijksnet.cli.app import app
from rijksnet.cli.own_code import run_the_code_of
from rijksnet.planning.durations import recorded


def main() -> None:
    """Run a command; a person's mistake gets one message, a mistake of ours a traceback."""
    from rijksnet.errors import RijksNetError

    # threads that wait for each other spin briefly, then sleep: spinning on is as fast on an idle machine, and many
    # times slower on a busy one (docs/decisions.md)
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        run_the_code_of(Path())
        with recorded():
            app()
    except RijksNetError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where the last checkpoint stands", file=sys.stderr)
        raise SystemExit(130) from None
