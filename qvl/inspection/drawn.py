"""A row with findings as a picture: what is wrong in red, however wrong it is."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from qvl.data import CheckedRows
from qvl.errors import RecordError
from qvl.geometry import Polygon, Polyline, Shape
from qvl.inspection.suspects import Suspect
from qvl.records import Finding, Source, image_path, is_number
from qvl.records.coordinates import GEOMETRY_KEYS
from qvl.runtime import open_image
from qvl.visualization import FontBook, Mark, draw_marks

__all__ = ["DrawnRow", "draw_row"]

BAD, WARNED, GOOD = "#e5383b", "#ffb000", "#2a9df4"
_MOST_SIDE, _LEAST_WIDTH = 900, 480
_MARGIN = 0.25  # most of the picture's side that is shown beyond an edge
_BEYOND = (226, 228, 233)
_OBJECT = re.compile(r"objects\[(\d+)\]")
_MOST_OBJECTS = 300


@dataclass(frozen=True, slots=True)
class DrawnRow:
    """A row as it is shown.

    Attributes:
        source: Where it stands.
        findings: What is wrong with it.
        image: JPEG in base64; None if there is no picture to draw on.
        size: (width, height) of the drawn picture in pixels.
        remark: Why there is no picture, or what is shown around it.
    """

    source: Source
    findings: tuple[Finding, ...]
    image: str | None
    size: tuple[int, int]
    remark: str


def draw_row(rows: CheckedRows, suspect: Suspect, *, fonts: FontBook) -> DrawnRow:
    """Draw a row of a file with all shapes that can be drawn at all.

    Shapes with a fatal finding are red, with a warning yellow, the others blue; the numbers are those of the findings.
    What lies outside the picture is shown on a grey margin.

    Args:
        rows: The file.
        suspect: The row.
        fonts: Where letters come from.
    """
    source = rows.lines.source(suspect.number)
    row, _ = rows.lines.decode(suspect.number)
    try:
        image = open_image(_path(row, rows.root))
    except (RecordError, OSError, ValueError) as error:
        return DrawnRow(source, suspect.findings, None, (0, 0), str(error))
    marks = _marks(row, suspect.findings)
    canvas, shift = _with_margin(image, marks)
    moved = [Mark(_moved(mark.shape, shift), mark.color, mark.number, mark.label) for mark in marks]
    scale = min(_MOST_SIDE / max(canvas.size), max(1.0, _LEAST_WIDTH / canvas.width))
    shown = canvas.resize((max(1, round(canvas.width * scale)), max(1, round(canvas.height * scale))))
    drawn = draw_marks(shown, moved, extent=(float(canvas.width), float(canvas.height)), fonts=fonts)
    buffer = io.BytesIO()
    drawn.save(buffer, "JPEG", quality=82)
    remark = f"{image.width} x {image.height} pixels" + ("; grey lies outside the picture" if shift.any() else "")
    return DrawnRow(source, suspect.findings, base64.b64encode(buffer.getvalue()).decode(), drawn.size, remark)


def _path(row: object, root: str) -> str:
    images = row.get("images") if isinstance(row, Mapping) else None
    if not isinstance(images, list) or not images or not isinstance(images[0], str):
        raise ValueError("the row names no picture")
    return image_path(images[0], root=root)


def _marks(row: object, findings: Sequence[Finding]) -> list[Mark]:
    """Return what can be drawn, objects without a finding first, so that the others lie above them."""
    objects = row.get("objects") if isinstance(row, Mapping) else None
    about: dict[int, bool] = {}
    for finding in findings:
        if match := _OBJECT.match(finding.field):
            number = int(match[1])
            about[number] = about.get(number, False) or finding.fatal
    marks = []
    for number, item in enumerate(objects[:_MOST_OBJECTS] if isinstance(objects, list) else []):
        shape = _drawable(item) if isinstance(item, Mapping) else None
        if shape is not None:
            color = {True: BAD, False: WARNED, None: GOOD}[about.get(number)]
            desc = item.get("desc")
            label = desc[:40] if isinstance(desc, str) and color != GOOD else ""
            marks.append(Mark(shape, color, str(number), label))
    return sorted(marks, key=lambda mark: (GOOD, WARNED, BAD).index(mark.color))


def _drawable(item: Mapping[str, Any]) -> Shape | None:
    """Return a shape for whatever numbers an object has; a box may be reversed or without an extent."""
    key = next((key for key in GEOMETRY_KEYS if key in item), None)
    value = item[key] if key is not None else None
    if not isinstance(value, list):
        return None
    flat = [number for entry in value for number in (entry if isinstance(entry, list) else [entry])]
    if not all(is_number(number) and abs(number) < 1e8 for number in flat):
        return None
    points = np.array(flat[: len(flat) // 2 * 2], dtype=np.float64).reshape(-1, 2)
    if len(points) < 2:
        return None
    if key == "bbox_2d" or len(points) == 2:
        if key == "line":
            return Polyline(points)
        (x1, y1), (x2, y2) = points[0], points[-1]
        return Polygon(np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)]))
    return Polyline(points) if key == "line" else Polygon(points)


def _with_margin(image: Image.Image, marks: Sequence[Mark]) -> tuple[Image.Image, npt.NDArray[np.float64]]:
    """Return the picture with grey around it where shapes leave it, and how far it was moved."""
    size = np.array(image.size, dtype=np.float64)
    points = np.concatenate([np.array([[0.0, 0.0], size]), *(mark.shape.points for mark in marks)])
    room = np.ceil(size * _MARGIN)
    before = np.ceil(np.clip(-points.min(axis=0), 0, room))
    after = np.ceil(np.clip(points.max(axis=0) - size, 0, room))
    if not before.any() and not after.any():
        return image, before
    width, height = (math.ceil(side) for side in (size + before + after).tolist())
    canvas = Image.new("RGB", (width, height), _BEYOND)
    canvas.paste(image, (int(before[0]), int(before[1])))
    return canvas, before


def _moved(shape: Shape, shift: npt.NDArray[np.float64]) -> Shape:
    points = shape.points + shift
    return Polyline(points) if isinstance(shape, Polyline) else Polygon(points)
