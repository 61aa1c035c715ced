"""The page of a study: one HTML file with its figures inside, readable without scripts."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files

from bitscape.laws import Comparison, Study, heading, metric_name, place, sentences
from bitscape.reports.study.captions import CAPTIONS, GLOSSARY
from bitscape.reports.study.styles import Picture
from bitscape.reports.study.tables import form_table, frontier_table, law_table, measurement_table
from bitscape.reports.study.view import View, views
from bitscape.reports.study.words import axis_name


def page(
    study: Study,
    drawn: Mapping[str, Mapping[str, str]],
    compared: Sequence[tuple[Comparison, Sequence[Picture]]] = (),
) -> str:
    """The whole page; `drawn` holds the SVG of each figure by slug and kind.

    `compared` are the styles of a source and protocol beside each other, with their pictures.
    """
    title = f"{metric_name(study.metric)} against {axis_name(study)}"
    shown = views(study)
    body = [
        f"<header><p class='brand'>bitscape law</p><h1>{escape(title)}</h1>",
        f"<p class='lede'>{escape(lede(study))}</p>{navigation(shown)}</header>",
        *(section(view, drawn.get(view.slug, {})) for view in shown),
        *(styles_section(study, one, pictures) for one, pictures in compared),
        caveats_section(study),
        glossary_section(),
        footer(study),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>\n<style>\n{asset('study.css')}</style></head>\n<body>\n"
        + "\n".join(body)
        + f"\n<script>\n{asset('study.js')}</script>\n</body>\n</html>\n"
    )


def asset(file: str) -> str:
    """A file of this package."""
    return files("bitscape.reports.study").joinpath(file).read_text(encoding="utf-8")


def lede(study: Study) -> str:
    """What the page compares, in one sentence."""
    sources = len({one.source for one in study.settings})
    return (
        f"{len(study.settings)} settings from {sources} source{'s' if sources > 1 else ''}: which "
        f"model size, method and precision give the most quality for the bits, read at "
        f"{metric_name(study.metric)} {study.at:g}. Lower is better."
    )


def navigation(shown: Sequence[View]) -> str:
    """Links to the sections, if there are several."""
    if len(shown) < 2:
        return ""
    links = "".join(
        f'<a href="#{view.slug}">{escape(view.ladder.series)}'
        f"<small>{escape(view.origin)}</small></a>"
        for view in shown
        if view.lines
    )
    return f"<nav>{links}</nav>"


def section(view: View, drawn: Mapping[str, str]) -> str:
    """One ladder: what was found, figures, tables."""
    if not view.lines:
        return ""
    start = f"{place(view.study, view.ladder)}: "
    said = [one for one in view.study.findings if one.startswith(start)]
    figures = "".join(figure(view.slug, kind, svg) for kind, svg in drawn.items())
    return (
        f'<section id="{view.slug}"><h2>{escape(view.ladder.series)}'
        f"<small>{escape(view.origin)}</small></h2>\n"
        f"<p class='protocol'>Measured as: {escape(view.ladder.protocol or 'not stated')}</p>\n"
        f"{bullets(said, start)}\n{figures}\n{law_table(view)}\n"
        f"{frontier_table(view)}\n{form_table(view)}\n{measurement_table(view)}</section>"
    )


def bullets(said: Sequence[str], start: str) -> str:
    """Findings as a list, each less the `start` that the section names already."""
    rest = [one.removeprefix(start) for one in said]
    items = "".join(f"<li>{escape(one[:1].upper() + one[1:])}</li>" for one in rest)
    return f"<ul class='findings'>{items}</ul>"


def styles_section(study: Study, one: Comparison, pictures: Sequence[Picture]) -> str:
    """The families of one source beside each other, each in units of its own full precision."""
    name = heading(study, one)
    drawn = "\n".join(figure(each.slug, each.kind, each.svg) for each in pictures)
    return (
        f"<section><h2>Styles<small>{escape(name)}</small></h2>\n"
        f"{bullets(sentences(study, one), f'{name}: ')}\n{drawn}</section>"
    )


def figure(slug: str, kind: str, svg: str) -> str:
    """One figure with its caption and the files to take away."""
    stem = f"figures/{slug}-{kind}"
    text = " ".join(CAPTIONS[kind].split())
    return (
        f'<figure class="{kind}"><div class="plot">{inlined(svg, f"{slug}-{kind}")}</div>'
        f'<figcaption>{escape(text)} <a href="{stem}.png">PNG</a> <a href="{stem}.svg">SVG</a>'
        "</figcaption></figure>"
    )


def inlined(svg: str, prefix: str) -> str:
    """The SVG element alone, its ids made unique within the page."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r'\bid="', f'id="{prefix}-', element)
    element = re.sub(r'href="#', f'href="#{prefix}-', element)
    element = element.replace("url(#", f"url(#{prefix}-")
    return element.replace("<svg ", f'<svg role="img" aria-label="{prefix}" ', 1)


def caveats_section(study: Study) -> str:
    """Why to doubt the page."""
    items = "".join(f"<li>{escape(one)}</li>" for one in study.caveats)
    return f"<section id='caveats'><h2>Before you trust this</h2><ul>{items}</ul></section>"


def glossary_section() -> str:
    """What the words mean."""
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in GLOSSARY.items())
    return f"<section id='words'><h2>What the words mean</h2><dl>{items}</dl></section>"


def footer(study: Study) -> str:
    """Where the numbers stand."""
    return (
        "<footer>Every number of this page is in <a href='law.json'>law.json</a>; "
        f"axis {study.axis}, {study.accounting} bits, intervals at "
        f"{100 * study.confidence:.0f} %. Made by <code>bitscape law</code>.</footer>"
    )
