"""Views of a study: one a ladder, with files of their own."""

from pathlib import Path

from bitscape.laws import study
from bitscape.laws.table import read_csv
from bitscape.reports.study import summary, write_study
from bitscape.reports.study.view import views
from bitscape.reports.study.words import names

HEADER = "source,model,family,params,method,w_bits,a_bits,metric,value,protocol"


def study_of(*protocols: str):
    """Full precision and two widths of one family under each protocol."""
    lines = [
        f"paper,m{size:g},var,{size},{method},{w},16,fid,"
        f"{raw * (w * size / 1e9) ** -0.3},{protocol}"
        for protocol, factor in zip(protocols, (1.0, 20.0), strict=False)
        for method, w, raw in (
            ("fp16", 16, 3.0 * factor),
            ("rtn", 8, 2.9 * factor),
            ("rtn", 4, 2.5),
        )
        for size in (1e8, 2e8, 4e8)
    ]
    return study(read_csv([HEADER, *lines], "test"), at=2.5)


def test_one_protocol_stays_out_of_names() -> None:
    [view] = views(study_of("guidance 1.5"))
    assert (view.slug, view.origin) == ("paper-var", "paper")


def test_two_protocols_make_two_views() -> None:
    first, second = views(study_of("guidance 1.5", "guidance 3"))
    assert (first.slug, second.slug) == ("paper-var-guidance-1-5", "paper-var-guidance-3")
    assert second.origin == "paper, guidance 3"
    for view in (first, second):
        assert {line.setting.protocol for line in view.lines} == {view.ladder.protocol}
        assert len(view.lines) == 3
        owners = {cell.setting for cell in (*view.cells, *view.unguarded)}
        assert owners <= {line.setting.setting for line in view.lines}


def test_equal_settings_of_two_protocols_are_not_two_readings() -> None:
    found = study_of("guidance 1.5", "guidance 3")
    assert set(names(found)) == {"fp16", "rtn W8A16", "rtn W4A16"}


def test_page_and_summary_tell_the_protocols_apart(tmp_path: Path) -> None:
    found = study_of("guidance 1.5", "guidance 3")
    write_study(found, tmp_path)
    page = (tmp_path / "index.html").read_text()
    for protocol in ("guidance 1.5", "guidance 3"):
        assert f"<h2>var<small>paper, {protocol}</small></h2>" in page
        assert f"var, paper, {protocol}\n" in summary(found)
    assert len(list((tmp_path / "figures").glob("*-laws.svg"))) == 2
    assert page.count("<ul class='findings'></ul>") == 0
