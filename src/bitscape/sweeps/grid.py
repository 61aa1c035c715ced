"""The grid of a sweep: models x recipes x seeds x evaluation settings, read from YAML."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_serializer,
)

from bitscape.evaluation import Settings
from bitscape.files import first_fault, read_mapping

FULL_PRECISION = "full-precision"
"""The recipe that changes nothing: the 16-bit point of every law."""

_NEEDS = "a grid needs at least `models:` and `recipes:`"


class Evaluation(BaseModel):
    """How a cell is measured: the settings of an evaluation, and sampler options to override.

    `bits` reads a model of nested codes at that width, as `bitscape.load` does: cells that differ
    in it alone are trained once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int = Settings.n
    seeds: tuple[int, ...] = Settings.seeds
    losses: int = Settings.losses
    paths: int = Settings.paths
    shard: int = Settings.shard
    sampler: dict[str, Any] = Field(default_factory=dict)
    bits: int | None = None

    @model_serializer(mode="wrap")
    def _without_absent(self, content: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        # A cell that is read as it is has the identity it had before there were widths to choose.
        named = content(self)
        return {name: value for name, value in named.items() if (name, value) != ("bits", None)}

    def settings(self) -> Settings:
        """The part that `bitscape.evaluation` knows; ValueError for counts that make no sense."""
        return Settings(self.n, self.seeds, self.losses, self.paths, self.shard)


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    `recipe` is a name or the absolute path of a YAML file, whose content is then part of the
    identity through `recipe_digest`, and whose path is not.
    """

    model: str
    recipe: str
    seed: int
    evaluation: Evaluation
    recipe_digest: str | None = None

    @property
    def key(self) -> str:
        """The identity of the cell: equal for equal content, whatever the machine and folder."""
        content = {
            "model": self.model,
            "recipe": self.recipe_digest or self.recipe,
            "seed": self.seed,
            "evaluation": self.evaluation.model_dump(mode="json"),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def label(self) -> str:
        """What records call the recipe: its name, or that of its file wherever the file lies.

        The width follows where nested codes are read at fewer bits.
        """
        name = Path(self.recipe).name if self.recipe_digest else self.recipe
        bits = self.evaluation.bits
        return name if bits is None else f"{name} at {bits} bits"

    def __str__(self) -> str:
        return f"{self.model} {self.label} seed {self.seed} n {self.evaluation.n}"


class Grid(BaseModel):
    """What to run. Every list is crossed with every other one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[str, ...] = Field(min_length=1)
    recipes: tuple[str, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    evaluations: tuple[Evaluation, ...] = Field(default=(Evaluation(),), min_length=1)

    @field_validator("models", "recipes", "seeds", "evaluations")
    @classmethod
    def _distinct(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        twice = [value for i, value in enumerate(values) if value in values[:i]]
        if twice:
            raise ValueError(f"{twice[0]} is listed twice")
        return values

    @field_validator("evaluations")
    @classmethod
    def _sensible(cls, values: tuple[Evaluation, ...]) -> tuple[Evaluation, ...]:
        for value in values:
            value.settings()
        return values

    def cells(self, folder: Path) -> list[Cell]:
        """All cells; recipe files are looked up from `folder`.

        The order keeps cells that share a model and a recipe together, so that both are made once.
        """
        recipes = [_recipe(recipe, folder) for recipe in self.recipes]
        return [
            Cell(model, recipe, seed, evaluation, digest)
            for model in self.models
            for recipe, digest in recipes
            for seed in self.seeds
            for evaluation in self.evaluations
        ]


def read_grid(path: Path) -> Grid:
    """The grid in a YAML file; ValueError in one line for anything that is wrong with it."""
    content = read_mapping(path, _NEEDS)
    try:
        return Grid.model_validate(content)
    except ValidationError as error:
        raise ValueError(f"{path}: {first_fault(error, Grid, Evaluation, _NEEDS)}") from error


def _recipe(recipe: str, folder: Path) -> tuple[str, str | None]:
    """The recipe as it will be found, with a digest of its content when it is a file."""
    if not recipe.endswith((".yaml", ".yml")):
        return recipe, None
    path = folder / recipe
    if not path.is_file():
        raise ValueError(f"recipe file {path} does not exist: paths start at the grid's folder")
    # Absolute: a worker of another folder must find the file too.
    return str(path.absolute()), hashlib.sha256(path.read_bytes()).hexdigest()[:16]
