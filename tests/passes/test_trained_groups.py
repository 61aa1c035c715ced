"""What a distillation trains: each kind of parameter at its own rate, others not at all."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from bitscape.calibration import record
from bitscape.formats import parse_scheme
from bitscape.models import FAMILIES
from bitscape.nn import QuantLinear
from bitscape.passes import Context, Distill, Nearest, QuantizeWeights, Training, run
from bitscape.passes.student import LowRank, StudentLayer, enrolled
from bitscape.passes.trained_groups import trained_groups
from bitscape.structure import Role, Site, StepClock

TRAINING = Training(rate=0.1, scales=2.0, rest=3.0, ranges=5.0, weight_decay=0.25)


def layer_and_norm() -> nn.Sequential:
    """A coded layer whose static inputs have two ranges, and a norm."""
    torch.manual_seed(0)
    linear = nn.Linear(8, 6)
    layer = QuantLinear.of(linear, Site("0", Role.FC1), StepClock())
    scheme = parse_scheme("W4A8,static").default
    assert scheme.weight is not None and scheme.activation is not None
    found = Nearest()(linear.weight.detach(), scheme.weight)
    layer.set_codes(found.codes, found.grid, scheme.weight)
    quantizer = layer.quantize_activation(scheme.activation)
    quantizer.set_table(torch.tensor([[0.1], [0.3]]), torch.zeros(2, 1), torch.tensor([0, 1]))
    return nn.Sequential(layer, nn.LayerNorm(6)).requires_grad_(False)


@pytest.fixture
def network() -> Iterator[nn.Sequential]:
    """Both, with a student in the place of the layer."""
    found = layer_and_norm()
    with enrolled(found, {}):
        found.requires_grad_(False)
        yield found


def settings(network: nn.Module, training: Training) -> dict[str, tuple[float, float]]:
    """Rate and decay of every parameter that is trained, by name."""
    names = {id(p): name for name, p in network.named_parameters()}
    found = {
        names[id(p)]: (group["lr"], group["weight_decay"])
        for group in trained_groups([network], training)
        for p in group["params"]
    }
    assert set(found) == {name for name, p in network.named_parameters() if p.requires_grad}
    return found


def test_each_kind_has_its_rate_and_only_weights_decay(network: nn.Sequential) -> None:
    rest = dict.fromkeys(("0.layer.bias", "1.weight", "1.bias"), (pytest.approx(0.3), 0.0))
    assert settings(network, TRAINING) == {
        "0.latent": (0.1, 0.25),
        "0.log_factor": (pytest.approx(0.2), 0.0),
        # 0.2 is the mean of the two ranges.
        "0.layer.activation.table_scale": (pytest.approx(0.1 * 5.0 * 0.2), 0.0),
        **rest,
    }


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("scales", {"0.log_factor"}),
        ("rest", {"0.layer.bias", "1.weight", "1.bias"}),
        ("ranges", {"0.layer.activation.table_scale"}),
    ],
)
def test_what_has_no_rate_is_left_alone(name: str, left: set[str], network: nn.Sequential) -> None:
    everything = {n for n, _ in network.named_parameters()}
    assert set(settings(network, Training(**{name: 0.0}))) == everything - left


def test_a_correction_is_trained_in_place_of_its_weight() -> None:
    network = layer_and_norm()
    with enrolled(network, {}, LowRank(2, torch.Generator().manual_seed(0))) as students:
        network.requires_grad_(False)
        assert isinstance(students["0"], StudentLayer)
        found = settings(network, TRAINING)
        assert found["0.correction.up"] == found["0.correction.down"] == (0.1, 0.25)
        assert "0.latent" not in found


def test_floats_of_16_bits_are_of_16_bits_again() -> None:
    pipeline = FAMILIES["dit"].tiny()
    with torch.no_grad():
        for parameter in pipeline.network.parameters():
            parameter.copy_(parameter.bfloat16())
    before = {n: p.detach().clone() for n, p in pipeline.network.named_parameters()}
    data = record(pipeline, [0], seed=5, batch=1, keep=1)
    start = (QuantizeWeights(Nearest()),)
    step = Distill(start, training=Training(steps=1, batch=1, rate=1e-3, average=0.0))
    run([step], pipeline, Context(parse_scheme("W4A16"), data))
    moved = 0
    for name, parameter in pipeline.network.named_parameters():
        if name in before:
            assert torch.equal(parameter, parameter.bfloat16().float())
            moved += not torch.equal(parameter, before[name])
    assert moved > 5
