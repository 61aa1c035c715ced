"""Stages: roles of sites in the order in which they are trained, for budgets that train not all."""

from collections.abc import Mapping

from bitscape.structure import Role

Stages = tuple[tuple[str, ...], ...]


def check_stages(stages: Stages) -> None:
    """ValueError for a role that there is not."""
    roles = [role.value for role in Role]
    for name in (name for stage in stages for name in stage):
        if name not in roles:
            raise ValueError(f"no site plays the role {name!r}: one of {', '.join(roles)}")


def in_stages(stages: Stages, roles: Mapping[str, str]) -> list[list[str]]:
    """The sites of each stage; a stage without any is left out. `roles` says what each plays."""
    found = [[name for name, role in roles.items() if role in stage] for stage in stages]
    return [names for names in found if names]
