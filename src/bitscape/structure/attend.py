"""Attention as a module without parameters, so that its products can be sites, and its cache."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Heads = Float[Tensor, "batch head token channel"]
Kept = Float[Tensor, "batch head kept channel"]


class Cache:
    """Keys and values of one attention, appended step by step into storage of fixed capacity.

    `modulation` is what the block around it derives from the class alone, once for all steps; None
    until a block that has such a thing puts it there.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.length = 0
        self.keys: Tensor | None = None
        self.values: Tensor | None = None
        self.modulation: Tensor | None = None

    def append(self, k: Heads, v: Heads) -> tuple[Kept, Kept]:
        """All keys and values so far, `k` and `v` included; ValueError when they do not fit."""
        stop = self.length + k.shape[2]
        if stop > self.capacity:
            raise ValueError(f"the cache holds {self.capacity} tokens and was given {stop}")
        if self.keys is None or self.values is None:
            self.keys = k.new_empty(*k.shape[:2], self.capacity, k.shape[3])
            self.values = v.new_empty(*v.shape[:2], self.capacity, v.shape[3])
        self.keys[:, :, self.length : stop] = k
        self.values[:, :, self.length : stop] = v
        self.length = stop
        return self.keys[:, :, :stop], self.values[:, :, :stop]


class Attend(nn.Module):
    """softmax(scale q k^T + mask) v, per head, in float.

    Keys and values enter the cache here, once: a quantized replacement rounds them before they are
    appended and never again.
    """

    def forward(
        self,
        q: Heads,
        k: Kept,
        v: Kept,
        *,
        scale: float,
        mask: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Heads:
        """The attended values, shape (batch, head, query token, channel)."""
        if cache is not None:
            k, v = cache.append(k, v)
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


def caches(layers: int, capacity: int) -> list[Cache]:
    """Empty caches, one a layer."""
    return [Cache(capacity) for _ in range(layers)]


def merge_heads(x: Heads) -> Float[Tensor, "batch token width"]:
    """Heads laid side by side in the channel axis."""
    return torch.flatten(x.transpose(1, 2), 2)
