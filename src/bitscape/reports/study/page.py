"""The page of a study: one HTML file with its figures inside, readable without scripts."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files

from bitscape.laws import LawEntry, Study, metric_name
from bitscape.reports.study.captions import CAPTIONS, GLOSSARY
from bitscape.reports.study.styles import Picture
from bitscape.reports.study.view import View, views
from bitscape.reports.study.words import (
    FORM_NAMES,
    axis_name,
    interval,
    number,
    remark,
)

HEADS = ("setting", "sizes", "form", "exponent", "R²", "dof", "bits at {at:g}", "of full precision")
FORM_HEADS = ("setting", "form", "exponent", "dof", "bits at {at:g}", "left-out error")


def page(
    study: Study, drawn: Mapping[str, Mapping[str, str]], pictures: Sequence[Picture] = ()
) -> str:
    """The whole page; `drawn` holds the SVG of each figure by slug and kind.

    `pictures` compare the styles of a source.
    """
    title = f"{metric_name(study.metric)} against {axis_name(study)}"
    shown = views(study)
    body = [
        f"<header><p class='brand'>bitscape law</p><h1>{escape(title)}</h1>",
        f"<p class='lede'>{escape(lede(study))}</p>{navigation(shown)}</header>",
        *(section(view, drawn.get(view.slug, {})) for view in shown),
        *map(styles_section, pictures),
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
        f'<a href="#{view.slug}">{escape(view.series)}<small>{escape(view.source)}</small></a>'
        for view in shown
        if view.lines
    )
    return f"<nav>{links}</nav>"


def section(view: View, drawn: Mapping[str, str]) -> str:
    """One source and series: what was found, figures, tables."""
    if not view.lines:
        return ""
    start = f"{view.series} ({view.source}): "
    said = [one.removeprefix(start) for one in view.study.findings if one.startswith(start)]
    findings = "".join(f"<li>{escape(one[:1].upper() + one[1:])}</li>" for one in said)
    figures = "".join(figure(view.slug, kind, svg) for kind, svg in drawn.items())
    protocol = "; ".join(dict.fromkeys(line.setting.protocol for line in view.lines))
    return (
        f'<section id="{view.slug}"><h2>{escape(view.series)}<small>{escape(view.source)}</small>'
        f"</h2>\n<p class='protocol'>Measured as: {escape(protocol or 'not stated')}</p>\n"
        f"<ul class='findings'>{findings}</ul>\n{figures}\n{law_table(view)}\n"
        f"{frontier_table(view)}\n{form_table(view)}\n{measurement_table(view)}</section>"
    )


def styles_section(picture: Picture) -> str:
    """The families of one source beside each other, each in units of its own full precision."""
    return f"<section><h2>Styles<small>{escape(picture.source)}</small></h2>\n" + (
        figure(picture.slug, "styles", picture.svg) + "</section>"
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


def law_table(view: View) -> str:
    """The chosen law of each setting."""
    rows = []
    for line in view.lines:
        law = line.entry
        ratio_ends = "" if line.full else interval(law.bits_ratio_ci)
        rows.append(
            row(
                line.setting.setting,
                f'<th scope="row">{escape(line.label)}</th>',
                f"<td>{len(line.setting.points)}</td>",
                f"<td>{escape(FORM_NAMES[law.form])}</td>",
                cell(law.alpha, interval(law.alpha_ci)),
                cell(law.r2, ""),
                f"<td>{law.dof}</td>",
                bits_cell(law),
                cell(law.bits_ratio, ratio_ends),
            )
        )
    return table("Laws", HEADS, rows, view.study, opened=True)


def bits_cell(law: LawEntry) -> str:
    """The bits at the target with their interval, how far outside the sizes, or why not."""
    if law.bits_at is None:
        return f"<td data-value='1e99' class='off'>{escape(remark(law))}</td>"
    marks = [escape(one) for one in (interval(law.bits_at_ci), remark(law)) if one]
    small = "".join(f"<small>{one}</small>" for one in marks)
    return f"<td data-value='{law.bits_at:.8g}'>{number(law.bits_at)}{small}</td>"


def frontier_table(view: View) -> str:
    """Where each setting holds the frontier."""
    labels = {line.setting.setting: line.label for line in view.lines}
    rows = []
    for entry in view.cells:
        mark = (
            f"extrapolated to {number(entry.times_beyond)} times the sizes measured"
            if entry.extrapolated
            else ""
        )
        rows.append(
            row(
                entry.setting,
                cell(entry.budget, ""),
                f"<td>{escape(labels[entry.setting])}</td>",
                f"<td>{escape(entry.model)}</td>",
                cell(entry.quality, interval(entry.quality_ci)),
                f"<td data-value='{entry.membership}'>{100 * entry.membership:.0f} %</td>",
                f"<td class='note'>{mark}</td>",
            )
        )
    heads = (
        "budget",
        "setting",
        "model",
        metric_name(view.study.metric),
        "frontier share",
        "remark",
    )
    return table("Frontier, budget by budget", heads, rows, view.study)


def form_table(view: View) -> str:
    """Every form of every setting."""
    labels = {line.setting.setting: line.label for line in view.lines}
    rows = [
        form_row(labels[law.setting], law)
        for law in view.study.laws
        if law.setting in labels and law.alpha is not None
    ]
    return table("Every form", FORM_HEADS, rows, view.study)


def form_row(label: str, law: LawEntry) -> str:
    """One form of one setting; the chosen one is marked."""
    form = FORM_NAMES[law.form] + (f", c = {number(law.floor)}" if law.floor else "")
    form = f"<strong>{escape(form)}</strong>" if law.chosen else escape(form)
    return row(
        law.setting,
        f'<th scope="row">{escape(label)}</th>',
        f"<td>{form}</td>",
        cell(law.alpha, interval(law.alpha_ci)),
        f"<td>{law.dof}</td>",
        bits_cell(law),
        cell(law.left_out_error, ""),
    )


def measurement_table(view: View) -> str:
    """What the laws were fitted to."""
    rows = [
        row(
            line.setting.setting,
            f'<th scope="row">{escape(line.label)}</th>',
            f"<td>{escape(point.model)}</td>",
            f"<td data-value='{point.parameters}'>{point.parameters / 1e6:,.4g} M</td>",
            cell(bits, ""),
            f"<td data-value='{point.quality}'>{point.quality:.4g}</td>",
            f"<td class='note'>{escape('; '.join(line.setting.notes))}</td>",
        )
        for line in view.lines
        for point, bits in zip(line.setting.points, line.bits, strict=True)
    ]
    heads = ("setting", "model", "parameters", "bits", metric_name(view.study.metric), "note")
    return table("Measurements", heads, rows, view.study)


def table(
    title: str, heads: Sequence[str], rows: Sequence[str], study: Study, *, opened: bool = False
) -> str:
    """A foldable table whose heads sort it."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(text.format(at=study.at))}</th>' for text in heads)
    return (
        f"<details{' open' if opened else ''}><summary>{escape(title)}</summary>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{''.join(rows)}</tbody></table></div></details>"
    )


def row(setting: int, *cells: str) -> str:
    """A table row that figures can point to."""
    return f'<tr data-setting="{setting}">{"".join(cells)}</tr>\n'


def cell(value: float | None, ends: str) -> str:
    """A number, and below it its interval."""
    if value is None:
        return "<td data-value='1e99'></td>"
    small = f"<small>{escape(ends)}</small>" if ends else ""
    return f"<td data-value='{value:.8g}'>{number(value)}{small}</td>"


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
