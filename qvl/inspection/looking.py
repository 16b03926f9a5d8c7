"""A range of rows to findings and statistics."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qvl.conversation import BaseBuilder
from qvl.data import CheckedRows, Looked, TurnFormat, Whole, WholePictures
from qvl.errors import RecordError
from qvl.inspection.lengths import RowLengths, Tokens
from qvl.inspection.mending import Change, may_need, mend
from qvl.inspection.rules import value_at
from qvl.inspection.statistics import Gatherer, Statistics
from qvl.inspection.suspects import Suspects
from qvl.inspection.twins import find_twins
from qvl.records import Finding, Record, Source, image_path, record_as
from qvl.runtime import image_size

__all__ = ["Block", "Found", "LookSettings", "Looker", "picture_key"]

_WARNED = {
    "blanks_stripped": ("outer_blanks", "blanks stand around the text"),
    "ring_closed": ("closing_vertex", "the last vertex is the first one again"),
}
"""Changes that stand for something that is allowed, but not meant: what is told of them."""


_OF_PICTURE = ("", "images", "width", "height")
"""Fields without which a picture cannot be looked at."""


@dataclass(frozen=True, kw_only=True)
class LookSettings:
    """What is looked for.

    Attributes:
        images: `decode`, `header` or `off`.
        max_length: Most tokens of a turn.
        long_is_fatal: Whether a row that is longer cannot be used.
        twins: Overlap from which on two objects count as one, or None not to compare them.
        num_suspects: Rows that are kept to be drawn, of each code.
        fix: Whether rows are mended; what is mended no longer counts.
    """

    images: str = "decode"
    max_length: int = 10_000
    long_is_fatal: bool = True
    twins: float | None = 0.95
    num_suspects: int = 24
    fix: bool = False


class Found(NamedTuple):
    """A finding with what stands there.

    Attributes:
        finding: What is wrong.
        came: The value at its place, as JSON, shortened; None if there is none.
        can_be_mended: Whether a fix removes it.
    """

    finding: Finding
    came: str | None = None
    can_be_mended: bool = False


@dataclass(slots=True)
class Block:
    """What was seen in a range of rows.

    Attributes:
        found: All findings, in the order of the rows.
        statistics: What the rows are like.
        suspects: Rows to draw, by code.
        pictures: (N,) uint64: a number for the picture of each row, the same for the same path; 0 for none.
        lines: New lines of the rows that were mended, by the number of the row.
        changes: What was mended.
        bad: Numbers of the rows that cannot be used.
        whole: Pictures to remember.
    """

    found: list[Found] = field(default_factory=list)
    statistics: Statistics = field(default_factory=Statistics)
    suspects: Suspects = field(default_factory=Suspects)
    pictures: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    lines: dict[int, bytes] = field(default_factory=dict)
    changes: list[tuple[Source, Change]] = field(default_factory=list)
    bad: set[int] = field(default_factory=set)
    whole: list[Whole] = field(default_factory=list)


@dataclass(frozen=True)
class Looker:
    """Looks at the rows of one file.

    Attributes:
        rows: The rows in use.
        builder: Writes their conversations.
        form: How pictures are shown.
        settings: What is looked for.
        lengths: Counts tokens, or None.
        pictures: Knows pictures that need not be decoded, or None.
    """

    rows: CheckedRows
    builder: BaseBuilder
    form: TurnFormat
    settings: LookSettings
    lengths: RowLengths | None = None
    pictures: WholePictures | None = None

    def __call__(self, span: range) -> Block:
        """Look at rows by their positions among those in use."""
        block = Block(pictures=np.zeros(len(span), dtype=np.uint64))
        gatherer = Gatherer()
        for place, index in enumerate(span):
            picture = self._look(self.rows.number(index), block, gatherer)
            block.pictures[place] = picture_key(picture) if picture else 0
        gatherer.count_into(block.statistics)
        if self.pictures is not None:
            block.whole = self.pictures.taken()
        return block

    def _look(self, number: int, block: Block, gatherer: Gatherer) -> str | None:
        """Look at one row and return the path of its picture."""
        source = self.rows.lines.source(number)
        block.statistics.rows.value += 1
        value, unread = self.rows.lines.decode(number)
        looked = self.rows.judge(value, source=source, unread=unread)
        if looked.removed:
            block.statistics.removed.value += 1
            return None
        mended, changes = ({}, []) if unread else self._mend(value, looked)
        after = self.rows.judge(mended, source=source) if changes else looked
        record = after.record
        closer = self._look_closer(record) if record is not None else self._picture_only(value, after, source)
        self._note(block, number, value, (looked, after), changes, closer)
        if self.settings.fix and changes:
            block.lines[number] = (json.dumps(mended, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
            block.changes += [(source, change) for change in changes]
        current = after if self.settings.fix else looked
        fatal = {finding.code for finding in (*current.findings, *closer.findings) if finding.fatal}
        if fatal:
            block.bad.add(number)
        block.statistics.usable.value += not fatal
        if current.record is not None and fatal <= {"over_length"}:  # whose length is to be seen
            gatherer.add(current.record, closer.tokens, closer.model_size)
        return record.images[0] if record is not None and record.images else None

    def _mend(self, row: object, looked: Looked) -> tuple[dict[str, Any], list[Change]]:
        if not isinstance(row, Mapping) or self.rows.mode == "chat" or not (looked.findings or may_need(row)):
            return {}, []
        return mend(row, picture_size=lambda: self._picture_size(row))

    def _picture_size(self, row: Mapping[str, Any]) -> tuple[int, int] | None:
        images = row.get("images")
        if self.settings.images == "off" or not isinstance(images, list) or len(images) != 1:
            return None
        try:
            return image_size(image_path(images[0], root=self.rows.root))
        except (RecordError, TypeError, ValueError):  # no text, or no path
            return None

    def _note(
        self,
        block: Block,
        number: int,
        value: object,
        looks: tuple[Looked, Looked],
        changes: Sequence[Change],
        closer: _Closer,
    ) -> None:
        """Write down the findings of a row, as it is and as it would be when mended."""
        before, after = looks
        source = self.rows.lines.source(number)
        warned = [
            Finding(code, source, change.field, message, fatal=False)
            for change in changes
            if change.code in _WARNED
            for code, message in [_WARNED[change.code]]
        ]
        findings = [*before.findings, *warned, *closer.findings]
        if not findings:
            return
        rest = {(finding.code, _renamed(finding.field)) for finding in (*after.findings, *closer.findings)}
        mendable = [bool(changes) and (one.code, _renamed(one.field)) not in rest for one in findings]
        block.found += [
            Found(one, value_at(value, one.field), is_mendable)
            for one, is_mendable in zip(findings, mendable, strict=True)
        ]
        told = zip(findings, mendable, strict=True)
        left = [one for one, is_mendable in told if not (is_mendable and self.settings.fix)]
        block.suspects.add(number, left, most=self.settings.num_suspects)

    def _look_closer(self, record: Record) -> _Closer:
        """Look at the picture of a row that can be read, at its length, and at objects that are there twice."""
        findings = self.rows.check_pictures(record, self.settings.images, self.pictures)
        size = tokens = None
        try:
            size = self.form.model_size(record.width, record.height) if record.images else None
            tokens = self.lengths.of(record, self.builder) if self.lengths is not None else None
        except ValueError as error:
            message = f"the model cannot be shown this picture: {error}"
            findings.append(Finding("picture_too_thin", record.source, "width", message))
        if tokens is not None and tokens.total > self.settings.max_length:
            message = f"a turn of this row alone takes {tokens.total} tokens, allowed are {self.settings.max_length}"
            findings.append(Finding("over_length", record.source, "", message, fatal=self.settings.long_is_fatal))
        if self.settings.twins is not None:
            findings += _twins(record, self.settings.twins)
        return _Closer(findings, tokens, size)

    def _picture_only(self, value: object, looked: Looked, source: Source) -> _Closer:
        """Look at the picture of a row whose objects are at fault: a wrong size is often the cause."""
        if not isinstance(value, Mapping) or self.rows.mode == "chat":
            return _Closer()
        if any(finding.field.partition("[")[0] in _OF_PICTURE for finding in looked.findings):
            return _Closer()
        bare = {key: value[key] for key in ("images", "width", "height")}
        record = record_as("summary", bare, source=source, root=self.rows.root)
        return _Closer(self.rows.check_pictures(record, self.settings.images, self.pictures))


class _Closer(NamedTuple):
    """What a closer look at a row brings."""

    findings: Sequence[Finding] = ()
    tokens: Tokens | None = None
    model_size: tuple[int, int] | None = None


def picture_key(path: str) -> int:
    """Return a number from 1 to 2^64 - 1 for a path: equal for equal paths, and hardly ever for others."""
    digest = hashlib.blake2b(os.fsencode(path), digest_size=8).digest()
    return int.from_bytes(digest, "big") or 1


def _twins(record: Record, least: float) -> Iterator[Finding]:
    for one, other, share in find_twins(record, least=least):
        message = f"covers {share:.0%} of the same place as objects[{one}], and is of the same category"
        yield Finding("twin_objects", record.source, f"objects[{other}]", message, fatal=False)


def _renamed(field: str) -> str:
    """Return the path of a field as it is once quad is called poly."""
    return field.replace(".quad", ".poly")
