"""The toy behind the losses: one Gaussian fitted to two, figure 7a of arXiv:2501.06218.

`python -m bitscape.reports.toy docs/topkld.png` draws it.
"""

import sys
from pathlib import Path

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from bitscape.algorithms.divergences import divergences

GRID = torch.linspace(-6, 6, 121)
HEAD = 50
"""Codes in the head of TopKLD: both modes. A head inside one mode gives nearly forward KL."""
TITLES = {
    "forward-kl": "forward KL",
    "topkld": "TopKLD",
    "topkld-paper": "TopKLD as printed",
    "reverse-kl": "reverse KL",
}


def mixture() -> Float[Tensor, " code"]:
    """Logits of two Gaussians of width 0.6 at -2 and 2, weighing 0.8 and 0.2."""
    densities = [torch.exp(-0.5 * ((GRID - mean) / 0.6) ** 2) for mean in (-2.0, 2.0)]
    return (0.8 * densities[0] + 0.2 * densities[1]).clamp_min(1e-12).log()


def fitted(loss: str, k: int = HEAD, steps: int = 300) -> tuple[float, float]:
    """Mean and width of the Gaussian nearest to the mixture by `loss`, from -1 and 1."""
    teacher = mixture()
    divergence = divergences(k)[loss]
    place = torch.tensor([-1.0, 0.0], requires_grad=True)
    optimizer = torch.optim.Adam([place], lr=0.05)
    for _ in range(steps):
        value = divergence(_gaussian(place[0], place[1].exp()), teacher)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    mean, log_width = place.detach()
    return float(mean), float(log_width.exp())


def draw(out: Path) -> Path:
    """The picture, as PNG."""
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    axes.fill_between(GRID, mixture().softmax(-1), color="0.85", label="teacher")
    for name, title in TITLES.items():
        mean, width = fitted(name)
        density = _gaussian(torch.tensor(mean), torch.tensor(width)).softmax(-1)
        axes.plot(GRID, density, label=title, linestyle="--" if "paper" in name else "-")
    axes.set_xlabel("code")
    axes.set_yticks([])
    axes.legend(frameon=False)
    figure.savefig(out, dpi=110)
    return out


def _gaussian(mean: Tensor, width: Tensor) -> Float[Tensor, " code"]:
    return -0.5 * ((GRID - mean) / width) ** 2


if __name__ == "__main__":
    sys.stdout.write(f"{draw(Path(sys.argv[1]))}\n")
