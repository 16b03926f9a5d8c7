"""Pascal VOC: one XML file a picture."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qvl.conversion.annotated import Annotated, Annotation, Refused, ShapeKind
from qvl.conversion.files import Unreadable, read_text, read_xml
from qvl.conversion.formats.documents import documents, find_picture
from qvl.conversion.formats.fields import is_set, number, pixel_count
from qvl.conversion.formats.outlines import rotated_box
from qvl.conversion.source import BaseSource

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["VocSource"]

EXTRAS = ("difficult", "truncated", "occluded", "pose")
PICTURE_FOLDERS = ("JPEGImages", "images", "Images")
SPLITS = ("train", "val", "test")

Outline = tuple[ShapeKind, tuple[float, ...], tuple[str, ...]]
"""A shape, its numbers, and what was set right."""


class VocSource(BaseSource):
    """Annotations of Pascal VOC and of the tools that write its XML files.

    Boxes of VOC name the first and the last pixel, counted from 1. Turned boxes (`robndbox`) and outlines (`polygon`)
    are no part of VOC; the tools that write them count from the edge. `ImageSets/Main/train.txt`, `val.txt` and
    `test.txt` say the split.
    """

    suffixes = (".xml",)

    def __init__(
        self,
        *,
        path: str,
        images: str | None = None,
        one_based: bool = True,
        keep_difficult: bool = True,
        extras: Sequence[str] = EXTRAS,
    ) -> None:
        """Say where the annotations lie and how they count.

        Args:
            path: An XML file, a folder with any number of them, or an archive of one.
            images: Folder of the pictures; None for the folder of the annotations. Folders `JPEGImages` and `images`
                beside the XML files are found by themselves.
            one_based: Whether boxes name pixels counted from 1, as VOC does; otherwise their numbers are edges.
            keep_difficult: Whether objects that are marked as difficult are kept.
            extras: Which of difficult, truncated, occluded and pose become attributes where they are set.

        Raises:
            ValueError: An extra is none of the four.
        """
        super().__init__(path=path, images=images)
        if unknown := set(extras) - set(EXTRAS):
            raise ValueError(f"extras must be among {', '.join(EXTRAS)}, got {', '.join(sorted(unknown))}")
        self.one_based = one_based
        self.keep_difficult = keep_difficult
        self.extras = tuple(extras)
        self._hint: int | None = None

    @property
    def images(self) -> Path:
        """Folder that relative paths of pictures start from; `JPEGImages` beside a folder `Annotations`."""
        beside = self.path.parent / "JPEGImages"
        return (
            beside if self._images is None and self.path.name == "Annotations" and beside.is_dir() else super().images
        )

    def read(self) -> Iterator[Annotated | Refused]:
        """Yield the picture of every XML file, sorted by path."""
        splits: dict[Path, Mapping[str, Sequence[str]]] = {}
        for document in documents(self, read_xml):
            if isinstance(document, Refused):
                yield document
                continue
            root = document[0].parent.parent
            if root not in splits:
                splits[root] = _splits(root)
            yield self._picture(*document, splits[root])

    def size_hint(self) -> int:
        """Return the number of XML files."""
        if self._hint is None:
            self._hint = len(self.files())
        return self._hint

    def _picture(self, file: Path, root: Element, splits: Mapping[str, Sequence[str]]) -> Annotated | Refused:
        where = self.place(file)
        if root.tag != "annotation":
            return Refused(where, "not_voc", f"the root of a VOC file is <annotation>, got <{root.tag}>", root.tag)
        name = _text(root, "filename").replace("\\", "/")
        if not name:
            return Refused(where, "no_picture_named", "<filename> is missing or empty")
        objects: list[Annotation] = []
        refused: list[Refused] = []
        repairs: list[str] = []
        for count, element in enumerate(root.findall("object"), start=1):
            found, mended = self._object(element, f"{where}: object {count}")
            objects += [found] if isinstance(found, Annotation) else []
            refused += [found] if isinstance(found, Refused) else []
            repairs += mended
        named = splits.get(file.stem, ())
        width, height = pixel_count(_text(root, "size/width")), pixel_count(_text(root, "size/height"))
        return Annotated(
            image=find_picture(self, file, [name], PICTURE_FOLDERS),
            where=where,
            objects=tuple(objects),
            refused=tuple(refused),
            width=width,
            height=height,
            repairs=(*repairs, *(["in_two_splits"] if len(named) > 1 else [])),
            split=named[-1] if named else None,
        )

    def _object(self, element: Element, where: str) -> tuple[Annotation | Refused, tuple[str, ...]]:
        """Read one <object>, and say what was set right."""
        label = _text(element, "name")
        if not label:
            return Refused(where, "no_label", "<name> is missing or empty"), ()
        if not self.keep_difficult and is_set(_text(element, "difficult")):
            return Refused(where, "difficult", "marked as difficult, and source.keep_difficult=false", label), ()
        outline = _outline(element, one_based=self.one_based)
        if isinstance(outline, str):
            return Refused(where, "bad_shape", outline, label), ()
        kind, numbers, mended = outline
        parts = ("body_parts_ignored",) * bool(element.findall("part"))
        attributes = {**_extras(element, self.extras), **_attributes(element)}
        return Annotation(label, kind, (numbers,), where, attributes), (*mended, *parts)


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _outline(element: Element, *, one_based: bool) -> Outline | str:
    """Return the shape of an object, the most exact one where there are several, or why there is none."""
    turned, polygon, box = (element.find(tag) for tag in ("robndbox", "polygon", "bndbox"))
    if turned is not None:
        values = _numbers(turned, ("cx", "cy", "w", "h", "angle"))
        if isinstance(values, str):
            return values
        if not all(map(math.isfinite, values)):
            return f"<robndbox> needs finite numbers, got {values}"
        x, y, width, height, angle = values
        return "poly", rotated_box(x, y, width, height, degrees=math.degrees(angle)), ("box_turned",)
    if polygon is not None:
        values = _vertices(polygon)
        return values if isinstance(values, str) else ("poly", values, ())
    if box is None:
        return "an object needs one of <bndbox>, <robndbox> and <polygon>"
    values = _numbers(box, ("xmin", "ymin", "xmax", "ymax"))
    if isinstance(values, str):
        return values
    return _from_one(values) if one_based else ("bbox_2d", values, ())


def _from_one(values: tuple[float, ...]) -> Outline:
    """Turn the first and the last pixel, counted from 1, into edges; reversed corners are put in order first."""
    left, right = sorted((values[0], values[2]))
    top, bottom = sorted((values[1], values[3]))
    swapped = ("box_reversed",) * ((left, top) != values[:2])
    zeros = ("zero_in_one_based",) * (left == 0 or top == 0)  # a source that counts from 0; at 0 the edge is meant
    numbers = (left - 1 if left else left, top - 1 if top else top, right, bottom)
    return "bbox_2d", numbers, ("one_based", *swapped, *zeros)


def _numbers(element: Element, names: Sequence[str]) -> tuple[float, ...] | str:
    values = {name: number(element.findtext(name)) for name in names}
    wrong = [f"<{name}> {element.findtext(name)!r}" for name, value in values.items() if value is None]
    if wrong:
        return f"<{element.tag}> needs numbers in {', '.join(names)}, got {', '.join(wrong)}"
    return tuple(value for value in values.values() if value is not None)


def _vertices(polygon: Element) -> tuple[float, ...] | str:
    """Read x1, y1, x2, y2, ... in any order, or points with an x and a y each."""
    points = [child for child in polygon if len(child)]
    if points:
        texts = [point.findtext(axis) for point in points for axis in "xy"]
    else:
        named = [match for child in polygon if (match := re.fullmatch(r"([xy])(\d+)", child.tag))]
        order = sorted(named, key=lambda match: (int(match[2]), match[1]))
        texts = [polygon.findtext(match[0]) for match in order]
    values = [number(text) for text in texts]
    if not values or len(values) % 2 or None in values:
        return f"<polygon> needs a number for x and y of each vertex, got {texts}"
    return tuple(value for value in values if value is not None)


def _extras(element: Element, wanted: Sequence[str]) -> dict[str, str]:
    flags = {name: "true" for name in wanted if name != "pose" and is_set(_text(element, name))}
    pose = _text(element, "pose")
    said = "pose" in wanted and pose.lower() not in ("", "0", "unspecified")
    return {**flags, "pose": pose} if said else flags


def _attributes(element: Element) -> dict[str, str]:
    """Read what some tools add: <attributes><attribute><name/><value/></attribute></attributes>."""
    pairs = [(_text(entry, "name"), _text(entry, "value")) for entry in element.iterfind("attributes/attribute")]
    return {name: value for name, value in pairs if name and value}


def _splits(root: Path) -> dict[str, list[str]]:
    """Return the splits of each picture by its stem, from the folder `ImageSets` beside that of the XML files."""
    texts = {split: read_text(root / "ImageSets" / "Main" / f"{split}.txt") for split in SPLITS}
    found: dict[str, list[str]] = {}
    for split, text in texts.items():
        lines = [] if isinstance(text, Unreadable) else text.splitlines()
        for stem in dict.fromkeys(line.strip().strip('"') for line in lines):  # quoted by some tools, if it has blanks
            found.setdefault(stem, []).append(split)
    return found
