"""One picture of a source to one row."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from qvl.conversion.annotated import Annotated, Refused
from qvl.conversion.duplicates import picture_hash
from qvl.conversion.finder import Found
from qvl.conversion.frame import settle_frame
from qvl.conversion.objects import Item, Items, ObjectSettings, make_items
from qvl.conversion.outcome import Outcome, Rejected, Row
from qvl.conversion.pictures import PICTURES, PictureStore
from qvl.errors import RecordError
from qvl.geometry import Shape, scaling, transform
from qvl.records import Finding, Source, validate_as
from qvl.runtime import image_header

__all__ = ["BAD_OBJECTS_CHOICES", "RowMaker", "RowSettings", "WritesSummary", "refuse_picture"]

BAD_OBJECTS_CHOICES = ("drop", "refuse")

DECIMALS = 4
"""Of a pixel: finer than anyone annotates."""

_OBJECT = re.compile(r"objects\[(\d+)\]\.?(.*)")

Size = tuple[int, int]


class WritesSummary(Protocol):
    """Writes the line about a whole picture."""

    def write(self, descs: Sequence[str]) -> str:
        """Return the summary of a picture whose objects have these descriptions, at least one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSettings:
    """How rows are made.

    Attributes:
        objects: What becomes of objects.
        bad_objects: drop leaves out an object that cannot be used, refuse its whole row.
        exif: auto, upright or raw, see `settle_frame`.
        with_hash: Whether the hash of the picture is wanted.
        summary: Writes the summary of a picture for which the source has none.
    """

    objects: ObjectSettings
    bad_objects: str = "drop"
    exif: str = "auto"
    with_hash: bool = True
    summary: WritesSummary | None = None


class RowMaker:
    """Turns pictures into rows; may be called from several threads."""

    def __init__(self, settings: RowSettings, store: PictureStore, *, source_format: str) -> None:
        """Take what holds for all rows.

        Args:
            settings: How rows are made.
            store: Takes the pictures.
            source_format: Name of the format, for the metadata.
        """
        self._settings = settings
        self._store = store
        self._format = source_format

    def make(self, annotated: Annotated, found: Found, name: str) -> Outcome:
        """Return what becomes of a picture; its file is put into the data set only with a row.

        Args:
            annotated: What the source says.
            found: Where the picture is.
            name: The name that the store has given it.

        Raises:
            OSError: The picture cannot be written.
        """
        try:
            frame = settle_frame(annotated, image_header(found.path), exif=self._settings.exif)
        except RecordError as error:
            frame = _unreadable(annotated, found, error)
        if isinstance(frame, Refused):
            return refuse_picture(annotated, frame)
        items = make_items(annotated, frame, self._settings.objects)
        size = (frame.width, frame.height)
        try:
            row = self._checked(annotated, items, size, f"{PICTURES}/{name}")
            if isinstance(row, Refused):
                return refuse_picture(annotated, row, items)
            hashed = picture_hash(found.path) if self._settings.with_hash else 0
            row["images"] = [self._store.place(found.path, name, size).image]
        except RecordError as error:
            return refuse_picture(annotated, _unreadable(annotated, found, error), items)
        outcome = _outcome(annotated, items)
        outcome.row = row
        outcome.picture_hash = hashed
        outcome.labels = [item.annotation.label for item in items.kept]
        outcome.repairs = items.repairs + Counter([*annotated.repairs, *frame.repairs])
        outcome.repairs["picture_found_by_name"] += found.by_name
        return outcome

    def _checked(self, annotated: Annotated, items: Items, size: Size, image: str) -> Row | Refused:
        """Return a row that the contract has nothing against; objects that it refuses go from kept to refused."""
        target = self._store.target_size(size)
        if target != size:
            matrix = scaling(target[0] / size[0], target[1] / size[1])
            items.kept = [replace(item, shape=transform(item.shape, matrix)) for item in items.kept]
        row = self._row(annotated, items.kept, target, image)
        findings = _findings(row)
        if bad := _by_object(findings):
            items.refused += [_refused_item(items.kept[index], finding) for index, finding in bad.items()]
            items.kept = [item for index, item in enumerate(items.kept) if index not in bad]
            row = self._row(annotated, items.kept, target, image)
            findings = _findings(row)
        if items.refused and self._settings.bad_objects == "refuse":
            return _bad_objects(annotated, items.refused)
        return _refused_row(annotated, items, findings[0]) if findings else row

    def _row(self, annotated: Annotated, kept: Sequence[Item], size: Size, image: str) -> Row:
        summary = annotated.summary
        if summary is None and self._settings.summary is not None and kept:
            summary = self._settings.summary.write([item.desc for item in kept])
        metadata = {"source": self._format, "where": annotated.where, **annotated.metadata}
        objects = [{"desc": item.desc, item.shape.key: _numbers(item.shape)} for item in kept]
        row: Row = {"images": [image], "width": size[0], "height": size[1], "objects": objects}
        return {**row, **({} if summary is None else {"summary": summary}), "metadata": metadata}


