"""Regions of one Label Studio annotation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qvl.conversion.annotated import Annotation, Refused
from qvl.conversion.formats.fields import number, pixel_count
from qvl.conversion.formats.json_values import Outline, as_text, flat_numbers, flat_points, mapping
from qvl.conversion.formats.outlines import ellipse, rotated_box

__all__ = ["Regions", "read_regions", "size_of"]

PERCENT = 100.0
ANSWERS = ("choices", "text", "taxonomy", "rating", "number", "datetime")
"""What a control that is no shape writes into its `value`."""

Size = tuple[int, int]
Fault = tuple[str, str]
"""(code, message)."""


@dataclass(frozen=True, slots=True)
class Regions:
    """What the results of one annotation say.

    Attributes:
        objects: In shares of the picture.
        refused: Regions that cannot be used.
        repairs: A code for everything that was set right.
        answers: What was said about the picture as a whole, by the name of the control.
    """

    objects: tuple[Annotation, ...]
    refused: tuple[Refused, ...]
    repairs: tuple[str, ...]
    answers: Mapping[str, str]


def read_regions(results: Sequence[object], where: str) -> Regions:
    """Read all results of an annotation that belong to one picture.

    Label Studio writes one result for the shape of a region and further ones, with the same id, for its label where the
    two are separate controls, and for each question about it.
    """
    groups: dict[str, list[Mapping[str, object]]] = {}
    repairs: list[str] = []
    for count, entry in enumerate(results):
        result = mapping(entry)
        if result.get("type") == "relation":
            repairs.append("relation_ignored")
        else:
            groups.setdefault(as_text(result.get("id")) or f"#{count}", []).append(result)
    objects: list[Annotation] = []
    refused: list[Refused] = []
    answers: dict[str, str] = {}
    for name, group in groups.items():
        if not any(_is_region(result) for result in group) and (said := _answers(group)):
            answers.update(said)
            continue
        found, mended = _region(group, f"{where}: region {name}")
        repairs += mended
        if isinstance(found, Annotation):
            objects.append(found)
        else:
            refused.append(found)
    return Regions(tuple(objects), tuple(refused), tuple(repairs), answers)


def size_of(result: Mapping[str, object]) -> Size | None:
    """Return width and height in pixels that a result declares, None without both."""
    width, height = pixel_count(result.get("original_width")), pixel_count(result.get("original_height"))
    return (width, height) if width and height else None


def _is_region(result: Mapping[str, object]) -> bool:
    value = mapping(result.get("value"))
    return not any(key in value for key in ANSWERS) or "x" in value or "points" in value


def _region(group: Sequence[Mapping[str, object]], where: str) -> tuple[Annotation | Refused, tuple[str, ...]]:
    came = group[0] if len(group) == 1 else list(group)
    outlines = [_outline(result) for result in group]
    outline = next((found for found in outlines if len(found) == 3), outlines[0])
    if len(outline) == 2:
        code, message = outline
        return Refused(where, code, message, None if code == "brush" else came), ()
    labels = [label for result in group for label in _labels(mapping(result.get("value")))]
    if not labels:
        return Refused(where, "no_label", "the region has no label", came), ()
    kind, parts, mended = outline
    attributes = _answers(group)
    if len(labels) > 1:
        attributes["other_labels"] = "/".join(labels[1:])
        mended = (*mended, "several_labels")
    return Annotation(labels[0], kind, parts, where, attributes), mended


def _labels(value: Mapping[str, object]) -> list[str]:
    """Return `rectanglelabels`, `polygonlabels`, `labels` and the like."""
    found = [entry for key, entry in value.items() if key.endswith("labels")]
    return [text for entry in found for text in map(as_text, entry if isinstance(entry, list) else [entry]) if text]


def _answers(group: Sequence[Mapping[str, object]]) -> dict[str, str]:
    """Return what was answered, by the name of the control."""
    found: dict[str, str] = {}
    for result in group:
        value = mapping(result.get("value"))
        key = next((key for key in ANSWERS if key in value), None)
        text = "" if key is None else _answer(key, value[key])
        if text:
            found[as_text(result.get("from_name")) or str(key)] = text
    return found


def _answer(key: str, value: object) -> str:
    if key == "taxonomy" and isinstance(value, list):
        return "/".join(">".join(map(as_text, path)) if isinstance(path, list) else as_text(path) for path in value)
    return as_text(value)


def _outline(result: Mapping[str, object]) -> Outline | Fault:
    """Return the shape of a result in shares, by the keys that its value has."""
    value, kind = mapping(result.get("value")), as_text(result.get("type"))
    if "rle" in value or "imageDataURL" in value or kind.startswith(("brush", "bitmask")):
        return "brush", "a brush mask is no outline; draw polygons, or export the masks as COCO"
    if "sequence" in value:
        return "unknown_shape", f"shapes of videos are not read, got {kind!r}"
    for keys, read in (
        (("vertices",), _vector),
        (("shape",), _vector),
        (("points",), _polygon),
        (("radiusX", "radiusY"), _ellipse),
        (("x", "y", "width", "height"), _rectangle),
        (("x", "y"), _point),
    ):
        if all(key in value for key in keys):
            return read(value, size_of(result)) or ("not_a_number", f"{', '.join(keys)} must be numbers")
    return "unknown_shape", f"rectangle, polygon, ellipse, keypoint and vector are read, got {kind!r}"


def _point(value: Mapping[str, object], _size: Size | None) -> Outline | None:
    numbers = _shares(value, ("x", "y"))
    return None if numbers is None else ("point", (numbers,), ())


def _polygon(value: Mapping[str, object], _size: Size | None) -> Outline | None:
    numbers = flat_points(value["points"])
    return None if numbers is None else ("poly", (tuple(each / PERCENT for each in numbers),), ())


def _vector(value: Mapping[str, object], _size: Size | None) -> Outline | None:
    """Read a path: closed is a polygon, open a line; curves become straight between their vertices."""
    vertices = value.get("vertices", value.get("shape"))
    if not isinstance(vertices, list) or not vertices:
        return None
    numbers = flat_numbers(mapping(vertex).get(axis) for vertex in vertices for axis in "xy")
    if numbers is None:
        return None
    curved = any(mapping(vertex).get("isBezier") is True for vertex in vertices)
    mended = ("curve_straightened",) if curved else ()
    return "poly" if value.get("closed") is True else "line", (tuple(each / PERCENT for each in numbers),), mended


def _ellipse(value: Mapping[str, object], size: Size | None) -> Outline | Fault | None:
    numbers, turn = _shares(value, ("x", "y", "radiusX", "radiusY")), _turn(value)
    if numbers is None or turn is None or not all(map(math.isfinite, numbers)):
        return None
    if turn and size is None:
        return _without_size()
    width, height = size or (1, 1)
    x, y, across, down = numbers
    outline = ellipse(x * width, y * height, across * width, down * height, degrees=turn)
    return "poly", (_as_shares(outline, (width, height)),), ("ellipse_outlined",)


def _rectangle(value: Mapping[str, object], size: Size | None) -> Outline | Fault | None:
    """Read a rectangle; it is turned clockwise about its top left corner, in pixels, not in percent."""
    numbers, turn = _shares(value, ("x", "y", "width", "height")), _turn(value)
    if numbers is None or turn is None or not all(map(math.isfinite, numbers)):
        return None
    x, y, across, down = numbers
    if not turn:
        return "bbox_2d", ((x, y, x + across, y + down),), ()
    if size is None:
        return _without_size()
    x, y, across, down = x * size[0], y * size[1], across * size[0], down * size[1]
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    middle = x + across / 2 * cos - down / 2 * sin, y + across / 2 * sin + down / 2 * cos
    corners = rotated_box(*middle, across, down, degrees=turn)
    if turn % 90:
        return "poly", (_as_shares(corners, size),), ("box_turned",)
    box = min(corners[::2]), min(corners[1::2]), max(corners[::2]), max(corners[1::2])
    return "bbox_2d", (_as_shares(box, size),), ("box_turned",)


def _without_size() -> Fault:
    return "turned_without_size", "a turned shape in percent needs original_width and original_height"


def _turn(value: Mapping[str, object]) -> float | None:
    """Return the rotation in [0, 360) degrees, None if it is no finite number."""
    turn = number(value.get("rotation") or 0)
    return turn % 360 if turn is not None and math.isfinite(turn) else None


def _shares(value: Mapping[str, object], keys: Sequence[str]) -> tuple[float, ...] | None:
    numbers = flat_numbers(value[key] for key in keys)
    return None if numbers is None else tuple(each / PERCENT for each in numbers)


def _as_shares(numbers: Sequence[float], size: Size) -> tuple[float, ...]:
    return tuple(value / size[index % 2] for index, value in enumerate(numbers))
