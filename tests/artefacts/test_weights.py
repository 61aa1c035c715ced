"""Coded weights survive the disk bit for bit and take the bytes that were accounted for."""

import pytest
import torch

from bitscape.artefacts.weights import coded_from_tensors, coded_to_tensors
from bitscape.formats import Codebook, parse_scheme, tensor_cost
from bitscape.nn import CodedWeight
from bitscape.quantizers import RANGES, quantize_weight, round_centroids, tiles_of, weight_grid

SCHEMES = [
    "W8A16", "W6A16", "W5A16", "W4A16", "W3A16", "W2A16", "W1A16", "W4A16@g32", "W3A16,asym",
    "W4A16@g32,asym", "FP8", "We2m3A16", "We2m1A16", "WternaryA16", "MXFP4", "MXFP6", "NVFP4",
]  # fmt: skip


@pytest.mark.parametrize("shape", [(48, 64), (17, 96)], ids=str)
@pytest.mark.parametrize("name", SCHEMES)
def test_round_trip_is_exact_and_costs_what_was_counted(name: str, shape: tuple[int, int]) -> None:
    scheme = parse_scheme(name).default.weight
    assert scheme is not None
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0)) + 0.1
    grid = weight_grid(weight, scheme, RANGES["minmax"])
    coded = CodedWeight(quantize_weight(weight, grid, scheme), grid, scheme)

    tensors = coded_to_tensors(coded)
    codes, found = coded_from_tensors(tensors, scheme)

    assert torch.equal(codes, coded.codes)
    assert torch.equal(found.scale, coded.grid_scale)
    assert (found.zero is None) == (coded.grid_zero is None)
    if found.zero is not None and coded.grid_zero is not None:
        assert torch.equal(found.zero, coded.grid_zero)
    written = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    assert written == tensor_cost(shape, scheme).total_bytes


@pytest.mark.parametrize("shape", [(48, 64), (17, 96)], ids=str)
@pytest.mark.parametrize("name", ["W2A16,vq2d", "W3A16@g300,vq2d", "W2A16,vq4d", "W4A16,vq1d"])
def test_codebooks_come_back_too(name: str, shape: tuple[int, int]) -> None:
    scheme = parse_scheme(name).default.weight
    assert scheme is not None
    assert isinstance(scheme.format, Codebook)
    generator = torch.Generator().manual_seed(0)
    size = scheme.code_shape(shape)
    codes = torch.randint(scheme.format.entries, size, generator=generator).to(torch.uint8)
    tiles = int(tiles_of(shape, scheme).max()) + 1
    real = torch.randn(tiles, scheme.format.entries, scheme.format.dim, generator=generator)
    coded = CodedWeight(codes, round_centroids(real), scheme)
    tensors = coded_to_tensors(coded)
    again = CodedWeight(*coded_from_tensors(tensors, scheme), scheme)
    assert torch.equal(again.dequantize(), coded.dequantize())
    assert again.dequantize().shape == shape
    written = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    assert written == tensor_cost(shape, scheme).total_bytes
