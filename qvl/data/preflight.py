"""Look at all data before anything expensive starts."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from qvl.data.dataset import TurnDataset
from qvl.errors import RecordError
from qvl.records import Finding
from qvl.runtime.files import write_text

__all__ = ["check_all"]

_log = logging.getLogger(__name__)
_SHOWN = 20


def check_all(datasets: Sequence[TurnDataset], *, images: str, report: Path, processes: int | None = None) -> None:
    """Check every row and picture of all data sets, then tell of everything that was found.

    Args:
        datasets: The data of a run.
        images: `decode` or `header`, see `CheckedRows.check`.
        report: File that lists all findings, written if there are any.
        processes: At most so many work at once; None for one a processor.

    Raises:
        RecordError: A row cannot be used, or none is left; the text shows the first findings and names the report.
    """
    findings = [finding for dataset in datasets for finding in dataset.check(images=images, processes=processes)]
    if findings:
        write_text(report, "".join(f"{finding}\n" for finding in findings))
    _warn([finding for finding in findings if not finding.fatal])
    if fatal := [finding for finding in findings if finding.fatal]:
        shown = [f"  {finding}" for finding in fatal[:_SHOWN]]
        more = [f"  ... and {len(fatal) - _SHOWN} more"] if len(fatal) > _SHOWN else []
        rows = len({finding.where for finding in fatal})
        title = f"nothing was trained: {len(fatal)} findings in {rows} rows, all of them in {report}"
        raise RecordError("\n".join([title, *shown, *more]))
    for part in (part for dataset in datasets for part in dataset.parts):
        left_out = sum(entry.rows for entry in part.rows.left_out)
        _log.info("%s: %d rows, %d left out", part.rows.path, len(part.rows), left_out)
        if not len(part.rows):
            raise RecordError(f"{part.rows.path}: no row is left to use")


def _warn(findings: Sequence[Finding]) -> None:
    """Tell of every kind of finding once a file."""
    kinds = Counter((finding.where.file, finding.code) for finding in findings)
    for (file, code), count in kinds.items():
        first = next(finding for finding in findings if (finding.where.file, finding.code) == (file, code))
        _log.warning("%s%s", first, f" (and {count - 1} more like it in this file)" if count > 1 else "")
