"""Recipes: methods at schemes, as data."""

from bitscape.recipes.apply import apply
from bitscape.recipes.calibrate import calibration_key, reads_calibration, recorded
from bitscape.recipes.card import card
from bitscape.recipes.options import with_options
from bitscape.recipes.recipe import SAMPLES, Calibration, Recipe, read_recipe
from bitscape.recipes.table import RECIPES, find_recipe

__all__ = [
    "RECIPES",
    "SAMPLES",
    "Calibration",
    "Recipe",
    "apply",
    "calibration_key",
    "card",
    "find_recipe",
    "read_recipe",
    "reads_calibration",
    "recorded",
    "with_options",
]
