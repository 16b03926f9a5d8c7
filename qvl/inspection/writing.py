"""The files of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from qvl.data import SourcePart, TurnDataset
from qvl.inspection.drawn import DrawnRow, draw_row
from qvl.inspection.inspecting import FileReport
from qvl.inspection.looking import LookSettings
from qvl.inspection.page import render_page
from qvl.inspection.reporting import as_json
from qvl.runtime import write_json, write_text
from qvl.visualization import FontBook

__all__ = ["each_once", "write_report"]


def each_once(datasets: Sequence[TurnDataset]) -> list[SourcePart]:
    """Return the sources of some data sets, each file once for what it is used for.

    Two sources of one file are the same if they have the same mode and preprocessors that are alike.

    Args:
        datasets: Such as those for training and for evaluation.
    """
    kept: list[SourcePart] = []
    for part in (part for dataset in datasets for part in dataset.parts):
        if not any(_is_same(part, other) for other in kept):
            kept.append(part)
    return kept


def write_report(
    reports: Sequence[FileReport],
    *,
    settings: LookSettings,
    facts: Mapping[str, object],
    folder: Path,
    num_worst: int,
) -> None:
    """Write `report.json` and `report.html`.

    Args:
        reports: One a file.
        settings: What was looked for.
        facts: What stands at the top, such as the model.
        folder: Where they are written.
        num_worst: Most rows that are drawn.

    Raises:
        OSError: A file cannot be written.
    """
    write_json(folder / "report.json", as_json(reports, settings=settings, facts=facts))
    drawn = _drawn(reports, num_worst)
    write_text(folder / "report.html", render_page(reports, drawn, settings=settings, facts=facts))


def _drawn(reports: Sequence[FileReport], num_worst: int) -> list[DrawnRow]:
    """Draw rows of all files, the files sharing the room."""
    fonts = FontBook()
    drawn: list[DrawnRow] = []
    with_suspects = [report for report in reports if report.suspects.rows]
    for place, report in enumerate(with_suspects):
        room = (num_worst - len(drawn)) // (len(with_suspects) - place)
        drawn += [draw_row(report.rows, suspect, fonts=fonts) for suspect in report.suspects.choose(room)]
    return drawn


def _is_same(one: SourcePart, other: SourcePart) -> bool:
    a, b = one.rows, other.rows
    return (
        (Path(a.path).resolve(), a.mode, len(a)) == (Path(b.path).resolve(), b.mode, len(b))
        and type(a.preprocessor) is type(b.preprocessor)
        and vars(a.preprocessor) == vars(b.preprocessor)
    )
