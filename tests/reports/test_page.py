import base64
import dataclasses
import io
import re
from html.parser import HTMLParser

import numpy as np
from PIL import Image

from bitscape.reports.page import page, strip
from bitscape.reports.results import Demo

VOID = {"meta", "img", "br"}


class Outline(HTMLParser):
    """Open tags and every address the page mentions."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.alts: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("src", "href"):
                self.addresses.append(value or "")
            if name == "alt":
                self.alts.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(demo: Demo) -> Outline:
    parser = Outline()
    parser.feed(page(demo))
    return parser


def test_every_tag_is_closed_in_order(demo: Demo) -> None:
    assert outline(demo).open == []


def test_page_stands_alone_and_needs_no_script(demo: Demo) -> None:
    found = outline(demo)
    assert found.addresses
    assert all(address.startswith("data:image/png") for address in found.addresses)
    assert not found.tags & {"script", "link", "iframe"}
    assert "url(" not in page(demo)


def test_every_picture_has_its_own_description(demo: Demo) -> None:
    found = outline(demo)
    assert all(found.alts)
    assert len(set(found.alts)) == sum(len(panel.rows) for panel in demo.panels)


def test_strip_holds_the_pictures_unchanged(demo: Demo) -> None:
    pictures = demo.panels[0].full.pictures
    data = base64.b64decode(strip(pictures).split(",")[1])
    shown = np.asarray(Image.open(io.BytesIO(data)))
    assert (shown[:, :32] == pictures[0]).all()
    assert (shown[:, -32:] == pictures[-1]).all()


def test_preview_and_committed_values_are_told_apart(demo: Demo) -> None:
    text = page(demo)
    assert "preview at n = 250" in text
    assert "at 5,000" in text
    assert "none at 5,000" in text


def test_page_without_timings_has_no_speed_panel(demo: Demo) -> None:
    assert "And the speed?" in page(demo)
    assert "And the speed?" not in page(dataclasses.replace(demo, speed=None))


def test_random_weights_are_labelled(demo: Demo) -> None:
    assert re.search("random\\s+weights", page(demo))
