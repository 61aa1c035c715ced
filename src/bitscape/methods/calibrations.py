"""What methods record otherwise than is usual, in fields of `recipes.Calibration`."""

from collections.abc import Mapping
from types import MappingProxyType

USUAL: Mapping[str, int] = MappingProxyType({})

SMALL_CALLS: Mapping[str, int] = MappingProxyType({"batch": 4})
"""A step of training inside a block reads one recorded call: its batch is that of the recording."""

MANY_IMAGES: Mapping[str, int] = MappingProxyType({"samples": 512})
"""Distillation reads its calls over and over, so that there have to be more of them."""

MANY_STEPS: Mapping[str, int] = MappingProxyType({"samples": 128, "keep": 20})
"""Distillation of diffusion, whose tables have a row for each step."""

MORE_IMAGES: Mapping[str, int] = MappingProxyType({"samples": 256})
"""For tuning all blocks together; to each block alone the usual number is enough."""
