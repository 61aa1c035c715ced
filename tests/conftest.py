"""Settings for the whole suite: shapes are checked at run time, and each worker uses one thread."""

from importlib.util import find_spec
from pathlib import Path

import jaxtyping
import pytest
import torch
from jaxtyping import install_import_hook

# The numeric tower lets an int stand where a float is asked for, as every type checker does.
CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"

# Wraps every function of the package as it is imported, so it has to come before any test module.
install_import_hook("bitscape", CHECKER)

# Workers share the cores, and one thread gives the same sums on every machine.
torch.set_num_threads(1)


# Whole runs of the product, made of functions that have tests of their own. Checking every call
# once more would take as long as the runs do.
END_TO_END = {"api", "cli", "reports", "sweeps"}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Turn the checks off for what runs end to end, its fixtures included."""
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    unchecked = folder in END_TO_END or item.get_closest_marker("unchecked") is not None
    jaxtyping.config.update("jaxtyping_disable", unchecked)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the families whose optional dependency is not installed."""
    from bitscape.models import FAMILIES

    for item in items:
        parameters = getattr(item, "callspec", None)
        for value in () if parameters is None else parameters.params.values():
            extra = FAMILIES[value].extra if isinstance(value, str) and value in FAMILIES else ""
            if extra and find_spec(extra) is None:
                item.add_marker(pytest.mark.skip(reason=f"needs bitscape[{extra}]"))
