"""LabelMe: one JSON file a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from qvl.conversion.annotated import Annotated, Annotation, Refused, ShapeKind
from qvl.conversion.files import read_json
from qvl.conversion.formats.documents import documents, find_picture
from qvl.conversion.formats.fields import pixel_count
from qvl.conversion.formats.json_values import as_words, flat_points, mapping
from qvl.conversion.formats.outlines import circle
from qvl.conversion.source import BaseSource

__all__ = ["LabelmeSource"]

EXTRAS = ("flags", "description", "group_id")
PICTURE_FOLDERS = ("images", "Images")
KINDS: dict[str, ShapeKind] = {
    "polygon": "poly",
    "oriented_rectangle": "poly",
    "rotation": "poly",  # a turned box, and a free one, of tools that write LabelMe's files
    "quadrilateral": "poly",
    "line": "line",
    "linestrip": "line",
    "point": "point",
}
SHAPES = (*KINDS, "rectangle", "circle")


class LabelmeSource(BaseSource):
    """Annotations of LabelMe, and of tools that write its JSON files.

    A circle becomes a polygon of the same area. Masks are refused. `imageData`, the picture inside the file, is
    ignored.
    """

    def __init__(
        self,
        *,
        path: str,
        images: str | None = None,
        merge_groups: bool = False,
        extras: Sequence[str] = ("flags", "description"),
    ) -> None:
        """Say where the annotations lie.

        Args:
            path: A JSON file, a folder with any number of them, or an archive of one.
            images: Folder of the pictures; None for the folder of the annotations.
            merge_groups: Whether shapes with one label, one kind and one `group_id` are the parts of one object.
            extras: Which of flags (those that are set), description and group_id become attributes.

        Raises:
            ValueError: An extra is none of the three.
        """
        super().__init__(path=path, images=images)
        if unknown := set(extras) - set(EXTRAS):
            raise ValueError(f"extras must be among {', '.join(EXTRAS)}, got {', '.join(sorted(unknown))}")
        self.merge_groups = merge_groups
        self.extras = tuple(extras)
        self._hint: int | None = None

    def read(self) -> Iterator[Annotated | Refused]:
        """Yield the picture of every JSON file, sorted by path."""
        for document in documents(self, read_json):
            yield document if isinstance(document, Refused) else self._picture(*document)

    def size_hint(self) -> int:
        """Return the number of JSON files."""
        if self._hint is None:
            self._hint = len(self.files())
        return self._hint

    def _picture(self, file: Path, content: object) -> Annotated | Refused:
        where = self.place(file)
        match content:
            case {"shapes": [*shapes], "imagePath": str(name), **rest} if name.strip():
                pass
            case _:
                return Refused(where, "not_labelme", "a LabelMe file has a list `shapes` and a text `imagePath`")
        path = name.strip().replace("\\", "/")
        objects, refused, repairs = self._objects(shapes, where)
        width, height = pixel_count(rest.get("imageWidth")), pixel_count(rest.get("imageHeight"))
        flags = _flags(rest.get("flags"))
        return Annotated(
            image=find_picture(self, file, [path], PICTURE_FOLDERS),
            where=where,
            objects=tuple(objects),
            refused=tuple(refused),
            width=width,
            height=height,
            repairs=(*repairs, *(["backslashes"] if "\\" in name else [])),
            metadata={"flags": list(flags)} if flags else {},
        )

    def _objects(self, shapes: Sequence[object], where: str) -> tuple[list[Annotation], list[Refused], list[str]]:
        """Read all shapes of a picture; those of one group are put together on request."""
        objects: dict[object, Annotation] = {}
        refused: list[Refused] = []
        repairs: list[str] = []
        for count, shape in enumerate(shapes):
            found = _read_shape(shape, f"{where}: shapes[{count}]", self.extras)
            if isinstance(found, Refused):
                refused.append(found)
                continue
            key = self._group(shape, found) or count
            if key in objects:
                first = objects[key]
                parts = (*first.parts, *found.parts)
                found = Annotation(first.label, first.kind, parts, first.where, first.attributes)
                repairs.append("group_merged")
            objects[key] = found
            if isinstance(shape, Mapping) and shape.get("shape_type") == "circle":
                repairs.append("circle_outlined")
        return list(objects.values()), refused, repairs

    def _group(self, shape: object, found: Annotation) -> tuple[str, str, str] | None:
        """Return what shapes of one object have in common; None for a shape that stands alone."""
        group = shape.get("group_id") if isinstance(shape, Mapping) else None
        return (found.label, found.kind, str(group)) if self.merge_groups and group is not None else None


def _read_shape(shape: object, where: str, extras: Sequence[str]) -> Annotation | Refused:
    if not isinstance(shape, Mapping):
        return Refused(where, "bad_shape", "a shape is a JSON object", shape)
    label = shape.get("label")
    if not isinstance(label, str) or not label.strip():
        return Refused(where, "no_label", "`label` must be a text that is not empty", label)
    named = shape.get("shape_type") or "polygon"  # the first files of LabelMe knew polygons only
    if named == "mask":
        return Refused(where, "mask", "masks are not read; draw the object as a polygon", label)
    if named not in SHAPES:
        return Refused(where, "unknown_shape", f"`shape_type` must be one of {', '.join(SHAPES)}", named)
    flat = flat_points(shape.get("points"))
    if flat is None:
        return Refused(where, "bad_points", "`points` must be a list of [x, y]", shape.get("points"))
    outline = _outline(str(named), flat)
    if isinstance(outline, str):
        return Refused(where, "bad_points", outline, shape.get("points"))
    kind, numbers = outline
    return Annotation(label.strip(), kind, (numbers,), where, _attributes(shape, extras))


def _outline(named: str, flat: tuple[float, ...]) -> tuple[ShapeKind, tuple[float, ...]] | str:
    """Return the kind and the numbers of a shape, or what is wrong with it."""
    count = len(flat) // 2
    if named == "circle":
        if count != 2:
            return f"a circle has 2 points, its centre and one on its edge, got {count}"
        if not all(map(math.isfinite, flat)):
            return f"a circle needs finite numbers, got {flat}"
        return "poly", circle(flat[0], flat[1], math.dist(flat[:2], flat[2:]))
    if named == "rectangle":
        xs, ys = sorted(set(flat[::2])), sorted(set(flat[1::2]))
        if count == 4 and len(xs) <= 2 and len(ys) <= 2:  # all corners, as some tools write them
            return "bbox_2d", (xs[0], ys[0], xs[-1], ys[-1])
        if count != 2:
            return f"a rectangle has 2 opposite corners, or 4 along the axes, got {count} points"
        return "bbox_2d", flat
    if named == "point" and count != 1:
        return f"a point has 1 point, got {count}"
    return KINDS[named], flat


def _flags(value: object) -> dict[str, str]:
    """Return the flags that are set."""
    return {name: text for name, text in as_words(mapping(value)).items() if text == "true"}


def _attributes(shape: Mapping[str, object], extras: Sequence[str]) -> dict[str, str]:
    """Return flags, description and group as far as they are wanted, and the attributes that other tools add."""
    flags = _flags(shape.get("flags")) if "flags" in extras else {}
    own = as_words({name: shape.get(name) for name in ("description", "group_id") if name in extras})
    return {**flags, **own, **as_words(mapping(shape.get("attributes")))}
