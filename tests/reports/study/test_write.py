"""The folder of a study: complete, self-contained, readable without scripts."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from bitscape.laws import Study, read_study, study
from bitscape.laws.table import read_csv
from bitscape.reports.study import summary, write_study


@pytest.fixture(scope="session")
def folder(small_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, written once."""
    out = tmp_path_factory.mktemp("study") / "out"
    assert write_study(small_study, out) == [out / "law.json", out / "index.html"]
    return out


class Reader(HTMLParser):
    """Collects tags that open and close, ids, links and text outside scripts."""

    void = frozenset({"meta", "br", "link", "img"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.links += [found[key] or "" for key in ("href", "src", "xlink:href") if key in found]
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.void:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" not in self.open and "style" not in self.open:
            self.words.append(data)


def test_law_file_is_the_study(folder: Path, small_study: Study) -> None:
    assert read_study(folder / "law.json") == small_study


def test_figures_come_as_png_and_svg(folder: Path) -> None:
    found = sorted(path.name for path in (folder / "figures").iterdir())
    kinds = ("frontier", "iso-quality", "laws")
    assert found == [f"paper-var-{kind}.{end}" for kind in kinds for end in ("png", "svg")]
    for name in found:
        path = folder / "figures" / name
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert min(picture.size) > 250
        else:
            ET.parse(path)


def test_marks_say_what_they_are(folder: Path) -> None:
    svg = (folder / "figures" / "paper-var-laws.svg").read_text()
    assert "<title>m1e+08, good &lt;b&gt; W4A8: FID" in svg
    assert "degrees of freedom</title>" in svg


def test_page_is_whole_and_loads_nothing(folder: Path) -> None:
    page = (folder / "index.html").read_text()
    reader = Reader(page)
    assert reader.open == []
    assert len(reader.ids) == len(set(reader.ids))
    for link in reader.links:
        if link.startswith("#"):
            assert link[1:] in reader.ids
        else:
            assert (folder / link).is_file()
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org)", page)


def test_page_says_everything_without_scripts(folder: Path, small_study: Study) -> None:
    text = " ".join(Reader((folder / "index.html").read_text()).words)
    assert "good <b> W4A8" in text and "50k samples" in text
    assert "off the chart" in text and "extrapolated" in text
    for sentence in small_study.caveats:
        assert sentence in text
    for sentence in small_study.findings:
        assert sentence.split("): ", 1)[1][1:] in text


def test_writing_again_replaces_old_figures(small_study: Study, folder: Path) -> None:
    old = folder / "figures" / "gone.png"
    old.touch()
    before = {path: path.read_bytes() for path in folder.rglob("*.svg")}
    write_study(small_study, folder)
    assert not old.exists()
    assert {path: path.read_bytes() for path in folder.rglob("*.svg")} == before


def test_summary_says_what_the_page_says(small_study: Study) -> None:
    text = summary(small_study)
    assert "good <b> W4A8" in text and "too few sizes" in text and "off the chart" in text
    assert all(sentence in text for sentence in (*small_study.findings, *small_study.caveats))


def test_styles_stand_beside_each_other_when_several_have_laws(tmp_path: Path) -> None:
    lines = [
        f"paper,m{size:g},{family},{size},{method},{w},16,fid,{raw * (w * size / 1e9) ** -0.3},50k"
        for family, factor in (("var", 1.0), ("dit", 30.0))
        for method, w, raw in (("fp16", 16, 3.0 * factor), ("rtn", 4, 2.5 * factor))
        for size in (1e8, 2e8, 4e8)
    ]
    header = "source,model,family,params,method,w_bits,a_bits,metric,value,protocol"
    write_study(study(read_csv([header, *lines], "test")), tmp_path)
    assert "<h2>Styles<small>paper</small></h2>" in (tmp_path / "index.html").read_text()
    svg = (tmp_path / "figures" / "paper-styles.svg").read_text()
    assert svg.count("rtn W4A16: 0.545, mean of 3 sizes") == 2
