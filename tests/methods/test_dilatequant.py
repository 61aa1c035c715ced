"""DilateQuant: each part can be left out; the faithful form is the published recipe."""

import pytest

from bitscape.methods.dilatequant import DilateQuant, FaithfulDilateQuant
from bitscape.methods.quest import QuEST
from bitscape.passes import Dilate, QuantizeActivations, QuantizeWeights, Reconstruct
from bitscape.passes import TransformInputs as Change


@pytest.mark.parametrize(
    ("dilation", "rules", "accept"),
    [
        ("on", (Dilate(balanced=False),), "first"),
        ("balanced", (Dilate(),), "first"),
        ("best", (Dilate(), Dilate(balanced=False)), "best"),
    ],
)
def test_dilation_is_taken_or_chosen(dilation: str, rules: tuple[Dilate, ...], accept: str) -> None:
    change = DilateQuant(dilation=dilation).passes()[0]
    assert isinstance(change, Change)
    assert (change.rules, change.accept, change.online) == (rules, accept, True)


def test_each_part_can_be_left_out() -> None:
    kinds = [type(step) for step in DilateQuant().passes()]
    assert kinds == [Change, Reconstruct, QuantizeActivations]
    assert [type(s) for s in DilateQuant(dilation="off").passes()] == kinds[1:]
    assert type(DilateQuant(distill=False).passes()[1]) is QuantizeWeights
    one = DilateQuant(temporal=False).passes()
    assert isinstance(one[1], Reconstruct) and one[1].ranges == one[2]
    assert one[2] == QuantizeActivations("mse", "none")
    with pytest.raises(ValueError, match="unknown dilation 'full': one of off, on, balanced, best"):
        DilateQuant(dilation="full")


def test_the_published_recipe_dilates_by_the_published_formula_and_starts_at_nearest() -> None:
    change, weights, _ = FaithfulDilateQuant().passes()
    assert isinstance(change, Change) and isinstance(weights, Reconstruct)
    assert change.rules == (Dilate(balanced=False, published=True),)
    assert weights.learner.seed is None


def test_time_embeddings_are_trained_first() -> None:
    weights = QuEST().passes()[0]
    assert isinstance(weights, Reconstruct)
    assert weights.stages == (("ada",), ("qkv", "proj", "fc1", "fc2"))
