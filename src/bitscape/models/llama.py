"""Layers of the Llama transformer, as the image families use them: no bias anywhere.

Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", arXiv 2302.13971, with
rotary positions in two dimensions.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bitscape.structure import Absorb, Attend, Cache, Fold, Role, Site, merge_heads

Tokens = Float[Tensor, "batch token channel"]
Rotary = Float[Tensor, "token pair 2"]


class RMSNorm(nn.Module):
    """weight x / sqrt(mean(x^2) + eps), normalised in float32."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tokens) -> Tokens:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        normalised = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return normalised.to(x.dtype) * self.weight


def rotary(cells: Int[Tensor, " token"], side: int, channels: int, base: float = 1e4) -> Rotary:
    """cos and sin of each position's angles: half of the channel pairs turn by row, half by column.

    A position without a cell (below zero) gets zeros, as in the released networks: its query and
    key vanish, so that it attends evenly and is attended to with logit zero.
    """
    quarter = channels // 4
    powers = torch.arange(0, 2 * quarter, 2, device=cells.device).float() / (2 * quarter)
    frequencies = 1 / base**powers
    angles = torch.stack([cells // side, cells % side], dim=1)[..., None] * frequencies
    table = torch.stack([angles.cos(), angles.sin()], dim=-1).flatten(1, 2)  # (T, d/2, 2)
    return table * (cells >= 0)[:, None, None]


def rotate(x: Float[Tensor, "batch head token channel"], table: Rotary) -> Tensor:
    """`x` with each pair of neighbouring channels turned by its angle, in float32 at least."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32)).unflatten(-1, (-1, 2))
    even, odd = wide.unbind(-1)
    cos, sin = table.unbind(-1)
    turned = torch.stack([even * cos - odd * sin, odd * cos + even * sin], dim=-1)
    return turned.flatten(-2).to(x.dtype)


class RotaryAttention(nn.Module):
    """Multi-head self-attention whose queries and keys are turned by their position.

    With `normalise` a layer norm over all heads comes before, one for queries and one for keys.
    """

    def __init__(self, channels: int, heads: int, *, normalise: bool = False) -> None:
        super().__init__()
        if channels % (4 * heads):
            raise ValueError(
                f"{channels} channels do not divide into {heads} heads of a multiple of 4, which "
                f"rotary positions in two dimensions need"
            )
        self.heads = heads
        self.scale = (channels // heads) ** -0.5
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.norm_q = nn.LayerNorm(channels) if normalise else None
        self.norm_k = nn.LayerNorm(channels) if normalise else None
        self.attend = Attend()
        self.proj = nn.Linear(channels, channels, bias=False)

    def forward(
        self, x: Tokens, table: Rotary, mask: Tensor | None = None, cache: Cache | None = None
    ) -> Tokens:
        q, k, v = self.qkv(x).chunk(3, dim=2)
        if self.norm_q is not None and self.norm_k is not None:
            q, k = self.norm_q(q), self.norm_k(k)
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        q, k = rotate(q, table), rotate(k, table)  # (B, h, T, d) each
        heads = self.attend(q, k, v, scale=self.scale, mask=mask, cache=cache)
        result: Tensor = self.proj(merge_heads(heads))
        return result


class SwiGLU(nn.Module):
    """fc2(silu(g) * u) with g and u the two halves of fc1(x).

    Shazeer, "GLU Variants Improve Transformer", arXiv 2002.05202. The released networks keep the
    halves as two matrices (w1 and w3) that read the same input; one matrix computes the same.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 2 * hidden, bias=False)
        self.fc2 = nn.Linear(hidden, channels, bias=False)

    def forward(self, x: Tokens) -> Tokens:
        gate, up = self.fc1(x).chunk(2, dim=-1)
        result: Tensor = self.fc2(functional.silu(gate) * up)
        return result


class LlamaBlock(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, channels: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = RMSNorm(channels)
        self.attn = RotaryAttention(channels, heads)
        self.norm2 = RMSNorm(channels)
        self.mlp = SwiGLU(channels, hidden)

    def forward(
        self, x: Tokens, table: Rotary, mask: Tensor | None = None, cache: Cache | None = None
    ) -> Tokens:
        x = x + self.attn(self.norm1(x), table, mask, cache)
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


SCALE = frozenset({Absorb.SCALE})


def scale_fold(name: str, producer: str, consumer: str, part: tuple[int, int] = (0, 1)) -> Fold:
    """The fold of a producer that takes a scale: u = x / s by dividing its rows by s.

    `part` (i, n) says that x comes from the i-th of n equal parts of the producer's rows.
    """

    @torch.no_grad()
    def push(network: nn.Module, scale: Tensor, shift: Tensor) -> None:
        for tensor in _weight_and_bias(network, producer):
            rows = tensor.chunk(part[1])[part[0]]
            rows /= scale.to(rows.dtype).view(-1, *[1] * (rows.ndim - 1))

    return Fold(name, (consumer,), SCALE, push)


def _weight_and_bias(network: nn.Module, producer: str) -> list[Tensor]:
    """The tensors that emit a producer's rows.

    The producer may be a quantizable linear by now: same fields, another class, and with a bias
    once a shift of its own input was moved into one.
    """
    module: Any = network.get_submodule(producer)
    bias = getattr(module, "bias", None)
    return [module.weight] if bias is None else [module.weight, bias]


def value_fold(block: str, head: int) -> Fold:
    """The value rows into the attention's projection: their scale, and a rotation of each head."""
    qkv = f"{block}.attn.qkv"

    @torch.no_grad()
    def turn(network: nn.Module, rotate: Callable[[Tensor], Tensor]) -> None:
        for tensor in _weight_and_bias(network, qkv):
            rows = tensor.chunk(3)[2]
            rows.copy_(rotate(rows.T).T if rows.ndim == 2 else rotate(rows))

    plain = scale_fold(f"{block}.values", qkv, f"{block}.attn.proj", (2, 3))
    return replace(plain, takes=SCALE | {Absorb.ROTATION}, turn=turn, run=head)


def llama_folds(block: str, head: int) -> list[Fold]:
    """RMSNorm into qkv and fc1, values into proj, the linear half of SwiGLU into fc2.

    `head` is the width of an attention head, within which values can be rotated.
    """
    return [
        scale_fold(f"{block}.norm1", f"{block}.norm1", f"{block}.attn.qkv"),
        value_fold(block, head),
        scale_fold(f"{block}.norm2", f"{block}.norm2", f"{block}.mlp.fc1"),
        scale_fold(f"{block}.swiglu", f"{block}.mlp.fc1", f"{block}.mlp.fc2", (1, 2)),
    ]


def llama_sites(block: str, runs: tuple[int, ...]) -> list[Site]:
    """The four linears of a block, in execution order."""
    return [
        Site(f"{block}.attn.qkv", Role.QKV, runs=runs),
        Site(f"{block}.attn.proj", Role.PROJ, runs=runs),
        Site(f"{block}.mlp.fc1", Role.FC1, runs=runs),
        Site(f"{block}.mlp.fc2", Role.FC2, runs=runs),
    ]
