"""Layers that families have in common: modulation, self-attention, timesteps."""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bitscape.structure import Absorb, Attend, Cache, Fold, Role, Site, merge_heads

Tokens = Float[Tensor, "batch token channel"]
Vector = Float[Tensor, "batch channel"]


class Modulate(nn.Module):
    """Adaptive layer norm: LN(x) (unit + scale) + shift, without affine parameters of its own.

    `unit` is one in a trained model. Folding a per-channel scale s into the modulation divides the
    one as well; keeping it as a buffer makes that division exact, where absorbing it into the bias,
    (b + 1) / s - 1, cancels in bf16.
    """

    unit: Tensor

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("unit", torch.ones(channels))

    def forward(self, x: Tokens, scale: Vector, shift: Vector) -> Tokens:
        x = functional.layer_norm(x, x.shape[-1:], eps=self.eps)
        return torch.addcmul(shift.unsqueeze(1), x, (self.unit + scale).unsqueeze(1))


class TokenModulate(Modulate):
    """Adaptive layer norm with a modulation for each token: LN(x) (unit + scale) + shift.

    With `affine` LN has an affine map of its own, which folding leaves as it is.
    """

    def __init__(self, channels: int, *, affine: bool) -> None:
        super().__init__(channels)
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tokens, scale: Tokens, shift: Tokens) -> Tokens:
        x = functional.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)
        return torch.addcmul(shift, x, self.unit + scale)


class SelfAttention(nn.Module):
    """Multi-head self-attention; with `normalise`, queries and keys of unit length (VAR).

    Normalised attention learns one temperature a head, exp(min(log_temperature, log 100)), and
    scales by it; plain attention scales by `scale`.
    """

    def __init__(self, channels: int, heads: int, *, scale: float, normalise: bool) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels do not divide into {heads} heads")
        self.heads = heads
        self.scale = 1.0 if normalise else scale
        self.qkv = nn.Linear(channels, 3 * channels)
        self.attend = Attend()
        self.proj = nn.Linear(channels, channels)
        self.log_temperature = (
            nn.Parameter(torch.full((heads, 1, 1), 4.0).log()) if normalise else None
        )

    def forward(self, x: Tokens, mask: Tensor | None = None, cache: Cache | None = None) -> Tokens:
        qkv = self.qkv(x).unflatten(2, (3, self.heads, -1))  # (B, T, 3, h, d)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, h, T, d) each
        if self.log_temperature is not None:
            ceiling = torch.log(torch.tensor(100.0)).item()
            temperature = self.log_temperature.clamp_max(ceiling).exp()
            q, k = functional.normalize(q, dim=-1) * temperature, functional.normalize(k, dim=-1)
        heads = self.attend(q, k, v, scale=self.scale, mask=mask, cache=cache)
        result: Tensor = self.proj(merge_heads(heads))
        return result


