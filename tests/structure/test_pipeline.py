"""Sampling: batch size changes nothing, wrong labels are refused."""

import numpy as np
import pytest
import torch

from bitscape.models import FAMILIES
from bitscape.structure import chain, check_labels


@pytest.mark.parametrize("family", list(FAMILIES))
def test_images_do_not_depend_on_the_batch(family: str) -> None:
    pipeline = FAMILIES[family].tiny()
    whole = pipeline.sample([0, 1, 2, 3, 4], seed=3)
    parts = pipeline.sample([0, 1, 2, 3, 4], seed=3, batch=2)
    # Matrix products of other shapes may round the last bit differently, no more.
    assert (whole.int() - parts.int()).abs().max() <= 1
    later = pipeline.sample([3, 4], seed=3, first=3)
    assert (whole[3:].int() - later.int()).abs().max() <= 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [([], "at least one"), ([0, 10], "class 10 is out of range"), ([-1], "classes 0 to 9")],
)
def test_wrong_labels_are_refused(labels: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_labels(labels, 10)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_misspelt_sampler_option_is_refused(family: str) -> None:
    with pytest.raises(ValueError, match="unknown sampler option 'guidence': one of .*guidance"):
        FAMILIES[family].tiny().sample([0], guidence=2.0)


def test_labels_become_int64() -> None:
    assert check_labels([1, 2], 3).dtype == torch.int64


def test_a_chain_reads_the_block_before() -> None:
    assert [block.inputs for block in chain(["a", "b", "c"])] == [(), ("a",), ("b",)]


@pytest.mark.unchecked
@pytest.mark.parametrize("label", [3.7, np.float32(3), None])
def test_a_fraction_of_a_class_is_refused(label: object) -> None:
    with pytest.raises(ValueError, match="is no class: give a whole number"):
        FAMILIES["var"].tiny().conditions([0, label])  # type: ignore[list-item]


def test_class_numbers_of_other_libraries_pass() -> None:
    pipeline = FAMILIES["var"].tiny()
    assert pipeline.conditions(np.array([1, 2]).tolist()).tolist() == [1, 2]
    assert pipeline.conditions(torch.tensor([1, 2])).tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"whole numbers: got a tensor of torch\.float32"):
        pipeline.conditions(torch.tensor([1.0, 2.5]))
