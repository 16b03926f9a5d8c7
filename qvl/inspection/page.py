"""The report as one HTML page; it needs no other file and no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from qvl.inspection.drawn import DrawnRow
from qvl.inspection.inspecting import FileReport
from qvl.inspection.looking import LookSettings
from qvl.inspection.plots import escape
from qvl.inspection.reporting import is_fatal, longest_turn, ranked, together
from qvl.inspection.rules import ALLOWED
from qvl.inspection.sections import plots, table, words
from qvl.inspection.style import STYLE
from qvl.runtime.page import html_page

__all__ = ["render_page"]

_SHOWN_FINDINGS = 6


def render_page(
    reports: Sequence[FileReport], drawn: Sequence[DrawnRow], *, settings: LookSettings, facts: Mapping[str, object]
) -> str:
    """Return a whole HTML document.

    Args:
        reports: One a file.
        drawn: The rows that are shown.
        settings: What was looked for.
        facts: What stands at the top, such as the model.
    """
    statistics = together(reports)
    sections = {
        "Findings": _findings(reports),
        "Files": _files(reports, settings),
        "Rows to look at": _rows(drawn),
        "Statistics": plots(statistics, limit=settings.max_length),
        "Words": words(statistics),
    }
    body = [_header(reports, settings, facts)]
    body += [f"<section>\n<h2>{heading}</h2>\n{text}\n</section>" for heading, text in sections.items() if text]
    return html_page("Check of the data", style=STYLE, body="\n".join(body))


def _header(reports: Sequence[FileReport], settings: LookSettings, facts: Mapping[str, object]) -> str:
    fatal = any(map(is_fatal, reports))
    unusable = sum(report.bad - report.dropped for report in reports)
    good = (
        "Every row can be used." if not any(map(_num_warnings, reports)) else "Every row can be used; see the warnings."
    )
    verdict = f"{unusable:,} rows cannot be used; training would stop." if fatal else good
    if fatal and not unusable:
        verdict = "Files were changed or cannot be read; training would stop."
    told = " · ".join(f"{escape(name)} {escape(value)}" for name, value in facts.items())
    return f"""\
<header>
<h1>Check of the data</h1>
<p class="verdict {"bad" if fatal else "good"}">{verdict}</p>
<p class="tiles">{"".join(_tiles(reports, settings))}</p>
<p class="quiet">{told}</p>
</header>"""


def _tiles(reports: Sequence[FileReport], settings: LookSettings) -> Iterator[str]:
    statistics = together(reports)
    counts = [count for report in reports for count in report.codes.values()]
    yield _tile("rows", f"{statistics.rows.value:,}", f"in {len(reports)} file{'s' * (len(reports) != 1)}")
    yield _tile("usable", f"{statistics.usable.value:,}", f"{statistics.removed.value:,} removed by preprocessors")
    yield _tile("fatal findings", f"{sum(count.fatal for count in counts):,}", "a row with one is refused")
    yield _tile("warnings", f"{sum(count.warnings for count in counts):,}", "such rows are used")
    mended = sum(report.mended for report in reports)
    if mended:
        yield _tile("mended", f"{mended:,}", "in the new files")
    yield _tile("objects", f"{statistics.shapes.counts.total():,}", f"{len(statistics.categories.counts):,} categories")
    if statistics.tokens.counts:
        long = statistics.tokens.above(settings.max_length)
        share = long / statistics.tokens.total
        yield _tile("too long", f"{share:.2%}", f"{long:,} rows above {settings.max_length:,} tokens")


def _tile(name: str, value: str, remark: str) -> str:
    return f'<span class="tile"><b>{value}</b>{name}<small>{escape(remark)}</small></span>'


def _num_warnings(report: FileReport) -> int:
    return sum(count.warnings for count in report.codes.values())


def _findings(reports: Sequence[FileReport]) -> str:
    rows = []
    for report in reports:
        for code, count in ranked(report):
            kind = '<span class="fatal">fatal</span>' if count.fatal else "warning"
            first = count.first
            place = "" if first is None else f"{first.where}{f': {first.field}' if first.field else ''}"
            message = "" if first is None else first.message
            numbers = [f"{count.fatal + count.warnings:,}", f"{count.rows:,}", f"{count.can_be_mended:,}"]
            rows.append(
                [f"<b>{escape(code)}</b><br>{kind}", *numbers, escape(ALLOWED.get(code, "")), _first(place, message)]
            )
    if not rows:
        return '<p class="quiet">Nothing was found.</p>'
    head = ["code", "findings", "rows", "a fix mends", "allowed is", "the first one"]
    return table(head, rows, numbers=(1, 2, 3)) + '<p class="quiet">All of them stand in findings.jsonl.</p>'


def _first(place: str, message: str) -> str:
    return f"<code>{escape(place)}</code><br>{escape(message)}"


def _files(reports: Sequence[FileReport], settings: LookSettings) -> str:
    rows = []
    for report in reports:
        statistics, longest = report.statistics, longest_turn(report)
        rows.append(
            [
                f"<code>{escape(report.rows.path)}</code>",
                escape(report.rows.mode),
                f"{statistics.rows.value:,}",
                f"{statistics.usable.value:,}",
                f"{statistics.shapes.counts.total():,}",
                "-" if not statistics.tokens.counts else f"{statistics.tokens.quantile(0.5):,}",
                "-" if not statistics.tokens.counts else f"{max(statistics.tokens.counts):,}",
                "-" if longest is None else f"{longest:,} ({report.part.source.images_per_user_turn} rows)",
                f"<code>{escape(report.fixed)}</code>" if report.fixed else "-",
            ]
        )
    head = ["file", "for", "rows", "usable", "objects", "median tokens", "most tokens", "longest turn", "mended file"]
    return table(head, rows, numbers=range(2, 8))


def _rows(drawn: Sequence[DrawnRow]) -> str:
    if not drawn:
        return ""
    legend = (
        '<p class="quiet">Of each kind of finding the rows with most of it.'
        '<span class="chip" style="background: var(--bad)"></span>fatal'
        '<span class="chip" style="background: var(--warned)"></span>warning'
        '<span class="chip" style="background: var(--good)"></span>nothing found; '
        "the number is that of the object, from 0.</p>"
    )
    return f'{legend}\n<div class="rows">\n{"".join(map(_row, drawn))}</div>'


def _row(row: DrawnRow) -> str:
    name = escape(row.source)
    picture = f'<p class="none">{escape(row.remark)}</p>'
    if row.image is not None:
        size = f'width="{row.size[0]}" height="{row.size[1]}"'
        picture = (
            f'<img alt="{name}" {size} src="data:image/jpeg;base64,{row.image}">'
            f'<small class="quiet">{escape(row.remark)}</small>'
        )
    items = [
        f'<li class="{"bad" if finding.fatal else "warned"}"><b>{escape(finding.code)}</b> '
        f"<code>{escape(finding.field)}</code> {escape(finding.message)}</li>"
        for finding in row.findings
    ]
    shown, more = items[:_SHOWN_FINDINGS], items[_SHOWN_FINDINGS:]
    rest = f"<details><summary>{len(more)} more</summary><ul>{''.join(more)}</ul></details>" if more else ""
    return f"<article>\n<h3>{name}</h3>\n{picture}\n<ul>{''.join(shown)}</ul>{rest}\n</article>\n"
