"""The report as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from qvl.inspection.inspecting import CodeCount, FileReport
from qvl.inspection.looking import LookSettings
from qvl.inspection.statistics import Statistics

__all__ = ["as_json", "is_fatal", "longest_turn", "ranked", "together"]


def as_json(reports: Sequence[FileReport], *, settings: LookSettings, facts: Mapping[str, object]) -> dict[str, object]:
    """Return everything that is known of the files as plain values.

    Args:
        reports: One a file.
        settings: What was looked for.
        facts: What stands at the top, such as the model.
    """
    return {
        **facts,
        "images": settings.images,
        "global_max_length": settings.max_length,
        "fatal": any(map(is_fatal, reports)),
        "files": [_file(report, settings) for report in reports],
        "statistics": together(reports).as_json(),
    }


def is_fatal(report: FileReport) -> bool:
    """Tell whether training would refuse the file, or the mended one where one was written."""
    fatal = sum(count.fatal for count in report.codes.values())
    if report.fixed is None:
        return fatal > 0
    of_files = sum(
        report.codes[code].fatal for code in ("checksum_mismatch", "file_unreadable") if code in report.codes
    )
    return report.bad > report.dropped or of_files > 0


def ranked(report: FileReport) -> list[tuple[str, CodeCount]]:
    """Return the codes of a file with their counts, fatal and frequent ones first."""
    return sorted(report.codes.items(), key=lambda pair: (-pair[1].fatal, -pair[1].warnings, pair[0]))


def together(reports: Sequence[FileReport]) -> Statistics:
    """Return the statistics of all files as one."""
    whole = Statistics()
    for report in reports:
        whole.merge(report.statistics)
    return whole


def longest_turn(report: FileReport) -> int | None:
    """Return a number of tokens that no turn of a file exceeds, None without lengths."""
    tokens, left = report.statistics.tokens.counts, report.part.source.images_per_user_turn
    total = 0
    for value in sorted(tokens, reverse=True):
        taken = min(left, tokens[value])
        total, left = total + taken * value, left - taken
    return total if tokens else None


def _file(report: FileReport, settings: LookSettings) -> dict[str, object]:
    statistics = report.statistics
    long = statistics.tokens.above(settings.max_length)
    return {
        "path": str(Path(report.rows.path)),
        "mode": report.rows.mode,
        "rows": statistics.rows.value,
        "usable": statistics.usable.value,
        "unusable": report.bad,
        "removed": statistics.removed.value,
        "left_out": [entry._asdict() | {"source": str(entry.source)} for entry in report.rows.left_out],
        "findings": {
            code: {
                "fatal": count.fatal,
                "warnings": count.warnings,
                "rows": count.rows,
                "can_be_mended": count.can_be_mended,
                "first": str(count.first),
            }
            for code, count in sorted(report.codes.items())
        },
        "longest_turn": longest_turn(report),
        "over_length": long,
        "fixed": None if report.fixed is None else str(report.fixed),
        "changes": dict(sorted(report.changes.items())),
        "rows_dropped": report.dropped,
        "statistics": statistics.as_json(),
    }
