"""Where θ̂ is not what a reader takes it for: this project's own run, tuned on the source as the tables say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rijksnet.runs.folder import RunFolder
from rijksnet.runs.key import RunKey, base_challenge
from rijksnet.tracking import pins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rijksnet.params import Params
    from rijksnet.runs.result import RunResult

EXPLAINED = "**θ̂ is not this project's own run** everywhere: Table 3 compares what it starts from."


def other_origins(params: Params, runs: Mapping[RunKey, RunResult]) -> list[str]:
    """What θ̂ is instead, a sentence for each challenge and network; none where it is the own run."""
    said = []
    for model in pins.source_models(params):
        of = (model.challenge, model.architecture)
        starts = {
            run.initial_weights
            for key, run in runs.items()
            if key.is_from_source and (base_challenge(key.challenge), key.architecture) == of
        }
        own = runs.get(RunKey(model.collection, *of, "fine_tuning", "imagenet", params.training.seed))
        if not starts or (own is not None and starts == {own.weights_digest}):
            continue
        pin = pins.read_pin(*of)
        said += [f"{model.challenge}, {model.architecture}: {_named(start, own, pin)}" for start in sorted(starts)]
    return said


def _named(start: str, own: RunResult | None, pin: pins.Pin | None) -> str:
    if own is not None and start == own.weights_digest:
        return "some runs start from the own run"
    if pin is None or pin.weights_sha256 != start:
        return f"weights {start[:12]}…, which neither the own run nor the pin names: `dvc repro` makes the runs again"
    described = f"the run `{pin.run_key}`, weights {start[:12]}…, chosen by a {pin.chosen_by}"
    differs = pin.differences(RunFolder.of(own.key).read(verify=False)) if own is not None else []
    return f"{described}; {'; '.join(differs)}" if differs else described
