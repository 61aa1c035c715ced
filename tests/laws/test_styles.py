"""Styles beside each other, families without laws among them."""

import pytest

from bitscape.laws import comparable, study
from bitscape.laws.styles import OUTPUTS
from bitscape.models import FAMILIES

FULL = {"method": "none", "w_bits": 16, "a_bits": 16}
TWO = (1e8, 1e9)


def family(table, name: str, factor: float, **changes: object):
    """Full precision, and W4A16 that multiplies its metric at every size."""
    full = table(series=name, family=name, **FULL, **changes)
    return full + [
        row._replace(value=row.value * factor, method="rtn", scheme="W4A16", w_bits=4)
        for row in full
    ]


def test_families_of_two_sizes_are_compared_by_what_quantizing_changes(table) -> None:
    found = study(
        [*family(table, "llamagen", 1.2, sizes=TWO), *family(table, "mar", 1.9, sizes=TWO)]
    )
    [one] = comparable(found)
    assert one.bits == {} and one.lawless
    assert [entry.series for entry in one.changes["rtn W4A16"]] == ["llamagen", "mar"]
    assert found.findings == (
        "here: rtn W4A16 multiplies the FID of the same model by 1.2 in llamagen (discrete, 2 "
        "models), 1.9 in mar (continuous, 2 models).",
    )


def test_families_with_laws_are_told_in_bits_alone(table) -> None:
    found = study([*family(table, "var", 1.2), *family(table, "dit", 1.3)])
    [one] = comparable(found)
    assert not one.lawless and list(one.bits) == list(one.changes) == ["rtn W4A16"]
    assert not any("same model" in said for said in found.findings)
    with_two = study([*family(table, "var", 1.2), *family(table, "mar", 1.3, sizes=TWO)])
    assert any("1.2 in var (discrete, 4 models), 1.3 in mar" in said for said in with_two.findings)


def test_of_two_readings_of_a_setting_the_larger_counts(table) -> None:
    small = family(table, "mar", 1.7, sizes=(3e8,))
    rows = [row._replace(table="ablation") for row in small]
    rows += [*family(table, "mar", 1.9, sizes=TWO), *family(table, "var", 1.2, sizes=TWO)]
    [one] = comparable(study(rows))
    assert [(entry.series, len(entry.models)) for entry in one.changes["rtn W4A16"]] == [
        ("mar", 2),
        ("var", 2),
    ]


def test_protocols_are_never_compared_together(table) -> None:
    def rows(name: str, factor: float, protocol: str):
        return family(table, name, factor, protocol=protocol, sizes=TWO)

    apart = [*rows("var", 1.2, "a"), *rows("dit", 1.3, "b")]
    assert comparable(study(apart)) == []
    found = study([*apart, *rows("var", 1.4, "b"), *rows("dit", 1.5, "a")])
    assert {
        one.protocol: [round(entry.change, 6) for entry in one.changes["rtn W4A16"]]
        for one in comparable(found)
    } == {"a": [1.2, 1.5], "b": [1.3, 1.4]}
    assert [said.split(" multiplies")[0] for said in found.findings] == [
        "here, a: rtn W4A16",
        "here, b: rtn W4A16",
    ]


def test_every_family_is_in_the_table_and_no_other() -> None:
    assert set(OUTPUTS) == set(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_table_says_of_a_family_what_its_adapter_does(name: str) -> None:
    family = FAMILIES[name]
    adapter = family.adapter(family.tiny_config, family.tiny_tokenizer(family.tiny_config))
    assert OUTPUTS[name] == ("discrete" if adapter.discrete else "continuous")
