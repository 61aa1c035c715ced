"""The data set: a pure function of seed and index, ten distinct classes."""

import numpy as np
import torch

from bitscape.zoo import shapes


def test_any_slice_of_a_stream_is_the_same() -> None:
    whole = shapes.draw(3, 100, 50)
    part = shapes.draw(3, 120, 7)
    assert torch.equal(whole.images[20:27], part.images)
    assert torch.equal(whole.labels[20:27], part.labels)
    assert torch.equal(whole.attributes[20:27], part.attributes)


def test_streams_of_two_seeds_differ() -> None:
    assert not torch.equal(shapes.draw(0, 0, 8).images, shapes.draw(1, 0, 8).images)


def test_images_and_labels_are_in_range_and_classes_balanced() -> None:
    batch = shapes.draw(0, 0, 3000)
    assert batch.images.shape == (3000, 3, shapes.SIZE, shapes.SIZE)
    assert batch.images.min() >= -1
    assert batch.images.max() <= 1
    counts = torch.bincount(batch.labels, minlength=len(shapes.CLASSES))
    # Four standard deviations of a binomial count.
    assert (counts - 300).abs().max() < 4 * (3000 * 0.1 * 0.9) ** 0.5


def test_classes_differ_where_all_else_is_equal() -> None:
    uniform = np.full((len(shapes.CLASSES), 15), 0.5, dtype=np.float32)
    images = shapes.render(np.arange(len(shapes.CLASSES)), uniform).images
    distance = torch.cdist(images.flatten(1), images.flatten(1))
    assert (distance + 10 * torch.eye(len(images))).min() > 1


def test_attributes_vary_and_are_of_unit_order() -> None:
    deviation = shapes.draw(0, 0, 2000).attributes.std(dim=0)
    assert ((deviation > 0.4) & (deviation < 1.1)).all()


def test_uniform_numbers_are_uniform_and_uncorrelated() -> None:
    uniform = shapes._uniforms(5, np.arange(4000, dtype=np.uint64), 16)
    assert abs(uniform.mean() - 0.5) < 0.01
    correlation = np.corrcoef(uniform.T) - np.eye(16)
    assert np.abs(correlation).max() < 5 / 4000**0.5
