import pytest
import torch

from bitscape.models import VARConfig
from bitscape.reports.speed import (
    ARITHMETICS,
    Arithmetic,
    measure_speed,
    prepare,
    random_inputs,
    run,
)

SMALL = VARConfig(embed_dim=128, depth=1, num_heads=4, patch_nums=(1, 4))
EXACT = ARITHMETICS[0]


def output(arithmetic: Arithmetic) -> torch.Tensor:
    inputs = random_inputs(SMALL, arithmetic.dtype)
    return run(prepare(SMALL, arithmetic, inputs)[0], inputs).float()


@pytest.mark.parametrize("arithmetic", ARITHMETICS[1:], ids=lambda a: a.name)
def test_every_arithmetic_computes_the_same_block(arithmetic: Arithmetic) -> None:
    expected = output(EXACT)
    error = (output(arithmetic) - expected).norm() / expected.norm()
    assert error < 0.05


def test_kernels_are_chosen_for_quantized_blocks_only() -> None:
    for arithmetic in ARITHMETICS:
        choices = prepare(SMALL, arithmetic, random_inputs(SMALL, arithmetic.dtype))[1]
        assert bool(choices) == (arithmetic.scheme is not None)


def test_every_arithmetic_is_timed() -> None:
    speed = measure_speed(0.05, SMALL)
    assert [timing.name for timing in speed.timings] == [a.name for a in ARITHMETICS]
    assert all(0 < t.p10_ms <= t.median_ms <= t.p90_ms for t in speed.timings)
    assert speed.rows == 32
