"""What a scheme asks of the sites of a model, judged by names and shapes alone."""

from torch import Tensor

from bitscape.formats import QuantScheme
from bitscape.passes import check_groups, weight_sites
from bitscape.structure import Attend, Pipeline, Role


def check_names(scheme: QuantScheme, pipeline: Pipeline) -> None:
    """ValueError for a name in `scheme` that is neither a role nor a site of the model.

    The roles of all families pass, because families share recipes.
    """
    network = pipeline.network
    sites = pipeline.adapter.sites(network)
    attends = {name for name, module in network.named_modules() if isinstance(module, Attend)}
    known = {role.value for role in Role} | {site.name for site in sites} | attends
    for name, _ in scheme.roles:
        if name not in known:
            roles = dict.fromkeys([*(site.role.value for site in sites), Role.ATTEND.value])
            raise ValueError(
                f"unknown role {name!r} in scheme {scheme.name}: {pipeline.name} has "
                f"{', '.join(roles)}, and sites such as {sites[0].name}"
            )


def check_shapes(scheme: QuantScheme, pipeline: Pipeline) -> None:
    """ValueError that names the site whose weight the groups of `scheme` do not divide."""
    for site, own in weight_sites(pipeline, scheme):
        weight = pipeline.network.get_submodule(site.name).weight
        assert isinstance(weight, Tensor)
        check_groups(site.name, weight, own)
