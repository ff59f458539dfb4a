"""What Keras answers with the weights of drawn_weights.py: layers.json and features.npz beside this file.

Run where keras and tensorflow are installed: `PYTHONPATH=tests python -m keras_files.make_reference`.
"""

import json
import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np

from keras_files.drawn_weights import arrays, pixels
from keras_files.make_files import NETWORKS

HERE = Path(__file__).parent
layers, features = {}, {}
for network, (name, module, size) in NETWORKS.items():
    model = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(size, size, 3))
    described = []
    for place, layer in enumerate(model.layers):
        kind, shapes = type(layer).__name__, [list(one.shape) for one in layer.weights]
        if shapes:
            layer.set_weights(arrays(network, place, kind, shapes))
        if kind == "Normalization":
            layer.finalize_state()  # as loading a file does
        config = layer.get_config()
        settings = {key: config[key] for key in ("epsilon", "strides", "scale") if key in config}
        described.append([layer.name, kind, shapes, settings])
    prepare = getattr(keras.applications, module).preprocess_input
    maps = np.asarray(model(prepare(pixels(size).astype(np.float32)), training=False))
    layers[network], features[network] = described, maps.mean((1, 2))
    print(network, features[network].std(), np.abs(features[network]).max(), flush=True)
with (HERE / "layers.json").open("w") as file:
    file.write("{\n" + ",\n".join(f'"{name}": {json.dumps(one)}' for name, one in layers.items()) + "\n}\n")
np.savez_compressed(HERE / "features.npz", **features)
