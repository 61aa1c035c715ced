"""A balance of inputs is judged as the weights will be rounded."""

import pytest

from bitscape.calibration import record
from bitscape.formats import TensorScheme, parse_scheme
from bitscape.models import FAMILIES
from bitscape.passes import BalanceInputs, Context, FoldView, run, weight_sites
from bitscape.passes.transform import Transform

pytest.importorskip("diffusers")


def test_weights_are_judged_with_the_scales_they_will_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline = FAMILIES["unet"].tiny()
    context = Context(
        parse_scheme("W4A8"), record(pipeline, range(2), seed=5, batch=2, keep=1, steps=2)
    )
    judged: list[TensorScheme | None] = []

    def choose(step: BalanceInputs, view: FoldView) -> tuple[Transform, None]:
        judged.extend(view.schemes)
        return Transform(), None

    monkeypatch.setattr(BalanceInputs, "choose", choose)
    run([BalanceInputs(rows=8)], pipeline, context)
    wanted = [scheme for _, scheme in weight_sites(pipeline, context.scheme)]
    assert sorted(map(str, judged)) == sorted(map(str, wanted))
    assert {scheme.granularity.kind for scheme in wanted} == {"channel", "group"}
