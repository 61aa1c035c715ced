"""The normal form of a convolution: prologue per input channel, one scale row per output channel.

    u = (x - shift) / scale        per channel; zero padding happens before it, in the basis of x
    y = conv(Q_act(u), Q_weight(W + delta)) + bias

Codes are those of the matrix (out, in kh kw). Rotation and a low-rank branch are of linear layers.
"""

from collections.abc import Set
from typing import cast

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from bitscape.formats import TensorScheme
from bitscape.nn.activation import ActivationQuantizer
from bitscape.nn.coded import CodedWeight
from bitscape.nn.editable import Editable
from bitscape.nn.prologue import check_scale, compose_affine, keep_after_fold
from bitscape.quantizers import Centroids, Grid
from bitscape.structure import Absorb, Site, StepClock


class QuantConv2d(Editable):
    """A 2-d convolution in the normal form; a fresh one computes exactly what its source did."""

    shift: Tensor | None
    scale: Tensor | None
    bias: nn.Parameter | None
    coded: CodedWeight | None
    activation: ActivationQuantizer | None

    def __init__(self, conv: nn.Conv2d, site: Site, clock: StepClock) -> None:
        super().__init__()
        self.site = site
        self.clock = clock
        self.weight_shape = tuple(conv.weight.shape)
        self.stride, self.dilation, self.groups = conv.stride, conv.dilation, conv.groups
        self.padding_mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
        self.padding = tuple(conv._reversed_padding_repeated_twice)
        # nn.Conv2d types its parameters as tensors.
        self.register_parameter("weight", cast(nn.Parameter, conv.weight))
        self.register_parameter("delta", None)
        self.register_parameter("bias", cast(nn.Parameter | None, conv.bias))
        self.register_buffer("shift", None)
        self.register_buffer("scale", None)
        self.register_module("coded", None)
        self.register_module("activation", None)

    @classmethod
    def of(cls, conv: nn.Conv2d, site: Site, clock: StepClock) -> "QuantConv2d":
        """`conv` in the normal form, sharing its parameters."""
        return cls(conv, site, clock)

    def forward(self, x: Float[Tensor, "batch in h w"]) -> Float[Tensor, "batch out h2 w2"]:
        """y of the normal form; the quantizers that are absent are the identity."""
        return self.multiply(x, self.effective_weight())

    def multiply(
        self, x: Float[Tensor, "batch in h w"], weight: Float[Tensor, "out inner kh kw"]
    ) -> Float[Tensor, "batch out h2 w2"]:
        """y with `weight` in place of the layer's own."""
        # Padded before the shift: a zero of x is not a zero of u.
        u = self.prologue(functional.pad(x, self.padding, self.padding_mode))
        if self.activation is not None:
            u = self._rounded(u, self.activation)
        weight = weight.to(u.dtype)
        return functional.conv2d(u, weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def prologue(self, x: Float[Tensor, "batch in h w"]) -> Float[Tensor, "batch in h w"]:
        """u: what the activation quantizer sees."""
        u = x if self.shift is None else x - self.shift[:, None, None]
        return u if self.scale is None else u / self.scale[:, None, None]

    def effective_weight(self) -> Float[Tensor, "out in kh kw"]:
        """The kernel that meets Q_act(u): dequantized codes, or W + delta."""
        if self.coded is not None:
            return self.coded.dequantize().view(self.weight_shape)
        assert self.weight is not None
        return self.weight if self.delta is None else self.weight + self.delta

    @torch.no_grad()
    def affine(
        self, scale: Float[Tensor, " in"], shift: Float[Tensor, " in"] | None = None
    ) -> None:
        """Replace u by (u - shift) / scale, exactly: W <- W diag(scale), bias += W shift."""
        weight = self._editable("affine")
        check_scale(scale, self.site.name)
        if shift is not None:
            constant = (weight.double().sum(dim=(2, 3)) * self._by_group(shift)).sum(dim=1)
            bias = 0 if self.bias is None else self.bias.double()
            moved = (bias + constant).to(weight.dtype)
            self.bias = nn.Parameter(moved, requires_grad=weight.requires_grad)
        weight.copy_(weight.double() * self._by_group(scale)[:, :, None, None])
        scale = scale.to(weight, copy=True)
        shift = None if shift is None else shift.to(weight, copy=True)
        self.scale, self.shift = compose_affine(self.scale, self.shift, scale, shift)

    @property
    def pads_with_zeros(self) -> bool:
        """Whether windows at the edges hold zeros."""
        return any(self.padding) and self.padding_mode == "constant"

    def drop_prologue(self, absorbed: Set[Absorb] = frozenset(Absorb)) -> None:
        """Forget the parts of the prologue that the producer of x has absorbed.

        A producer of a zero-padded convolution cannot absorb a shift: its zeros would move.
        """
        if Absorb.SHIFT in absorbed and self.shift is not None and self.pads_with_zeros:
            raise ValueError(f"{self.site.name} pads with zeros: its shift cannot be folded")
        self.scale, self.shift = keep_after_fold(self.scale, self.shift, absorbed)

    def set_codes(
        self, codes: UInt8[Tensor, "out codes"], grid: Grid | Centroids, scheme: TensorScheme
    ) -> None:
        """Replace the float kernel by the codes of its matrix (out, in kh kw)."""
        out = self.weight_shape[0]
        columns = torch.Size(self.weight_shape).numel() // out
        if codes.shape != scheme.code_shape((out, columns)):
            raise ValueError(
                f"{self.site.name} has a kernel of shape {self.weight_shape} and was given codes "
                f"of shape {tuple(codes.shape)}"
            )
        self.coded = CodedWeight(codes, grid, scheme)
        self.weight = None
        self.delta = None

    def quantize_activation(self, scheme: TensorScheme) -> ActivationQuantizer:
        """A new activation quantizer for this site, in place and returned."""
        self.activation = ActivationQuantizer(scheme, self.clock, splits=self.site.splits)
        return self.activation

    def _rounded(self, u: Tensor, activation: ActivationQuantizer) -> Tensor:
        if activation.scheme.dynamic:
            # A scale for each pixel cannot leave the sum over a window; one for each sample and
            # split of its channels can.
            parts = u.split(self.site.splits or u.shape[1], dim=1)
            return torch.cat([activation(p.flatten(1)).view_as(p) for p in parts], dim=1)
        pixels = u.flatten(2).transpose(1, 2)  # (batch, h w, channel)
        return activation(pixels).transpose(1, 2).reshape(u.shape)

    def _by_group(self, vector: Float[Tensor, " in"]) -> Float[Tensor, "out in_of_group"]:
        """Row o holds the entries of the channels that output o reads."""
        rows = vector.double().view(self.groups, -1)
        return rows.repeat_interleave(self.weight_shape[0] // self.groups, dim=0)
