"""The tables of the page: laws, frontier, every form, measurements."""

from collections.abc import Sequence
from html import escape

from bitscape.laws import LawEntry, Study, metric_name
from bitscape.reports.study.view import View
from bitscape.reports.study.words import FORM_NAMES, interval, number, remark

HEADS = ("setting", "sizes", "form", "exponent", "R²", "dof", "bits at {at:g}", "of full precision")
FORM_HEADS = (
    "setting",
    "form",
    "exponent",
    "of precision, or g",
    "dof",
    "bits at {at:g}",
    "left-out error",
)


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
        second_cell(law),
        f"<td>{law.dof}</td>",
        bits_cell(law),
        cell(law.left_out_error, ""),
    )


def second_cell(law: LawEntry) -> str:
    """What a shared form fits beside its exponent: beta of the bivariate form, else g."""
    if law.beta is not None:
        return cell(law.beta, interval(law.beta_ci))
    return cell(law.share, interval(law.share_ci))


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
