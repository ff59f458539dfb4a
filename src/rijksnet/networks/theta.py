"""θ: the weights that transfer starts from, downloaded by timm or taken from a file, in one form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import timm

from rijksnet.errors import WeightsError
from rijksnet.files import sha256_of
from rijksnet.networks import weights
from rijksnet.networks.architectures import Network, default_config, design_as_published, timm_name
from rijksnet.networks.weights import Design

if TYPE_CHECKING:
    from rijksnet.networks.weights import Ancestry

#: What is said of weights whose publisher does not say it.
UNKNOWN = "not stated"

#: Endings of files that Keras writes; its reader is imported only for them.
KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")


def download(architecture: str, out: Path) -> None:
    """θ as timm publishes it; the hub client compares the size of what it downloads, not its content.

    Raises:
        WeightsError: timm publishes no weights under this name, or the hub cannot be reached.
    """
    design = design_as_published(architecture)
    if not timm.is_model_pretrained(timm_name(architecture)):
        raise WeightsError(f"timm publishes no weights for {architecture!r}: name a file under imagenet.file instead")
    try:
        pretrained: Any = timm.create_model(timm_name(architecture), pretrained=True)
    except Exception as error:  # the hub client lets through whatever its HTTP library raises
        raise WeightsError(
            f"the weights of {architecture!r} could not be downloaded ({error}); try again when the hub can be "
            "reached, or fetch them elsewhere and name the file under imagenet.file"
        ) from error
    published = default_config(architecture)
    step = {
        "from": "timm",
        "name": f"{published['architecture']}.{published['tag']}",
        "licence": published.get("license") or UNKNOWN,
        "url": published.get("url") or published.get("hf_hub_id") or UNKNOWN,
    }
    _save(pretrained.state_dict(), design, Path(f"timm's {architecture}"), out, [step])


def import_file(architecture: str, source: Path, out: Path, step: dict[str, str] | None = None) -> list[str]:
    """θ from a file: one that Keras wrote, or safetensors whose header names its architecture, checked by loading it.

    A file written here, a run's or a registered model's, brings its ancestry along.

    Args:
        step: how the file came here, in place of that it is one.

    Returns:
        What a person should know of the import: what was left out, what the file did not say.

    Raises:
        WeightsError: the file is damaged, is another architecture's, or its header says too little.
    """
    if source.suffix.lower() in KERAS_SUFFIXES:
        return _import_keras(architecture, source, out)
    tensors, header = weights.read(source)
    design = published_design(header, source)
    if timm_name(design.architecture) != timm_name(architecture):
        raise WeightsError(f"{source} is to hold {architecture!r}, but its header says {design.architecture!r}")
    before = weights.ancestry_in(header)
    licence = {} if before else {"licence": header.get("licence") or header.get("license") or UNKNOWN}
    step = step or {"from": "file", "name": source.name, "sha256": sha256_of(source)}
    _save(tensors, design, source, out, [*before, {**step, **licence}])
    return []


def _import_keras(architecture: str, source: Path, out: Path) -> list[str]:
    from rijksnet.networks.keras.convert import load

    found = load(source, architecture)
    step = {"from": "keras", "name": source.name, "sha256": sha256_of(source), "licence": UNKNOWN}
    _save(found.tensors, found.design, source, out, [step])
    left_out = [f"left out, as no part of the backbone: {', '.join(found.left_out)}"] if found.left_out else []
    return [*left_out, *found.notes]


def published_design(header: dict[str, str], path: Path) -> Design:
    """The design in the header of a published file, or of one written here.

    A published file's header has `architecture`, and may have `mean` and `std` (three numbers joined by commas; timm's
    own otherwise) and `create_kwargs` (`key=value` pairs joined by commas).
    """
    if weights.HEADER in header:
        return weights.design_in(header, path)[0]
    if "architecture" not in header:
        raise WeightsError(f"the header of {path} has no `architecture` (it has {sorted(header)}): add it")
    default = design_as_published(header["architecture"])
    options = dict(pair.split("=", 1) for pair in header.get("create_kwargs", "").split(",") if pair)
    return Design(
        header["architecture"],
        options,
        _triple(header["mean"]) if "mean" in header else default.mean,
        _triple(header["std"]) if "std" in header else default.std,
    )


def _triple(numbers: str) -> tuple[float, float, float]:
    red, green, blue = (float(number) for number in numbers.split(","))
    return red, green, blue


def _save(tensors: dict[str, Any], design: Design, source: Path, out: Path, ancestry: Ancestry) -> None:
    network = Network(design, classes=1, normalisation="unit")
    weights.load_backbone(network.backbone, tensors, source)
    weights.save(out, network.backbone.state_dict(), design, [], ancestry)
