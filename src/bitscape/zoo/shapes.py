"""The `shapes` data set: ten classes of shaded, textured shapes, 32 x 32 RGB, drawn on demand.

Every image is a pure function of (seed, index): a counter-based hash supplies its attributes, so
any slice of the endless set can be drawn in any order and is always the same. Edges are
anti-aliased analytically, from the distance to the outline in pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.floating[Any]]

CLASSES = (
    "sphere",
    "square",
    "triangle",
    "star",
    "ring",
    "cross",
    "heart",
    "crescent",
    "flower",
    "capsule",
)
SIZE = 32
TILT = 0.3
"""Largest rotation, radians (about 17 degrees): full rotation is beyond models of this size."""

ATTRIBUTES = ("x", "y", "scale", "tilt", "hue_cos", "hue_sin", "light", "texture", "ground")


@dataclass(frozen=True)
class Shapes:
    """A batch: images in [-1, 1], class labels and the attributes each image was drawn from."""

    images: Float[Tensor, "batch 3 height width"]
    labels: Int[Tensor, " batch"]
    attributes: Float[Tensor, "batch attribute"]


def draw(seed: int, start: int, count: int) -> Shapes:
    """Images `start` to `start + count` of the endless set `seed`, classes in random order."""
    uniform = _uniforms(seed, np.arange(start, start + count, dtype=np.uint64), 16)
    labels = np.minimum((uniform[:, 0] * len(CLASSES)).astype(np.int64), len(CLASSES) - 1)
    return render(labels, uniform[:, 1:])


def render(labels: NDArray[np.int64], uniform: Array) -> Shapes:
    """The images whose attributes are the uniform numbers of each row, shape (batch, 15)."""
    u = _Attributes.of(uniform)
    grid = (np.arange(SIZE, dtype=np.float32) + 0.5) * (2 / SIZE) - 1
    px, py = grid[None, None, :] - _wide(u.x), grid[None, :, None] - _wide(u.y)
    cos, sin = _wide(np.cos(u.tilt)), _wide(np.sin(u.tilt))
    qx, qy = (cos * px + sin * py) / _wide(u.scale), (cos * py - sin * px) / _wide(u.scale)
    distance = np.empty_like(qx)
    for label in np.unique(labels):
        rows = labels == label
        distance[rows] = _OUTLINES[label](qx[rows], qy[rows])
    cover = np.clip(0.5 - distance * _wide(u.scale) * (SIZE / 2), 0, 1)[..., None]
    images = _paint(u, labels, qx, qy) * cover + _background(u, grid) * (1 - cover)
    pixels = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    return Shapes(pixels * 2 - 1, torch.from_numpy(labels), torch.from_numpy(u.targets()))


@dataclass(frozen=True)
class _Attributes:
    """What varies between images of one class, in drawing units (the image spans -1 to 1)."""

    x: Array
    y: Array
    scale: Array
    tilt: Array
    hue: Array
    saturation: Array
    value: Array
    light: Array
    texture: Array
    stripe_angle: Array
    stripe_phase: Array
    ground_hue: Array
    ground_value: Array
    ground_angle: Array
    ground_slope: Array

    @classmethod
    def of(cls, u: Array) -> "_Attributes":
        turn = np.float32(2 * np.pi)
        return cls(
            x=(u[:, 0] - 0.5) * 0.5,
            y=(u[:, 1] - 0.5) * 0.5,
            scale=0.48 + 0.22 * u[:, 2],
            tilt=(2 * u[:, 3] - 1) * TILT,
            hue=u[:, 4],
            saturation=0.55 + 0.4 * u[:, 5],
            value=0.8 + 0.2 * u[:, 6],
            light=turn * u[:, 7],
            texture=0.16 * np.clip(2 * u[:, 8] - 1, 0, 1),
            stripe_angle=turn * u[:, 9],
            stripe_phase=turn * u[:, 10],
            ground_hue=u[:, 11],
            ground_value=0.12 + 0.38 * u[:, 12],
            ground_angle=turn * u[:, 13],
            ground_slope=0.5 * u[:, 14],
        )

    def targets(self) -> Array:
        """The attributes an observer could read off the picture, each of unit order."""
        hue = 2 * np.pi * self.hue
        columns = (
            self.x / 0.25,
            self.y / 0.25,
            (self.scale - 0.59) / 0.11,
            self.tilt / TILT,
            np.cos(hue),
            np.sin(hue),
            np.cos(self.light),
            self.texture / 0.08 - 0.5,
            (self.ground_value - 0.31) / 0.19,
        )
        return np.stack(columns, axis=1).astype(np.float32)


def _paint(u: _Attributes, labels: NDArray[np.int64], qx: Array, qy: Array) -> Array:
    """Colour of the shape at each pixel: hue, light falling from one side, faint stripes."""
    along = np.cos(u.light)[:, None, None] * qx + np.sin(u.light)[:, None, None] * qy
    height = np.sqrt(np.clip(1 - qx * qx - qy * qy, 0, 1))
    round_light = 0.35 + 0.65 * np.clip(0.6 * along + 0.8 * height, 0, 1)
    flat_light = 0.85 + 0.2 * np.clip(along, -1, 1)
    light = np.where((labels == 0)[:, None, None], round_light, flat_light)
    across = np.cos(u.stripe_angle)[:, None, None] * qx + np.sin(u.stripe_angle)[:, None, None] * qy
    light = light * (1 + _wide(u.texture) * np.sin(9 * across + _wide(u.stripe_phase)))
    colour = _rgb(u.hue, u.saturation, u.value)
    return np.clip(light[..., None] * colour[:, None, None, :], 0, 1)


def _background(u: _Attributes, grid: Array) -> Array:
    """A two-tone linear gradient."""
    along = (
        np.cos(u.ground_angle)[:, None, None] * grid[None, None, :]
        + np.sin(u.ground_angle)[:, None, None] * grid[None, :, None]
    )
    colour = _rgb(u.ground_hue, np.full_like(u.ground_hue, 0.45), u.ground_value)
    return np.clip((1 + _wide(u.ground_slope) * along)[..., None] * colour[:, None, None, :], 0, 1)


def _circle(x: Array, y: Array) -> Array:
    return np.hypot(x, y) - 0.95


def _square(x: Array, y: Array) -> Array:
    return np.maximum(np.abs(x), np.abs(y)) - 0.8


def _triangle(x: Array, y: Array) -> Array:
    return np.maximum(0.866 * np.abs(x) - 0.5 * y - 0.55, y - 0.62)


def _star(x: Array, y: Array) -> Array:
    sector = 2 * np.pi / 5
    angle = np.arctan2(x, -y)
    folded = np.abs(np.mod(angle + sector / 2, sector) - sector / 2)
    radius = np.hypot(x, y)
    # The edge runs from the tip (radius 1) to the notch (radius 0.42) half a sector away.
    tip, notch = np.array([1.0, 0.0]), 0.42 * np.array([np.cos(sector / 2), np.sin(sector / 2)])
    edge = notch - tip
    normal = np.array([edge[1], -edge[0]]) / np.hypot(edge[0], edge[1])
    along, up = radius * np.cos(folded), radius * np.sin(folded)
    return ((along - tip[0]) * normal[0] + (up - tip[1]) * normal[1]).astype(np.float32)


def _ring(x: Array, y: Array) -> Array:
    return np.abs(np.hypot(x, y) - 0.68) - 0.24


def _cross(x: Array, y: Array) -> Array:
    ax, ay = np.abs(x), np.abs(y)
    return np.minimum(np.maximum(ax - 0.92, ay - 0.3), np.maximum(ax - 0.3, ay - 0.92))


def _heart(x: Array, y: Array) -> Array:
    # Two lobes above, a square's lower corner below: the usual rotated-square heart.
    ax, up = np.abs(x), -y + 0.12
    lobe = np.hypot(ax - 0.42, up - 0.38) - 0.5
    point = np.maximum(ax * 0.7071 - up * 0.7071 - 0.53, up - 0.38)
    return np.minimum(lobe, np.maximum(point, ax - 0.92))


def _crescent(x: Array, y: Array) -> Array:
    return np.maximum(np.hypot(x, y) - 0.95, 0.72 - np.hypot(x - 0.45, y))


def _flower(x: Array, y: Array) -> Array:
    return 0.9 * (np.hypot(x, y) - 0.72 - 0.2 * np.cos(5 * np.arctan2(y, x)))


def _capsule(x: Array, y: Array) -> Array:
    return np.hypot(x - np.clip(x, -0.58, 0.58), y) - 0.38


_OUTLINES: tuple[Callable[[Array, Array], Array], ...] = (
    _circle,
    _square,
    _triangle,
    _star,
    _ring,
    _cross,
    _heart,
    _crescent,
    _flower,
    _capsule,
)


def _wide(column: Array) -> Array:
    return column[:, None, None]


def _rgb(hue: Array, saturation: Array, value: Array) -> Array:
    """HSV colours as RGB, shape (batch, 3)."""
    offset = np.array([5, 3, 1], dtype=np.float32)
    k = np.mod(offset + 6 * hue[:, None], 6)
    ramp = np.clip(np.minimum(k, 4 - k), 0, 1)
    return (value[:, None] * (1 - saturation[:, None] * ramp)).astype(np.float32)


def _uniforms(seed: int, index: NDArray[np.uint64], count: int) -> Array:
    """`count` uniform numbers for each index: splitmix64 of (seed, index, position)."""
    with np.errstate(over="ignore"):
        base = np.uint64(seed) * np.uint64(0xD1342543DE82EF95) + np.uint64(0x632BE59BD9B4E019)
        counter = base + index[:, None] * np.uint64(64) + np.arange(count, dtype=np.uint64)[None, :]
        z = counter * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(40)).astype(np.float32)) * np.float32(2**-24)
