"""What `dvc repro` would do, as a person reads it before it starts, or from beside it."""

from __future__ import annotations

import shutil
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from rijksnet.planning.estimate import NOTHING, Estimator
from rijksnet.planning.former import FormerRuns
from rijksnet.planning.stages import read_stages
from rijksnet.progress import OtherWork, clock, progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rijksnet.params import Params
    from rijksnet.planning.estimate import Estimate
    from rijksnet.planning.stages import Stage

    Estimates = Mapping[Stage, Estimate]

#: Names in one cell or sentence; the others are counted.
NAMED = 3


def plan_text(params: Params, each: bool = False) -> str:
    """Which stages would run and why, how long they take on this machine, and how much they write, in Markdown.

    Args:
        each: a line for every stage; else one for all of a kind.

    Raises:
        RunError: DVC does not say what has changed.
    """
    stages = read_stages()
    to_go = [stage for stage in stages if stage.to_go]
    if not to_go:
        always = ", ".join(stage.name for stage in stages if stage.state == "always")
        return f"All {len(stages)} stages are as they should be; {always} look at the world outside each time."
    estimator = Estimator(params, FormerRuns(params))
    other = OtherWork(estimator.speeds.threads)
    estimates = {}
    with progress("planning", len(to_go)) as report:
        for done, stage in enumerate(to_go, 1):
            estimates[stage] = estimator.of(stage)
            report(done, stage.name)
    told = [*_head(stages, to_go), "", *_table(estimates, each), "", *_together(estimates)]
    if warning := other.warning():
        told += ["", f"What was measured now was measured beside other work: {warning}."]
    return "\n".join([*told, "", f"Speeds are on {estimator.speeds.computed}."])


def _head(stages: Sequence[Stage], to_go: Sequence[Stage]) -> Iterator[str]:
    done = len(stages) - len(to_go)
    yield f"**{done} of {len(stages)} stages are as they should be, {len(to_go)} are to go.**"
    for stage in to_go:
        if stage.state == "runs_now":
            yield f"{stage.name} runs now."


def _table(estimates: Estimates, each: bool) -> Iterator[str]:
    yield "| what runs | why | images/s | expected | at most | writes |"
    yield "|---|---|---:|---:|---:|---:|"
    groups: dict[str, list[Stage]] = {}
    for stage in estimates:
        groups.setdefault(stage.name if each else stage.group, []).append(stage)
    for name, its in groups.items():
        total = sum((estimates[stage] for stage in its), NOTHING)
        times = f"{_time(total.expected_s)} | {_time(total.most_s)}"
        shown = name if len(its) == 1 else f"{name} × {len(its)}"
        yield f"| {shown} | {_why(its)} | {_range(total.images_per_s)} | {times} | {_size(total.bytes)} |"


def _why(its: Sequence[Stage]) -> str:
    """What has changed, or else what may."""
    states = {stage.state for stage in its}
    if "runs_now" in states:
        return "runs now"
    changed = dict.fromkeys(name for stage in its for name in stage.changed)
    if changed:
        return _named(list(changed))
    return "not made yet" if "new" in states else "if what it reads changes"


def _together(estimates: Estimates) -> Iterator[str]:
    known = [one for one in estimates.values() if one.expected_s is not None]
    unknown = [stage.name for stage, one in estimates.items() if one.expected_s is None]
    total = sum(known, NOTHING)
    if known:
        yield (
            f"Together {_time(total.expected_s)} are to be expected, {_time(total.most_s)} at most, if every run needs "
            f"all its epochs. {_size(total.bytes) or '0 MB'} are written, and DVC keeps as much again, but for pixels; "
            f"{_size(shutil.disk_usage(Path()).free)} are free."
        )
    if unknown:
        yield (
            f"Not counted: {_named(unknown)}. How many images are trained on is known once `dvc repro splits` has run; "
            "what other stages take, mostly seconds, once they have run here."
        )


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _range(speeds: Sequence[float]) -> str:
    ends = dict.fromkeys(f"{end(speeds):,.0f}" for end in (min, max)) if speeds else {}
    return "–".join(ends)


def _time(seconds: float | None) -> str:
    return "?" if seconds is None else clock(ceil(seconds))


def _size(amount: int) -> str:
    if not amount:
        return ""
    return f"{amount / 1e9:.1f} GB" if amount >= 1e9 else f"{amount / 1e6:.0f} MB"
