"""The summary of a study as plain text."""

from collections.abc import Sequence

from bitscape.laws import LawEntry, Study, metric_name, shared_protocol
from bitscape.reports.study.words import (
    FORM_NAMES,
    axis_name,
    interval,
    names,
    number,
    remark,
)


def summary(study: Study) -> str:
    """Findings, one table for each source, series and protocol, caveats."""
    percent = f"{100 * study.confidence:.0f} %"
    fit = ("setting", "form", f"exponent ({percent})", "R2", "dof")
    head = (*fit, f"bits at {study.at:g} ({percent})", "of full", "remark")
    labels = names(study)
    parts = [
        f"{metric_name(study.metric)} against {axis_name(study)}, {study.accounting}, "
        f"read at {metric_name(study.metric)} {study.at:g}",
        "\n".join(f"- {sentence}" for sentence in study.findings),
    ]
    for ladder in study.ladders:
        rows = [
            row(labels[law.setting], law)
            for law in study.laws
            if law.chosen and study.settings[law.setting].ladder == ladder
        ]
        told = "" if shared_protocol(study, ladder) else f", {ladder.protocol}"
        if rows:
            parts.append(f"{ladder.series}, {ladder.source}{told}\n{columns([head, *rows])}")
    parts.append("\n".join(f"! {sentence}" for sentence in study.caveats))
    return "\n\n".join(part for part in parts if part)


def row(label: str, law: LawEntry) -> tuple[str, ...]:
    """One chosen law as the cells of a line."""
    bits = number(law.bits_at)
    ends = interval(law.bits_at_ci)
    return (
        label,
        FORM_NAMES[law.form],
        f"{number(law.alpha)} ({interval(law.alpha_ci)})",
        f"{law.r2:.3f}" if law.r2 is not None else "",
        str(law.dof),
        f"{bits} ({ends})" if bits else "",
        f"x{law.bits_ratio:.2f}" if law.bits_ratio is not None else "",
        remark(law),
    )


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows with their cells aligned."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join(lines)
