"""Recipes for the released models, with the settings that papers report, from the files beside it.

A file is of one model; each of its settings is a paper's, and makes recipes for that paper's
methods at each of its widths, called `<method>-<widths>-<size>`: `mpq-dm-w2a4-ldm4-imagenet`.
"""

import functools
import inspect
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from bitscape.methods import METHODS
from bitscape.recipes.recipe import Calibration, Recipe


class Setting(BaseModel):
    """How one paper quantizes one model.

    `low` names the roles that are as low as the rest, though schemes leave them wider; `wider` says
    which roles and sites have another scheme. `own` are options that single methods have besides.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    methods: tuple[str, ...]
    widths: tuple[str, ...]
    low: tuple[str, ...]
    wider: dict[str, tuple[str, ...]]
    sampler: dict[str, Any]
    calibration: Calibration
    options: dict[str, Any]
    own: dict[str, dict[str, Any]] = {}

    def scheme(self, widths: str) -> str:
        """The scheme with static inputs: "W4A4,static/ada=W4A4,static/input=W8A8,static"."""
        body = f"{widths},static"
        own = dict.fromkeys(self.low, body)
        own |= {name: scheme for scheme, names in self.wider.items() for name in names}
        return "/".join([body, *(f"{name}={scheme}" for name, scheme in own.items())])


class Released(BaseModel):
    """The settings of one model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str
    size: str
    settings: tuple[Setting, ...]

    def recipes(self) -> Iterator[Recipe]:
        """One for each method and width, and one with `plus` for methods that have that option."""
        for setting in self.settings:
            for widths in setting.widths:
                for method in setting.methods:
                    yield self.recipe(setting, method, widths, {})
                    if "plus" in inspect.signature(METHODS[method]).parameters:
                        yield self.recipe(setting, method, widths, {"plus": True})

    def recipe(self, setting: Setting, method: str, widths: str, more: Mapping[str, Any]) -> Recipe:
        """The recipe of `method` at `widths`, with `more` options."""
        parts = [method, *more, widths.lower(), self.size]
        name, model = "-".join(parts).lower(), f"{self.family}-{self.size}"
        return Recipe(
            name=name,
            method=method,
            scheme=setting.scheme(widths),
            options={**setting.options, **setting.own.get(method, {}), **more},
            calibration=setting.calibration,
            families=(self.family,),
            model=model,
            sampler=setting.sampler,
            description=f"{widths} of {model} in the setting that papers report.",
        )


@functools.cache
def released() -> Mapping[str, Recipe]:
    """Every recipe of a released model by name."""
    folder = resources.files("bitscape.recipes") / "released"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    models = [Released(**yaml.safe_load(file.read_text())) for file in files]
    return {recipe.name: recipe for model in models for recipe in model.recipes()}
