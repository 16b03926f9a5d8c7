"""Rows of one JSONL file: preprocessed, checked as a whole, read one at a time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qvl.data.preprocess import BasePreprocessor
from qvl.data.whole_pictures import Whole, WholePictures
from qvl.errors import RecordError
from qvl.records import Finding, JsonlFile, Record, Source, record_as, validate_as
from qvl.runtime.checksums import CHECKSUMS_NAME, verify_checksums
from qvl.runtime.images import check_image, image_size, leads_outside
from qvl.runtime.kept import one_at_a_time
from qvl.runtime.progress import progress_bar
from qvl.runtime.workers import available_cpus, in_order

__all__ = ["IMAGE_CHECKS", "CheckedRows", "LeftOut", "Looked", "changed_files"]

_UNREADABLE = ("bad_json", "bad_utf8")
IMAGE_CHECKS = ("decode", "header", "off")
_BLOCK = 64
"""Rows that a process looks at before it tells what it saw; about a second with large pictures."""

_FEW = 128
"""Rows that one process has looked at sooner than others are started."""


class Looked(NamedTuple):
    """What was seen of one row.

    Attributes:
        findings: What is wrong with it.
        record: The row as it is used; None if it cannot be used or was removed.
        removed: Whether the preprocessor removed it.
    """

    findings: list[Finding]
    record: Record | None
    removed: bool = False

    @property
    def fatal(self) -> list[Finding]:
        """The findings for which the row cannot be used."""
        return [finding for finding in self.findings if finding.fatal]


class _Seen(NamedTuple):
    """What was seen of a block of rows: findings, rows that were removed, and pictures to remember."""

    findings: list[Finding]
    removed: list[int]
    whole: list[Whole]


class LeftOut(NamedTuple):
    """Rows that are not used.

    Attributes:
        source: The first of them.
        reason: Why.
        rows: How many there are from that line on.
    """

    source: Source
    reason: str
    rows: int = 1


class CheckedRows:
    """The rows of a file that a data set may use, as records.

    Attributes:
        path: The JSONL file.
        kept: Row numbers in use, in the order of the file.
        left_out: Every row that is not used.
    """

    def __init__(
        self,
        path: str,
        *,
        preprocessor: BasePreprocessor,
        mode: str = "dense",
        allowed_roots: Sequence[str] = (),
        cache: Path | None = None,
    ) -> None:
        """Open a file; nothing is read before `check` or an item.

        Args:
            path: JSONL file; relative picture paths start at its folder.
            preprocessor: Applied to every row before it is looked at.
            mode: What the rows are used for, one of `qvl.records.MODES`.
            allowed_roots: Folders besides the file's own that pictures may lie in.
            cache: Folder of what is kept from one run to the next: the places of the rows in the file, and which
                pictures are whole; None keeps nothing.

        Raises:
            RecordError: There is no such file.
        """
        if not Path(path).is_file():
            raise RecordError(f"{path}: no such file")
        self.path = path
        self.root = os.path.realpath(Path(path).parent)
        self.roots = (self.root, *(os.path.realpath(root) for root in allowed_roots))
        self.preprocessor = preprocessor
        self.mode = mode
        self.cache = cache
        self.lines = JsonlFile(path, cache=None if cache is None else cache / "index")
        self.kept = np.arange(len(self.lines), dtype=np.int32)
        self.left_out: list[LeftOut] = []

    def __len__(self) -> int:
        """Return the number of rows in use."""
        return len(self.kept)

    def __getitem__(self, index: int) -> Record:
        """Return a record by its position among the rows in use.

        Raises:
            RecordError: The row cannot be used.
        """
        number = self.number(index)
        looked = self.look(number)
        if fatal := looked.fatal:
            raise RecordError("\n".join(map(str, fatal)))
        if looked.record is None:
            raise RecordError(f"{self.lines.source(number)}: the preprocessor removed a row that it kept before")
        return looked.record

    def number(self, index: int) -> int:
        """Return the number, from 0, that a row in use has in the file; it stays when other rows are left out."""
        return int(self.kept[index])

    def mapping(self, number: int) -> dict[str, Any]:
        """Return a row of the file by its number, as the preprocessor gives it.

        Raises:
            RecordError: It is no JSON object, or it was removed.
        """
        row = self.lines.row(number)
        found = self.preprocessor.preprocess(row) if isinstance(row, Mapping) else None
        if found is None:
            raise RecordError(f"{self.lines.source(number)}: expected a JSON object that the preprocessor keeps")
        return dict(found)

    def limit(self, count: int | None) -> None:
        """Use the first `count` rows only; the others are counted as left out.

        Args:
            count: Number of rows, or None for all.
        """
        if count is not None and count < len(self.kept):
            first = self.lines.source(int(self.kept[count]))
            self.left_out.append(LeftOut(first, f"limit={count}", len(self.kept) - count))
            self.kept = self.kept[:count]

    def leave_out(self, indices: Sequence[int], reason: str) -> None:
        """Stop using rows, by their positions among those in use; positions of the rows behind them move."""
        self.left_out.extend(LeftOut(self.lines.source(self.number(index)), reason) for index in indices)
        self.kept = np.delete(self.kept, indices)

    def check(self, *, images: str = "decode", processes: int | None = None) -> list[Finding]:
        """Look at every row and every picture once and return all that is wrong, in the order of the file.

        Rows that the preprocessor removes are left out from here on. With a cache, pictures that were whole before
        are not decoded again, see `WholePictures`; of several runs that check one file at once, one does the work.

        Args:
            images: `decode` opens every picture wholly, `header` reads sizes only, `off` leaves them alone.
            processes: At most so many work at once, one for few rows; None for one a processor.

        Raises:
            ValueError: `images` is none of these.
        """
        if images not in IMAGE_CHECKS:
            raise ValueError(f"check_images must be one of {IMAGE_CHECKS}, got {images!r}")
        processes = 1 if len(self.kept) <= _FEW else processes or available_cpus()
        if images != "decode" or self.cache is None:
            return self._checked(images, processes, None)
        name = hashlib.sha256(os.fsencode(os.path.realpath(self.path))).hexdigest()[:32]
        with one_at_a_time(self.cache / "checks" / name, doing=f"checking the pictures of {self.path}"):
            return self._checked(images, processes, WholePictures(self.cache))

    def _checked(self, images: str, processes: int, pictures: WholePictures | None) -> list[Finding]:
        findings: list[Finding] = []
        keep = np.ones(len(self.kept), dtype=bool)
        reason = f"removed by {type(self.preprocessor).__name__}"
        blocks = [range(start, min(start + _BLOCK, len(keep))) for start in range(0, len(keep), _BLOCK)]
        work = partial(self._look_at, images=images, pictures=pictures)
        with progress_bar(auto_refresh=False) as bar:
            task = bar.add_task(f"checking {Path(self.path).name}", total=len(keep))
            for block, seen in zip(blocks, in_order(work, blocks, processes=processes), strict=True):
                keep[seen.removed] = False
                self.left_out += [LeftOut(self.lines.source(self.number(index)), reason) for index in seen.removed]
                findings += seen.findings
                if pictures is not None:
                    pictures.remember(seen.whole)
                bar.update(task, advance=len(block), refresh=True)
        if pictures is not None:
            pictures.keep()
        self.kept = self.kept[keep]
        return findings

    def _look_at(self, block: range, *, images: str, pictures: WholePictures | None) -> _Seen:
        """Look at some rows in use and their pictures."""
        seen = _Seen([], [], [])
        for index in block:
            looked = self.look(self.number(index))
            if looked.removed:
                seen.removed.append(index)
            seen.findings.extend(looked.findings)
            if looked.record is not None:
                seen.findings.extend(self.check_pictures(looked.record, images, pictures))
        if pictures is not None:
            seen.whole.extend(pictures.taken())
        return seen

    def look(self, number: int) -> Looked:
        """Look at a row of the file by its number; no picture is opened."""
        row, unread = self.lines.decode(number)
        return self.judge(row, source=self.lines.source(number), unread=unread)

    def judge(self, row: object, *, source: Source, unread: Sequence[Finding] = ()) -> Looked:
        """Look at a row of which the JSON value is known.

        Args:
            row: The value.
            source: Where it comes from.
            unread: What was found while it was decoded.
        """
        if any(finding.code in _UNREADABLE for finding in unread):
            return Looked([*unread], None)
        if isinstance(row, Mapping):
            row = self.preprocessor.preprocess(row)
            if row is None:
                return Looked([], None, removed=True)
        found = validate_as(self.mode, row, source=source)
        if unread:
            known = {(finding.code, finding.field) for finding in unread}
            found = [*unread, *(finding for finding in found if (finding.code, finding.field) not in known)]
        if any(finding.fatal for finding in found) or not isinstance(row, Mapping):
            return Looked(found, None)
        return Looked(found, record_as(self.mode, row, source=source, root=self.root))

    def check_pictures(self, record: Record, images: str, pictures: WholePictures | None = None) -> list[Finding]:
        """Return what is wrong with the pictures of a record.

        Args:
            record: A row that can be used.
            images: One of `IMAGE_CHECKS`, see `check`.
            pictures: Knows pictures that need not be decoded, and takes down those that were; None for neither.
        """
        if images == "off":
            return []
        size_of = image_size if images == "header" else check_image if pictures is None else pictures.check
        return [found for image in record.images for found in self._check_picture(record, image, size_of)]

    def _check_picture(
        self, record: Record, image: str, size_of: Callable[[str], tuple[int, int]]
    ) -> Iterator[Finding]:
        if message := leads_outside(image, self.roots):
            yield Finding("image_outside_roots", record.source, "images", message)
            return
        try:
            size = size_of(image)
        except RecordError as error:
            yield Finding("image_unreadable", record.source, "images", str(error))
            return
        if size != (record.width, record.height):
            message = f"the row says {record.width}x{record.height}, {image} is {size[0]}x{size[1]}"
            yield Finding("size_mismatch", record.source, "width", message)


def changed_files(roots: Iterable[str]) -> list[Finding]:
    """Return what no longer agrees with the checksums that lie in some folders; a folder without them is fine."""
    lists = [path for root in sorted(set(roots)) if (path := Path(root) / CHECKSUMS_NAME).is_file()]
    return [
        Finding(fault.code, Source(str(path), fault.line), fault.name, fault.message)
        for path in lists
        for fault in verify_checksums(path)
    ]
