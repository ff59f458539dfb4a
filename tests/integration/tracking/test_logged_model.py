"""The model that MLflow keeps of a run answers as the run's own network does, wherever it is loaded."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from helpers import CLASSES, INPUT_SIZE, network
from rijksnet.data.decode import decode
from rijksnet.networks import weights
from rijksnet.runs import code
from rijksnet.serving import logged_model
from stores import MODEL, Published

SAMPLE = Path(__file__).parents[3] / ".." / "shared" / "data" / "rijksmuseum-challenge-sample" / "images"


def encoded(kind: str, mode: str, width: int, height: int) -> bytes:
    noise = np.random.default_rng(width).integers(0, 256, (5, 4, 4), dtype=np.uint8)
    image = Image.fromarray(noise, "RGBA").resize((width, height), Image.Resampling.BICUBIC).convert(mode)
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


DRAWN = [encoded("JPEG", "RGB", 300, 200), encoded("PNG", "RGBA", 64, 64), encoded("TIFF", "L", 50, 410)]


def expected(images: list[bytes], scale: Literal["unit", "pretrained"] = "unit") -> NDArray[np.float32]:
    """Probabilities (n, 3) that the run's network gives."""
    pixels = np.stack([decode(image, [INPUT_SIZE])[0] for image in images])
    with torch.no_grad():
        found: NDArray[np.float32] = network(0, scale)(torch.from_numpy(pixels)).softmax(1).numpy()
    return found


def probabilities(ranking: str) -> list[float]:
    """Of one answer, in the order of the classes."""
    by_label = dict(json.loads(ranking))
    assert set(by_label) == set(CLASSES)
    return [by_label[label] for label in CLASSES]


@pytest.fixture
def folder(published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The logged model, fetched; loading it puts its code on the path, for this test only."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    return Path(published.store.client.download_artifacts(published.run.info.run_id, "model", str(tmp_path)))


def check(answers: pd.DataFrame, wanted: NDArray[np.float32]) -> None:
    assert answers["label"].tolist() == [CLASSES[best] for best in wanted.argmax(1)]
    np.testing.assert_array_equal(np.float32([probabilities(one) for one in answers["ranking"]]), wanted)
    np.testing.assert_array_equal(np.float32(answers["probability"]), wanted.max(1))
    for one in answers["ranking"]:
        ranked = [probability for _, probability in json.loads(one)]
        assert ranked == sorted(ranked, reverse=True)


def test_it_answers_as_the_network_does(folder: Path) -> None:
    wanted = expected(DRAWN)
    assert np.ptp(wanted, axis=0).min() > 1e-4  # the images differ to it: a constant answer would be noticed
    check(mlflow.pyfunc.load_model(str(folder)).predict(pd.DataFrame({"image": DRAWN})), wanted)


def test_it_answers_so_for_a_museums_photographs(folder: Path) -> None:
    if not SAMPLE.is_dir():
        pytest.skip("../shared/data/rijksmuseum-challenge-sample is not here")
    images = [path.read_bytes() for path in sorted(SAMPLE.glob("*.jpg"))[:4]]
    check(mlflow.pyfunc.load_model(str(folder)).predict(pd.DataFrame({"image": images})), expected(images))


def test_the_input_scale_is_kept(published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", sys.path[:])
    run = published.at.read(verify=True)
    logged_model.save_model(published.at, replace(run, params={**run.params, "normalisation": "pretrained"}), tmp_path)
    wanted = expected(DRAWN, "pretrained")
    assert abs(wanted - expected(DRAWN)).max() > 1e-3
    check(mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(pd.DataFrame({"image": DRAWN})), wanted)


@pytest.mark.parametrize("table", [{"picture": [b""]}, {"image": [1.5]}], ids=["no column image", "no bytes"])
def test_what_is_no_table_of_images_is_refused(folder: Path, table: dict[str, Any]) -> None:
    with pytest.raises(mlflow.exceptions.MlflowException, match=r"schema"):
        mlflow.pyfunc.load_model(str(folder)).predict(pd.DataFrame(table))


def test_it_is_text_and_safetensors_and_never_a_pickle(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} - {".py", ".txt", ".yaml", ".csv", ".j2"} == {"", ".safetensors"}
    assert [path.name for path in files if path.suffix == ""] == ["MLmodel"]
    for path in files:
        if path.suffix == ".safetensors":
            weights.read(path)
        else:
            path.read_text(encoding="utf-8")  # no pickle is text


IN_A_BARE_PROCESS = """
import json, sys
sys.path[:] = [entry for entry in sys.path if entry != sys.argv[1]]
try:
    import rijksnet
except ModuleNotFoundError:
    pass
else:
    raise SystemExit(f"the project is still on the path: {rijksnet.__file__}")
import mlflow, pandas
model = mlflow.pyfunc.load_model(sys.argv[2])
images = [open(path, "rb").read() for path in sys.argv[3:]]
answers = model.predict(pandas.DataFrame({"image": images}))
import rijksnet
print(json.dumps({"file": rijksnet.__file__, "ranking": answers["ranking"].tolist()}))
"""


def test_the_champion_loads_by_its_name_where_the_project_is_not_installed(
    published: Published, tmp_path: Path
) -> None:
    for number, image in enumerate(DRAWN):
        (tmp_path / str(number)).write_bytes(image)
    command = [sys.executable, "-c", IN_A_BARE_PROCESS, str(code.PACKAGE.parent), f"models:/{MODEL}@champion"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{published.at.root.parents[4] / 'mlflow.db'}"
    done = subprocess.run([*command, *map(str, range(len(DRAWN)))], cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    said = json.loads(done.stdout.splitlines()[-1])
    assert not Path(said["file"]).is_relative_to(code.PACKAGE)
    found = np.float32([probabilities(one) for one in said["ranking"]])
    np.testing.assert_allclose(found, expected(DRAWN), rtol=1e-5)


def test_of_the_package_it_holds_only_what_it_runs_on(folder: Path) -> None:
    held = {path.relative_to(folder / "code").as_posix() for path in (folder / "code").rglob("*.py")}
    assert held == {file.relative_to(code.PACKAGE.parent).as_posix() for file in code.closure("rijksnet.serving.model")}
    assert not {name.split("/")[1] for name in held} & {"analysis", "stages", "tracking", "training"}


def test_its_requirements_name_all_that_its_code_imports() -> None:
    """Each at the version that is installed here; MLflow adds itself, and it brings pandas."""
    imported: set[str] = set()
    for file in code.closure("rijksnet.serving.model") | code.closure("rijksnet.serving.classifier"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).split(".")[0])
    packages = {"PIL": "pillow", "pillow_heif": "pillow-heif", "cykooz_resizer": "cykooz.resizer"}
    needed = {packages.get(name, name) for name in imported - sys.stdlib_module_names - {"rijksnet"}}
    assert needed - set(logged_model.REQUIREMENTS) == {"mlflow", "pandas"}
