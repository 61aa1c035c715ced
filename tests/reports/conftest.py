"""A demo of invented numbers: two panels of pictures that get noisier as bits go down."""

import numpy as np
import pytest

from bitscape.reports.results import Demo, Difference, Panel, Row, Speed, Timing
from bitscape.reports.settings import SETTINGS
from bitscape.zoo import shapes

FULL_BYTES = 3_200_000
SIZES = {"bf16": 1.0, "W8A8": 0.53, "W4A16": 0.29, "W3A16": 0.23}
DAMAGE = (0.0, 0.0002, 0.0001, 0.061, 0.018, 0.43, 0.094)


def invented_panel(family: str, loss_name: str, loss: float) -> Panel:
    pictures = ((shapes.draw(0, 0, 10).images + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    noise = np.random.default_rng(0).normal(size=pictures.shape)
    rows = []
    for setting, damage in zip(SETTINGS, DAMAGE, strict=True):
        noisy = np.clip(pictures + 90 * damage**0.5 * noise, 0, 255).astype(np.uint8)
        rows.append(
            Row(
                setting=setting,
                pictures=noisy,
                file_bytes=int(FULL_BYTES * SIZES[setting.scheme]),
                fd_preview=21.4 + 40 * damage,
                fd_committed=None if setting.recipe == "gptq-w3a16" else 12.5 + 42 * damage,
                class_accuracy=0.97 - 0.3 * damage,
                loss=loss + damage,
                loss_difference=Difference(damage * loss, 0.0007) if damage else None,
            )
        )
    return Panel(f"zoo:{family}-l", family, 1_600_000, loss_name, tuple(rows))


@pytest.fixture(scope="session")
def demo() -> Demo:
    names = ("fp32", "bf16", "W8A8 static", "W8A8", "W4A8", "W4A16")
    timings = tuple(
        Timing(name, "linear", index != 5, 80.0 / (index + 1), 70.0 / (index + 1), 99.0, 10**7)
        for index, name in enumerate(names)
    )
    return Demo(
        panels=(invented_panel("var", "nll", 2.64), invented_panel("dit", "denoising_loss", 0.07)),
        speed=Speed("one block of VAR-d16", 512, "a processor of 2 cores", timings),
        preview_samples=250,
        committed_samples=5000,
        losses_on=512,
        seconds=301.0,
    )
