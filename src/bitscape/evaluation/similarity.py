"""How close two images of the same seed are, pixel by pixel."""

import math

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

Images = UInt8[Tensor, "batch height width 3"]
PerImage = Float[Tensor, " batch"]

_PEAK = 255.0
_WINDOW = 11
_SIGMA = 1.5


def squared_error(a: Images, b: Images) -> PerImage:
    """The mean squared difference of each pair of images, in squared grey levels."""
    return (a.double() - b.double()).square().mean(dim=(1, 2, 3))


def psnr(squared_errors: PerImage) -> float:
    """Peak signal-to-noise ratio in dB of the mean of `squared_errors`; infinite when it is zero.

    10 log10(255^2 / mean error). The errors are averaged before the logarithm: discrete families
    return many images bit for bit, and one infinite ratio would hide all the others.
    """
    error = float(squared_errors.mean())
    return 10 * math.log10(_PEAK**2 / error) if error > 0 else math.inf


def ssim(a: Images, b: Images) -> PerImage:
    """The structural similarity of each pair of images, averaged over channels and positions.

    Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity" (2004),
    eq. 13: Gaussian window 11 x 11 with sigma 1.5, K1 = 0.01, K2 = 0.03, only windows that lie
    wholly inside the image.
    """
    if min(a.shape[1:3]) < _WINDOW:
        raise ValueError(
            f"SSIM needs images of at least {_WINDOW} pixels a side, got {a.shape[1:3]}"
        )
    x, y = _planes(a), _planes(b)
    c1, c2 = (0.01 * _PEAK) ** 2, (0.03 * _PEAK) ** 2
    mean_x, mean_y = _blur(x), _blur(y)
    var_x = _blur(x * x) - mean_x**2
    var_y = _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return (luminance * structure).mean(dim=(1, 2)).view(len(a), 3).mean(dim=1)


def _planes(images: Images) -> Float[Tensor, "plane height width"]:
    return images.permute(0, 3, 1, 2).flatten(0, 1).double()


def _blur(planes: Float[Tensor, "plane height width"]) -> Float[Tensor, "plane rows columns"]:
    offset = torch.arange(_WINDOW, dtype=planes.dtype, device=planes.device) - _WINDOW // 2
    kernel = torch.softmax(-(offset**2) / (2 * _SIGMA**2), dim=0)
    x = functional.conv2d(planes.unsqueeze(1), kernel.view(1, 1, -1, 1))
    return functional.conv2d(x, kernel.view(1, 1, 1, -1)).squeeze(1)
