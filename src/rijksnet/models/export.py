"""A model out of this project: a folder that plain timm or any ONNX runtime loads, with its card."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.markup import escape

from rijksnet.errors import RunError, TrackingError
from rijksnet.files import replacing_folder, sha256_of
from rijksnet.networks import published, theta
from rijksnet.paths import RUNS
from rijksnet.publishing.card import card
from rijksnet.runs.folder import RunFolder
from rijksnet.serving.classifier import Classifier
from rijksnet.tracking import registry, stores

if TYPE_CHECKING:
    from rijksnet.params import Params

console = Console(stderr=True, highlight=False, soft_wrap=True)

Form = Literal["timm", "onnx"]

USAGE = {
    "timm": """\
```python
import timm

model = timm.create_model("local-dir:{name}", pretrained=True).eval()
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
labels = model.pretrained_cfg["label_names"]
```
""",
    "onnx": """\
```python
import json, numpy, onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession("{name}/model.onnx")
labels = json.loads(session.get_modelmeta().custom_metadata_map["labels"])
image = Image.open("object.jpg").convert("RGB").resize(({size}, {size}), Image.Resampling.BICUBIC)
(probabilities,) = session.run(None, {{"pixels": numpy.asarray(image)[None]}})[0]
```
""",
}

#: What comes before USAGE where a network reads padded squares: neither timm nor Pillow has the border's colour.
PADDING = """\
It was trained on images padded to squares, not stretched. Pad yours first: `image = padded(image)`.

```python
import numpy
from PIL import Image, ImageOps

def padded(image):
    image = ImageOps.contain(image.convert("RGB"), ({size}, {size}), Image.Resampling.BICUBIC)
    pixels = numpy.asarray(image)
    border = numpy.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    colour = tuple(numpy.sort(border, axis=0)[len(border) // 2].tolist())
    square = Image.new("RGB", ({size}, {size}), colour)
    square.paste(image, (({size} - image.width) // 2, ({size} - image.height) // 2))
    return square
```
"""


def export(params: Params, what: str, out: Path, form: Form) -> None:
    """Write a model and README.md, its card, to a new folder.

    As `timm` it is config.json and model.safetensors, as `onnx` model.onnx.

    Args:
        what: a run's key or folder, or a registered model: its name (its champion), NAME/VERSION or NAME@ALIAS.

    Raises:
        RunError: the folder is there already, or there is no such run or its network.
        TrackingError: there is no such model, or the store is away.
        WeightsError: timm's form of the architecture cannot give the same answers.
    """
    if out.exists():
        raise RunError(f"{out} is there already: name a new folder")
    at = RunFolder(RUNS / what.removeprefix(f"{RUNS}/"))
    if at.run.is_file():
        _write(at, at.weights, out, form)
        return
    store = stores.open_store(params.tracking)
    with TemporaryDirectory() as folder:
        with store.answering(f"fetching {what}"):
            version = _version(store, what)
            kept = RunFolder(Path(store.client.download_artifacts(version.run_id, "run", folder)))
            file = registry.fetch_version(store, version, Path(folder) / "model")
        _write(kept, file, out, form)


def _version(store: stores.Store, what: str) -> Any:
    reference = registry.Reference.parse(what)
    found = registry.find(store, reference)
    if found is None:
        known = [str(one.version) for one in registry.versions(store, reference.name)] if reference else []
        raise TrackingError(
            f"{what!r} is neither a run here nor a registered model with such a version; of "
            f"{reference.name if reference else what!r} there are the versions {known}"
        )
    return found


def _write(at: RunFolder, file: Path, out: Path, form: Form) -> None:
    run = at.read(verify=False)
    if not file.is_file():
        raise RunError(f"{at.root} has no {file.name}: a {run.key.strategy} leaves no network to export")
    if sha256_of(file) != run.files.get(at.weights.name):
        raise RunError(f"{file} is not what the run {run.key} wrote: its card would be another network's")
    size, normalisation = run.inputs["input_size"], run.inputs["normalisation"]
    model = Classifier(file, **run.inputs)
    with replacing_folder(out) as part:
        if form == "timm":
            licences = [step["licence"] for step in run.ancestry if "licence" in step]
            licence = "; ".join(dict.fromkeys(licences)) or theta.UNKNOWN
            apart = published.write(model.network, model.design, model.classes, size, normalisation, licence, part)
        else:
            apart = published.write_onnx(model.network, model.classes, size, part / "model.onnx")
        usage = USAGE[form].format(name=out.name, size=size)
        if run.inputs["squares"] == "padded":
            usage = f"{PADDING.format(size=size)}\n{usage}"
        (part / "README.md").write_text(f"# {run.key}\n\n{usage}\n{card(at, run)}\n", encoding="utf-8")
    console.print(escape(f"{out}: {run.key}, loaded again and asked: the same answers, within {apart:.1g}"))
