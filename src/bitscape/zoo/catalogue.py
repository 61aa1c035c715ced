"""What the zoo holds: names, configurations and training budgets."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bitscape.models import DiTConfig, VARConfig
from bitscape.zoo.autoencoder import CONFIG, PATCH_NUMS, VOCABULARY
from bitscape.zoo.shapes import CLASSES

WIDTHS: Mapping[str, tuple[int, int, int]] = {
    "xs": (32, 3, 2),
    "s": (48, 3, 3),
    "m": (64, 4, 4),
    "l": (96, 5, 6),
}
"""Size to (width, depth, heads); both families share it, which matches their parameters."""

SAMPLERS: Mapping[str, dict[str, float]] = {
    "var": {"guidance": 1.0, "top_k": 0, "top_p": 0.0},
    "dit": {"guidance": 3.0},
}


@dataclass(frozen=True)
class Entry:
    """One member of the zoo. `twin` marks the outlier variant of a trained size."""

    name: str
    family: str
    size: str
    config: VARConfig | DiTConfig
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


def _entries() -> dict[str, Entry]:
    first = [_entry(family, size) for family in SAMPLERS for size in WIDTHS]
    second = [replace(e, name=f"{e.name}-seed1", seed=1) for e in first if e.size in ("s", "m")]
    twins = [replace(e, name=f"{e.name}-outlier", twin=True) for e in first if e.size == "l"]
    return {entry.name: entry for entry in [*first, *second, *twins]}


ENTRIES: Mapping[str, Entry] = _entries()
"""Every name of the zoo, with or without weights in the package."""
