"""Rows of one JSONL file: preprocessed, checked as a whole, read one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.progress import track

from qvl.data.preprocess import BasePreprocessor
from qvl.errors import RecordError
from qvl.records import Finding, JsonlFile, Record, Source, record_as, validate_as
from qvl.runtime.checksums import CHECKSUMS_NAME, verify_checksums
from qvl.runtime.images import check_image, image_size, leads_outside

__all__ = ["IMAGE_CHECKS", "CheckedRows", "LeftOut", "Looked", "changed_files"]

_UNREADABLE = ("bad_json", "bad_utf8")
IMAGE_CHECKS = ("decode", "header", "off")
_BLOCK = 512
"""Rows whose records are held at once while their pictures are looked at."""


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
        index_folder: Path | None = None,
    ) -> None:
        """Open a file; nothing is read before `check` or an item.

        Args:
            path: JSONL file; relative picture paths start at its folder.
            preprocessor: Applied to every row before it is looked at.
            mode: What the rows are used for, one of `qvl.records.MODES`.
            allowed_roots: Folders besides the file's own that pictures may lie in.
            index_folder: Where the places of the rows in the file are kept from one run to the next, or None.

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
        self.lines = JsonlFile(path, cache=index_folder)
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

    def check(self, *, images: str = "decode") -> list[Finding]:
        """Look at every row and every picture once and return all that is wrong.

        Rows that the preprocessor removes are left out from here on.

        Args:
            images: `decode` opens every picture wholly, `header` reads sizes only, `off` leaves them alone.

        Raises:
            ValueError: `images` is none of these.
        """
        if images not in IMAGE_CHECKS:
            raise ValueError(f"check_images must be one of {IMAGE_CHECKS}, got {images!r}")
        findings: list[Finding] = []
        keep = np.ones(len(self.kept), dtype=bool)
        reason = f"removed by {type(self.preprocessor).__name__}"
        steps = track(range(len(self.kept)), f"checking {Path(self.path).name}", transient=True)
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            for block in _blocks(steps, _BLOCK):
                looked = [self.look(self.number(index)) for index in block]
                removed = [index for index, row in zip(block, looked, strict=True) if row.removed]
                keep[removed] = False
                self.left_out += [LeftOut(self.lines.source(self.number(index)), reason) for index in removed]
                findings += [finding for row in looked for finding in row.findings]
                records = [row.record for row in looked if row.record is not None]
                for found in pool.map(self.check_pictures, records, repeat(images)):
                    findings += found
        self.kept = self.kept[keep]
        return findings

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

    def check_pictures(self, record: Record, images: str) -> list[Finding]:
        """Return what is wrong with the pictures of a record; `images` is one of `IMAGE_CHECKS`, see `check`."""
        if images == "off":
            return []
        return [finding for image in record.images for finding in self._check_picture(record, image, images)]

    def _check_picture(self, record: Record, image: str, images: str) -> Iterator[Finding]:
        if message := leads_outside(image, self.roots):
            yield Finding("image_outside_roots", record.source, "images", message)
            return
        try:
            size = check_image(image) if images == "decode" else image_size(image)
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


def _blocks(items: Iterable[int], size: int) -> Iterator[tuple[int, ...]]:
    iterator = iter(items)
    while block := tuple(islice(iterator, size)):
        yield block
