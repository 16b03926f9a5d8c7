"""COCO instances: boxes, polygons and masks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qvl.conversion.annotated import Annotated, Annotation, Refused, ShapeKind
from qvl.conversion.files import Unreadable, read_json
from qvl.conversion.formats.documents import find_picture
from qvl.conversion.formats.fields import number, pixel_count, split_name
from qvl.conversion.formats.masks import mask_outlines, read_rle
from qvl.conversion.source import BaseSource
from qvl.errors import RecordError
from qvl.records import is_number, shorten

__all__ = ["CocoSource"]

Entry = Mapping[str, Any]


@dataclass(slots=True)
class _File:
    """One annotation file, by picture."""

    path: Path
    images: list[object]
    categories: Mapping[object, Entry]
    by_image: dict[object, list[tuple[int, Entry]]] = field(default_factory=lambda: defaultdict(list))
    strays: list[Refused] = field(default_factory=list)
    twice: set[int] = field(default_factory=set)
    """Annotations whose id another one has too."""


class CocoSource(BaseSource):
    """Reads `images`, `annotations` and `categories` as COCO instances, and all that is exported in this form.

    The shape is the polygon if there is one (a mask becomes its outline), otherwise the box. Keypoints are left out and
    counted.
    """

    def __init__(self, *, path: str, images: str | None = None, tolerance: float = 1.0) -> None:
        """Say where the annotations lie; nothing is read yet.

        Args:
            path: The annotation file, a folder with any number of them, or an archive of such a folder.
            images: Folder of the pictures; None for the folder of each annotation file.
            tolerance: How far in pixels the outline of a mask may be from the edges of its pixels; 0 follows each step.

        Raises:
            ValueError: The tolerance is negative.
        """
        super().__init__(path=path, images=images)
        if tolerance < 0:
            raise ValueError(f"tolerance must be at least 0 pixels, got {tolerance}")
        self.tolerance = tolerance
        self._pictures: int | None = None

    def read(self) -> Iterator[Annotated | Refused]:
        """Yield every picture, see `BaseSource.read`; annotations of pictures that are not there come last."""
        for path in self.files():
            if isinstance(path, Unreadable):
                yield Refused(self.place(path.path), path.code, path.message)
                continue
            file = self._open(path)
            if isinstance(file, Refused):
                yield file
                continue
            yield from self._pictures_of(file)
            yield from file.strays

    def size_hint(self) -> int | None:
        """Return the number of pictures once the only file is open."""
        return self._pictures if self.path.is_file() else None

    def file_name(self, image: Entry) -> str | None:
        """Return the path of a picture as its entry says, None if it says nothing."""
        name = image.get("file_name")
        return name if isinstance(name, str) and name.strip() else None

    def details(self, image: Entry, names: Mapping[object, str]) -> Mapping[str, object]:
        """Return what else of an entry of a picture goes into the metadata of its row.

        Args:
            image: The entry.
            names: Name of each category by its id.
        """
        return {"image_id": image["id"]} if "id" in image else {}

    def _open(self, path: Path) -> _File | Refused:
        content = read_json(path)
        if isinstance(content, Unreadable):
            return Refused(self.place(path), content.code, content.message)
        if not isinstance(content, dict) or not isinstance(content.get("images"), list):
            message = "expected an object with the lists images, annotations and categories"
            if path == self.path:
                raise RecordError(f"{path}: {message}; is it another format?")
            return Refused(self.place(path), "not_coco", message)
        file = _File(path, content["images"], _by_id(content.get("categories")))
        known = {key for key, names in self._names_by_id(file.images).items() if len(names) == 1 and None not in names}
        ids: set[object] = set()
        annotations = content.get("annotations")
        for index, entry in enumerate(annotations if isinstance(annotations, list) else ()):
            self._sort_in(file, index, entry, known, ids)
        self._pictures = len(file.images)
        return file

    def _names_by_id(self, images: Sequence[object]) -> dict[object, set[str | None]]:
        names: dict[object, set[str | None]] = defaultdict(set)
        for image in images:
            if isinstance(image, dict) and (key := _id(image)) is not None:
                names[key].add(self.file_name(image))
        return names

    def _sort_in(self, file: _File, index: int, entry: object, known: set[object], ids: set[object]) -> None:
        where = self.place(file.path, f"annotations[{index}]")
        if not isinstance(entry, dict):
            message = f"expected an object, got {shorten(entry)}"
            file.strays.append(Refused(where, "bad_annotation", message, kind="object"))
            return
        image = entry.get("image_id")
        if not isinstance(image, int | str) or image not in known:
            message = f"there is no picture with the id {shorten(image)}, or not exactly one with a name"
            file.strays.append(Refused(where, "unknown_image", message, came=entry.get("bbox"), kind="object"))
            return
        own = entry.get("id")
        if isinstance(own, int | str):
            if own in ids:
                file.twice.add(index)
            ids.add(own)
        file.by_image[image].append((index, entry))

    def _pictures_of(self, file: _File) -> Iterator[Annotated | Refused]:
        names = {key: str(entry["name"]) for key, entry in file.categories.items()}
        names_of = self._names_by_id(file.images)
        listed: set[object] = set()
        split = split_name(file.path.parent.name) or _split_of(file.path.stem)
        for index, image in enumerate(file.images):
            where = self.place(file.path, f"images[{index}]")
            key = _id(image)
            if key is None or not isinstance(image, dict):
                yield Refused(where, "bad_image", f"expected an object with an id, got {shorten(image)}")
                continue
            name = self.file_name(image)
            if name is None:
                yield Refused(where, "no_file_name", f"the entry does not say which file is meant, id {key}")
            elif len(names_of[key]) > 1:
                message = f"{len(names_of[key])} files have the id {key}: nobody knows whose objects are meant"
                yield Refused(where, "duplicate_id", message, came=name)
            elif key in listed:
                yield Refused(where, "duplicate_id", f"a picture with the id {key} came before", came=name)
            else:
                listed.add(key)
                yield self._picture(file, image, where, names, split)

    def _picture(
        self, file: _File, image: Entry, where: str, names: Mapping[object, str], split: str | None
    ) -> Annotated:
        objects: list[Annotation] = []
        refused: list[Refused] = []
        repairs: list[str] = []
        seen: list[Entry] = []
        size = (pixel_count(image.get("width")), pixel_count(image.get("height")))
        for index, entry in file.by_image.get(_id(image), ()):
            place = self.place(file.path, f"annotations[{index}]")
            if index in file.twice:
                if entry in seen:
                    refused.append(Refused(place, "duplicate_object", f"the same annotation, id {entry['id']}, again"))
                    continue
                repairs.append("duplicate_annotation_id")
            seen.append(entry)
            found = self._object(entry, file.categories, place, size, repairs)
            if isinstance(found, Refused):
                refused.append(found)
            else:
                objects.append(found)
        return Annotated(
            find_picture(self, file.path, [self.file_name(image) or ""], _beside(file.path)),
            where,
            tuple(objects),
            tuple(refused),
            *size,
            repairs=tuple(repairs),
            metadata=self.details(image, names),
            split=split,
        )

    def _object(
        self,
        entry: Entry,
        categories: Mapping[object, Entry],
        where: str,
        size: tuple[int | None, int | None],
        repairs: list[str],
    ) -> Annotation | Refused:
        category = categories.get(entry.get("category_id")) if _is_key(entry.get("category_id")) else None
        if category is None:
            message = f"there is no category with the id {shorten(entry.get('category_id'))}"
            return Refused(where, "unknown_category", message, came=entry.get("category_id"))
        if entry.get("keypoints"):
            repairs.append("keypoints_left_out")
        shape = self._shape(entry, size, repairs)
        if isinstance(shape, str):
            return Refused(where, "no_shape", shape, came=entry.get("bbox"))
        kind, parts = shape
        return Annotation(
            str(category["name"]),
            kind,
            parts,
            where,
            attributes=_attributes(entry),
            supercategory=str(category.get("supercategory") or ""),
            crowd=bool(entry.get("iscrowd")),
        )

    def _shape(
        self, entry: Entry, size: tuple[int | None, int | None], repairs: list[str]
    ) -> tuple[ShapeKind, tuple[tuple[float, ...], ...]] | str:
        """Return (kind, parts), or why there is none."""
        segmentation = entry.get("segmentation")
        parts: list[tuple[float, ...]] = []
        fault = "there is neither a polygon nor a box"
        if isinstance(segmentation, dict):
            parts, fault = self._mask(segmentation, size, repairs)
        elif isinstance(segmentation, list):
            parts, fault = _polygons(segmentation, repairs)
        if parts:
            return "poly", tuple(parts)
        box = entry.get("bbox")
        if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
            return fault
        if segmentation:
            repairs.append("bad_segmentation_to_box")
        x, y, width, height = map(float, box)
        return "bbox_2d", ((x, y, x + width, y + height),)

    def _mask(
        self, segmentation: Entry, size: tuple[int | None, int | None], repairs: list[str]
    ) -> tuple[list[tuple[float, ...]], str]:
        width, height = size
        if width is None or height is None:
            return [], "a mask needs the width and height of its picture"
        mask = read_rle(segmentation, width=width, height=height)
        if isinstance(mask, str):
            return [], mask
        parts, holes = mask_outlines(mask, tolerance=self.tolerance)
        repairs += ["mask_to_outline"] * bool(parts) + ["mask_hole_filled"] * holes
        return parts, "the mask is empty"


def _beside(file: Path) -> tuple[str, str]:
    """Return the folders beside that of a file in which its pictures may lie: val2017 for instances_val2017.json."""
    return "images", file.stem.rpartition("_")[2]


def _is_key(value: object) -> bool:
    return isinstance(value, int | str)


def _id(image: object) -> object:
    """Return the id of an entry, None if it has none."""
    key = image.get("id") if isinstance(image, dict) else None
    return key if _is_key(key) else None


def _by_id(categories: object) -> dict[object, Entry]:
    """Return the categories with a name by their ids, without those of which an id has two."""
    found: dict[object, Entry] = {}
    unsure: set[object] = set()
    for entry in categories if isinstance(categories, list) else ():
        key = _id(entry)
        if key is None or not isinstance(entry.get("name"), str) or not entry["name"].strip():
            continue
        if key in found and found[key]["name"] != entry["name"]:
            unsure.add(key)
        found.setdefault(key, entry)
    return {key: entry for key, entry in found.items() if key not in unsure}


def _split_of(stem: str) -> str | None:
    """Return the split that the name of a file tells, such as val of instances_val2017."""
    words = (word.rstrip("0123456789") for word in stem.replace("-", "_").replace(".", "_").split("_"))
    return next((split for word in words if (split := split_name(word))), None)


def _polygons(segmentation: Sequence[object], repairs: list[str]) -> tuple[list[tuple[float, ...]], str]:
    """Return the parts that are polygons, and what to say if there are none."""
    flat = bool(segmentation) and all(map(is_number, segmentation))
    given: Sequence[object] = [segmentation] if flat else segmentation
    parts: list[tuple[float, ...]] = []
    for part in given:
        values = [number(value) for value in part] if isinstance(part, list) else []
        if len(values) >= 6 and len(values) % 2 == 0 and None not in values:
            parts.append(tuple(value for value in values if value is not None))
        elif parts or len(given) > 1:
            repairs.append("bad_part_left_out")
    return parts, "no part of the segmentation is an even count of at least 6 numbers"


def _attributes(entry: Entry) -> dict[str, str]:
    """Return the attributes that some tools write beside the shape."""
    given = entry.get("attributes")
    if not isinstance(given, dict):
        return {}
    return {str(name): _word(value) for name, value in given.items() if isinstance(value, str | int | float)}


def _word(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
