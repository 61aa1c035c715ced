"""Recipes: methods at schemes, as data."""

from bitscape.recipes.apply import apply
from bitscape.recipes.calibrate import (
    calibration_conditions,
    calibration_key,
    reads_calibration,
    recorded,
)
from bitscape.recipes.card import card
from bitscape.recipes.options import name_and_value, with_options
from bitscape.recipes.planned import account, planned
from bitscape.recipes.recipe import SAMPLES, Calibration, Recipe, read_recipe
from bitscape.recipes.released import released
from bitscape.recipes.table import RECIPES, find_recipe

__all__ = [
    "RECIPES",
    "SAMPLES",
    "Calibration",
    "Recipe",
    "account",
    "apply",
    "calibration_conditions",
    "calibration_key",
    "card",
    "find_recipe",
    "name_and_value",
    "planned",
    "read_recipe",
    "reads_calibration",
    "recorded",
    "released",
    "with_options",
]
