"""VIA, the VGG Image Annotator, versions 1 and 2: annotations as JSON or CSV, and projects."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from qvl.conversion.annotated import Annotated, Annotation, Refused
from qvl.conversion.files import Unreadable, read_json, read_text
from qvl.conversion.formats.addresses import picture_path
from qvl.conversion.formats.documents import documents, find_picture
from qvl.conversion.formats.fields import number
from qvl.conversion.formats.json_values import LABEL_KEYS, Outline, as_text, as_words, flat_numbers, label_in, mapping
from qvl.conversion.formats.outlines import circle, ellipse
from qvl.conversion.source import BaseSource

__all__ = ["ViaSource"]

Options = Mapping[str, Mapping[str, str]]
"""By the name of an attribute: what the ids of its choices stand for."""

_NUMBERS = {
    "rect": ("x", "y", "width", "height"),
    "circle": ("cx", "cy", "r"),
    "ellipse": ("cx", "cy", "rx", "ry"),
    "point": ("cx", "cy"),
}
_PATHS = ("polygon", "polyline")


class ViaSource(BaseSource):
    """Annotations of VIA 1 and 2: rectangles, circles, ellipses, polygons, polylines and points.

    VIA has no categories, only attributes of regions: `label_key` says which one is the category.
    """

    suffixes = (".json", ".csv")

    def __init__(
        self,
        *,
        path: str,
        images: str | None = None,
        label_key: str | None = None,
        label: str | None = None,
        summary_key: str | None = None,
    ) -> None:
        """Say where the annotations lie and where their words stand.

        Args:
            path: A JSON or CSV file, a folder with any number of them, or an archive of one.
            images: Folder of the pictures; None for the folder of the annotations.
            label_key: Attribute of the region that is the category; None takes label, category, class, name, type or
                the only one there is.
            label: Category of regions that have none; None refuses them.
            summary_key: Attribute of the file that becomes the summary; None for no summary.
        """
        super().__init__(path=path, images=images)
        self.label_key = label_key
        self.label = label
        self.summary_key = summary_key

    def read(self) -> Iterator[Annotated | Refused]:
        """Yield every picture of every file, in the order of the files."""
        for document in documents(self, _read):
            if isinstance(document, Refused):
                yield document
                continue
            file, content = document
            entries = _entries(mapping(content))
            if isinstance(entries, str):
                yield Refused(self.place(file), "not_via", entries)
                continue
            options = _options(mapping(content))
            for key, entry in entries.items():
                yield self._picture(file, mapping(entry), options, self.place(file, key))

    def _picture(self, file: Path, entry: Mapping[str, object], options: Options, where: str) -> Annotated | Refused:
        found = picture_path(as_text(entry.get("filename")))
        if found is None:
            return Refused(
                where, "no_picture_named", "`filename` is missing or leads to no file", entry.get("filename")
            )
        name, mended = found
        regions = entry.get("regions", [])
        listed = list(regions.values()) if isinstance(regions, dict) else regions
        if not isinstance(listed, list):
            return Refused(where, "bad_regions", "`regions` is a list, or an object of regions", regions)
        objects: list[Annotation] = []
        refused: list[Refused] = []
        repairs = list(mended)
        for index, region in enumerate(listed):
            outcome, codes = self._region(mapping(region), options, f"{where}: regions[{index}]")
            repairs += codes
            if isinstance(outcome, Annotation):
                objects.append(outcome)
            else:
                refused.append(outcome)
        words = as_words(mapping(entry.get("file_attributes")))
        return Annotated(
            image=find_picture(self, file, [name]),
            where=where,
            objects=tuple(objects),
            refused=tuple(refused),
            repairs=tuple(repairs),
            metadata={"file_attributes": words} if words else {},
            summary=words.get(self.summary_key) if self.summary_key else None,
        )

    def _region(
        self, region: Mapping[str, object], options: Options, where: str
    ) -> tuple[Annotation | Refused, tuple[str, ...]]:
        outline = _outline(mapping(region.get("shape_attributes")))
        if len(outline) == 2:
            return Refused(where, *outline, region), ()
        words = {
            key: _chosen(text, options.get(key, {}))
            for key, text in as_words(mapping(region.get("region_attributes"))).items()
        }
        keys: Sequence[str] = [self.label_key] if self.label_key else LABEL_KEYS
        found = label_in(words, keys) or (next(iter(words.items())) if len(words) == 1 and not self.label_key else None)
        if found is None and self.label is None:
            return Refused(where, "no_label", "no attribute is the category; set source.label_key or label", region), ()
        key, label = found or ("", self.label or "")
        kind, parts, mended = outline
        return Annotation(
            label, kind, parts, where, {name: text for name, text in words.items() if name != key}
        ), mended


def _entries(content: Mapping[str, object]) -> Mapping[str, object] | str:
    """Return the pictures of a file by their keys, or why it is none of VIA 1 or 2."""
    if isinstance(project := content.get("_via_img_metadata"), dict):
        return project
    if {"file", "view", "metadata"} <= content.keys():
        return "this is a project of VIA 3; versions 1 and 2 are read"
    if not content or not all("filename" in mapping(entry) for entry in content.values()):
        return "a file of VIA is an object of pictures with a `filename` each, or a project with `_via_img_metadata`"
    return content


def _options(content: Mapping[str, object]) -> dict[str, dict[str, str]]:
    """Return what the choices of the region attributes of a project are called."""
    described = mapping(mapping(content.get("_via_attributes")).get("region"))
    found = {key: as_words(mapping(mapping(entry).get("options"))) for key, entry in described.items()}
    return {key: options for key, options in found.items() if options}


def _chosen(text: str, options: Mapping[str, str]) -> str:
    """Return what one choice, or several with slashes between them, is called."""
    return options[text] if text in options else "/".join(options.get(word, word) for word in text.split("/"))


def _outline(shape: Mapping[str, object]) -> Outline | tuple[str, str]:
    """Return a shape, or the code and the message of a refusal."""
    kind = as_text(shape.get("name"))
    if kind not in _NUMBERS and kind not in _PATHS:
        return "unknown_shape", f"{', '.join((*_NUMBERS, *_PATHS))} are read, got {kind!r}"
    if kind in _PATHS:
        points = _path(shape)
        message = "all_points_x and all_points_y are lists of numbers of one length"
        return (
            ("not_a_number", message) if points is None else ("line" if kind == "polyline" else "poly", (points,), ())
        )
    names = _NUMBERS[kind]
    values = flat_numbers(shape.get(name) for name in names)
    turn = number(shape.get("theta") or 0)
    if values is None or turn is None or not all(map(math.isfinite, (*values, turn))):
        return "not_a_number", f"a {kind} needs finite numbers in {', '.join(names)}"
    match kind:
        case "rect":
            x, y, width, height = values
            return "bbox_2d", ((x, y, x + width, y + height),), ()
        case "circle":
            return "poly", (circle(*values),), ("circle_outlined",)
        case "ellipse":
            return "poly", (ellipse(*values, degrees=math.degrees(turn)),), ("ellipse_outlined",)
        case _:
            return "point", (values,), ()


def _path(shape: Mapping[str, object]) -> tuple[float, ...] | None:
    xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
    if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys) or not xs:
        return None
    return flat_numbers(value for point in zip(xs, ys, strict=True) for value in point)


def _read(file: Path) -> object:
    return _read_csv(file) if file.suffix.lower() == ".csv" else read_json(file)


def _read_csv(file: Path) -> dict[str, object] | Unreadable:
    """Return what the JSON export of the same annotations holds; regions come in the order of the lines."""
    text = read_text(file)
    if isinstance(text, Unreadable):
        return text
    entries: dict[str, dict[str, object]] = {}
    regions: dict[str, list[dict[str, object]]] = {}
    try:
        for row in csv.DictReader(io.StringIO(text.lstrip("#"), newline="")):
            name = as_text(row.get("filename"))
            described = {"filename": name, "file_attributes": _cell(row.get("file_attributes"))}
            entries.setdefault(name, {**described, "regions": regions.setdefault(name, [])})
            shape = _cell(row.get("region_shape_attributes"))
            if shape != {}:
                words = _cell(row.get("region_attributes"))
                regions[name].append({"shape_attributes": shape, "region_attributes": words})
    except csv.Error as error:
        return Unreadable(file, "bad_csv", str(error))
    return dict(entries)


def _cell(text: object) -> object:
    """Return the JSON of a cell, the text itself where it is none."""
    try:
        return json.loads(text) if isinstance(text, str) and text.strip() else {}
    except (ValueError, RecursionError):
        return text
