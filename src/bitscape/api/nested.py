"""Reading a model of nested codes at fewer bits."""

from dataclasses import replace

from bitscape import artefacts
from bitscape.api.model import Model
from bitscape.formats import parse_scheme, with_weight_bits
from bitscape.nn import read_first_bits


def read_at(model: Model, bits: int) -> Model:
    """`model`, its network edited in place, with the first `bits` of its nested codes.

    No file holds it by itself. ValueError for a width that its codes were not trained at.
    """
    told = model.report.get("method", {})
    gains = told.get("nested", {})
    nested = sorted(map(int, gains))
    if bits not in nested:
        widths = " or ".join(map(str, nested)) or "its own width alone"
        raise ValueError(
            f"{model.source or model.name} can be read at {widths}, not at {bits} bits"
        )
    whole, network = nested[-1], model.pipeline.network
    read_first_bits(network, bits, whole, gains[str(bits)])
    assert model.recipe is not None
    recipe = {**model.recipe, "options": {**model.recipe["options"], "read": bits}}
    method = {name: value for name, value in told.items() if name != "nested"}
    method["scheme"] = with_weight_bits(parse_scheme(told["scheme"]), whole, bits).name
    report = {**model.report, "method": method, **artefacts.inspect_network(network)}
    return replace(model, recipe=recipe, report=report, source=None)
