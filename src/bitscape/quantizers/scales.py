"""Scales that are themselves written in few bits: microscaling blocks, NVFP4, float16 groups."""

import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor

from bitscape.formats import E8M0, Format, TensorScheme
from bitscape.quantizers.affine import Grid


def round_scale(
    grid: Grid, scheme: TensorScheme, *, dead: Bool[Tensor, "*view"] | None = None
) -> Grid:
    """`grid` with its scales as they are stored, so that codes are chosen for those.

    E8M0: the least power of two under which the end of the range lies at most half a spacing above
    the largest element. The specification's example takes the floor, 2^floor(log2 max) over the
    exponent of the largest element, which cuts up to a quarter off the end of an E2M1 block.
    Float: scale = round(scale / t) t under one float32 scale t = max scale / largest (of the whole
    tensor; of each token when dynamic), as in NVFP4; t depends on all groups, so groups cannot be
    rounded one by one. `dead` marks groups of nothing but zeros, whose scale 1 must not raise t.
    None: float16 for groups that are stored, unchanged otherwise.
    """
    if scheme.scale_format is None:
        stored_groups = scheme.granularity.kind in ("group", "split") and not scheme.dynamic
        return Grid(_half(grid.scale), grid.zero) if stored_groups else grid
    if isinstance(scheme.scale_format, E8M0):
        return Grid(_power_above(grid.scale, scheme.format, scheme.scale_format), grid.zero)
    return Grid(_two_level(_revive(grid.scale, dead, scheme), scheme), grid.zero)


def stored_scale(grid: Grid, scheme: TensorScheme) -> Float32[Tensor, "*view"]:
    """The scales of `round_scale`, with the gradient of those of `grid`.

    What storage does to a scale has no gradient of its own.
    """
    stored = round_scale(Grid(grid.scale.detach(), grid.zero), scheme).scale
    return grid.scale + (stored - grid.scale).detach()


def encode_scale(
    scale: Float32[Tensor, "*view"], scheme: TensorScheme
) -> tuple[UInt8[Tensor, "*view"], Float32[Tensor, ""] | None]:
    """Scales that `round_scale` made, as codes of the scale format and the tensor-wide scale.

    The tensor-wide scale is None for powers of two. `decode_scale` gives back the same floats.
    """
    fmt = _scale_format(scheme)
    if isinstance(fmt, E8M0):
        return fmt.encode(scale), None
    wide = scale.max() / fmt.largest
    return fmt.encode(fmt.round(scale / wide)), wide


def decode_scale(
    codes: UInt8[Tensor, "*view"], wide: Float32[Tensor, ""] | None, scheme: TensorScheme
) -> Float32[Tensor, "*view"]:
    """The scales that `encode_scale` wrote."""
    scale = _scale_format(scheme).decode(codes)
    return scale if wide is None else scale * wide


def _scale_format(scheme: TensorScheme) -> Format:
    if scheme.scale_format is None:
        raise ValueError(f"the scales of {scheme} are floats and have no codes")
    return scheme.scale_format


def _half(scale: Tensor) -> Tensor:
    half = torch.finfo(torch.float16)
    if bool((scale > half.max).any()):
        raise ValueError(
            f"a group scale of {float(scale.max()):.3g} does not fit float16: quantize per channel"
        )
    return scale.clamp(min=half.smallest_normal * half.eps).to(torch.float16).to(scale.dtype)


def _power_above(scale: Tensor, elements: Format, powers: E8M0) -> Tensor:
    top = elements.values()[-2:]
    # Up to half a spacing above the largest value, rounding loses no more than it does inside.
    slack = 1 + float(top[1] - top[0]) / (2 * float(top[1]))
    nearest = powers.round(scale / slack)
    return torch.where(nearest * slack < scale, powers.round(2 * nearest), nearest)


def _most(scale: Tensor, scheme: TensorScheme) -> Tensor:
    return scale.amax(dim=(-2, -1), keepdim=True) if scheme.dynamic else scale.max()


def _revive(scale: Tensor, dead: Tensor | None, scheme: TensorScheme) -> Tensor:
    # Zeros are zeros under any scale: a dead group takes the largest of the live ones.
    if dead is None:
        return scale
    most = _most(scale.masked_fill(dead, 0.0), scheme)
    return torch.where(dead & (most > 0), most, scale)


def _two_level(scale: Tensor, scheme: TensorScheme) -> Tensor:
    fmt = _scale_format(scheme)
    values = fmt.values()
    scale = scale.clamp(min=torch.finfo(scale.dtype).tiny * fmt.largest)
    # Seven low bits cleared: the product with a scale of up to seven significant bits is exact, so
    # that `encode_scale` finds this number again by division.
    wide = ((_most(scale, scheme) / fmt.largest).view(torch.int32) & ~127).view(torch.float32)
    return fmt.round(scale / wide).clamp(min=float(values[values > 0][0])) * wide
