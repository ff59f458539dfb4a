"""What `rijksnet plan` says is what `dvc repro` does."""

from __future__ import annotations

import json
import os
import re

from projects import Project, change


def planned(project: Project) -> dict[str, str]:
    """What each stage to go says of why, by its name."""
    return dict(re.findall(r"^\| (\S+) \| ([^|]*) \|", project.run("rijksnet", "plan", "--each"), re.MULTILINE))


def dry(project: Project) -> set[str]:
    """The stages that DVC would run, were nothing written that is new."""
    return set(re.findall(r"Running stage '([^']+)'", project.run("dvc", "repro", "--dry")))


def test_a_plan_is_what_dvc_would_do(twin: Project) -> None:
    said = twin.run("rijksnet", "plan")
    assert "stages are as they should be" in said
    always = dry(twin)
    assert all(name in said for name in always)

    change(twin, training__max_epochs__fine_tuning=3)
    plan = planned(twin)
    changed = {name for name, why in plan.items() if why == "training.max_epochs.fine_tuning"}
    assert dry(twin) - always == changed
    assert {"fine_tuning@type-test_resnet", "scratch@type", "target_fine_tuning@artist-test_resnet"} <= changed
    follow = {name for name, why in plan.items() if why == "if what it reads changes"}
    assert follow >= {"register", "publish", "report"}
    assert "features@test_resnet" not in plan

    file = twin.folder / "dvc.yaml"
    file.write_text(file.read_text().replace("cmd: rijksnet probes '", "cmd: rijksnet probes  '"))
    assert "changed command" in {why for name, why in planned(twin).items() if name.startswith("probes@")}

    text = twin.run("rijksnet", "plan")
    (row,) = re.findall(r"^\| fine_tuning × 2 \|.*$", text, re.MULTILINE)
    assert "?" not in row, "how many images there are is known, and how fast they train"
    (row,) = re.findall(r"^\| report \|.*$", text, re.MULTILINE)
    assert "?" not in row, "it took some seconds the last time"


def test_a_stage_that_runs_is_told(twin: Project) -> None:
    change(twin, training__max_epochs__fine_tuning=3)
    out = twin.folder / "runs/miniature-rijksmuseum/type/test_resnet/scratch-random-seed0"
    lock = {"write": {str(out): {"pid": os.getpid(), "cmd": "dvc repro"}}}
    (twin.folder / ".dvc" / "tmp" / "rwlock").write_text(json.dumps(lock))
    assert planned(twin)["scratch@type"] == "runs now"


def test_a_new_project_says_what_cannot_be_known_yet(twin: Project) -> None:
    (twin.folder / "dvc.lock").unlink()
    plan = planned(twin)
    assert set(plan.values()) == {"not made yet"}
    assert plan.keys() >= {"draw@miniature-antwerp", "report"}


def test_a_pipeline_that_dvc_refuses_is_one_message(twin: Project) -> None:
    file = twin.folder / "dvc.yaml"
    file.write_text(file.read_text().replace("${source.collection}", "${source.nobody}"))
    said = twin.run("rijksnet", "plan", check=False)
    assert re.search(r"^error: DVC does not say what has changed: .*source.nobody", said, re.MULTILINE)
    assert "Traceback" not in said
