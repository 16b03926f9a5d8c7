"""Rows of one JSONL file: preprocessed, checked as a whole, read one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.progress import track

from qvl.data.preprocess import BasePreprocessor
from qvl.errors import RecordError
from qvl.records import Finding, JsonlFile, Record, Source, make_record, parse_row, validate_row
from qvl.runtime.images import image_size, open_image

__all__ = ["CheckedRows"]

_UNREADABLE = ("bad_json", "bad_utf8")
IMAGE_CHECKS = ("decode", "header", "off")


class CheckedRows:
    """The rows of a file that a data set may use, as records.

    Attributes:
        path: The JSONL file.
        kept: Row numbers in use, in the order of the file.
        left_out: (source, reason) of every row that is not used.
    """

    def __init__(self, path: str, *, preprocessor: BasePreprocessor, allowed_roots: Sequence[str] = ()) -> None:
        """Open a file; nothing is read before `check` or `record`.

        Args:
            path: JSONL file; relative picture paths start at its folder.
            preprocessor: Applied to every row before it is looked at.
            allowed_roots: Folders besides the file's own that pictures may lie in.

        Raises:
            RecordError: There is no such file.
        """
        if not Path(path).is_file():
            raise RecordError(f"{path}: no such file")
        self.path = path
        self.root = os.path.realpath(Path(path).parent)
        self.roots = (self.root, *(os.path.realpath(root) for root in allowed_roots))
        self.preprocessor = preprocessor
        self.lines = JsonlFile(path)
        self.kept = np.arange(len(self.lines))
        self.left_out: list[tuple[Source, str]] = []

    def __len__(self) -> int:
        """Return the number of rows in use."""
        return len(self.kept)

    def __getitem__(self, index: int) -> Record:
        """Return a record by its position among the rows in use."""
        number = int(self.kept[index])
        row = self.preprocessor.preprocess(self._mapping(number))
        if row is None:
            raise RecordError(f"{self.lines.source(number)}: the preprocessor removed a row that it kept before")
        return parse_row(row, source=self.lines.source(number), root=self.root)

    def limit(self, count: int | None) -> None:
        """Use the first `count` rows only; the others are counted as left out.

        Args:
            count: Number of rows, or None for all.
        """
        if count is not None:
            self.left_out.extend((self.lines.source(int(number)), f"limit={count}") for number in self.kept[count:])
            self.kept = self.kept[:count]

    def leave_out(self, index: int, reason: str) -> None:
        """Stop using one row; positions of the rows behind it move."""
        self.left_out.append((self.lines.source(int(self.kept[index])), reason))
        self.kept = np.delete(self.kept, index)

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
        kept: list[int] = []
        records: list[Record] = []
        for number in self.kept:
            found, record = self._check_row(int(number))
            findings.extend(found)
            if record is not None:
                records.append(record)
            if record is not None or found:
                kept.append(int(number))
        self.kept = np.array(kept, dtype=np.int64)
        return findings if images == "off" else [*findings, *self._check_pictures(records, images)]

    def _check_row(self, number: int) -> tuple[list[Finding], Record | None]:
        source = self.lines.source(number)
        row, unread = self.lines.decode(number)
        if any(finding.code in _UNREADABLE for finding in unread):
            return unread, None
        if isinstance(row, Mapping):
            row = self.preprocessor.preprocess(row)
            if row is None:
                self.left_out.append((source, f"removed by {type(self.preprocessor).__name__}"))
                return [], None
        known = {(finding.code, finding.field) for finding in unread}
        found = [finding for finding in validate_row(row, source=source) if (finding.code, finding.field) not in known]
        findings = [*unread, *found]
        if any(finding.fatal for finding in findings) or not isinstance(row, Mapping):
            return findings, None
        return findings, make_record(row, source=source, root=self.root)

    def _check_pictures(self, records: Sequence[Record], images: str) -> Iterator[Finding]:
        def look(record: Record) -> list[Finding]:
            return [finding for image in record.images for finding in self._check_picture(record, image, images)]

        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            results = pool.map(look, records)
            steps = track(results, f"checking {Path(self.path).name}", total=len(records), transient=True)
            for findings in steps:
                yield from findings

    def _check_picture(self, record: Record, image: str, images: str) -> Iterator[Finding]:
        real = os.path.realpath(image)
        if not any(real.startswith(root.rstrip(os.sep) + os.sep) for root in self.roots):
            message = f"{image} leads to {real}, outside the allowed folders {', '.join(self.roots)}"
            yield Finding("image_outside_roots", record.source, "images", message)
            return
        try:
            size = open_image(image).size if images == "decode" else image_size(image)
        except RecordError as error:
            yield Finding("image_unreadable", record.source, "images", str(error))
            return
        if size != (record.width, record.height):
            message = f"the row says {record.width}x{record.height}, {image} is {size[0]}x{size[1]}"
            yield Finding("size_mismatch", record.source, "width", message)

    def _mapping(self, number: int) -> Mapping[str, object]:
        row = self.lines.row(number)
        if not isinstance(row, Mapping):
            raise RecordError(f"{self.lines.source(number)}: expected a JSON object, got {type(row).__name__}")
        return row
