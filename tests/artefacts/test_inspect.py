"""What `inspect` reports is what stands on the disk and what was accounted for."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bitscape import artefacts
from bitscape.models import FAMILIES
from bitscape.nn import QuantLinear, footprint, quantized_sites
from bitscape.structure import Pipeline

SCHEMES = ["W8A8", "W4A16", "W3A16,asym", "W4A16/head=W16A16"]
CASES = [("var", scheme) for scheme in SCHEMES] + [(name, "W3A16,asym") for name in FAMILIES]
Rounded = Callable[[str, str], Pipeline]


@pytest.mark.parametrize(("family", "scheme"), dict.fromkeys(CASES))
def test_disk_memory_and_accounting_agree(
    family: str, scheme: str, rounded: Rounded, tmp_path: Path
) -> None:
    pipeline = rounded(family, scheme)
    before = artefacts.inspect_network(pipeline.network)
    artefacts.save(pipeline, {}, {}, tmp_path / "a")
    found = artefacts.inspect(tmp_path / "a")
    assert found == before
    assert list(found) == [
        "weight_bytes",
        "code_bytes",
        "scale_bytes",
        "nominal_weight_bits",
        "actual_weight_bits",
        "layers",
    ]
    assert list(found["layers"][0]) == [
        "name",
        "role",
        "scheme",
        "shape",
        "bytes",
        "kernel",
        "real",
    ]
    coded = [row for row in footprint(pipeline.network).sites if row.scheme.weight is not None]
    sizes = {row["name"]: row["bytes"] for row in found["layers"]}
    assert all(sizes[row.name] == row.cost.total_bytes for row in coded)
    assert {row["name"]: row["scheme"] for row in found["layers"]} == {
        row.name: row.text for row in footprint(pipeline.network).sites
    }


def test_inspecting_leaves_the_network_as_it_is(rounded: Rounded) -> None:
    pipeline = rounded("dit", "W8A8")
    before = pipeline.sample([1], seed=0)
    artefacts.inspect_network(pipeline.network)
    assert torch.equal(pipeline.sample([1], seed=0), before)
    assert all(isinstance(site, QuantLinear) for site in quantized_sites(pipeline.network).values())
