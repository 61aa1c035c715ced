"""What the zoo holds: names, configurations and training budgets."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bitscape.models import DiTConfig, MARConfig, VARConfig
from bitscape.zoo.autoencoder import CONFIG, PATCH_NUMS, VOCABULARY
from bitscape.zoo.shapes import CLASSES

WIDTHS: Mapping[str, tuple[int, int, int]] = {
    "xs": (32, 3, 2),
    "s": (48, 3, 3),
    "m": (64, 4, 4),
    "l": (96, 5, 6),
}
"""Size to (width, depth, heads); VAR and DiT share it, which matches their parameters."""

MAR_HEADS: Mapping[str, tuple[int, int]] = {"s": (48, 2), "m": (96, 2)}
"""Size of MAR to (width, depth) of its diffusion head.

Encoder and decoder have half the depth of VAR each, rounded up; with the head the parameters are
VAR's.
"""

SAMPLERS: Mapping[str, dict[str, float]] = {
    "var": {"guidance": 1.0, "top_k": 0, "top_p": 0.0},
    "dit": {"guidance": 3.0},
    "mar": {"guidance": 3.0, "clip": 4.0},
}


@dataclass(frozen=True)
class Entry:
    """One member of the zoo. `twin` marks the outlier variant of a trained size."""

    name: str
    family: str
    size: str
    config: VARConfig | DiTConfig | MARConfig
    seed: int = 0
    twin: bool = False

    @property
    def weights(self) -> str:
        """Stem of the weight file: a twin is computed from the model it mirrors."""
        return self.name.removesuffix("-outlier")


def _entry(family: str, size: str) -> Entry:
    width, depth, heads = WIDTHS[size]
    classes, latent = len(CLASSES), CONFIG.latent_channels
    var = VARConfig(
        width,
        depth,
        heads,
        num_classes=classes,
        vocabulary=VOCABULARY,
        latent_channels=latent,
        patch_nums=PATCH_NUMS,
    )
    dit = DiTConfig(
        width,
        depth,
        heads,
        num_classes=classes,
        side=PATCH_NUMS[-1],
        latent_channels=latent,
        patch=1,
        learn_sigma=False,
        frequencies=64,
    )
    return Entry(f"{family}-{size}", family, size, var if family == "var" else dit)


def _mar_entry(size: str) -> Entry:
    width, depth, heads = WIDTHS[size]
    config = MARConfig(
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
    return Entry(f"mar-{size}", "mar", size, config)


def _entries() -> dict[str, Entry]:
    first = [_entry(family, size) for family in ("var", "dit") for size in WIDTHS]
    mar = [_mar_entry(size) for size in MAR_HEADS]
    second = [replace(e, name=f"{e.name}-seed1", seed=1) for e in first if e.size in ("s", "m")]
    largest = [*(e for e in first if e.size == "l"), mar[-1]]
    twins = [replace(e, name=f"{e.name}-outlier", twin=True) for e in largest]
    return {entry.name: entry for entry in [*first, *mar, *second, *twins]}


ENTRIES: Mapping[str, Entry] = _entries()
"""Every name of the zoo, with or without weights in the package."""
