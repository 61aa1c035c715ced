"""PTQ4ARVG: integer tables by token group, equal in one pass and in cached decoding."""

import pytest
import torch

from bitscape.calibration import record
from bitscape.formats import parse_scheme
from bitscape.methods import METHODS
from bitscape.models import FAMILIES
from bitscape.nn import QuantLinear, quantized_sites
from bitscape.passes import Context, run
from bitscape.structure import Call, Pipeline, Role, invoke


@pytest.fixture(scope="module", params=["ptq4arvg", "ptq4arvg-faithful"])
def quantized(request: pytest.FixtureRequest) -> Pipeline:
    pipeline = FAMILIES["var"].tiny()
    context = Context(parse_scheme("W6A6,static"), record(pipeline, range(4), seed=5, batch=2))
    with torch.no_grad():
        run(METHODS[request.param]().passes(), pipeline, context)
    return pipeline


def test_tables_have_the_rows_of_their_token_groups(quantized: Pipeline) -> None:
    rows = {Role.QKV: 3, Role.FC1: 3, Role.PROJ: 2, Role.FC2: 2, Role.HEAD: 1}
    for layer in quantized_sites(quantized.network).values():
        assert isinstance(layer, QuantLinear)
        if layer.activation is None:
            assert layer.site.role is Role.ADA
            continue
        assert layer.activation.table_scale is not None
        assert len(layer.activation.table_scale) == rows[layer.site.role]
        zero = layer.activation.table_zero
        assert zero is not None
        assert torch.equal(zero, zero.round())
        assert ((zero >= 0) & (zero <= 63)).all()
        assert (layer.activation.table_scale > 0).all()


def test_weights_are_integer_codes(quantized: Pipeline) -> None:
    for layer in quantized_sites(quantized.network).values():
        assert isinstance(layer, QuantLinear)
        assert layer.coded is not None
        assert layer.coded.codes.dtype == torch.uint8


@torch.no_grad()
def test_cached_decoding_looks_up_the_groups_of_one_pass(quantized: Pipeline) -> None:
    calls: list[Call] = []
    outputs: list[torch.Tensor] = []

    def tap(call: Call, output: torch.Tensor) -> None:
        calls.append(call)
        outputs.append(output)

    quantized.latents(torch.tensor([0, 3]), seed=1, tap=tap)
    [whole] = quantized.adapter.replay(calls)
    got = invoke(quantized.network, quantized.clocks, whole)
    torch.testing.assert_close(got, torch.cat(outputs, dim=1), rtol=1e-4, atol=1e-4)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="share in"):
        METHODS["ptq4arvg"](select=0.0)
    with pytest.raises(ValueError, match="share in"):
        METHODS["ptq4arvg-faithful"](select=1.5)
    with pytest.raises(ValueError, match="toll"):
        METHODS["auto"](toll=1.0)
    with pytest.raises(ValueError, match="positive"):
        METHODS["auto"](seconds=0.0)
