"""Attention whose products are quantized: queries, keys and values on grids of their own."""

from jaxtyping import Float
from torch import Tensor, nn

from bitscape.formats import TensorScheme
from bitscape.nn.activation import ActivationQuantizer
from bitscape.structure import Attend, Cache, Site, StepClock

Heads = Float[Tensor, "batch head token channel"]


class QuantAttend(nn.Module):
    """`Attend` with q, k and v rounded for each head and token; a fresh one rounds nothing.

    Keys and values are rounded before they enter the cache and never again. The probabilities stay
    in float.
    """

    q: ActivationQuantizer | None
    k: ActivationQuantizer | None
    v: ActivationQuantizer | None

    def __init__(self, site: Site, clock: StepClock) -> None:
        super().__init__()
        self.site = site
        self.clock = clock
        self.attend = Attend()
        for name in ("q", "k", "v"):
            self.register_module(name, None)

    @classmethod
    def of(cls, attend: Attend, site: Site, clock: StepClock) -> "QuantAttend":
        """The quantizable twin of `attend`, which has no parameters of its own."""
        del attend
        return cls(site, clock)

    def quantize(self, scheme: TensorScheme) -> None:
        """Round q, k and v by `scheme`, which has to be dynamic."""
        if not scheme.dynamic:
            raise ValueError(f"attention needs a dynamic scheme ({self.site.name}), got {scheme}")
        self.q = ActivationQuantizer(scheme, self.clock)
        self.k = ActivationQuantizer(scheme, self.clock)
        self.v = ActivationQuantizer(scheme, self.clock)

    def forward(
        self,
        q: Heads,
        k: Heads,
        v: Heads,
        *,
        scale: float,
        mask: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Heads:
        """The attended values, shape (batch, head, query token, channel)."""
        q = q if self.q is None else self.q(q)
        k = k if self.k is None else self.k(k)
        v = v if self.v is None else self.v(v)
        attended: Heads = self.attend(q, k, v, scale=scale, mask=mask, cache=cache)
        return attended