def initialise_linears(network: nn.Module) -> None:
    """Xavier-uniform weights and zero biases in every linear layer of `network`."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)


def sine_frequencies(t: Int[Tensor, " batch"], width: int) -> Float[Tensor, "batch width"]:
    """cos and sin of t times `width / 2` frequencies falling geometrically from 1 to 1/10000."""
    half = width // 2
    # The released networks' order of operations: at t = 999 a last bit is 3e-5 of a cosine.
    powers = -math.log(10_000) * torch.arange(half, device=t.device, dtype=torch.float32) / half
    angle = t[:, None].float() * powers.exp()
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def modulation_push(
    ada: str, modulate: str, scale_part: int, shift_part: int
) -> Callable[[nn.Module, Tensor, Tensor], None]:
    """The push of AdaLN `LN(x)(unit + a) + h`: u = (x - z) / s by a, h rows and `unit`.

    `ada` names the linear that produces the modulation, `scale_part` and `shift_part` the thirds,
    sixths ... of its rows that hold a and h. With one row a channel: a' = a / s, unit' = unit / s,
    h' = (h - z) / s.
    """

    @torch.no_grad()
    def push(network: nn.Module, scale: Tensor, shift: Tensor) -> None:
        # The linear may be a quantizable one by now: same fields, another class.
        linear: Any = network.get_submodule(ada)
        norm: Any = network.get_submodule(modulate)
        width = len(scale)
        a = slice(scale_part * width, (scale_part + 1) * width)
        h = slice(shift_part * width, (shift_part + 1) * width)
        linear.bias[h] -= shift.to(linear.bias.dtype)
        for rows in (a, h):
            linear.weight[rows] /= scale[:, None].to(linear.weight.dtype)
            linear.bias[rows] /= scale.to(linear.bias.dtype)
        norm.unit /= scale.to(norm.unit.dtype)

    return push


def norm_push(norm: str) -> Callable[[nn.Module, Tensor, Tensor], None]:
    """The push of a layer norm with weight and bias."""

    @torch.no_grad()
    def push(network: nn.Module, scale: Tensor, shift: Tensor) -> None:
        module: Any = network.get_submodule(norm)
        module.bias.copy_((module.bias - shift) / scale)
        module.weight /= scale

    return push


def value_push(qkv: str) -> Callable[[nn.Module, Tensor, Tensor], None]:
    """The push of the value rows into the attention's projection.

    Softmax rows sum to one, so a shift of every value shifts the attended value by the same.
    """

    @torch.no_grad()
    def push(network: nn.Module, scale: Tensor, shift: Tensor) -> None:
        linear: Any = network.get_submodule(qkv)
        rows = slice(2 * len(scale), 3 * len(scale))
        linear.bias[rows] = (linear.bias[rows] - shift) / scale
        linear.weight[rows] /= scale[:, None]

    return push


def value_turn(qkv: str) -> Callable[[nn.Module, Callable[[Tensor], Tensor]], None]:
    """The turn of the value rows: attention mixes tokens and never the channels of a head."""

    @torch.no_grad()
    def turn(network: nn.Module, rotate: Callable[[Tensor], Tensor]) -> None:
        linear: Any = network.get_submodule(qkv)
        rows = slice(2 * linear.out_features // 3, linear.out_features)
        linear.bias[rows] = rotate(linear.bias[rows])
        linear.weight[rows] = rotate(linear.weight[rows].T).T

    return turn


def no_push(network: nn.Module, scale: Tensor, shift: Tensor) -> None:
    """The push of a producer that absorbs nothing; RuntimeError when it is called all the same."""
    raise RuntimeError("this producer absorbs nothing; its consumers keep their prologue")


def offset_push(offset: str, part: int) -> Callable[[nn.Module, Tensor, Tensor], None]:
    """The push of a modulation whose linear other blocks share: the block's own offset takes h - z.

    `offset` names the parameter, `part` the sixth of it that is h.
    """

    @torch.no_grad()
    def push(network: nn.Module, scale: Tensor, shift: Tensor) -> None:
        rows = slice(part * len(shift), (part + 1) * len(shift))
        network.get_parameter(offset)[rows] -= shift

    return push


AFFINE = frozenset({Absorb.SCALE, Absorb.SHIFT})
SHIFT = frozenset({Absorb.SHIFT})


def block_folds(
    block: str, *, head: int, scale_parts: tuple[int, int], shift_parts: tuple[int, int]
) -> list[Fold]:
    """The folds of a block with AdaLN: modulation to qkv and fc1, values to proj, GELU to fc2.

    `head` is the width of an attention head, within which values can be rotated. `scale_parts` and
    `shift_parts` say which sixths of the modulation serve attention and feed-forward; families
    order them differently.
    """
    ada = f"{block}.ada"
    return [
        Fold(
            f"{block}.norm1",
            (f"{block}.attn.qkv",),
            AFFINE,
            modulation_push(ada, f"{block}.norm1", scale_parts[0], shift_parts[0]),
        ),
        Fold(
            f"{block}.values",
            (f"{block}.attn.proj",),
            AFFINE | {Absorb.ROTATION},
            value_push(f"{block}.attn.qkv"),
            value_turn(f"{block}.attn.qkv"),
            head,
        ),
        Fold(
            f"{block}.norm2",
            (f"{block}.mlp.fc1",),
            AFFINE,
            modulation_push(ada, f"{block}.norm2", scale_parts[1], shift_parts[1]),
        ),
        Fold(f"{block}.gelu", (f"{block}.mlp.fc2",), frozenset(), no_push),
    ]


def dit_folds(depth: int, head: int) -> list[Fold]:
    """The folds of all blocks whose modulation is in DiT's order: h1, a1, g1, h2, a2, g2."""
    parts = {"scale_parts": (1, 4), "shift_parts": (0, 3)}
    return [f for i in range(depth) for f in block_folds(f"blocks.{i}", head=head, **parts)]


def head_fold() -> Fold:
    """The fold of the last modulation, its scale before its shift, into the head."""
    push = modulation_push("head_ada", "head_norm", 0, 1)
    return Fold("head_norm", ("head",), AFFINE, push)


def block_sites(block: str, *, runs: tuple[int, ...] = ()) -> list[Site]:
    """The five linears of a transformer block with AdaLN, in execution order.

    `runs` are those of the residual outputs, proj and fc2; behind AdaLN each position stands alone.
    """
    return [
        Site(f"{block}.ada", Role.ADA, tokens=False),
        Site(f"{block}.attn.qkv", Role.QKV),
        Site(f"{block}.attn.proj", Role.PROJ, runs=runs),
        Site(f"{block}.mlp.fc1", Role.FC1),
        Site(f"{block}.mlp.fc2", Role.FC2, runs=runs),
    ]
