"""Files that Keras itself writes, and what its networks answer: run by the Python of an environment of its own.

`python make_files.py FOLDER [NETWORK …]`, where keras (3), tf_keras (2) and tensorflow are installed. Weights are
random, batch normalisation's statistics those of noise, shaken. Each file comes with an .npz of its name: `pixels`,
uint8 (B, H, W, 3), and `features`, float32 (B, F), globally averaged.
"""

import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tf_keras

NETWORKS = {
    "vgg16": ("VGG16", "vgg16", 224),
    "vgg19": ("VGG19", "vgg19", 224),
    "resnet50": ("ResNet50", "resnet50", 224),
    "inception_v3": ("InceptionV3", "inception_v3", 299),
    "xception": ("Xception", "xception", 299),
    "densenet121": ("DenseNet121", "densenet", 224),
    "efficientnet_b0": ("EfficientNetB0", "efficientnet", 224),
}


def shake(model, x, rng):
    """Statistics of batch normalisation that fit `x` roughly, and scales, shifts and biases that are not trivial."""
    norms = [one for one in model.layers if "moving_mean" in dir(one)]
    for norm in norms:
        norm.momentum = 0.0
    for _ in range(2):
        model(x, training=True)
    for norm in norms:
        norm.momentum = 0.99
    for layer in model.layers:
        values = layer.get_weights()
        if not values or type(layer).__name__ == "Normalization":
            continue
        shaken = [v if v.ndim > 1 else v * rng.uniform(0.8, 1.2, v.shape) for v in values]
        if layer in norms:
            shaken[-2] = shaken[-2] + rng.normal(0, 0.1, shaken[-2].shape) * np.sqrt(shaken[-1])
            shaken[-3] = shaken[-3] + rng.normal(0, 0.1, shaken[-3].shape)
        elif values[-1].ndim == 1:
            shaken[-1] = rng.normal(0, 0.1, shaken[-1].shape)
        layer.set_weights([v.astype(np.float32) for v in shaken])


def make(library, network, size, top=False):
    name, module, _ = NETWORKS[network]
    build = getattr(library.applications, name)
    extra = {"classes": 7} if top else {"input_shape": (size, size, 3)}
    return build(weights=None, include_top=top, **extra), getattr(library.applications, module).preprocess_input


def note(path, model, x, pixels):
    """What a backbone answers, pooled."""
    maps = np.concatenate([np.asarray(model(x[i : i + 1], training=False)) for i in range(len(x))])
    np.savez(path.with_suffix(path.suffix + ".npz"), pixels=pixels, features=maps.mean((1, 2)))


def main(folder, networks):
    rng = np.random.RandomState(0)
    for network in networks:
        size = NETWORKS[network][2]
        pixels = rng.randint(0, 256, (2, size, size, 3)).astype(np.uint8)
        pixels[1, : size // 2] = pixels[1, : size // 2] // 4  # an image with an edge
        for library in (keras, tf_keras):
            v = "keras3" if library is keras else "keras2"
            model, prepare = make(library, network, size)
            x = prepare(pixels.astype(np.float32))
            shake(model, x, rng)
            files = [folder / f"{network}.{v}.notop.weights.h5", folder / f"{network}.{v}.notop.keras"]
            files.append(folder / f"{network}.{v}.notop.whole.h5")
            model.save_weights(files[0])
            model.save(files[1])
            model.save(files[2])
            if library is tf_keras:  # as keras.applications still publishes its own
                files.append(folder / f"{network}.{v}.notop_weights.h5")
                model.save_weights(files[-1])
            nested = library.Sequential(
                [
                    library.layers.Input((size, size, 3)),
                    model,
                    library.layers.GlobalAveragePooling2D(),
                    library.layers.Dense(9, activation="relu"),
                    library.layers.BatchNormalization(),
                    library.layers.Dense(5, activation="softmax"),
                ]
            )
            more = [folder / f"{network}.{v}.nested.{end}" for end in ("weights.h5", "keras", "whole.h5")]
            nested.save_weights(more[0])
            nested.save(more[1])
            nested.save(more[2])
            for file in files + more:
                note(file, model, x, pixels)
            full, prepare = make(library, network, size, top=True)
            shake(full, x, rng)
            kind = library.layers.Flatten if network.startswith("vgg") else library.layers.GlobalAveragePooling2D
            pooled = [one for one in full.layers if isinstance(one, kind)][-1]
            backbone = library.Model(full.input, pooled.input)
            for end in ("weights.h5", "keras", "whole.h5"):
                file = folder / f"{network}.{v}.top.{end}"
                (full.save_weights if end == "weights.h5" else full.save)(file)
                note(file, backbone, x, pixels)
            # the network with a head of one's own on the same graph, as people fine-tune it
            base, _ = make(library, network, size)
            shake(base, x, rng)
            y = library.layers.GlobalAveragePooling2D()(base.output)
            y = library.layers.Dense(11, activation="softmax", name="predictions_of_mine")(y)
            own = library.Model(base.input, y)
            for end in (".weights.h5", ".keras", ".whole.h5", *(["_weights.h5"] if library is tf_keras else [])):
                file = folder / f"{network}.{v}.own_head{end}"
                (own.save_weights if end.endswith("weights.h5") else own.save)(file)
                note(file, base, x, pixels)
            print(network, v, flush=True)


if __name__ == "__main__":
    into = Path(sys.argv[1])
    into.mkdir(parents=True, exist_ok=True)
    main(into, sys.argv[2:] or list(NETWORKS))
