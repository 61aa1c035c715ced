"""MAR's diffusion head: a small MLP that denoises a token, given the backbone's vector for it.

Li et al., "Autoregressive Image Generation without Vector Quantization", arXiv 2406.11838, section
3.2 and appendix: residual blocks of LayerNorm, AdaLN modulation and two linears, conditioned on the
sum of the embedded timestep and vector.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bitscape.models.layers import TokenModulate, initialise_linears, sine_frequencies

Tokens = Float[Tensor, "batch token channel"]


class HeadBlock(nn.Module):
    """x + g fc2(silu(fc1(AdaLN(x)))); the modulation's thirds are h, a, g."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = TokenModulate(width, affine=True)
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)
        self.ada = nn.Linear(width, 3 * width)

    def forward(self, x: Tokens, condition: Tokens) -> Tokens:
        shift, scale, gate = self.ada(condition).chunk(3, dim=-1)
        h = self.fc2(functional.silu(self.fc1(self.norm(x, scale, shift))))
        return torch.addcmul(x, gate, h)


class HeadOutput(nn.Module):
    """AdaLN and the projection of each token to its prediction."""

    def __init__(self, width: int, out_channels: int) -> None:
        super().__init__()
        self.norm = TokenModulate(width, affine=False)
        self.ada = nn.Linear(width, 2 * width)
        self.linear = nn.Linear(width, out_channels)

    def forward(self, x: Tokens, condition: Tokens) -> Float[Tensor, "batch token out"]:
        shift, scale = self.ada(condition).chunk(2, dim=-1)
        result: Tensor = self.linear(self.norm(x, scale, shift))
        return result


class DiffusionHead(nn.Module):
    """The predicted noise (and variance) of noised tokens, each token on its own."""

    def __init__(
        self,
        channels: int,
        condition_channels: int,
        *,
        width: int,
        depth: int,
        out_channels: int,
        frequencies: int,
    ) -> None:
        super().__init__()
        self.frequencies = frequencies
        self.time_fc1 = nn.Linear(frequencies, width)
        self.time_fc2 = nn.Linear(width, width)
        self.condition_embed = nn.Linear(condition_channels, width)
        self.token_embed = nn.Linear(channels, width)
        self.blocks = nn.ModuleList(HeadBlock(width) for _ in range(depth))
        self.final = HeadOutput(width, out_channels)
        self._initialise()

    def forward(
        self,
        x: Tokens,
        t: Int[Tensor, "batch1 token1"],
        z: Float[Tensor, "batch token condition"],
    ) -> Float[Tensor, "batch token out"]:
        """Predictions for noisy tokens `x` at timesteps `t` (which broadcast) given vectors `z`."""
        # Latents keep the sampler's precision; the network may compute in another.
        x = self.token_embed(x.to(self.token_embed.weight.dtype))
        time = sine_frequencies(t.flatten(), self.frequencies).unflatten(0, t.shape).to(x.dtype)
        time = self.time_fc2(functional.silu(self.time_fc1(time)))
        condition = functional.silu(time + self.condition_embed(z))
        for block in self.blocks:
            x = block(x, condition)
        result: Tensor = self.final(x, condition)
        return result

    @torch.no_grad()
    def _initialise(self) -> None:
        """adaLN-Zero: every gate and the output start at zero."""
        initialise_linears(self)
        nn.init.normal_(self.time_fc1.weight, std=0.02)
        nn.init.normal_(self.time_fc2.weight, std=0.02)
        for part in (*self.blocks, self.final):
            nn.init.zeros_(part.ada.weight)
        nn.init.zeros_(self.final.linear.weight)
