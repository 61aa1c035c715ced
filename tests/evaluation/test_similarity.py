import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from bitscape.evaluation import psnr, squared_error, ssim


def images(seed: int, count: int = 3, side: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, side, side, 3), generator=generator, dtype=torch.uint8)


def test_equal_images_have_no_error_and_ssim_one() -> None:
    a = images(0)
    assert math.isinf(psnr(squared_error(a, a)))
    assert torch.allclose(ssim(a, a), torch.ones(3, dtype=torch.float64))


def test_error_does_not_wrap_around_in_uint8() -> None:
    black = torch.zeros(1, 12, 12, 3, dtype=torch.uint8)
    assert squared_error(black, black + 255) == 255**2
    assert psnr(squared_error(black, black + 255)) == 0


def test_psnr_averages_errors_before_the_logarithm() -> None:
    assert psnr(torch.tensor([0.0, 2.0])) == pytest.approx(10 * math.log10(255**2))


def reference_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """SSIM with scipy's Gaussian filter cut to eleven taps, borders removed."""

    def blur(x: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(x, 1.5, radius=5)[5:-5, 5:-5]

    x, y = a.astype(float), b.astype(float)
    mx, my = blur(x), blur(y)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mx * my + c1) * (2 * (blur(x * y) - mx * my) + c2)
    bottom = (mx**2 + my**2 + c1) * (blur(x * x) - mx**2 + blur(y * y) - my**2 + c2)
    return float((top / bottom).mean())


def test_ssim_equals_an_independent_computation() -> None:
    a, b = images(1), images(2)
    b = (0.7 * a.float() + 0.3 * b.float()).to(torch.uint8)
    expected = [
        np.mean([reference_ssim(x[..., c].numpy(), y[..., c].numpy()) for c in range(3)])
        for x, y in zip(a, b, strict=True)
    ]
    assert ssim(a, b).tolist() == pytest.approx(expected, rel=1e-9)


def test_ssim_refuses_images_smaller_than_its_window() -> None:
    with pytest.raises(ValueError, match="at least 11 pixels"):
        ssim(images(0, side=10), images(1, side=10))
