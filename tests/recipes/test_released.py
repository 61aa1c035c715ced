"""Recipes of released models: they load, fit their models, and cost what the papers count."""

from collections import Counter

import pytest

from bitscape.formats import QuantScheme
from bitscape.models import FAMILIES
from bitscape.nn import Footprint
from bitscape.passes import Distill
from bitscape.recipes import RECIPES, Recipe, account, apply, find_recipe, planned, released
from bitscape.structure import Role

MODELS = (
    "unet-ldm4-imagenet",
    "unet-ldm4-bedrooms",
    "unet-ldm8-churches",
    "unet-sd-1.4",
    "dit-XL-2",
)
WIDTHS = ["w8a8", "w6a6", "w4a8", "w4a4", "w3a6", "w3a4", "w2a6", "w2a4"]


@pytest.fixture(scope="module")
def footprints() -> dict[str, Footprint]:
    """What each model costs at two bits."""
    pytest.importorskip("diffusers")
    sizes = {name: name.partition("-")[2].lower() for name in MODELS}
    return {name: planned(find_recipe(f"mpq-dm-w2a4-{size}")) for name, size in sizes.items()}


def named(scheme: QuantScheme) -> set[str]:
    return {name for name, _ in scheme.roles}


def test_every_model_has_every_width() -> None:
    assert not released().keys() & RECIPES.keys()
    for model in MODELS:
        size = model.partition("-")[2].lower()
        for widths in WIDTHS:
            method = "dilatequant" if widths in WIDTHS[:4] else "mpq-dm"
            recipe = find_recipe(f"{method}-{widths}-{size}")
            assert recipe.model == model
            assert recipe.scheme.startswith(f"{widths.upper()},static")
    plus = find_recipe("mpq-dm-plus-w2a4-ldm4-imagenet")
    assert plus.options["plus"] is True
    changed = find_recipe("mpq-dm-w2a4-ldm4-imagenet:steps=10")
    assert (changed.options["steps"], changed.options["batch"]) == (10, 4)


def test_schemes_name_roles_and_sites_that_there_are(
    footprints: dict[str, Footprint],
) -> None:
    options = {name: FAMILIES[name].tiny().sampler_options() for name in ("unet", "dit")}
    roles = {role.value for role in Role}
    for recipe in released().values():
        assert recipe.model is not None
        known = {site.name for site in footprints[recipe.model].sites} | roles
        assert not named(recipe.quant_scheme()) - known
        assert recipe.sampler.keys() <= options[recipe.families[0]]


@pytest.mark.parametrize(
    ("size", "low", "eight", "sixteen"),
    [
        # As counted by running the public code, in millions: low-bit, 8 bits, floats.
        ("ldm4-imagenet", 385.94, 0.748, 13.90),
        ("ldm4-bedrooms", 224.34, 1.016, 16.21 + 32.31),
        ("ldm8-churches", 263.95, 0.751, 9.25 + 20.79),
    ],
)
def test_scopes_are_those_of_the_public_code(
    size: str, low: float, eight: float, sixteen: float, footprints: dict[str, Footprint]
) -> None:
    found = footprints[f"unet-{size}"]
    counts: Counter[float] = Counter()
    for site in found.sites:
        counts[site.scheme.weight_bits] += site.cost.elements
    assert {bits: n / 1e6 for bits, n in counts.items()} == {
        2: pytest.approx(low, abs=0.006),
        8: pytest.approx(eight, abs=0.002),
        16: pytest.approx(sixteen, abs=0.01),
    }
    # Both accounts: scales, widths and padding come on top of the nominal bits.
    assert found.nominal_weight_bits < found.actual_weight_bits < found.nominal_weight_bits + 0.1
    total = found.weights + found.other_parameters
    assert total == FAMILIES["unet"].parameters[size]


def test_plus_costs_a_tenth_of_a_bit_at_rows_of_mixed_width(
    footprints: dict[str, Footprint],
) -> None:
    plain, plus = footprints["dit-XL-2"], planned(find_recipe("mpq-dm-plus-w2a4-xl-2"))
    low = sum(site.cost.elements for site in plain.sites)
    assert plus.model_bits - plain.model_bits == pytest.approx(0.1 * low, rel=0.01)
    text = "\n".join(account(find_recipe("dilatequant-w4a4-xl-2")))
    assert "nominal: 4.0000 bits a weight" in text
    assert "written: 4.0" in text


def test_plans_of_padded_rows_of_mixed_width_are_called_estimates() -> None:
    pytest.importorskip("diffusers")
    written = []
    # Rows of the first convolution have 27 columns.
    for scheme in ("W2A4,static", "W2A4,static/input=W2A4,static"):
        recipe = Recipe(name="mine", method="mpq-dm", scheme=scheme, model="unet-cifar10")
        written.append(account(recipe)[-1])
    assert written[0].startswith("written: 2.")
    assert written[1].startswith("written: about 2.")


def test_tables_have_a_row_for_every_step_but_where_the_files_say_so() -> None:
    for recipe in released().values():
        wanted, steps = recipe.calibration, recipe.sampler["steps"]
        assert wanted.keep is not None
        batches = -(-wanted.samples // wanted.batch)
        lsun = recipe.model in ("unet-ldm4-bedrooms", "unet-ldm8-churches")
        if lsun and recipe.method.startswith("dilatequant"):
            assert batches * wanted.keep == 80
        else:
            assert batches * wanted.keep >= steps


@pytest.mark.parametrize("method", ["efficientdm", "mpq-dm", "mpq-dm-faithful"])
def test_rates_of_scales_and_ranges_are_those_of_the_public_code(method: str) -> None:
    for size in ("ldm4-imagenet", "ldm4-bedrooms", "ldm8-churches", "sd-1.4", "xl-2"):
        distill = find_recipe(f"{method}-w2a4-{size}").build().passes()[-1]
        assert isinstance(distill, Distill)
        training = distill.training
        # Logarithms of steps of 0.05 for weights, ranges with steps of 0.5 for inputs.
        assert training.rate * training.scales == pytest.approx(1e-6 / 0.05)
        assert training.rate * training.ranges == pytest.approx(5e-4 / 0.5)


def test_a_recipe_of_one_model_fits_no_other_and_brings_its_sampler() -> None:
    pipeline = FAMILIES["dit"].tiny()
    recipe = Recipe(
        name="mine", method="rtn", scheme="W4A8", model="dit-tiny", sampler={"steps": 3}
    )
    apply(recipe, pipeline)
    assert pipeline.sampler["steps"] == 3
    with pytest.raises(ValueError, match="recipe mine is for dit-tiny, not for var-tiny"):
        apply(recipe, FAMILIES["var"].tiny())
    with pytest.raises(ValueError, match="for one released model"):
        planned(recipe)
