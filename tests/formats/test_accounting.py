"""The accounting equals the bytes of the tensors that an artefact writes."""

import pytest
import torch

from bitscape.formats import (
    Codebook,
    Granularity,
    TensorScheme,
    compute_bits,
    model_bits,
    pack,
    pack_codes,
    parse_scheme,
    parse_tensor_scheme,
    tensor_cost,
)

SCHEMES = [
    *(f"int{bits}@channel" for bits in range(1, 9)),
    *(f"uint{bits}@g32" for bits in range(1, 9)),
    "int4@g64",
    "uint4@tensor",
    "ternary@channel",
    "e4m3@tensor",
    "e2m1@g32*e8m0",
    "e2m1@g16*e4m3",
]


@pytest.mark.parametrize("text", SCHEMES)
@pytest.mark.parametrize("shape", [(48, 192), (5, 64)], ids=str)
def test_cost_equals_the_bytes_written(text: str, shape: tuple[int, int]) -> None:
    scheme = parse_tensor_scheme(text)
    rows, columns = shape
    packed = pack_codes(torch.zeros(shape, dtype=torch.uint8), scheme.format)
    one_scale = scheme.granularity.kind == "tensor"
    grid = (1, 1) if one_scale else (rows, len(scheme.granularity.runs(columns)))
    dtype = {8: torch.uint8, 16: torch.float16, 32: torch.float32}[scheme.scale_bits]
    scales = torch.zeros(grid, dtype=dtype)
    zeros = torch.zeros(grid[1], grid[0], dtype=torch.uint8)
    cost = tensor_cost(shape, scheme)
    assert cost.code_bits == packed.nbytes * 8
    assert cost.scale_bits == (scales.nbytes + (4 if "*e4m3" in text else 0)) * 8
    zero_bytes = 0 if scheme.symmetric else pack(zeros, scheme.format.code_bits).nbytes
    assert cost.other_bits == (zero_bytes + 16) * 8
    assert cost.total_bits == cost.code_bits + cost.scale_bits + cost.other_bits
    assert cost.nominal_bits == rows * columns * scheme.format.bits


def test_large_weights_cost_little_more_than_nominal() -> None:
    weight = parse_scheme("W4A16").default.weight
    cost = tensor_cost((384, 96), weight)
    assert cost.total_bytes <= 1.03 * (cost.nominal_bits + cost.scale_bits) / 8


def test_codebooks_store_one_code_for_each_vector() -> None:
    cost = tensor_cost((8, 64), TensorScheme(Codebook(4, 2), Granularity("tile", 512)))
    assert cost.code_bits == 8 * 64 * 4
    assert cost.scale_bits == 256 * 2 * 8 + 16
    assert cost.nominal_bits == 8 * 64 * 4


def test_groups_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="do not divide"):
        tensor_cost((8, 100), parse_tensor_scheme("int4@g64"))


def test_model_bits_count_every_parameter() -> None:
    costs = [tensor_cost((8, 32), parse_tensor_scheme("int4@channel")), tensor_cost((8, 32), None)]
    assert model_bits(costs, [(10, 16), (3, 32)]) == 8 * 32 * (4 + 16) + 10 * 16 + 3 * 32


def test_compute_bits_weigh_both_widths() -> None:
    scheme = parse_scheme("W4A8/ada=W8A16")
    assert compute_bits([(10, scheme.default), (3, scheme.at("ada"))]) == 10 * 4 * 8 + 3 * 8 * 16
