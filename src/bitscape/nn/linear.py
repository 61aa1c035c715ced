"""The normal form of a linear layer, and the exact methods that change its basis.

    v = (x - shift) / scale
    u = v R                      R = diag(signs) (I (x) H) / sqrt(order), stored as an order
    y = Q_act(u) Q_weight(W + delta)^T + (u A^T) B^T + bias

Every method of quantization ends in these fields. `affine`, `rotate` and `split_off` change the
representation and provably not the function; the algebra lives here and nowhere else.
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
from bitscape.nn.hadamard import check_order, inverse_hadamard_transform, signed_rotation
from bitscape.nn.prologue import check_scale, compose_affine, keep_after_fold
from bitscape.quantizers import Centroids, Grid
from bitscape.structure import Absorb, Site, StepClock


class QuantLinear(Editable):
    """A linear layer in the normal form; a fresh one computes exactly what its source did.

    `weight` is float, in the basis of u, until `set_codes` replaces it by `coded`. `rotation` is
    the Hadamard order, 0 for none. `lowrank_down` and `lowrank_up` are A and B.
    """

    shift: Tensor | None
    scale: Tensor | None
    signs: Tensor | None
    lowrank_down: Tensor | None
    lowrank_up: Tensor | None
    bias: nn.Parameter | None
    coded: CodedWeight | None
    activation: ActivationQuantizer | None

    def __init__(
        self,
        weight: Float[Tensor, "out in"],
        bias: Float[Tensor, " out"] | None,
        site: Site,
        clock: StepClock,
    ) -> None:
        super().__init__()
        self.site = site
        self.clock = clock
        self.out_features, self.in_features = weight.shape
        self.rotation = 0
        # nn.Linear types its parameters as tensors.
        self.register_parameter("weight", cast(nn.Parameter, weight))
        self.register_parameter("delta", None)
        self.register_parameter("bias", cast(nn.Parameter | None, bias))
        for name in ("shift", "scale", "signs", "lowrank_down", "lowrank_up"):
            self.register_buffer(name, None)
        self.register_module("coded", None)
        self.register_module("activation", None)

    @classmethod
    def of(cls, linear: nn.Linear, site: Site, clock: StepClock) -> "QuantLinear":
        """`linear` in the normal form, sharing its parameters."""
        return cls(linear.weight, linear.bias, site, clock)

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """y of the normal form; the quantizers that are absent are the identity."""
        return self.multiply(x, self.effective_weight())

    def multiply(
        self, x: Float[Tensor, "*batch in"], weight: Float[Tensor, "out in"]
    ) -> Float[Tensor, "*batch out"]:
        """y with `weight` in place of the layer's own."""
        return self.contract(self.prologue(x), weight)

    def contract(
        self, u: Float[Tensor, "*batch in"], weight: Float[Tensor, "out in"]
    ) -> Float[Tensor, "*batch out"]:
        """Q_act(u) weight^T + (u A^T) B^T + bias."""
        rounded = u if self.activation is None else self.activation(u)
        y = functional.linear(rounded, weight.to(u.dtype), self.bias)
        if self.lowrank_down is None or self.lowrank_up is None:
            return y
        return y + (u @ self.lowrank_down.T) @ self.lowrank_up.T

    def prologue(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch in"]:
        """u: what the activation quantizer, the low-rank branch and the Hessian see."""
        u = x if self.shift is None else x - self.shift
        u = u if self.scale is None else u / self.scale
        return self._rotated(u)

    def effective_weight(self) -> Float[Tensor, "out in"]:
        """The matrix that multiplies Q_act(u): dequantized codes, or W + delta."""
        if self.coded is not None:
            return self.coded.dequantize()
        assert self.weight is not None
        return self.weight if self.delta is None else self.weight + self.delta

    @torch.no_grad()
    def affine(
        self, scale: Float[Tensor, " in"], shift: Float[Tensor, " in"] | None = None
    ) -> None:
        """Replace v by (v - shift) / scale, exactly: W_v <- W_v diag(scale), bias += W_v shift.

        v is the prologue's value before its rotation: x itself as long as nothing was changed.
        """
        weight = self._editable("affine")
        check_scale(scale, self.site.name)
        if shift is not None:
            self._move_bias(shift)
        for matrix in (weight, self.lowrank_down):
            if matrix is not None:
                plain = self._unrotated(matrix.double()) * scale.double()
                matrix.copy_(self._rotated(plain))
        # Kept in the dtype of the weight, like everything that meets the activations. A copy, since
        # layers that read one input are given one scale, and are stored each with its own.
        scale = scale.to(weight, copy=True)
        shift = None if shift is None else shift.to(weight, copy=True)
        self.scale, self.shift = compose_affine(self.scale, self.shift, scale, shift)

    @torch.no_grad()
    def rotate(self, order: int, signs: Float[Tensor, " in"] | None = None) -> None:
        """Make R the rotation of `order` with `signs` (+-1), exactly; 0 undoes a rotation."""
        weight = self._editable("rotate")
        if order:
            check_order(order, self.in_features)
        if signs is not None and not bool((signs.abs() == 1).all()):
            raise ValueError(f"the signs of a rotation are +1 or -1 ({self.site.name})")
        matrices = [m for m in (weight, self.lowrank_down) if m is not None]
        plain = [self._unrotated(matrix.double()) for matrix in matrices]
        self.rotation = order
        self.signs = signs.to(weight) if signs is not None and order else None
        for matrix, value in zip(matrices, plain, strict=True):
            matrix.copy_(self._rotated(value))

    @torch.no_grad()
    def split_off(self, up: Float[Tensor, "out rank"], down: Float[Tensor, "rank in"]) -> None:
        """Move B A = `up` `down` into the low-rank branch, exactly; one that exists grows."""
        weight = self._editable("split_off")
        up, down = up.to(weight.dtype), down.to(weight.dtype)
        # The residual takes up the rounding of the factors, so that their sum is still W.
        weight.copy_(weight.double() - up.double() @ down.double())
        if self.lowrank_down is not None and self.lowrank_up is not None:
            down = torch.cat([self.lowrank_down, down])
            up = torch.cat([self.lowrank_up, up], dim=1)
        self.lowrank_down, self.lowrank_up = down, up

    def drop_prologue(self, absorbed: Set[Absorb] = frozenset(Absorb)) -> None:
        """Forget the parts of the prologue that the producer of x has absorbed.

        Not exact by itself: with the producer's change, it is. A rotation is kept.
        """
        self.scale, self.shift = keep_after_fold(self.scale, self.shift, absorbed)

    def drop_rotation(self) -> None:
        """Forget the rotation, the last part of the prologue, once the producer of x performs it.

        Like `drop_prologue` not exact by itself; RuntimeError while an affine part remains.
        """
        if self.scale is not None or self.shift is not None:
            raise RuntimeError(
                f"{self.site.name} still scales or shifts its input, which comes before the "
                "rotation: fold that first"
            )
        self.rotation, self.signs = 0, None

    def set_codes(
        self, codes: UInt8[Tensor, "out codes"], grid: Grid | Centroids, scheme: TensorScheme
    ) -> None:
        """Replace the float weight by codes; from now on the basis is fixed."""
        if codes.shape != scheme.code_shape((self.out_features, self.in_features)):
            raise ValueError(
                f"{self.site.name} has a weight of shape {(self.out_features, self.in_features)} "
                f"and was given codes of shape {tuple(codes.shape)}"
            )
        self.coded = CodedWeight(codes, grid, scheme)
        self.weight = None
        self.delta = None

    def quantize_activation(self, scheme: TensorScheme) -> ActivationQuantizer:
        """A new activation quantizer for this site, in place and returned."""
        self.activation = ActivationQuantizer(
            scheme, self.clock, tokens=self.site.tokens, splits=self.site.splits
        )
        return self.activation

    def extra_repr(self) -> str:
        """The fields that are in use."""
        names = ("shift", "scale", "lowrank_down", "coded", "activation")
        used = [name for name in names if getattr(self, name) is not None]
        used += [f"rotation={self.rotation}"] if self.rotation else []
        return ", ".join([f"{self.in_features} -> {self.out_features}", *used])

    def _rotated(self, v: Tensor) -> Tensor:
        return signed_rotation(v, self.rotation, self.signs)

    def _unrotated(self, u: Tensor) -> Tensor:
        if not self.rotation:
            return u
        v = inverse_hadamard_transform(u, self.rotation)
        return v if self.signs is None else v * self.signs

    def _move_bias(self, shift: Tensor) -> None:
        assert self.weight is not None
        constant = self._unrotated(self.weight.double()) @ shift.double()
        if self.lowrank_down is not None and self.lowrank_up is not None:
            inner = self._unrotated(self.lowrank_down.double()) @ shift.double()
            constant += self.lowrank_up.double() @ inner
        bias = 0 if self.bias is None else self.bias.double()
        moved = (bias + constant).to(self.weight.dtype)
        self.bias = nn.Parameter(moved, requires_grad=self.weight.requires_grad)
