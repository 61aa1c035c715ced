"""What the published table must say: figures checked by hand against log-log least squares."""

import pytest

from bitscape.laws import Axis, FrontierEntry, LawEntry, Row, Study, settings_of

SCALING = "arXiv:2501.06218"
Studies = dict[Axis, Study]

MODEL_BITS = {
    ("fp16", 16, 16): 11.6,
    ("gptq", 8, 16): 6.1,
    ("gptq", 4, 16): 5.3,
    ("gptvq", 4, 16): 5.0,
    ("forward-kld", 4, 16): 5.0,
    ("topkld", 4, 16): 4.4,
    ("gptvq", 3, 16): 28,
    ("forward-kld", 3, 16): 6.0,
    ("topkld", 3, 16): 4.0,
    ("smoothquant", 4, 8): 7.6,
    ("omniquant", 4, 8): 7.7,
    ("forward-kld", 4, 8): 6.3,
    ("topkld", 4, 8): 5.5,
    ("smoothquant", 8, 8): 7.0,
}
COMPUTE_BITS = {
    ("smoothquant", 8, 8): 56.1,
    ("omniquant", 8, 8): 57.4,
    ("smoothquant", 4, 8): 60.8,
    ("omniquant", 4, 8): 61.7,
    ("forward-kld", 4, 8): 50.5,
    ("topkld", 4, 8): 43.6,
}


def laws(study: Study, method: str, w_bits: float, a_bits: float) -> list[LawEntry]:
    """Every form of one setting of VAR in the scaling study."""
    return [
        law
        for law in study.laws
        if (law.source, law.series, law.method) == (SCALING, "var", method)
        and (law.w_bits, law.a_bits) == (w_bits, a_bits)
    ]


def power(study: Study, *setting: object) -> LawEntry:
    """The power law of one setting, of its first reading."""
    return next(law for law in laws(study, *setting) if law.form == "power")


def cells(study: Study) -> list[FrontierEntry]:
    """The frontier of VAR in the scaling study."""
    return [cell for cell in study.frontier if (cell.source, cell.series) == (SCALING, "var")]


@pytest.mark.parametrize(
    ("axis", "figures"), [("model-bits", MODEL_BITS), ("compute-bits", COMPUTE_BITS)]
)
def test_bits_for_fid_2_5(
    axis: Axis, figures: dict[tuple[str, int, int], float], studies: Studies
) -> None:
    found = {setting: power(studies[axis], *setting) for setting in figures}
    assert {setting: law.bits_at for setting, law in found.items()} == pytest.approx(
        figures, rel=0.02
    )
    assert all(law.chosen for law in found.values())


def test_full_precision_is_read_from_both_tables(studies: Studies) -> None:
    found = [law for law in laws(studies["model-bits"], "fp16", 16, 16) if law.form == "power"]
    assert [law.bits_at for law in found] == pytest.approx([11.6, 11.1], rel=0.02)


def test_three_bit_gptq_is_off_the_chart_in_every_form(studies: Studies) -> None:
    for law in laws(studies["model-bits"], "gptq", 3, 16):
        assert law.bits_at is None and law.bits_at_ci is None and law.extrapolated
        assert law.reason is not None and "off the chart" in law.reason


def test_extrapolated_readings_are_marked(studies: Studies) -> None:
    for method, times in (("gptvq", 4.7), ("omniquant", 1.63)):
        law = power(studies["model-bits"], method, 3, 16)
        assert law.extrapolated and law.times_beyond == pytest.approx(times, rel=0.01)


def test_frontier_on_model_bits(studies: Studies) -> None:
    measured = [cell for cell in cells(studies["model-bits"]) if not cell.extrapolated]
    low = {(cell.method, cell.w_bits) for cell in measured if cell.budget <= 6}
    high = {(cell.method, cell.w_bits) for cell in measured if 6 < cell.budget <= 8}
    assert low == {("topkld", 3)} and high == {("topkld", 4)}
    assert max(cell.budget for cell in measured if cell.w_bits == 3) == pytest.approx(6)
    assert max(cell.budget for cell in measured if cell.w_bits == 4) == pytest.approx(8)


@pytest.mark.parametrize("axis", ["model-bits", "compute-bits"])
def test_frontier_falls_and_marks_what_was_not_measured(axis: Axis, studies: Studies) -> None:
    found = cells(studies[axis])
    inside = [cell.quality for cell in found if not cell.extrapolated]
    assert inside == sorted(inside, reverse=True)
    assert any(cell.extrapolated for cell in found)
    for cell in found:
        assert (cell.times_beyond > 1) == cell.extrapolated
        assert cell.quality_ci[0] < cell.quality < cell.quality_ci[1]


def test_blind_extrapolation_would_crown_omniquant(studies: Studies) -> None:
    study = studies["model-bits"]
    blind = [cell for cell in study.unguarded if (cell.source, cell.series) == (SCALING, "var")]
    last = [cell for cell in blind if 20 <= cell.budget <= 32]
    assert {(cell.method, cell.w_bits) for cell in last} == {("omniquant", 3)}
    assert all(cell.extrapolated for cell in last)
    assert any("extrapolated blindly, omniquant W3A16" in said for said in study.findings)


def test_findings_state_the_published_claims(studies: Studies) -> None:
    said = " ".join(studies["model-bits"].findings)
    assert "1 of 8 settings at W3A16 beat the best at W4A16 (topkld, 4.42 Gbit): topkld" in said
    assert "2 of 4 settings at W4A8 beat the best at W8A8" in said
    assert "11.6 Gbit (table 2) or 11.1 Gbit (table 1)" in said
    assert "off the chart at FID 2.5: gptq W3A16" in said


def test_iso_quality_ratio(studies: Studies) -> None:
    law = power(studies["model-bits"], "topkld", 4, 16)
    assert law.bits_ratio == pytest.approx(0.38, abs=0.01)


def test_sources_series_and_degrees_of_freedom_are_kept_apart(
    studies: Studies, published_rows: list[Row]
) -> None:
    study = studies["model-bits"]
    assert {law.dof for law in study.laws if law.form == "power" and law.chosen} == {1, 2}
    for one in study.settings:
        assert len({point.parameters for point in one.points}) == len(one.points)
        assert len(one.points) <= 4
    everything = settings_of(published_rows, "model-bits", "fid")
    sixteen = [one for one in everything if one.ladder.series == "par-16x"]
    assert sixteen and all(len(one.points) == 1 for one in sixteen)


def test_table_carries_source_and_protocol(published_rows: list[Row]) -> None:
    rows = published_rows
    assert all(row.source and row.protocol for row in rows)
    baselines = {row.method for row in rows if row.source == "arXiv:2601.21238"}
    assert baselines >= {"smoothquant", "repq-vit", "os+", "omniquant", "svdquant", "quarot"}
    assert {row.metric for row in rows} == {"fid", "is", "sfid", "precision"}
    found = [
        row.value
        for row in rows
        if (row.model, row.method, row.scheme, row.table) == ("rar-xl", "svdquant", "W6A6", "main")
    ]
    assert found == [200.8, 5.41, 7.75, 0.68]
