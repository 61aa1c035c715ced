"""Recipes as data: which method at which scheme, with which options and calibration."""

import inspect
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bitscape.files import first_fault, read_mapping
from bitscape.formats import QuantScheme, parse_scheme
from bitscape.methods import METHODS, Method
from bitscape.passes import Distill, Pass
from bitscape.recipes.sites import check_names, check_shapes
from bitscape.recipes.steps import every_step
from bitscape.structure import Pipeline

SAMPLES = "samples"
NEEDS = "a recipe needs `name:`, `method:` and `scheme:`"


def slug(scheme: str) -> str:
    """`scheme` in lower case, with dashes for what a file name should not hold."""
    return scheme.lower().translate(str.maketrans("@,_/=", "-----"))


class Calibration(BaseModel):
    """The trajectories to record: `samples` images over balanced classes, or of `prompts` in turn.

    `keep` bounds the calls kept of each trajectory, spread evenly; None keeps all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: int = Field(default=64, ge=1)
    seed: int = Field(default=0, ge=0)
    batch: int = Field(default=16, ge=1)
    keep: int | None = Field(default=10, ge=1)
    prompts: tuple[str, ...] = ()


class Recipe(BaseModel):
    """A method, a scheme and everything else that decides the result.

    `options` are fields of the method. An empty list of `families` means all of them. `data` is
    what a method that trains reads: "samples" of the model's own, the calls of `calibration`;
    "shapes", the bundled images; or those of a folder. A recipe that names its `model` is for no
    other. `sampler` replaces options of the model's sampler, for calibration and in the result.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    method: str
    scheme: str
    options: dict[str, Any] = {}
    calibration: Calibration = Calibration()
    data: str = SAMPLES
    families: tuple[str, ...] = ()
    model: str | None = None
    sampler: dict[str, Any] = {}
    description: str = ""

    @field_validator("method")
    @classmethod
    def _known(cls, method: str) -> str:
        if method not in METHODS:
            raise ValueError(f"unknown method {method!r}: one of {', '.join(METHODS)}")
        return method

    @model_validator(mode="after")
    def _buildable(self) -> "Recipe":
        scheme, method = self.quant_scheme(), self.build()
        # Its passes refuse settings that make no sense, long before they would be used.
        method.passes()
        if not method.takes(scheme):
            able = [name for name, method in METHODS.items() if method().takes(scheme)]
            raise ValueError(
                f"{self.method} cannot write the weights of {scheme.name} "
                f"({', '.join(map(str, scheme.weights)) or 'none'}): choose "
                + (" or ".join(able) or "another scheme")
            )
        return self

    def quant_scheme(self) -> QuantScheme:
        """The scheme, parsed."""
        return parse_scheme(self.scheme)

    def build(self) -> Method:
        """The method with its options."""
        known = inspect.signature(METHODS[self.method]).parameters
        for name in self.options.keys() - known.keys():
            raise ValueError(no_option(self.method, name))
        try:
            return METHODS[self.method](**self.options)
        except TypeError as error:
            raise ValueError(f"options of {self.method}: {error}") from error

    @property
    def entry(self) -> str:
        """What laws compare at equal schemes: its name less the scheme, "gptq" of "gptq-w4a16"."""
        return self.name.replace(f"-{slug(self.scheme)}", "", 1)

    def check(self, pipeline: Pipeline) -> None:
        """ValueError unless it can be applied to `pipeline`, as far as names and shapes tell.

        That is its family and name, the options of its sampler, and the roles, sites and groups of
        the scheme. Nothing is changed and no weight is read.
        """
        for wanted, own in ((self.families, pipeline.family), (self.models, pipeline.name)):
            if wanted and own not in wanted:
                raise ValueError(f"recipe {self.name} is for {', '.join(wanted)}, not for {own}")
        pipeline.check_sampler(self.sampler)
        scheme = self.quant_scheme()
        check_names(scheme, pipeline)
        check_shapes(scheme, pipeline)

    def fit(self, pipeline: Pipeline) -> None:
        """Give `pipeline` the sampler of the recipe; ValueError for what `check` refuses."""
        self.check(pipeline)
        pipeline.sampler = {**pipeline.sampler, **self.sampler}

    @property
    def models(self) -> tuple[str, ...]:
        """The one model that it is for, or none in particular."""
        return () if self.model is None else (self.model,)

    def changed(self, **fields: Any) -> "Recipe":
        """The recipe with other `fields`; ValueError in one line for what cannot be."""
        try:
            return Recipe(**{**self.model_dump(), **fields})
        except ValidationError as error:
            raise ValueError(fault(error)) from error

    def trains(self) -> bool:
        """Whether it trains the whole network."""
        return self.training() is not None

    def training(self) -> Distill | None:
        """The pass that trains the whole network, None where none does."""
        return next((step for step in self.steps() if isinstance(step, Distill)), None)

    def steps(self) -> list[Pass]:
        """The passes of its method, each followed by those inside it."""
        return list(every_step(self.build().passes()))


def no_option(method: str, name: str) -> str:
    """What is wrong with the option `name`, which `method` does not have."""
    known = ", ".join(inspect.signature(METHODS[method]).parameters) or "none"
    return f"{method} has no option {name!r}: one of {known}"


def fault(error: ValidationError) -> str:
    """What is wrong with a recipe, in one line, in the words of its file."""
    return first_fault(error, Recipe, Calibration, NEEDS)


def read_recipe(path: Path) -> Recipe:
    """The recipe in the YAML file `path`; ValueError in one line for one that cannot be used."""
    content = read_mapping(path, NEEDS)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise ValueError(f"{path}: {fault(error)}") from error