def _numbers(shape: Shape) -> list[float]:
    """Return the coordinates rounded; whole ones without a point."""
    rounded = (round(value, DECIMALS) for value in shape.flat())
    return [int(value) if value == int(value) else value for value in rounded]


def _findings(row: Row) -> list[Finding]:
    """Return what the contract has against a row; one without objects may be there for its summary."""
    mode = "summary" if row.get("summary") is not None and not row["objects"] else "dense"
    return [finding for finding in validate_as(mode, row, source=Source("", 0)) if finding.fatal]


def _by_object(findings: Sequence[Finding]) -> dict[int, Finding]:
    """Return the first finding of each object that has one."""
    found: dict[int, Finding] = {}
    for finding in findings:
        if match := _OBJECT.match(finding.field):
            found.setdefault(int(match[1]), finding)
    return found


def refuse_picture(annotated: Annotated, refused: Refused, items: Items | None = None) -> Outcome:
    """Return the outcome of a row that is refused, with all that is left of its objects.

    Args:
        annotated: What the source says.
        refused: Why.
        items: What became of its objects; None if nobody has looked at them.
    """
    outcome = _outcome(annotated, items or Items(refused=[*annotated.refused]))
    outcome.rejected.insert(0, Rejected("row", annotated.image, refused))
    if left := len(annotated.objects if items is None else items.kept):
        outcome.lost["row_refused"] += left
    return outcome


def _outcome(annotated: Annotated, items: Items) -> Outcome:
    """Return what is known of the objects, without a row."""
    outcome = Outcome(
        num_objects=len(annotated.objects) + len(annotated.refused),
        num_added=items.num_added,
        dropped=Counter(code for code, _ in items.dropped),
        dropped_labels=[annotation.label for _, annotation in items.dropped],
    )
    for refused in items.refused:
        outcome.reject("object", annotated.image, refused)
    return outcome


def _refused_item(item: Item, finding: Finding) -> Refused:
    field = _OBJECT.sub(r"\2", finding.field)
    message = f"{field}: {finding.message}" if field else finding.message
    came = {"desc": item.desc, item.shape.key: list(item.shape.flat())}
    return Refused(item.annotation.where, finding.code, message, came)


def _refused_row(annotated: Annotated, items: Items, finding: Finding) -> Refused:
    if finding.code != "no_objects":
        return Refused(annotated.where, finding.code, f"{finding.field}: {finding.message}")
    message = f"none of its objects is left: {len(items.dropped)} left out on request, {len(items.refused)} refused"
    is_empty = not (items.dropped or items.refused)
    return Refused(annotated.where, "no_objects", "the source has no object for it" if is_empty else message)


def _bad_objects(annotated: Annotated, refused: Sequence[Refused]) -> Refused:
    shown = "; ".join(f"{each.where}: {each.code}" for each in refused[:3])
    more = f" and {len(refused) - 3} more" if len(refused) > 3 else ""
    return Refused(annotated.where, "bad_objects", f"objects that cannot be used: {shown}{more}")


def _unreadable(annotated: Annotated, found: Found, error: RecordError) -> Refused:
    return Refused(annotated.where, "image_unreadable", str(error).replace(str(found.path), found.name))
