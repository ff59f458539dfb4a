"""A model's card: what a person should know of a version before they use it, from its folder alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rijksnet.runs.key import base_challenge
from rijksnet.statistics.significance import wilson_interval

if TYPE_CHECKING:
    from rijksnet.runs.folder import Run, RunFolder

ASKED = {"material": "what an object is made of", "type": "what kind of object it is", "artist": "who made an object"}

#: Classes that are named one by one; of more, so many.
NAMED = 20


def card(at: RunFolder, run: Run) -> str:
    """Markdown, after the sections that model cards have (Mitchell et al. 2019)."""
    measured = json.loads(at.metrics.read_text(encoding="utf-8"))
    params, key = run.params, run.key
    sections = {
        "": f"**{key.architecture}**, {key.strategy.replace('_', ' ')} for **{key.challenge}** on **{key.collection}**"
        f": says {ASKED[base_challenge(key.challenge)]}, from a photograph.",
        "Measured": _measured(measured),
        "Data": f"{params.get('train_images', '?')} training, {params.get('validation_images', '?')} validation and "
        f"{params.get('test_images', '?')} test images of {key.collection}; split `{run.digests['split'][:16]}` (rule "
        f"{params.get('split_rule', '?')}, seed {params.get('split_seed', '?')}). The photographs keep the rights that "
        "their museums state.",
        f"{len(run.classes)} classes": _classes(run.classes),
        "How it was trained": ", ".join(f"{name} {value}" for name, value in sorted(params.items()) if value != "")
        + f"; seed {key.seed}.",
        "Where its weights come from": _ancestry(run),
        "Intended use": "To propose labels for photographs of the kind it was trained on, for a person to confirm.",
        "Limits": _limits(run),
        "Code": f"commit {run.lineage.get('git_commit') or 'not known'}"
        + (" and changes that were not committed" if run.lineage.get("git_dirty") else "")
        + f", modules `{str(run.lineage.get('code', 'not known'))[:16]}`; run.json `{at.digest()[:16]}`.",
    }
    return "\n\n".join(f"### {title}\n\n{text}" if title else text for title, text in sections.items())


def _measured(measured: dict[str, dict[str, float]]) -> str:
    test = measured["test"]
    low, high = wilson_interval(test["accuracy"], int(test["n"]))
    return (
        f"On {int(test['n']):,} test images, opened after training: accuracy **{test['accuracy']:.1%}** ({low:.1%} "
        f"to {high:.1%}, 95 % Wilson), among the first five {test['top5_accuracy']:.1%}, mean over classes "
        f"{test['mean_class_accuracy']:.1%}, macro F1 {test['macro_f1']:.3f}. Always answering the most frequent class "
        f"gives {measured['majority_accuracy']:.1%}."
    )


def _classes(classes: list[str]) -> str:
    more = f" and {len(classes) - NAMED} more" if len(classes) > NAMED else ""
    return ", ".join(classes[:NAMED]) + more + "."


def _ancestry(run: Run) -> str:
    if not run.ancestry:
        return "Not stated in the run."
    steps = []
    for step in run.ancestry:
        said = [f"{name} {value}" for name, value in step.items() if name not in ("from", "name")]
        steps.append(f"{step['from']} `{step['name']}`" + (f" ({', '.join(said)})" if said else ""))
    return " → ".join(steps) + "."


def _limits(run: Run) -> str:
    said = [
        "It answers one of its classes, whatever it is shown: other materials, kinds or makers, or no museum object.",
        "Its figures are of one collection's photographs; other museums photograph and name things otherwise.",
    ]
    said += [f"**Doubtful**: {doubt}." for doubt in run.doubts]
    return "\n".join(f"- {one}" for one in said)
