"""Nested widths: weights of their losses, and what is refused."""

import pytest
import torch

from bitscape.formats import Int, parse_scheme
from bitscape.models import FAMILIES
from bitscape.nn import QuantLinear, quantized_sites
from bitscape.passes import Context, Nearest, Nesting, QuantizeWeights, ReadAt, run


def test_the_loss_is_a_weighted_sum_and_others_are_means() -> None:
    losses = {
        width: {"loss": torch.tensor(float(width)), "distance": torch.tensor(10.0 * width)}
        for width in (4, 3, 2)
    }
    joined = Nesting((4, 3, 2), (1.0, 2.0, 3.0)).joined(losses)
    assert joined["loss"] == 4 + 2 * 3 + 3 * 2
    assert joined["distance"] == 30
    assert joined["loss_2"] == 2
    assert joined["distance_3"] == 30


def test_by_default_a_bit_less_weighs_half() -> None:
    assert Nesting((4, 3, 2)).weight == {4: 1.0, 3: 0.5, 2: 0.25}
    assert Nesting((8, 2)).weight == {8: 1.0, 2: 1 / 64}


def test_the_share_of_co_distillation_mixes_the_losses_that_are_minimised() -> None:
    teacher = {"loss": torch.tensor(2.0), "distance": torch.tensor(5.0)}
    widest = {"loss": torch.tensor(4.0), "distance": torch.tensor(7.0)}
    for share, loss in ((0.0, 2.0), (0.25, 2.5), (1.0, 4.0)):
        mixed = Nesting((4, 2), codistill=share).mixed(teacher, widest)
        assert mixed == {"loss": torch.tensor(loss), "distance": torch.tensor(5.0)}


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="each once"):
        Nesting((4, 4))
    with pytest.raises(ValueError, match="greatest width comes first"):
        Nesting((2, 4))
    with pytest.raises(ValueError, match="a weight above zero"):
        Nesting((4, 2), (1.0,))
    with pytest.raises(ValueError, match=r"lies in \[0, 1\]"):
        Nesting((4, 2), codistill=2.0)


def test_a_width_is_read_from_the_context_and_no_other_is_left() -> None:
    pipeline = FAMILIES["llamagen"].tiny()
    context = Context(parse_scheme("W4A16"))
    run([QuantizeWeights(Nearest())], pipeline, context)
    coded = quantized_sites(pipeline.network)
    context.nested = {4: dict.fromkeys(coded, 1.0), 2: dict.fromkeys(coded, 1.0)}
    context.report["nested"] = {}
    ReadAt(2)(pipeline, context)
    for layer in coded.values():
        assert isinstance(layer, QuantLinear) and layer.coded is not None
        assert layer.coded.scheme.format == Int(2)
    assert not context.nested
    assert "nested" not in context.report


def test_a_width_that_was_not_trained_is_refused() -> None:
    context = Context(parse_scheme("W4A16"), nested={4: {}, 3: {}})
    with pytest.raises(ValueError, match=r"trained at \(3, 4\), not at 2 bits"):
        ReadAt(2)(FAMILIES["llamagen"].tiny(), context)
