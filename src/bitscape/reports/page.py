"""The demo page: one HTML file with its pictures and style inside, readable without scripts."""

import base64
import io
from collections.abc import Sequence
from html import escape
from importlib.resources import files

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from bitscape.reports import words
from bitscape.reports.overview import loss_share
from bitscape.reports.results import Demo, Panel, Row, Speed, Timing

COMMANDS = """bitscape quantize {model} --recipe gptq-w4a16 --out my-model
bitscape sample my-model --classes 0,3,7 --out pictures.png
bitscape inspect my-model
bitscape evaluate my-model --out metrics.json"""


def page(demo: Demo) -> str:
    """The whole page as HTML."""
    style = files("bitscape.reports").joinpath("page.css").read_text()
    body = [
        f"<h1>{escape(words.HEADLINE)}</h1>",
        f"<p>{escape(words.LEDE)}</p>",
        f"<p><strong>How to read this.</strong> {escape(words.HOW_TO_READ)}</p>",
        *(panel_section(panel, demo) for panel in demo.panels),
        speed_section(demo.speed) if demo.speed else "",
        words_section(),
        f"<h2>Do it yourself</h2><pre>{escape(COMMANDS.format(model=demo.panels[0].model))}</pre>",
        f"<footer>{escape(making_of(demo))}</footer>",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>bitscape demo</title>\n<style>\n{style}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def panel_section(panel: Panel, demo: Demo) -> str:
    """One model: what it is, what to look for, what was found, and its table."""
    found = "".join(f"<li>{escape(sentence)}</li>" for sentence in words.findings(panel))
    rows = "\n".join(row_cells(panel, row, demo.committed_samples) for row in panel.rows)
    unit = words.LOSS_UNIT[panel.loss_name]
    heads = (
        "stored in",
        "one column = one class and one random seed",
        "file size,<br>% of 16 bits",
        f"loss rise,<br>{unit}",
        f"FD-shapes,<br>preview at n = {demo.preview_samples}",
        "right<br>class",
    )
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    return (
        f"<h2>{escape(words.FAMILY[panel.family])}</h2>\n"
        f"<p><code>{escape(panel.model)}</code>, {panel.parameters / 1e6:.2f} million weights. "
        f"{escape(words.LOOK_FOR[panel.family])}</p>\n<ul>{found}</ul>\n"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody>'
        "</table></div>"
    )


def row_cells(panel: Panel, row: Row, committed: int) -> str:
    """One setting as a table row."""
    setting = row.setting
    name = f"{setting.scheme} {setting.method}"
    alt = f"{len(row.pictures)} pictures by {panel.model} stored in {setting.title} ({name})"
    size = f"{words.megabytes(row.file_bytes)}, {words.share(row, panel.full)}"
    cells = (
        f'<th scope="row">{escape(setting.title)}<small>{escape(name)}</small></th>',
        f'<td><img alt="{escape(alt)}" src="{strip(row.pictures)}"></td>',
        f"<td>{size}{bar('size', row.file_bytes / panel.full.file_bytes)}</td>",
        f"<td>{words.difference(row.loss_difference)}{bar('cost', loss_share(panel, row))}</td>",
        f"<td>{row.fd_preview:.1f}<small>{words.distance(row, committed)}</small></td>",
        f"<td>{100 * row.class_accuracy:.0f} %</td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def speed_section(speed: Speed) -> str:
    """How long one large block takes in each arithmetic."""
    rows = "\n".join(timing_cells(timing, speed.timings) for timing in speed.timings)
    heads = "".join(
        f'<th scope="col">{name}</th>'
        for name in (
            "arithmetic",
            "time for one block (median; 10th to 90th percentile)",
            f"times as fast<br>as {speed.timings[0].name}",
            "memory",
        )
    )
    return (
        f"<h2>And the speed?</h2>\n<p>{escape(words.TOO_SMALL_FOR_SPEED)}</p>\n"
        f"<p>{escape(speed.block)}, {speed.rows} tokens at once, on {escape(speed.machine)}. "
        "Shorter is better.</p>\n"
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody>'
        "</table></div>"
    )


def timing_cells(timing: Timing, timings: Sequence[Timing]) -> str:
    """One arithmetic as a table row, beside the slowest and the first one."""
    slowest = max(other.median_ms for other in timings)
    kind = timing.kernel if timing.real else f"{timing.kernel}: the bits save memory, not time"
    spread = f"{timing.median_ms:.1f} ms ({timing.p10_ms:.1f} to {timing.p90_ms:.1f})"
    return (
        f'<tr><th scope="row">{escape(timing.name)}<small>{escape(kind)}</small></th>'
        f"<td>{spread}{bar('size', timing.median_ms / slowest, 'long')}</td>"
        f"<td>{timings[0].median_ms / timing.median_ms:.1f}</td>"
        f"<td>{words.megabytes(timing.weight_bytes)}</td></tr>"
    )


def words_section() -> str:
    """The columns and the terms, explained."""
    entries = {**words.COLUMNS, **words.GLOSSARY}
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in entries.items())
    return f"<h2>What the words mean</h2>\n<dl>{items}</dl>"


def making_of(demo: Demo) -> str:
    """How the page was made and what its small sample counts mean."""
    return (
        f"Made in {demo.seconds:.0f} seconds on this machine. Loss on {demo.losses_on} unseen "
        f"images, FD-shapes and class accuracy on {demo.preview_samples} generated ones: a "
        "preview, good enough to see a collapse and too rough to rank neighbours. The values at "
        f"{demo.committed_samples:,} images were measured once and ship with the package."
    )


def bar(kind: str, fraction: float, track: str = "track") -> str:
    """A bar that repeats a number for the eye; screen readers skip it."""
    width = 100 * min(max(fraction, 0.0), 1.0)
    inner = f'<span class="bar {kind}" style="width:{width:.1f}%"></span>'
    return f'<span class="bar {track}" aria-hidden="true">{inner}</span>'


def strip(pictures: UInt8[ndarray, "picture height width 3"]) -> str:
    """The pictures side by side as the data URI of a PNG."""
    count, height, width, _ = pictures.shape
    row = pictures.transpose(1, 0, 2, 3).reshape(height, count * width, 3)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(row)).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
