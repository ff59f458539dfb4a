"""A model out of this project: a folder that plain timm or any ONNX runtime loads, with its card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.markup import escape

from rijksnet.errors import RunError
from rijksnet.files import replacing_folder
from rijksnet.models.lookup import open_model
from rijksnet.networks import published, theta
from rijksnet.publishing.card import card
from rijksnet.serving.classifier import Classifier

if TYPE_CHECKING:
    from pathlib import Path

    from rijksnet.models.lookup import TrainedModel
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
    with open_model(params, what) as model:
        _write(model, out, form)


def _write(trained: TrainedModel, out: Path, form: Form) -> None:
    run = trained.run
    size, normalisation = run.inputs["input_size"], run.inputs["normalisation"]
    model = Classifier(trained.weights, **run.inputs)
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
        (part / "README.md").write_text(f"# {run.key}\n\n{usage}\n{card(trained.at, run)}\n", encoding="utf-8")
    console.print(escape(f"{out}: {run.key}, loaded again and asked: the same answers, within {apart:.1g}"))
