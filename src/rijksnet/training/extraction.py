"""The features of a whole collection, extracted once for all runs that train a softmax layer on them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rijksnet import protocol
from rijksnet.data.labelled import open_pixels
from rijksnet.files import sha256_of
from rijksnet.networks import weights
from rijksnet.networks.architectures import Network, check_input_size, input_size, parameter_count
from rijksnet.paths import CollectionPaths
from rijksnet.progress import progress
from rijksnet.training import compute
from rijksnet.training.features import DESCRIPTION, Description, extract, features_file, write_description

if TYPE_CHECKING:
    from pathlib import Path

    from rijksnet.params import Params, Statistics


def extract_collection(params: Params, collection: str, architecture: str, file: Path, folder: Path) -> None:
    """Write the features of every image of a collection into `folder`.

    Args:
        file: the weights of the frozen network.
    """
    (folder / DESCRIPTION).unlink(missing_ok=True)  # what stands here is not complete until it is written again
    tensors, header = weights.read(file)
    design = weights.design_in(header, file)[0].normalising(protocol.batch_norm(params.training))
    normalisation = protocol.normalisation(params.training, "off_the_shelf")
    network = Network(design, classes=1, normalisation=normalisation)
    weights.load_backbone(network.backbone, tensors, file)
    computed = compute.choose(params.training)
    network.to(computed.device)
    size = input_size(architecture, params.input_size)
    check_input_size(network, architecture, size)
    pixels = open_pixels(CollectionPaths(collection).pixels_of_size(size))
    frozen = params.training.batch_norm.frozen
    kinds: list[Statistics] = ["running"] if frozen == "running" else ["running", "batch"]
    for kind in kinds:
        started = time.perf_counter()
        title = f"features {collection} {architecture} ({kind})"
        with compute.threads_for(network, computed), progress(title, len(pixels)) as report:
            for done in extract(network, pixels, features_file(folder, kind), kind, computed):
                report(done, f"{done / (time.perf_counter() - started):.0f} images/s on {computed}")
    softmax_layer = sum(parameter.numel() for parameter in network.softmax.parameters())
    write_description(
        folder,
        Description(
            design, sha256_of(file), size, normalisation, network.feature_size, parameter_count(network) - softmax_layer
        ),
    )
