"""What can be learnt of a layer: where it starts, and the codes it may end in."""

import pytest
import torch
from torch import Tensor, nn

from bitscape.formats import parse_tensor_scheme
from bitscape.nn import QuantLinear
from bitscape.passes import Clip, Learned, Nearest, Rounded, UpOrDown
from bitscape.passes.learned import Affine, LearnedLayer, Settled, starting_affine
from bitscape.quantizers import dequantize_weight, from_groups, to_groups
from bitscape.structure import Role, Site, StepClock

SCHEMES = [
    "int4@channel", "uint3@channel", "int3@g8", "int3@s20+12", "uint3@s6+26", "e2m1@channel",
    "ternary@channel", "e2m1@g32*e8m0", "e2m1@g16*e4m3",
]  # fmt: skip
every_scheme = pytest.mark.parametrize("text", SCHEMES)


def matrix() -> Tensor:
    return torch.randn(24, 32, generator=torch.Generator().manual_seed(0))


@every_scheme
@pytest.mark.parametrize("rule", ["minmax", "mse"])
def test_clipping_starts_at_rounding_to_nearest(text: str, rule: str) -> None:
    W, scheme = matrix(), parse_tensor_scheme(text)
    ours, expected = Clip(rule).start(W, scheme), Nearest(rule)(W, scheme)
    found = ours.rounded(W)
    torch.testing.assert_close(found.grid.scale, expected.grid.scale, rtol=1e-3, atol=0)
    assert (found.codes == expected.codes).float().mean() > 0.99
    W_hat = dequantize_weight(found.codes, found.grid, scheme)
    torch.testing.assert_close(ours.weight(W), W_hat)


def test_clipping_without_a_search_starts_there_exactly() -> None:
    W, scheme = matrix(), parse_tensor_scheme("int4@channel")
    found, expected = Clip().start(W, scheme).rounded(W), Nearest()(W, scheme)
    assert torch.equal(found.codes, expected.codes)
    assert torch.equal(found.grid.scale, expected.grid.scale)


def test_each_end_of_a_range_has_a_factor_of_its_own() -> None:
    W, scheme = matrix(), parse_tensor_scheme("uint3@channel")
    learned = Clip().start(W, scheme)
    factors = {"lower": 0.5, "upper": 0.8}
    whole = torch.sigmoid(torch.tensor(4.0))
    with torch.no_grad():
        for name, factor in factors.items():
            learned.get_parameter(name).fill_(torch.logit(factor * whole))
    grid = learned.rounded(W).grid
    low, high = W.amin(dim=1).view_as(grid.scale), W.amax(dim=1).view_as(grid.scale)
    span = factors["upper"] * high - factors["lower"] * low
    torch.testing.assert_close(7 * grid.scale, span, rtol=5e-3, atol=0)
    assert grid.zero is not None
    assert bool(
        (-grid.zero * grid.scale - factors["lower"] * low).abs().le(0.51 * grid.scale).all()
    )


def test_undecided_weights_cost_their_pressure_after_the_warm_up() -> None:
    W, scheme = matrix(), parse_tensor_scheme("int4@channel")

    def penalty(progress: float, **words: float) -> float:
        return float(UpOrDown(**words).start(W, scheme).penalty(progress).detach())

    assert penalty(0.0, warmup=0.5) == penalty(0.49, warmup=0.5) == 0
    assert penalty(0.51, warmup=0.5) > 0
    once = penalty(0.7)
    assert penalty(0.7, pressure=3.0) == pytest.approx(3 * once)
    assert penalty(0.7, pressure=0.0) == 0


@every_scheme
def test_ranges_and_shares_have_gradients(text: str) -> None:
    W, scheme = matrix(), parse_tensor_scheme(text)
    for learner in (Clip(), UpOrDown()):
        learned = learner.start(W, scheme)
        assert isinstance(learned, nn.Module)
        loss = learned.weight(W).square().sum() + learned.penalty(0.9)
        gradients = torch.autograd.grad(loss, list(learned.parameters()), allow_unused=True)
        assert any(g is not None and bool(g.abs().sum() > 0) for g in gradients)


@every_scheme
def test_rounding_up_or_down_starts_at_the_weight_itself(text: str) -> None:
    W, scheme = matrix(), parse_tensor_scheme(text)
    learned = UpOrDown("minmax").start(W, scheme)
    expected = Nearest("minmax")(W, scheme)
    grouped, grid, fmt = to_groups(W, scheme.granularity), learned.grid, scheme.format
    zero = 0 if grid.zero is None else grid.zero
    ends = [(end - zero) * grid.scale for end in (fmt.lowest, fmt.highest)]
    # Where the grid ends before a weight does, as powers of two may, it starts at that end.
    reach = from_groups(grouped.clamp(*ends), W.shape, scheme.granularity)
    torch.testing.assert_close(learned.weight(W), reach, rtol=0, atol=1e-4)
    found = learned.rounded(W)
    # Ties fall either way; everything else is rounded to nearest.
    assert (found.codes == expected.codes).float().mean() > 0.97


@pytest.mark.parametrize("text", ["int4@channel", "uint3@channel", "e2m1@channel"])
def test_hard_rounding_lies_at_a_neighbour(text: str) -> None:
    W, scheme = matrix(), parse_tensor_scheme(text)
    learned = UpOrDown().start(W, scheme)
    [v] = learned.parameters()
    v.data = torch.randn(v.shape, generator=torch.Generator().manual_seed(1)) * 5
    found = learned.rounded(W)
    W_hat = dequantize_weight(found.codes, found.grid, scheme)
    zero = 0 if found.grid.zero is None else found.grid.zero
    ends = [((side - zero) * found.grid.scale).view_as(W) for side in (learned.low, learned.high)]
    near = torch.minimum((W_hat - ends[0]).abs(), (W_hat - ends[1]).abs())
    assert float(near.max()) < 1e-5


@every_scheme
def test_a_greedy_start_is_gptq(text: str) -> None:
    W, scheme = matrix(), parse_tensor_scheme(text)
    X = torch.randn(100, 32, generator=torch.Generator().manual_seed(3)).cumsum(dim=1)
    learner = UpOrDown(greedy=True)
    assert learner.seed is not None
    codes = learner.seed(W, scheme, 2 * X.T @ X / 100).codes
    assert torch.equal(learner.start(W, scheme, codes).rounded(W).codes, codes)


def test_settled_rounding_is_what_its_codes_say() -> None:
    W, scheme = matrix(), parse_tensor_scheme("int3@channel")
    learned = UpOrDown().start(W, scheme)
    found = learned.rounded(W)
    expected = dequantize_weight(found.codes, found.grid, scheme)
    assert torch.equal(Settled(learned, scheme).weight(W), expected)


class Exact(Learned):
    """A rounding that rounds nothing."""

    def weight(self, W: Tensor) -> Tensor:
        return W

    def rounded(self, W: Tensor) -> Rounded:
        raise NotImplementedError


@pytest.mark.parametrize("shift", [True, False])
def test_a_learnt_basis_changes_nothing_without_rounding(shift: bool) -> None:
    linear = nn.Linear(32, 24)
    x = torch.randn(5, 32, generator=torch.Generator().manual_seed(2)) + 1
    layer = QuantLinear.of(linear, Site("fc", Role.FC1), StepClock())
    affine = starting_affine((x.amin(0), x.amax(0)), [linear.weight.detach()], shift=shift)
    assert isinstance(affine, Affine)
    torch.testing.assert_close(
        LearnedLayer(layer, Exact(parse_tensor_scheme("int4@channel")), affine)(x), linear(x)
    )
