"""Grids of images as PNG files, enlarged so that a 32-pixel image can be judged by eye."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont

from bitscape.files import write_whole

GAP = 4
CAPTION = 16
BACKGROUND = (255, 255, 255)
INK = (40, 40, 40)
SMALLEST = 96

Images = UInt8[ndarray, "image height width 3"]
Row = UInt8[ndarray, "_ height width 3"]


def grid(images: Images, columns: int | None = None) -> Image.Image:
    """The images in reading order, in about as many rows as columns."""
    columns = columns or math.ceil(math.sqrt(len(images)))
    rows = [images[start : start + columns] for start in range(0, len(images), columns)]
    return captioned(rows, [""] * len(rows))


def captioned(rows: Sequence[Row], titles: Sequence[str], notes: Sequence[str] = ()) -> Image.Image:
    """One line of images a title, with `notes`, one a column, under the last line.

    Lines without a title take no room for one.
    """
    zoom = max(1, SMALLEST // rows[0].shape[2])
    height, width = (zoom * extent for extent in rows[0].shape[1:3])
    heads = [CAPTION if title else 0 for title in titles]
    foot = CAPTION * (1 + max(note.count("\n") for note in notes)) if notes else 0
    size = (
        GAP + max(len(row) for row in rows) * (width + GAP),
        GAP + sum(heads) + len(rows) * (height + GAP) + foot,
    )
    canvas = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=11)
    top = GAP
    for row, title, head in zip(rows, titles, heads, strict=True):
        draw.text((GAP, top - 1), title, fill=INK, font=font)
        top += head
        for column, image in enumerate(row):
            large = np.repeat(np.repeat(image, zoom, axis=0), zoom, axis=1)
            canvas.paste(Image.fromarray(large), (GAP + column * (width + GAP), top))
        top += height + GAP
    for column, note in enumerate(notes):
        draw.text((GAP + column * (width + GAP), top - 2), note, fill=INK, font=font, spacing=2)
    return canvas


def write_png(image: Image.Image, out: Path) -> None:
    """Write a PNG that appears whole or not at all."""
    content = io.BytesIO()
    image.save(content, format="PNG")
    write_whole(out, content.getvalue())
