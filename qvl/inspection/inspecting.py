"""All files of a run to one report; findings, changes and mended rows go to the disk as they come."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from qvl.data import CheckedRows, SourcePart, WholePictures, changed_files
from qvl.inspection.lengths import RowLengths
from qvl.inspection.looking import Block, Found, Looker, LookSettings
from qvl.inspection.rules import ALLOWED
from qvl.inspection.shared import repeated_pictures
from qvl.inspection.statistics import Statistics
from qvl.inspection.suspects import Suspects
from qvl.records import Finding, Source
from qvl.runtime import rewritten
from qvl.runtime.progress import progress_bar
from qvl.runtime.workers import in_order

__all__ = ["CodeCount", "FileReport", "inspect"]

_LEAST_ROWS, _MOST_ROWS, _BLOCKS = 16, 2000, 64
"""A file is looked at in about so many blocks; their size does not depend on the number of processes."""


@dataclass(slots=True)
class CodeCount:
    """How often a code was found.

    Attributes:
        fatal: Findings for which a row cannot be used.
        warnings: The others.
        rows: Rows with at least one.
        can_be_mended: Findings that a fix removes.
        first: The first of them.
    """

    fatal: int = 0
    warnings: int = 0
    rows: int = 0
    can_be_mended: int = 0
    first: Finding | None = None


@dataclass(slots=True)
class FileReport:
    """What was seen in one file.

    Attributes:
        part: The file and what it is used for.
        statistics: What its rows are like.
        codes: Findings by code; those that were mended are counted there too.
        suspects: Rows that are worth a look.
        pictures: See `Block.pictures`, block by block.
        bad: Rows that cannot be used.
        mended: Findings that were mended.
        changes: What was mended, by code.
        dropped: Rows that were left out of the mended file.
        fixed: The mended file, if one was written.
    """

    part: SourcePart
    statistics: Statistics = field(default_factory=Statistics)
    codes: dict[str, CodeCount] = field(default_factory=dict)
    suspects: Suspects = field(default_factory=Suspects)
    pictures: list[npt.NDArray[np.uint64]] = field(default_factory=list)
    bad: int = 0
    mended: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    fixed: Path | None = None

    @property
    def rows(self) -> CheckedRows:
        """The rows in use."""
        return self.part.rows

    @property
    def picture_keys(self) -> npt.NDArray[np.uint64]:
        """One number for the picture of each row in use, see `Block.pictures`."""
        return np.concatenate([np.empty(0, dtype=np.uint64), *self.pictures])

    def merge(self, block: Block, settings: LookSettings) -> None:
        """Add what was seen in the next rows."""
        self.statistics.merge(block.statistics)
        self.suspects.merge(block.suspects, most=settings.num_suspects)
        self.pictures.append(block.pictures)
        self.bad += len(block.bad)
        self.changes.update(change.code for _, change in block.changes)
        self.mended += sum(found.can_be_mended for found in block.found) if settings.fix else 0
        self.count(block.found)

    def count(self, found: Iterable[Found]) -> None:
        """Count findings by code; those of one row stand together."""
        last: dict[str, Source] = {}
        for finding, _, can_be_mended in found:
            entry = self.codes.setdefault(finding.code, CodeCount(first=finding))
            entry.fatal += finding.fatal
            entry.warnings += not finding.fatal
            entry.can_be_mended += can_be_mended
            entry.rows += last.get(finding.code) != finding.where
            last[finding.code] = finding.where


def inspect(
    parts: Sequence[SourcePart],
    *,
    settings: LookSettings,
    lengths: RowLengths | None,
    processes: int,
    folder: Path,
    fixed: Mapping[str, Path] | None = None,
    drop_rest: bool = False,
) -> list[FileReport]:
    """Look at every row of some files and write `findings.jsonl`, with mended files `changes.jsonl` too.

    Args:
        parts: The files, each once.
        settings: What is looked for.
        lengths: Counts tokens, or None.
        processes: At most so many work at once.
        folder: Where the findings are written.
        fixed: File to write for each file, by the path of that; None mends nothing.
        drop_rest: Leave rows out of the mended files that cannot be used.

    Raises:
        QvlError: A file cannot be read.
        OSError: A file cannot be written.
    """
    reports = [FileReport(part, fixed=(fixed or {}).get(part.rows.path)) for part in parts]
    with ExitStack() as stack:
        findings = stack.enter_context(rewritten(folder / "findings.jsonl"))
        changes = stack.enter_context(rewritten(folder / "changes.jsonl")) if fixed else None
        bar = stack.enter_context(progress_bar(auto_refresh=False))
        for report in reports:
            task = bar.add_task(Path(report.rows.path).name, total=len(report.rows))
            cache = report.rows.cache if settings.images == "decode" else None
            pictures = None if cache is None else WholePictures(cache)
            looker = Looker(report.rows, report.part.builder, report.part.context.form, settings, lengths, pictures)
            out = stack.enter_context(rewritten(report.fixed)) if report.fixed else None
            for span, block in _blocks(looker, processes):
                report.merge(block, settings)
                _write_findings(findings, block.found, mended=settings.fix)
                if out is not None and changes is not None:
                    report.dropped += _write_rows(out, changes, report, span, block, drop_rest=drop_rest)
                bar.update(task, advance=len(span), refresh=True)
                if pictures is not None:
                    pictures.remember(block.whole)
            if pictures is not None:
                pictures.keep()
        for report, found in _over_all(reports, settings):
            report.count([found])
            _write_findings(findings, [found], mended=settings.fix)
    return reports


def _blocks(looker: Looker, processes: int) -> Iterator[tuple[range, Block]]:
    count = len(looker.rows)
    size = min(max(count // _BLOCKS, _LEAST_ROWS), _MOST_ROWS)
    spans = [range(start, min(start + size, count)) for start in range(0, count, size)]
    yield from zip(spans, in_order(looker, spans, processes=processes), strict=True)


def _over_all(reports: Sequence[FileReport], settings: LookSettings) -> Iterator[tuple[FileReport, Found]]:
    """Yield what only all rows together show: files that changed, and pictures that stand in several rows."""
    roots = {report.rows.root: report for report in reports}
    for finding in changed_files(roots) if settings.images == "decode" else ():
        yield roots[str(Path(finding.where.file).parent)], Found(finding)
    for (file, row), (first_file, first_row) in repeated_pictures([report.picture_keys for report in reports]):
        rows, others = reports[file].rows, reports[first_file].rows
        source, first = (one.lines.source(one.number(place)) for one, place in ((rows, row), (others, first_row)))
        if rows.path == others.path and file != first_file:
            continue  # the same file for two uses
        code = "image_repeated" if file == first_file else "image_shared"
        message = f"this picture stands in {first} already"
        yield reports[file], Found(Finding(code, source, "images", message, fatal=False))


def _write_findings(out: BinaryIO, found: Iterable[Found], *, mended: bool) -> None:
    for finding, came, can_be_mended in found:
        entry = {
            "file": finding.where.file,
            "line": finding.where.line,
            "field": finding.field,
            "code": finding.code,
            "fatal": finding.fatal,
            "message": finding.message,
            "came": came,
            "allowed": ALLOWED.get(finding.code),
            "can_be_mended": can_be_mended,
            **({"mended": can_be_mended} if mended else {}),
        }
        out.write(_line(entry))


def _write_rows(
    out: BinaryIO, changes: BinaryIO, report: FileReport, span: range, block: Block, *, drop_rest: bool
) -> int:
    """Write the rows of a block, mended or byte for byte as they are, and return how many were left out."""
    for source, change in block.changes:
        changes.write(_line({"file": source.file, "line": source.line, **change._asdict()}))
    dropped = 0
    for number in map(report.rows.number, span):
        if drop_rest and number in block.bad:
            source = report.rows.lines.source(number)
            changes.write(_line({"file": source.file, "line": source.line, "code": "row_dropped", "field": ""}))
            dropped += 1
            continue
        out.write(block.lines.get(number) or report.rows.lines.read(number) + b"\n")
    return dropped


def _line(entry: Mapping[str, object]) -> bytes:
    return (json.dumps(entry, ensure_ascii=False) + "\n").encode("utf-8", errors="backslashreplace")
