"""CVAT for images: one XML file for many pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qvl.conversion.annotated import Annotated, Annotation, Refused
from qvl.conversion.files import read_xml
from qvl.conversion.formats.documents import documents, find_picture
from qvl.conversion.formats.fields import is_set, number, pixel_count
from qvl.conversion.formats.outlines import ellipse, rotated_box
from qvl.conversion.source import BaseSource

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["CvatSource"]

EXTRAS = ("occluded", "z_order", "group_id", "source")
NOT_READ = ("cuboid", "mask", "skeleton")
SHAPES = ("box", "ellipse", "points", "polygon", "polyline")

Found = tuple[tuple[Annotation, ...], tuple[str, ...]]
"""The objects of one element, and what was set right."""


class CvatSource(BaseSource):
    """Annotations that CVAT exports as "CVAT for images 1.1".

    Boxes and ellipses may be turned, by degrees clockwise about their centre. An ellipse becomes a polygon of the same
    area, an element `points` one object for each of its points. Masks, cuboids and skeletons are refused. Tags go into
    the metadata of the row, `subset` is its split.
    """

    suffixes = (".xml",)

    def __init__(self, *, path: str, images: str | None = None, extras: Sequence[str] = ("occluded",)) -> None:
        """Say where the annotations lie.

        Args:
            path: The XML file, a folder with any number of them, or an archive of one.
            images: Folder of the pictures; None for the folder of the annotations. Folders `images` and
                `images/SUBSET` in it are found by themselves.
            extras: Which of occluded (where it is set), z_order, group_id and source become attributes, beside the
                attributes that the annotators chose.

        Raises:
            ValueError: An extra is none of the four.
        """
        super().__init__(path=path, images=images)
        if unknown := set(extras) - set(EXTRAS):
            raise ValueError(f"extras must be among {', '.join(EXTRAS)}, got {', '.join(sorted(unknown))}")
        self.extras = tuple(extras)

    def read(self) -> Iterator[Annotated | Refused]:
        """Yield every picture, in the order of the files."""
        for document in documents(self, read_xml):
            if isinstance(document, Refused):
                yield document
            else:
                yield from self._pictures(*document)

    def _pictures(self, file: Path, root: Element) -> Iterator[Annotated | Refused]:
        where = self.place(file)
        if root.tag != "annotations":
            yield Refused(where, "not_cvat", f"the root of a CVAT file is <annotations>, got <{root.tag}>", root.tag)
        elif root.find("track") is not None:
            yield Refused(where, "video_tracks", 'tracks of a video are not read; export it as "CVAT for images 1.1"')
        else:
            for count, element in enumerate(root.findall("image")):
                yield self._picture(file, element, f"{where}: image {element.get('id', count)}")

    def _picture(self, file: Path, element: Element, where: str) -> Annotated | Refused:
        name = element.get("name", "").strip().replace("\\", "/")
        if not name:
            return Refused(where, "no_picture_named", "`name` is missing or empty")
        shapes = [child for child in element if child.tag != "tag"]
        results = [_read(child, f"{where}: {child.tag} {count}", self.extras) for count, child in enumerate(shapes, 1)]
        found = [result for result in results if not isinstance(result, Refused)]
        subset = element.get("subset", "").strip()
        exported = [f"images/{subset}/{name}", f"images/{name}"]  # of a project, and of a task
        width, height = pixel_count(element.get("width")), pixel_count(element.get("height"))
        tags = [tag.get("label", "") for tag in element.findall("tag")]
        return Annotated(
            image=find_picture(self, file, [*exported, name]),
            where=where,
            objects=tuple(annotation for annotations, _ in found for annotation in annotations),
            refused=tuple(result for result in results if isinstance(result, Refused)),
            width=width,
            height=height,
            repairs=tuple(code for _, codes in found for code in codes),
            metadata={"tags": tags} if tags else {},
            split=subset or None,
        )


def _read(element: Element, where: str, extras: Sequence[str]) -> Found | Refused:
    """Read one shape of a picture."""
    label = element.get("label", "").strip()
    if element.tag in NOT_READ:
        return Refused(where, element.tag, f"<{element.tag}> is not read; draw the object as a polygon", label)
    if element.tag not in SHAPES:
        return Refused(where, "unknown_shape", f"a shape is one of {', '.join(SHAPES)}", element.tag)
    if not label:
        return Refused(where, "no_label", "`label` is missing or empty")
    attributes = _attributes(element, extras)
    if element.tag in ("box", "ellipse"):
        return _turnable(element, label, where, attributes)
    points = _points(element.get("points", ""))
    if points is None:
        return Refused(where, "bad_points", "`points` must be x,y;x,y;...", element.get("points"))
    if element.tag == "points":
        each = [Annotation(label, "point", (point,), where, attributes) for point in points]
        return tuple(each), ("points_split",) if len(each) > 1 else ()
    numbers = tuple(value for point in points for value in point)
    return (Annotation(label, "poly" if element.tag == "polygon" else "line", (numbers,), where, attributes),), ()


def _turnable(element: Element, label: str, where: str, attributes: dict[str, str]) -> Found | Refused:
    """Read a box or an ellipse, which may be turned about its centre."""
    names = ("xtl", "ytl", "xbr", "ybr") if element.tag == "box" else ("cx", "cy", "rx", "ry")
    texts = {name: element.get(name) for name in names} | {"rotation": element.get("rotation", "0")}
    values = [number(text) for text in texts.values()]
    numbers = tuple(value for value in values if value is not None)
    if len(numbers) < len(values) or not all(map(math.isfinite, numbers)):
        return Refused(where, "bad_shape", f"<{element.tag}> needs finite numbers in {', '.join(texts)}", texts)
    a, b, c, d, degrees = numbers
    if element.tag == "ellipse":
        if c < 0 or d < 0:
            return Refused(where, "bad_shape", "the radii of an ellipse are not negative", texts)
        outline = ellipse(a, b, c, d, degrees=degrees)
        return (Annotation(label, "poly", (outline,), where, attributes),), ("ellipse_outlined",)
    if degrees % 360 == 0:
        return (Annotation(label, "bbox_2d", ((a, b, c, d),), where, attributes),), ()
    outline = rotated_box((a + c) / 2, (b + d) / 2, c - a, d - b, degrees=degrees)
    return (Annotation(label, "poly", (outline,), where, attributes),), ("box_turned",)


def _points(text: str) -> list[tuple[float, float]] | None:
    points: list[tuple[float, float]] = []
    for pair in text.split(";"):
        values = [number(value) for value in pair.split(",")]
        match values:
            case [float(x), float(y)]:
                points.append((x, y))
            case _:
                return None
    return points


def _attributes(element: Element, extras: Sequence[str]) -> dict[str, str]:
    """Return the attributes that the annotators chose, then the wanted ones of the tool; empty ones are left out."""
    chosen = {entry.get("name", ""): (entry.text or "").strip() for entry in element.findall("attribute")}
    own = {name: element.get(name, "").strip() for name in extras if name != "occluded"}
    hidden = {"occluded": "true"} if "occluded" in extras and is_set(element.get("occluded")) else {}
    return {name: value for name, value in (chosen | own | hidden).items() if name and value}
