"""DilateQuant: each part can be left out; the faithful form is the published recipe."""

import pytest

from bitscape.methods.dilatequant import DilateQuant, FaithfulDilateQuant
from bitscape.methods.quest import QuEST
from bitscape.passes import (
    Dilate,
    Distill,
    Pass,
    QuantizeActivations,
    QuantizeWeights,
    Reconstruct,
    Relations,
    Rule,
    Smooth,
)
from bitscape.passes import TransformInputs as Change


def start(method: DilateQuant) -> tuple[Pass, ...]:
    """What is behind nothing and before the fine-tuning."""
    (whole,) = method.passes()
    assert isinstance(whole, Distill)
    return whole.start


@pytest.mark.parametrize(
    ("dilation", "rules", "accept"),
    [
        ("on", (Dilate(balanced=False),), "first"),
        ("balanced", (Dilate(),), "first"),
        ("best", (Dilate(), Dilate(balanced=False), Smooth((0.3, 0.5, 0.7, 0.85))), "best"),
    ],
)
def test_dilation_is_taken_or_chosen(dilation: str, rules: tuple[Rule, ...], accept: str) -> None:
    change = start(DilateQuant(dilation=dilation))[0]
    assert isinstance(change, Change)
    assert (change.rules, change.accept, change.online) == (rules, accept, True)


def test_each_part_can_be_left_out() -> None:
    kinds = [type(step) for step in start(DilateQuant())]
    assert kinds == [Change, Reconstruct, QuantizeActivations]
    assert [type(s) for s in start(DilateQuant(dilation="off"))] == kinds[1:]
    assert type(DilateQuant(distill=False).passes()[1]) is QuantizeWeights
    one = start(DilateQuant(temporal=False))
    assert isinstance(one[1], Reconstruct) and one[1].ranges == one[2]
    assert one[2] == QuantizeActivations("mse", "none")
    with pytest.raises(ValueError, match="unknown dilation 'full': one of off, on, balanced, best"):
        DilateQuant(dilation="full")


def test_blocks_are_tuned_together_unless_that_takes_no_steps() -> None:
    method = DilateQuant(batch=8, finetune=3, finetune_rate=2e-3)
    (whole,) = method.passes()
    assert isinstance(whole, Distill)
    training = whole.training
    assert (training.steps, training.batch, training.rate) == (3, 8, 2e-3)
    assert training.recompute
    # Samples of mixed steps are not neighbours of one another.
    assert whole.objective == Relations(4.0, weigh=True, smooth=False)
    assert DilateQuant(finetune=0).passes() == list(start(DilateQuant()))
    # Nothing is trained without distillation.
    assert not any(isinstance(step, Distill) for step in DilateQuant(distill=False).passes())
    with pytest.raises(ValueError, match="0 steps .* got -1"):
        DilateQuant(finetune=-1)


def test_the_published_recipe_dilates_by_the_published_formula_and_starts_at_nearest() -> None:
    change, weights, _ = FaithfulDilateQuant().passes()
    assert isinstance(change, Change) and isinstance(weights, Reconstruct)
    assert change.rules == (Dilate(balanced=False, published=True),)
    assert weights.learner.seed is None


def test_time_embeddings_are_trained_first() -> None:
    weights = QuEST().passes()[0]
    assert isinstance(weights, Reconstruct)
    assert weights.stages == (("ada",), ("qkv", "proj", "fc1", "fc2"))
