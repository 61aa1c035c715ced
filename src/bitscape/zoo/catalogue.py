"""What the zoo holds: names, configurations and training budgets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bitscape.models import DiTConfig, LlamaGenConfig, MARConfig, UNetConfig, VARConfig
from bitscape.zoo import raster
from bitscape.zoo.autoencoder import CONFIG, PATCH_NUMS, VOCABULARY
from bitscape.zoo.shapes import CLASSES

WIDTHS: Mapping[str, tuple[int, int, int]] = {
    "xs": (32, 3, 2),
    "s": (48, 3, 3),
    "m": (64, 4, 4),
    "l": (96, 5, 6),
}
"""Size to (width, depth, heads); VAR, DiT and LlamaGen share it, which matches their parameters."""

MAR_HEADS: Mapping[str, tuple[int, int]] = {"s": (48, 2), "m": (96, 2)}
"""Size of MAR to (width, depth) of its diffusion head.

Encoder and decoder have half the depth of VAR each, rounded up; with the head the parameters are
VAR's.
"""

UNET_CHANNELS: Mapping[str, tuple[tuple[int, int], int]] = {"s": ((32, 16), 2), "m": ((32, 36), 3)}
"""Size of U-Net to (channels at 8 x 8 and 4 x 4, heads), parameters as near VAR's and DiT's.

Not fewer than 32 channels at 8 x 8: at the noisiest timesteps the answer is the input itself, and
SiLU before the last convolution lets a number through on two channels, silu(x) - silu(-x) = x.
"""

Config = VARConfig | DiTConfig | LlamaGenConfig | MARConfig | UNetConfig


@dataclass(frozen=True)
class Entry:
    """One member of the zoo. `twin` marks the outlier variant of a trained size."""

    name: str
    family: str
    size: str
    config: Config
    seed: int = 0
    twin: bool = False

    @property
    def weights(self) -> str:
        """Stem of the weight file: a twin is computed from the model it mirrors."""
        return self.name.removesuffix("-outlier")


def _var(size: str) -> Config:
    return VARConfig(
        *WIDTHS[size],
        num_classes=len(CLASSES),
        vocabulary=VOCABULARY,
        latent_channels=CONFIG.latent_channels,
        patch_nums=PATCH_NUMS,
    )


def _dit(size: str) -> Config:
    return DiTConfig(
        *WIDTHS[size],
        num_classes=len(CLASSES),
        side=PATCH_NUMS[-1],
        latent_channels=CONFIG.latent_channels,
        patch=1,
        learn_sigma=False,
        frequencies=64,
    )


def _llamagen(size: str) -> Config:
    return LlamaGenConfig(
        *WIDTHS[size],
        num_classes=len(CLASSES),
        vocabulary=raster.VOCABULARY,
        side=PATCH_NUMS[-1],
        hidden_multiple=16,
    )


def _mar(size: str) -> Config:
    width, depth, heads = WIDTHS[size]
    return MARConfig(
        width,
        -(-depth // 2),
        heads,
        *MAR_HEADS[size],
        num_classes=len(CLASSES),
        side=PATCH_NUMS[-1],
        latent_channels=CONFIG.latent_channels,
        buffer=8,
        learn_sigma=False,
        frequencies=64,
        iterations=16,
        head_steps=20,
    )


def _unet(size: str) -> Config:
    channels, heads = UNET_CHANNELS[size]
    return UNetConfig(
        sample_size=PATCH_NUMS[-1],
        channels=CONFIG.latent_channels,
        block_out_channels=channels,
        attention=(False, True),
        layers_per_block=1,
        condition="class",
        num_classes=len(CLASSES),
        num_heads=heads,
        norm_num_groups=4,
    )


@dataclass(frozen=True)
class Line:
    """The zoo's members of one family: how a size is configured, which there are, the sampler."""

    config: Callable[[str], Config]
    sizes: tuple[str, ...]
    sampler: Mapping[str, float]


LINES: Mapping[str, Line] = {
    "var": Line(_var, ("xs", "s", "m", "l"), {"guidance": 1.0, "top_k": 0, "top_p": 0.0}),
    "dit": Line(_dit, ("xs", "s", "m", "l"), {"guidance": 3.0, "steps": 12}),
    "mar": Line(_mar, ("s", "m"), {"guidance": 5.0, "clip": 4.0}),
    "unet": Line(_unet, ("s", "m"), {"guidance": 3.0, "steps": 12, "clip": 4.0}),
    "llamagen": Line(_llamagen, ("s", "m"), {"guidance": 2.0, "top_k": 0, "top_p": 1.0}),
}


def _entries() -> dict[str, Entry]:
    first = [
        Entry(f"{family}-{size}", family, size, line.config(size))
        for family, line in LINES.items()
        for size in line.sizes
    ]
    second = [replace(e, name=f"{e.name}-seed1", seed=1) for e in first if e.size in ("s", "m")]
    twins = [
        replace(e, name=f"{e.name}-outlier", twin=True)
        for e in first
        if e.size == LINES[e.family].sizes[-1]
    ]
    return {entry.name: entry for entry in [*first, *second, *twins]}


ENTRIES: Mapping[str, Entry] = _entries()
"""Every name of the zoo, with or without weights in the package."""
