"""Recipes: methods at schemes, as data."""

from bitscape.recipes.apply import apply
from bitscape.recipes.card import card
from bitscape.recipes.recipe import Calibration, Recipe, read_recipe
from bitscape.recipes.table import RECIPES, find_recipe

__all__ = ["RECIPES", "Calibration", "Recipe", "apply", "card", "find_recipe", "read_recipe"]
