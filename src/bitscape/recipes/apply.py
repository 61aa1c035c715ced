"""Applying a recipe to a pipeline."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bitscape.calibration import CalibrationSet
from bitscape.evaluation import Draw
from bitscape.formats import QuantScheme, SiteScheme
from bitscape.passes import Context, Pace, Progress, check_weights, run, silent
from bitscape.recipes.calibrate import reads_calibration, recorded
from bitscape.recipes.recipe import Recipe
from bitscape.structure import Pipeline, Role

Touched = Callable[[str], bool]
"""Whether the site of a name is quantized."""


def apply(
    recipe: Recipe,
    pipeline: Pipeline,
    *,
    calibration: CalibrationSet | None = None,
    seed: int = 0,
    workspace: Path | None = None,
    progress: Progress | None = None,
    images: Draw | None = None,
    pace: Pace | None = None,
    begun: Pipeline | None = None,
    touched: Touched | None = None,
) -> dict[str, Any]:
    """Quantize `pipeline` in place by `recipe`, and return the report: JSON values, per site.

    `calibration` None records what the recipe asks for, if its method reads any. With a
    `workspace` a killed call, made again, takes up what was finished and ends in the same result;
    the folder has to belong to this very job. Methods that train read `images`, at their `pace`,
    and start from the quantized twin that has `begun`, if there is one. Sites that are not
    `touched`, by name, stay in full precision, but for attention, which a scheme names by role.
    """
    recipe.fit(pipeline)
    named, passes = recipe.quant_scheme(), recipe.build().passes()
    scheme = named if touched is None else _restricted(named, pipeline, touched)
    check_weights(pipeline, scheme)
    progress = progress or silent
    if calibration is None and reads_calibration(recipe):
        calibration = _kept(recipe, pipeline, seed, workspace, progress)
    context = Context(
        scheme, calibration, seed, progress, {}, workspace, images, pace or Pace(), begun
    )
    run(passes, pipeline, context)
    used = None
    if calibration is not None:
        used = {**calibration.provenance, "sha256": calibration.identity}
    return {"method": recipe.method, "scheme": named.name, "calibration": used, **context.report}


def _restricted(scheme: QuantScheme, pipeline: Pipeline, touched: Touched) -> QuantScheme:
    """`scheme` at the sites that are `touched`; all others keep 16 bits."""
    sites = [site for site in pipeline.adapter.sites(pipeline.network) if touched(site.name)]
    own = tuple((site.name, scheme.at(site.role.value, site.name)) for site in sites)
    # Its sites need not be declared.
    attend = (Role.ATTEND.value, scheme.at(Role.ATTEND.value))
    return QuantScheme(scheme.name, SiteScheme(None, None), (attend, *own))


def _kept(
    recipe: Recipe, pipeline: Pipeline, seed: int, workspace: Path | None, progress: Progress
) -> CalibrationSet:
    kept = None if workspace is None else workspace / "calibration"
    if kept is not None and kept.is_dir():
        return CalibrationSet.load(kept)
    found = recorded(recipe, pipeline, seed=seed, progress=progress)
    if kept is not None:
        found.save(kept)
    return found
