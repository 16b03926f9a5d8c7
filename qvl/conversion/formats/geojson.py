"""GeoJSON whose numbers are pixels of a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from qvl.conversion.annotated import Annotated, Annotation, Refused, ShapeKind
from qvl.conversion.files import find_files, read_json
from qvl.conversion.finder import SUFFIXES
from qvl.conversion.formats.addresses import picture_path
from qvl.conversion.formats.documents import documents, find_picture
from qvl.conversion.formats.fields import pixel_count
from qvl.conversion.formats.json_values import LABEL_KEYS, Outline, as_text, as_words, flat_points, label_in, mapping
from qvl.conversion.source import BaseSource

__all__ = ["GeojsonSource"]

AXES = ("down", "up", "negative")
HOLES = ("ignore", "refuse")
IMAGE_KEYS = ("imagePath", "image", "image_path", "image_name", "file_name", "filename")
WIDTHS, HEIGHTS = ("imageWidth", "image_width", "width"), ("imageHeight", "image_height", "height")
CLASSIFICATION = "classification.name"
"""Where QuPath keeps the category."""

Entry = Mapping[str, object]


class GeojsonSource(BaseSource):
    """Features of one picture a file: polygons, lines, points, and several of a kind in one.

    The picture is named by a member or property such as `imagePath`, or by the file: the shapes of `a.jpg` lie in
    `a.geojson` or `a.jpg.geojson`. Coordinates are pixels, whatever `crs` says; a third one is left out.
    """

    suffixes = (".geojson", ".json")

    def __init__(
        self,
        *,
        path: str,
        images: str | None = None,
        label_key: str | None = None,
        label: str | None = None,
        image_key: str | None = None,
        y_axis: str = "down",
        holes: str = "ignore",
    ) -> None:
        """Say where the features lie and what their numbers mean.

        Args:
            path: A GeoJSON file, a folder with any number of them, or an archive of one.
            images: Folder of the pictures; None for the folder of the features.
            label_key: Property that is the category, with a dot for one inside another; None takes
                `classification.name`, label, category, class, name or type.
            label: Category of features that have none; None refuses them.
            image_key: Member of the collection, or property, that names the picture; None takes `imagePath`, `image`,
                `file_name` and the like.
            y_axis: down: from the top edge; up: from the bottom edge, needs a member `height`; negative: from the top
                edge downwards below 0.
            holes: ignore keeps the outer ring of a polygon, refuse refuses polygons with holes.

        Raises:
            ValueError: `y_axis` or `holes` is none of its choices.
        """
        super().__init__(path=path, images=images)
        if y_axis not in AXES:
            raise ValueError(f"y_axis must be one of {', '.join(AXES)}, got {y_axis!r}")
        if holes not in HOLES:
            raise ValueError(f"holes must be one of {', '.join(HOLES)}, got {holes!r}")
        self.label_keys: Sequence[str] = [label_key] if label_key else [CLASSIFICATION, "classification", *LABEL_KEYS]
        self.label = label
        self.image_keys: Sequence[str] = [image_key] if image_key else IMAGE_KEYS
        self.y_axis = y_axis
        self.holes = holes

    def read(self) -> Iterator[Annotated | Refused]:
        """Yield every picture, in the order of the files."""
        for document in documents(self, read_json):
            if isinstance(document, Refused):
                yield document
                continue
            file, content = document
            top, features = _features(content)
            if features is None:
                yield Refused(
                    self.place(file), "not_geojson", "expected a FeatureCollection, a Feature or a list of them"
                )
                continue
            groups: dict[str, list[tuple[int, Entry]]] = {} if features else {self._named(top, {}): []}
            for index, feature in enumerate(map(mapping, features)):
                groups.setdefault(self._named(top, mapping(feature.get("properties"))), []).append((index, feature))
            for name, group in groups.items():
                place = self.place(file, name if len(groups) > 1 else "")
                yield self._picture(file, top, name, group, place)

    def _named(self, top: Entry, properties: Entry) -> str:
        """Return the name of the picture of a feature, "" if none is given."""
        entries = (properties, top, mapping(top.get("properties")))
        return next((found[1] for entry in entries if (found := label_in(entry, self.image_keys))), "")

    def _picture(
        self, file: Path, top: Entry, name: str, features: Sequence[tuple[int, Entry]], where: str
    ) -> Annotated | Refused:
        found = self._image(file, name, where)
        if isinstance(found, Refused):
            return found
        image, repairs = found
        properties = [mapping(feature.get("properties")) for _, feature in features]
        wholes = (top, mapping(top.get("properties")))
        width = _side(wholes, WIDTHS) or _side(properties, WIDTHS[:-1])  # `width` of a feature is its own
        height = _side(wholes, HEIGHTS) or _side(properties, HEIGHTS[:-1])
        objects: list[Annotation] = []
        refused: list[Refused] = []
        for index, feature in features:
            outcome, codes = self._object(feature, height, f"{self.place(file)}: features[{index}]")
            repairs += codes
            if isinstance(outcome, Annotation):
                objects.append(outcome)
            else:
                refused.append(outcome)
        return Annotated(
            image=image,
            where=where,
            objects=tuple(objects),
            refused=tuple(refused),
            width=width,
            height=height,
            repairs=tuple(repairs),
        )

    def _image(self, file: Path, name: str, where: str) -> tuple[str, list[str]] | Refused:
        """Return the path of a picture, by its name or else by that of the file."""
        if name:
            found = picture_path(name)
            if found is None:
                return Refused(where, "no_picture_named", "the picture is part of the file, not a file of its own")
            return find_picture(self, file, [found[0]]), list(found[1])
        paths = self._stems.get(file.stem, [])
        mirrored = self.images / file.parent.relative_to(self.path) if self.path in file.parents else None
        near = [path for path in paths if path.parent in (file.parent, mirrored)]
        match near or paths:
            case [path]:
                return path.relative_to(self.images).as_posix(), []
            case []:
                message = f"no member names the picture, and {self.images} has none called {file.stem}"
                return Refused(where, "no_picture_named", message)
            case several:
                names = ", ".join(path.relative_to(self.images).as_posix() for path in several[:3])
                return Refused(where, "many_pictures", f"{len(several)} pictures have the name of the file: {names}")

    @cached_property
    def _stems(self) -> dict[str, list[Path]]:
        """Return the pictures by their names, with and without the ending."""
        found: dict[str, list[Path]] = {}
        for path in find_files(self.images, SUFFIXES):
            if isinstance(path, Path):
                found.setdefault(path.stem, []).append(path)
                found.setdefault(path.name, []).append(path)
        return found

    def _object(self, feature: Entry, height: int | None, where: str) -> tuple[Annotation | Refused, tuple[str, ...]]:
        came = {"geometry": feature.get("geometry"), "properties": feature.get("properties")}
        geometry = mapping(feature.get("geometry"))
        outline = _outline(as_text(geometry.get("type")), geometry.get("coordinates"))
        if isinstance(outline, str):
            return Refused(where, "unknown_shape", outline, came), ()
        kind, parts, codes = outline
        if codes and self.holes == "refuse":
            return Refused(where, "hole", "the polygon has a hole, and source.holes=refuse", came), ()
        if self.y_axis == "up" and height is None:
            return Refused(where, "no_height", "y_axis=up needs a member `height` of the collection", came), ()
        properties = mapping(feature.get("properties"))
        found = label_in(properties, self.label_keys)
        if found is None and self.label is None:
            return Refused(where, "no_label", "no property is the category; set source.label_key or label", came), ()
        key, label = found or ("", self.label or "")
        words = as_words(properties, without=(key.partition(".")[0], *self.image_keys, *WIDTHS[:-1], *HEIGHTS[:-1]))
        flipped = tuple(self._flipped(part, height or 0) for part in parts)
        return Annotation(label, kind, flipped, where, words), codes

    def _flipped(self, part: tuple[float, ...], height: int) -> tuple[float, ...]:
        """Return the numbers with y downwards from the top edge."""
        if self.y_axis == "down":
            return part
        zero = height if self.y_axis == "up" else 0
        return tuple(zero - value if index % 2 else value for index, value in enumerate(part))


def _features(content: object) -> tuple[Entry, list[object] | None]:
    """Return what holds the features, and the features; None for those if this is no GeoJSON."""
    match content:
        case {"type": "FeatureCollection", "features": [*features]}:
            return mapping(content), features
        case {"type": "Feature"}:
            return {}, [content]
        case [*features] if features and all(mapping(entry).get("type") == "Feature" for entry in features):
            return {}, features
        case _:
            return {}, None


def _side(entries: Sequence[Entry], keys: Sequence[str]) -> int | None:
    found = (pixel_count(entry.get(key)) for entry in entries for key in keys)
    return next((side for side in found if side is not None), None)


def _outline(kind: str, coordinates: object) -> Outline | str:
    """Return a shape, or why it is none."""
    pieces = coordinates if kind.startswith("Multi") else [coordinates]
    if not isinstance(pieces, list) or not pieces:
        return f"coordinates of a {kind} are a list that is not empty"
    match kind.removeprefix("Multi"):
        case "Polygon":
            rings = [piece[0] if isinstance(piece, list) and piece else None for piece in pieces]
            parts = [_opened(flat_points(ring)) for ring in rings]
            holes = sum(len(piece) - 1 for piece in pieces if isinstance(piece, list) and piece)
            return _whole("poly", parts, ("hole_ignored",) * holes)
        case "LineString":
            return _whole("line", [flat_points(piece) for piece in pieces], ())
        case "Point":
            return _whole("point", [flat_points([piece]) for piece in pieces], ())
        case _:
            return f"Polygon, LineString, Point and their Multi- forms are read, got {kind!r}"


def _whole(kind: ShapeKind, parts: Sequence[tuple[float, ...] | None], codes: tuple[str, ...]) -> Outline | str:
    found = tuple(part for part in parts if part is not None)
    return (kind, found, codes) if len(found) == len(parts) else "positions are lists of at least two numbers"


def _opened(ring: tuple[float, ...] | None) -> tuple[float, ...] | None:
    """Return a ring without the repeated vertex at its end, which GeoJSON asks for."""
    return ring[:-2] if ring is not None and len(ring) > 6 and ring[:2] == ring[-2:] else ring
