"""The features of a whole collection, extracted once for all runs that train a softmax layer on them."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rijksnet import protocol
from rijksnet.data.labelled import open_pixels
from rijksnet.files import replacing, sha256_of
from rijksnet.networks import weights
from rijksnet.networks.architectures import Network, check_input_size, input_size, parameter_count
from rijksnet.paths import CollectionPaths
from rijksnet.progress import progress
from rijksnet.runs import code
from rijksnet.training import compute
from rijksnet.training.features import DESCRIPTION, Description, Extraction, features_file, write_description

if TYPE_CHECKING:
    from pathlib import Path

    from rijksnet.params import Params, Statistics


def extract_collection(
    params: Params, collection: str, architecture: str, file: Path, folder: Path, *, helps: bool = False
) -> None:
    """Write the features of every image of a collection into `folder`.

    What is interrupted goes on where it was, if neither weights, pixels, code nor the kind of processor have changed.

    Args:
        file: the weights of the frozen network.
        helps: take shards alone of what another process extracts, until none is left to begin.
    """
    if not helps:
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
    pixels_file, digest = CollectionPaths(collection).pixels_of_size(size), sha256_of(file)
    pixels, stat = open_pixels(pixels_file), pixels_file.stat()
    frozen = params.training.batch_norm.frozen
    kinds: list[Statistics] = ["running"] if frozen == "running" else ["running", "batch"]
    with compute.threads_for(network, computed):
        identity = json.dumps(
            [digest, design.to_dict(), normalisation, stat.st_size, stat.st_mtime_ns]
            + [code.digest("features"), compute.kind(computed)]
        )
        name = f"features-{collection}-{folder.name}"
        passes = {kind: Extraction(network, pixels, kind, computed, name, identity) for kind in kinds}

        def run(*, waits: bool) -> None:
            for kind, one in passes.items():
                started, began = time.perf_counter(), one.shards.done()
                with progress(f"features {collection} {architecture} ({kind})", len(pixels)) as report:
                    for done in one.run(waits=waits):
                        report(done, f"{(done - began) / (time.perf_counter() - started):.0f} images/s on {computed}")

        if helps:
            if all(one.shards.join() for one in passes.values()):
                run(waits=False)
            return
        with ExitStack() as stack:
            for one in passes.values():
                stack.enter_context(one.shards.begun())
            run(waits=True)
            collected = {features_file(folder, kind): one.collect() for kind, one in passes.items()}
            for out, file in collected.items():
                with replacing(out) as part:
                    shutil.move(file, part)
            softmax_layer = sum(parameter.numel() for parameter in network.softmax.parameters())
            parameters = parameter_count(network) - softmax_layer
            write_description(
                folder, Description(design, digest, size, normalisation, network.feature_size, parameters)
            )
            for one in passes.values():
                one.shards.clear()
