"""Styles beside each other: figures and sentences, families of two sizes among them."""

import xml.etree.ElementTree as ET
from html import escape
from pathlib import Path

import pytest

from bitscape.laws import Study, comparable, study
from bitscape.laws.styles import styles
from bitscape.laws.table import read_csv
from bitscape.reports.study import write_study
from bitscape.reports.study.styles import of_bits

HEADER = "source,model,family,params,method,w_bits,a_bits,metric,value,protocol"


def study_of(metric: str, **sizes: tuple[float, ...]) -> Study:
    """Full precision, W8 and W4 of each family at its sizes; W4 is worse by a tenth."""
    lines = [
        f"paper,{family}{size:g},{family},{size},{method},{w},16,{metric},{raw * size**-0.1},50k"
        for family, own in sizes.items()
        for method, w, raw in (("none", 16, 20.0), ("rtn", 8, 20.2), ("rtn", 4, 22.0))
        for size in own
    ]
    return study(read_csv([HEADER, *lines], "test"))


TWO, THREE = (1e8, 4e8), (1e8, 2e8, 4e8)


@pytest.mark.parametrize("metric", ["fid", "nll"])
def test_families_without_laws_have_figure_and_sentences(tmp_path: Path, metric: str) -> None:
    found = study_of(metric, llamagen=TWO, mar=TWO)
    write_study(found, tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert sorted(path.name for path in (tmp_path / "figures").glob("*.svg")) == [
        "paper-changes.svg"
    ]
    svg = tmp_path / "figures" / "paper-changes.svg"
    ET.parse(svg)
    assert svg.read_text().count("mean of 2 models</title>") == 4
    said = styles(found)
    assert len(said) == 2
    for sentence in said:
        text = sentence.removeprefix("paper: ")
        assert escape(text[:1].upper() + text[1:]) in page


def test_sentences_of_bits_reach_the_page(tmp_path: Path) -> None:
    found = study_of("fid", var=THREE, dit=THREE)
    write_study(found, tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert "Rtn W4A16 takes, of its own full precision" in page
    assert not (tmp_path / "figures" / "paper-changes.svg").exists()


def test_extrapolated_readings_are_hollow() -> None:
    [one] = comparable(study_of("fid", var=THREE, dit=THREE))
    entries = [entry for several in one.bits.values() for entry in several]
    assert {entry.extrapolated for entry in entries} == {True}
    assert all(mark.hollow and "extrapolated" in mark.tip for mark in of_bits(one))
    measured = {
        name: [entry.model_copy(update={"extrapolated": False}) for entry in several]
        for name, several in one.bits.items()
    }
    assert not any(mark.hollow for mark in of_bits(one._replace(bits=measured)))


def test_second_numbers_of_shared_forms_stand_on_the_page(tmp_path: Path) -> None:
    found = study_of("fid", var=THREE)
    write_study(found, tmp_path)
    page = (tmp_path / "index.html").read_text()
    law = next(one for one in found.laws if one.form == "effective" and one.w_bits == 4)
    beta = next(one for one in found.laws if one.form == "bivariate" and one.w_bits == 4)
    assert f"<td data-value='{law.share:.8g}'>" in page
    assert f"<td data-value='{beta.beta:.8g}'>" in page
    assert '<th scope="col">of precision, or g</th>' in page
