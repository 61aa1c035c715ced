"""Coded weights as tensors on disk: dense codes, scales and zero points, and back, bit for bit.

Names and bit order are those of compressed-tensors (>= 0.18) where it has them: `weight_packed`,
`weight_scale` (out, groups), `weight_zero_point` packed down the rows, `weight_shape`, and
`weight_global_scale` over block scales that are themselves small floats. Codebooks add
`weight_centroids`, and their `weight_scale` has one number a tile. Rows of mixed width are grouped
by it into `weight_packed_1` to `weight_packed_8`, in their order; `weight_row_bits` holds two bits
a row, its width less the least there can be.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import UInt8
from torch import Tensor

from bitscape.formats import Format, MixedInt, TensorScheme, pack, pack_codes, unpack, unpack_codes
from bitscape.nn import CodedWeight
from bitscape.quantizers import Centroids, Grid, decode_scale, encode_scale

CODES = "weight_packed"
SCALE = "weight_scale"
WIDE_SCALE = "weight_global_scale"
ZERO = "weight_zero_point"
SHAPE = "weight_shape"
CENTROIDS = "weight_centroids"
WIDTHS = "weight_row_bits"
BLOCKS = {width: f"{CODES}_{width}" for width in range(1, 9)}


def coded_to_tensors(coded: CodedWeight) -> dict[str, Tensor]:
    """What is stored of a coded weight."""
    scheme = coded.scheme
    tensors = _codes_to_tensors(coded.codes, scheme.format)
    rows, columns = coded.codes.shape
    if coded.centroids is not None:
        columns *= coded.centroids.shape[2]
        tensors[CENTROIDS] = coded.centroids
        tensors[SCALE] = _exactly(coded.grid_scale, torch.float16)
    else:
        tensors |= _scale_to_tensors(coded.grid_scale, scheme)
    tensors[SHAPE] = torch.tensor((rows, columns), dtype=torch.int64)
    if coded.grid_zero is not None:
        zero = coded.grid_zero.squeeze(-1)
        codes = _exactly(zero, torch.uint8)
        tensors[ZERO] = pack(codes.T.contiguous(), scheme.format.code_bits).T
    return tensors


def coded_from_tensors(
    tensors: Mapping[str, Tensor], scheme: TensorScheme
) -> tuple[UInt8[Tensor, "out codes"], Grid | Centroids]:
    """Codes and grid: the inverse of `coded_to_tensors`."""
    rows, columns = (int(extent) for extent in tensors[SHAPE])
    if isinstance(scheme.format, MixedInt):
        codes = _mixed_codes(tensors, scheme.format, columns)
    else:
        codes = unpack_codes(tensors[CODES], scheme.format, scheme.code_shape((rows, columns))[1])
    if len(codes) != rows:
        raise ValueError(f"{len(codes)} rows of codes are stored for a weight of {rows} rows")
    if CENTROIDS in tensors:
        return codes, Centroids(tensors[CENTROIDS], tensors[SCALE].to(torch.float32))
    scale = _scale_from_tensors(tensors, scheme)
    if ZERO not in tensors:
        return codes, Grid(scale.unsqueeze(-1))
    zero = unpack(tensors[ZERO].T.contiguous(), scheme.format.code_bits, len(scale)).T
    return codes, Grid(scale.unsqueeze(-1), zero.to(scale.dtype).contiguous().unsqueeze(-1))


def stored_scheme(tensors: Mapping[str, Tensor], scheme: TensorScheme) -> TensorScheme:
    """`scheme` with the widths of its rows, where these are stored beside the codes."""
    if not isinstance(scheme.format, MixedInt):
        return scheme
    rows = int(tensors[SHAPE][0])
    above = unpack(tensors[WIDTHS], 2, rows)[0]
    widths = tuple((above + scheme.format.base - 1).tolist())
    return replace(scheme, format=MixedInt(scheme.format.base, widths))


def _codes_to_tensors(codes: Tensor, fmt: Format) -> dict[str, Tensor]:
    if not isinstance(fmt, MixedInt):
        return {CODES: pack_codes(codes, fmt)}
    above = torch.tensor([fmt.widths], dtype=torch.uint8) - (fmt.base - 1)
    blocks = {w: codes[fmt.rows(w)] for w in sorted(set(fmt.widths))}
    packed = {BLOCKS[w]: pack(block, w) for w, block in blocks.items()}
    return {**packed, WIDTHS: pack(above, 2)}


def _mixed_codes(
    tensors: Mapping[str, Tensor], fmt: MixedInt, columns: int
) -> UInt8[Tensor, "out codes"]:
    codes = torch.empty(len(fmt.widths), columns, dtype=torch.uint8)
    for width in set(fmt.widths):
        codes[fmt.rows(width)] = unpack(tensors[BLOCKS[width]], width, columns)
    return codes


def _scale_to_tensors(scale: Tensor, scheme: TensorScheme) -> dict[str, Tensor]:
    flat = scale.squeeze(-1).reshape(-1, scale.shape[-2])  # (rows, groups)
    if scheme.scale_format is None:
        return {SCALE: _exactly(flat, torch.float16 if scheme.scale_bits == 16 else torch.float32)}
    codes, wide = encode_scale(flat, scheme)
    return {SCALE: codes} if wide is None else {SCALE: codes, WIDE_SCALE: wide.reshape(1)}


def _scale_from_tensors(tensors: Mapping[str, Tensor], scheme: TensorScheme) -> Tensor:
    stored = tensors[SCALE]
    if scheme.scale_format is None:
        return stored.to(torch.float32)
    wide = tensors.get(WIDE_SCALE)
    return decode_scale(stored, None if wide is None else wide.squeeze(0), scheme)


def _exactly(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    stored = tensor.to(dtype)
    # Grids are rounded to what is stored before codes are chosen for them (`round_scale`).
    assert torch.equal(stored.to(tensor.dtype), tensor), f"the grid is not exact in {dtype}"
    return stored
