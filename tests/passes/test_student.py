"""Students: the gradients of their scales, and the layers they stand for."""

import pytest
import torch
from torch import Tensor, nn

from bitscape.formats import parse_tensor_scheme
from bitscape.nn import ActivationQuantizer, QuantLinear
from bitscape.passes import Nearest
from bitscape.passes.student import StudentLayer, enrolled, static_quantizers
from bitscape.quantizers import from_groups, group_views, to_groups
from bitscape.structure import Role, Site, StepClock


def coded(text: str) -> tuple[QuantLinear, Tensor]:
    """A layer with codes, and its weight before them."""
    torch.manual_seed(0)
    layer = QuantLinear.of(nn.Linear(16, 6), Site("fc", Role.FC1), StepClock())
    W = layer.weight.detach().clone()
    scheme = parse_tensor_scheme(text)
    # The range of least squared error leaves some weights outside.
    found = Nearest("mse")(W, scheme)
    layer.set_codes(found.codes, found.grid, scheme)
    return layer, W


@pytest.mark.parametrize("text", ["int2@channel", "uint3@channel", "int3@g8", "int3@s4+12"])
def test_the_gradient_of_a_scale_is_that_of_the_paper(text: str) -> None:
    layer, W = coded(text)
    student = StudentLayer(layer, W)
    drawn = torch.randn(6, 16, generator=torch.Generator().manual_seed(1))
    [found] = torch.autograd.grad((student.weight() * drawn).sum(), [student.log_factor])
    fmt, granularity = student.scheme.format, student.scheme.granularity
    s, zero = student.start_scale, 0 if student.zero is None else student.zero
    u = to_groups(student.latent.detach(), granularity) / s + zero
    outside = (u < fmt.lowest) | (u > fmt.highest)
    q = u.round().clamp(fmt.lowest, fmt.highest)
    by_scale = torch.where(outside, q - zero, q - u)
    shared = W.numel() / s.numel()
    # s = s_0 exp(f), so that d s / d f = s. Views count every element once.
    each = group_views(from_groups(by_scale, W.shape, granularity) * drawn, granularity)
    total = torch.cat([view.sum(dim=-1, keepdim=True) for view in each], dim=-2)
    torch.testing.assert_close(found, s * total / (shared * fmt.largest) ** 0.5)


def test_weights_inside_the_range_pass_gradients_straight_through() -> None:
    layer, W = coded("int3@channel")
    student = StudentLayer(layer, W)
    drawn = torch.randn(6, 16, generator=torch.Generator().manual_seed(1))
    assert isinstance(student.latent, nn.Parameter)
    [found] = torch.autograd.grad((student.weight() * drawn).sum(), [student.latent])
    fmt = student.scheme.format
    u = to_groups(student.latent.detach(), student.scheme.granularity) / student.start_scale
    reached = ((u >= fmt.lowest) & (u <= fmt.highest)).float()
    inside = from_groups(reached, W.shape, student.scheme.granularity)
    assert torch.equal(found, drawn * inside)
    assert 0 < float(inside.mean()) < 1


def test_a_student_without_its_weight_starts_at_the_codes_own_values() -> None:
    layer, W = coded("int3@channel")
    values = layer.effective_weight().flatten(1)
    torch.testing.assert_close(StudentLayer(layer, None).afloat(), values)
    latent = StudentLayer(layer, W).afloat()
    assert (latent - W).abs().sum() < 0.5 * (values - W).abs().sum()


def test_an_error_leaves_the_layers_as_they_were() -> None:
    layer, W = coded("int3@channel")
    read = parse_tensor_scheme("uint8@tensor")
    quantizer = layer.quantize_activation(read)
    assert isinstance(quantizer, ActivationQuantizer)
    quantizer.set_table(torch.full((1, 1), 0.1), torch.zeros(1, 1), torch.zeros(1).long())
    network = nn.Sequential(layer)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    def fail() -> None:
        with enrolled(network, {"0": W}) as students:
            assert set(static_quantizers(network)) == {"0.layer.activation"}
            assert isinstance(quantizer.table_scale, nn.Parameter)
            with torch.no_grad():
                students["0"].latent.add_(1.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert network[0] is layer
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], before[name]) for name in after)
    assert not isinstance(quantizer.table_scale, nn.Parameter)


def test_what_is_learnt_becomes_the_codes() -> None:
    layer, W = coded("int3@channel")
    network = nn.Sequential(layer)
    with enrolled(network, {"0": W}) as students, torch.no_grad():
        students["0"].log_factor.fill_(0.3)
        students["0"].latent.neg_()
        expected = students["0"].weight()
    assert network[0] is layer
    torch.testing.assert_close(layer.effective_weight().flatten(1), expected, rtol=1e-3, atol=0)
