"""Images that training reads: the bundled data set, or a folder with a folder for each class."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bitscape import zoo
from bitscape.evaluation import Draw
from bitscape.recipes import SAMPLES
from bitscape.structure import Pipeline

SHAPES = "shapes"
STREAM = 5
"""The stream of `shapes` that neither the zoo's training nor its evaluation reads."""

_KINDS = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}


def images_for(data: str, pipeline: Pipeline) -> Draw | None:
    """What `data` names: None for "samples" of the model's own, "shapes", or a folder's images.

    ValueError when the images have classes that the model does not.
    """
    if data == SAMPLES:
        return None
    classes = pipeline.adapter.num_classes
    if data == SHAPES:
        if classes != len(zoo.CLASSES):
            raise ValueError(
                f"shapes has {len(zoo.CLASSES)} classes and {pipeline.name} {classes}: "
                "give a folder of images, or samples"
            )
        return _shapes
    return folder_images(Path(data), classes)


def folder_images(folder: Path, classes: int) -> Draw:
    """The images of `folder`, again from the first after the last, in an order mixed by class.

    A folder inside it, in alphabetical order, is a class. FileNotFoundError for no folder;
    ValueError when it holds no images, or more classes than `classes`.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder of images, nor 'samples' or 'shapes'")
    parts = sorted(path for path in folder.iterdir() if path.is_dir())
    found = [
        (path, label)
        for label, part in enumerate(parts)
        for path in sorted(part.iterdir())
        if path.suffix.lower() in _KINDS
    ]
    if not found or len(parts) > classes:
        raise ValueError(
            f"{folder} holds {len(found)} images in {len(parts)} class folders, and the model has "
            f"{classes} classes: put each class into a folder of its own"
        )
    order = np.random.default_rng(0).permutation(len(found))

    def draw(indices: range) -> tuple[Tensor, Tensor]:
        chosen = [found[order[i % len(found)]] for i in indices]
        images = [_read(path) for path, _ in chosen]
        if len({image.shape for image in images}) > 1:
            raise ValueError(
                f"the images in {folder} differ in size: scale all to the size that the model draws"
            )
        return torch.stack(images), torch.tensor([label for _, label in chosen])

    return draw


def _shapes(indices: range) -> tuple[Tensor, Tensor]:
    batch = zoo.draw(STREAM, indices.start, len(indices))
    return batch.images, batch.labels


def _read(path: Path) -> Tensor:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float32)
    return torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1)
