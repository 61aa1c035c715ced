"""The zoo: small VAR and DiT models trained on procedural `shapes`, shipped in the package."""

from bitscape.zoo.catalogue import ENTRIES, Entry
from bitscape.zoo.checkpoints import (
    available,
    load_observer,
    load_pipeline,
    load_tokenizer,
    trained,
)
from bitscape.zoo.observer import Observer
from bitscape.zoo.protocol import rounded_latents, shapes_protocol
from bitscape.zoo.shapes import CLASSES, Shapes, draw

__all__ = [
    "CLASSES",
    "ENTRIES",
    "Entry",
    "Observer",
    "Shapes",
    "available",
    "draw",
    "load_observer",
    "load_pipeline",
    "load_tokenizer",
    "rounded_latents",
    "shapes_protocol",
    "trained",
]
