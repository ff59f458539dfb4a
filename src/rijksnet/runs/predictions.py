"""A trained classifier's answers, image by image: predictions.parquet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rijksnet.errors import RunError
from rijksnet.files import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictions:
    """A trained network's answers for one split."""

    split: str
    object_ids: Sequence[str]
    images: Sequence[str]
    labels: NDArray[np.int64]  #: (n,) class indices
    probabilities: NDArray[np.float32]  #: (n, Q), rows sum to 1

    @property
    def index(self) -> pd.MultiIndex:
        """(object_id, image) of each."""
        import pandas as pd

        return pd.MultiIndex.from_arrays([list(self.object_ids), list(self.images)], names=["object_id", "image"])


def write_predictions(path: Path, predictions: Sequence[Predictions]) -> None:
    """One row per image: object_id, image, split, label (index of the class) and the probabilities of all classes."""
    tables = []
    for split in predictions:
        probabilities = pa.FixedSizeListArray.from_arrays(
            pa.array(split.probabilities.ravel(), pa.float32()), split.probabilities.shape[1]
        )
        tables.append(
            pa.table(
                {
                    "object_id": pa.array(split.object_ids, pa.string()),
                    "image": pa.array(split.images, pa.string()),
                    "split": pa.array([split.split] * len(split.labels), pa.string()),
                    "label": pa.array(split.labels, pa.int32()),
                    "probabilities": probabilities,
                }
            )
        )
    with replacing(path) as partial:
        pq.write_table(pa.concat_tables(tables), partial, compression="zstd")


def read_predictions(path: Path, split: str) -> Predictions:
    """The predictions on one split.

    Raises:
        RunError: the file is absent or holds no prediction on that split.
    """
    if not path.is_file():
        raise RunError(f"{path} is not a file: fetch it (dvc pull) or train the run again")
    table = pq.read_table(path, filters=[("split", "==", split)])
    if table.num_rows == 0:
        raise RunError(f"{path} holds no prediction on the {split} split; train the run again")
    probabilities = table["probabilities"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)
    labels = table["label"].to_numpy().astype(np.int64)
    return Predictions(split, table["object_id"].to_pylist(), table["image"].to_pylist(), labels, probabilities)
