"""Folders of images: one class a folder, in an order that mixes them, over and over."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bitscape.api.images import folder_images, images_for
from bitscape.models import FAMILIES


def written(folder: Path, grey: int, size: int = 4) -> None:
    folder.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((size, size, 3), grey, dtype=np.uint8)).save(folder)


def test_images_come_with_the_class_of_their_folder(tmp_path: Path) -> None:
    for label, name in enumerate(("ant", "bee")):
        for image in range(3):
            written(tmp_path / name / f"{image}.png", 100 * label + image)
    draw = folder_images(tmp_path, 10)
    images, labels = draw(range(12))
    assert images.shape == (12, 3, 4, 4)
    grey = ((images[:, 0, 0, 0] + 1) * 127.5).round().long()
    assert torch.equal(grey // 100, labels)
    assert torch.equal(images[:6], images[6:])
    assert sorted(grey[:6].tolist()) == [0, 1, 2, 100, 101, 102]
    assert torch.equal(draw(range(4, 7))[0], images[4:7])


def test_folders_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0 images in 0 class folders"):
        folder_images(tmp_path, 10)
    written(tmp_path / "ant" / "a.png", 1)
    written(tmp_path / "bee" / "b.png", 1, size=6)
    with pytest.raises(ValueError, match="2 class folders, and the model has 1"):
        folder_images(tmp_path, 1)
    with pytest.raises(ValueError, match="differ in size"):
        folder_images(tmp_path, 2)(range(2))
    with pytest.raises(FileNotFoundError, match="no folder of images"):
        images_for(str(tmp_path / "none"), FAMILIES["var"].tiny())


def test_the_bundled_images_are_no_ones_else(tmp_path: Path) -> None:
    pipeline = FAMILIES["var"].tiny()
    assert images_for("samples", pipeline) is None
    draw = images_for("shapes", pipeline)
    assert draw is not None
    assert draw(range(2))[0].shape == (2, 3, 32, 32)
