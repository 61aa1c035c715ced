"""What a recipe for a released model will cost, from the shapes of its weights alone."""

from dataclasses import replace

import torch

from bitscape.algorithms.row_bits import PLUS, Choice, raise_by_error, raise_by_kurtosis
from bitscape.formats import MixedInt, SiteScheme, tensor_cost
from bitscape.models import FAMILIES, Family
from bitscape.nn import Footprint, SiteFootprint
from bitscape.passes import AssignBits, weight_sites
from bitscape.recipes.recipe import Recipe
from bitscape.structure import Kind

RAISING: frozenset[Choice] = frozenset({raise_by_error, raise_by_kurtosis})
"""The choices of bits for which no row pays."""


def planned(recipe: Recipe) -> Footprint:
    """The footprint of the model that `recipe` is for; ValueError if it is for none in particular.

    The network is built on the meta device. Rows of mixed width count at the base width, as which
    as many of one bit less as of one more have the same bits; in the "plus" variant a tenth has one
    more. Their bytes are exact where rows have a multiple of 32 columns, which fill whole words at
    every width, and elsewhere an estimate.
    """
    family, size = _model(recipe)
    with torch.device("meta"):
        pipeline = family.pipeline(size, size, family.sizes[size], torch.nn.Identity())
    network, scheme = pipeline.network, recipe.quant_scheme()
    choices = {step.choose for step in recipe.steps() if isinstance(step, AssignBits)}
    mixes, plus = bool(choices), bool(choices & RAISING)
    weights, found = dict(weight_sites(pipeline, scheme)), []
    for site in pipeline.adapter.sites(network):
        if site.kind is Kind.ATTEND:
            continue
        weight = network.get_submodule(site.name).weight
        assert isinstance(weight, torch.Tensor)
        shape = (len(weight), weight[0].numel())
        own = replace(scheme.at(site.role.value, site.name), weight=weights.get(site))
        own = _mixed(own, shape[0], plus=plus) if mixes and AssignBits.varies(own) else own
        cost = tensor_cost(shape, own.weight)
        found.append(SiteFootprint(site.name, site.role.value, own, shape, cost))
    other = sum(p.numel() for p in network.parameters()) - sum(s.cost.elements for s in found)
    return Footprint(tuple(found), other)


def account(recipe: Recipe) -> list[str]:
    """Both accounts of `planned` in lines: weights by their width, nominal bits, written bytes.

    Written bytes are "about" so many where the padding of mixed rows depends on their widths.
    """
    found = planned(recipe)
    lines = [f"{recipe.model}: {found.weights:,} weights at {len(found.sites)} sites"]
    for text in sorted({_widths(site) for site in found.sites}):
        sites = [site for site in found.sites if _widths(site) == text]
        weights = sum(site.cost.elements for site in sites)
        roles = " ".join(sorted({site.role for site in sites}))
        lines.append(f"  {text}: {weights:,} weights at {len(sites)} sites ({roles})")
    other = found.other_parameters
    written = sum(site.cost.total_bytes for site in found.sites) + 2 * other
    nominal, actual = found.nominal_weight_bits, found.actual_weight_bits
    about = "about " if any(map(_estimated, found.sites)) else ""
    return [
        *lines,
        f"  W16: {other:,} other parameters",
        f"nominal: {nominal:.4f} bits a weight at a site, {found.model_bits / 8e6:.1f} MB in all",
        f"written: {about}{actual:.4f} bits a weight at a site, {written / 1e6:.1f} MB in all",
    ]


def _estimated(site: SiteFootprint) -> bool:
    """Whether rows of mixed width take other bytes than as many at the base."""
    weight = site.scheme.weight
    return weight is not None and isinstance(weight.format, MixedInt) and site.shape[1] % 32 != 0


def _widths(site: SiteFootprint) -> str:
    """ "W2A4", whatever the granularity."""
    return f"W{site.scheme.weight_bits:.3g}A{site.scheme.activation_bits:g}"


def _model(recipe: Recipe) -> tuple[Family, str]:
    for family in FAMILIES.values():
        for size in family.sizes:
            if recipe.model == f"{family.name}-{size}":
                return family, size
    raise ValueError(f"recipe {recipe.name} is not for one released model: {recipe.model}")


def _mixed(scheme: SiteScheme, rows: int, *, plus: bool) -> SiteScheme:
    """`scheme` with the widths of `rows` rows as a plan has them."""
    assert scheme.weight is not None
    base = int(scheme.weight.format.bits)
    raised = round(PLUS * rows) if plus else 0
    fmt = MixedInt(base, (base + 1,) * raised + (base,) * (rows - raised))
    return replace(scheme, weight=replace(scheme.weight, format=fmt))
