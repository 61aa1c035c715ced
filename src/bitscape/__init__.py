"""Quantize vision generative models, run them packed, and see what was lost.

model = bitscape.load("zoo:var-s")
small = bitscape.quantize(model, "gptq-w4a16", out="var-s-w4")
images = small.sample([0, 3, 7])
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bitscape.api.distill import distill
    from bitscape.api.evaluate import evaluate
    from bitscape.api.load import load
    from bitscape.api.model import Model
    from bitscape.api.quantize import quantize

__all__ = ["Model", "distill", "evaluate", "load", "quantize"]


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that `bitscape --help` does not wait for torch.
    if name in __all__:
        return getattr(importlib.import_module("bitscape.api"), name)
    raise AttributeError(f"module 'bitscape' has no attribute {name!r}")
