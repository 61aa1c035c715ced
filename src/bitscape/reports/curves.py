"""The curves of a training run as a picture."""

import io
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from PIL import Image

PANELS = {"loss": "loss", "distance": "distance from the teacher", "agreement": "equal choices"}


def picture(log: Sequence[Mapping[str, float]]) -> Image.Image:
    """One panel for each of the loss, the distance and the agreement that `log` holds, by step."""
    names = [name for name in PANELS if name in log[0]]
    figure = Figure(figsize=(4 * len(names), 3), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        axes.plot([record["step"] for record in log], [record[name] for record in log])
        axes.set_xlabel("step")
        axes.set_title(PANELS[name])
        # The printed loss falls below zero, which a logarithm cannot show.
        if name != "agreement" and min(record[name] for record in log) > 0:
            axes.set_yscale("log")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    return Image.open(content)
