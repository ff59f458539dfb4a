"""Draw docs/objects.png, the strip at the top of README.md, from the miniature: python docs/objects.py"""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

from rijksnet.paths import CollectionPaths

#: Objects in a row, and the side of each and the gap between them, px.
COLUMNS, SIDE, GAP = 12, 96, 6


def objects(collection: str) -> list[Image.Image]:
    """One object of each type in turn, the first of each, as a museum's photographer would have framed it."""
    table = pq.read_table(CollectionPaths(collection).catalogue).to_pandas().drop_duplicates("object_id")
    turn = table.groupby(table["type"].str[0]).cumcount()
    chosen = table.assign(turn=turn).sort_values(["turn", "object_id"], kind="stable").head(COLUMNS)
    pictures = []
    for file, offset, length in zip(chosen["file"], chosen["offset"], chosen["length"], strict=True):
        content = Path(file).read_bytes()[offset : offset + length]
        picture = Image.open(io.BytesIO(content)).convert("RGB")
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        pictures.append(
            picture.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        )
    return pictures


if __name__ == "__main__":
    collections = ("miniature-rijksmuseum", "miniature-antwerp")
    size = (COLUMNS * (SIDE + GAP) - GAP, len(collections) * (SIDE + GAP) - GAP)
    strip = Image.new("RGBA", size)
    for row, collection in enumerate(collections):
        for column, picture in enumerate(objects(collection)):
            strip.paste(picture, (column * (SIDE + GAP), row * (SIDE + GAP)))
    strip.quantize(255, dither=Image.Dither.NONE).save(Path(__file__).with_name("objects.png"), optimize=True)
