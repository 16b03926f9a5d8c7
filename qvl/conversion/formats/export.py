"""The export of the labelling platform: one JSON file a picture, questions and answers for every object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from qvl.conversion.annotated import Annotated, Annotation, Refused
from qvl.conversion.files import read_json
from qvl.conversion.formats.documents import documents, find_picture
from qvl.conversion.formats.export_answers import Fault, describe
from qvl.conversion.formats.export_taxonomy import ExportTaxonomy
from qvl.conversion.formats.fields import pixel_count
from qvl.conversion.formats.json_values import Outline, flat_points, mapping
from qvl.conversion.source import BaseSource

__all__ = ["ExportSource"]

SUFFIXES = (".jpeg", ".jpg", ".png", ".webp", ".bmp", ".tif", ".tiff")
PICTURE_NAMES = (*(suffix.upper() for suffix in SUFFIXES), *reversed(SUFFIXES))
LABEL_QUESTION = "标签"
RINGS = ("Quad", "Square", "Polygon")
SHAPES = ("ExtentPolygon", *RINGS, "LineString")
GROUP_PREFIXES = ("组", "group_")

Members = tuple[Annotation, tuple[str, ...]]
"""An object and the groups that it is a member of."""


class ExportSource(BaseSource):
    """Annotations as the labelling platform exports them: every object is a shape with answers to questions.

    The picture has the stem of its JSON file. A file has `dataList` (boxes by two corners) or `markResult.features`
    (shapes like those of GeoJSON); if both hold objects, `dataList` counts. The answers become attributes as the
    taxonomy says.
    """

    template = "类别={category},{attributes}"

    def __init__(
        self,
        *,
        path: str,
        taxonomy: ExportTaxonomy,
        images: str | None = None,
        text_marks: str = "keep",
        lone_groups: str = "refuse",
        strict_questions: bool = False,
    ) -> None:
        """Say where the annotations lie and what the answers mean.

        Args:
            path: A JSON file, a folder with any number of them, or an archive of one.
            taxonomy: What the answers mean.
            images: Folder of the pictures; None for the folder of the annotations.
            text_marks: What becomes of `,`, `|` and `=` in printed text and remarks: `keep` them as they stand, or make
                them `wide`, so that a description can always be parted again.
            lone_groups: What becomes of a group with one member: `refuse` the picture, or `drop` the group.
            strict_questions: Whether an object with a question that the taxonomy does not know is refused; otherwise
                such questions are counted.

        Raises:
            ValueError: `text_marks` or `lone_groups` is something else.
        """
        super().__init__(path=path, images=images)
        if lone_groups not in ("refuse", "drop"):
            raise ValueError(f"lone_groups must be refuse or drop, got {lone_groups!r}")
        if text_marks not in ("keep", "wide"):
            raise ValueError(f"text_marks must be keep or wide, got {text_marks!r}")
        self.taxonomy = taxonomy
        self.text_marks = text_marks
        self.lone_groups = lone_groups
        self.strict_questions = strict_questions
        if taxonomy.category_key != "类别":
            self.template = f"{taxonomy.category_key}={{category}},{{attributes}}"

    def read(self) -> Iterator[Annotated | Refused]:
        """Yield the picture of every JSON file, sorted by path."""
        for document in documents(self, read_json):
            yield document if isinstance(document, Refused) else self._picture(*document)

    def size_hint(self) -> int:
        """Return the number of JSON files."""
        return len(self.files())

    def _picture(self, file: Path, content: object) -> Annotated | Refused:
        where = self.place(file)
        fields = mapping(content)
        listed, features = fields.get("dataList"), mapping(fields.get("markResult")).get("features")
        if not isinstance(listed, list) and not isinstance(features, list):
            return Refused(where, "not_an_export", "an export has a list `dataList` or `markResult.features`")
        key, entries = ("dataList", listed) if listed else ("markResult.features", features)
        entries = entries if isinstance(entries, list) else []
        repairs = ["features_ignored"] if listed and features else []
        found: list[Members] = []
        refused: list[Refused] = []
        for number, entry in enumerate(entries):
            read = self._object(mapping(entry), f"{where}: {key}[{number}]", repairs, has_corners=key == "dataList")
            if isinstance(read, Refused):
                refused.append(read)
            else:
                found.append(read)
        objects = self._with_groups(found, repairs)
        if isinstance(objects, str):
            return Refused(where, "lone_group", f"group {objects} has one member; a group has at least two", objects)
        info = mapping(fields.get("info"))
        width, height = pixel_count(info.get("width")), pixel_count(info.get("height"))
        return Annotated(
            image=find_picture(self, file, [f"{file.stem}{suffix}" for suffix in PICTURE_NAMES], ("images",)),
            where=where,
            objects=tuple(objects),
            refused=tuple(refused),
            width=width,
            height=height,
            repairs=tuple(repairs),
        )

    def _object(
        self, entry: Mapping[str, object], where: str, repairs: list[str], *, has_corners: bool
    ) -> Members | Refused:
        """Read one object; what was set right is added to `repairs` if it can be used."""
        properties = mapping(entry.get("properties"))
        answers, codes = (_answers(mapping(properties.get(key))) for key in ("contentZh", "content"))
        label, name = ("".join(source.get(key, ())) for source, key in ((codes, "label"), (answers, LABEL_QUESTION)))
        kind = self.taxonomy.find_type(label, name)
        if kind is None:
            known = ", ".join(self.taxonomy.types)
            return Refused(where, "unknown_type", f"the taxonomy has the types {known}", label or name)
        outline = _corners(entry) if has_corners else _outline(mapping(entry.get("geometry")))
        if isinstance(outline, Fault):
            return Refused(where, outline.code, outline.message, outline.came)
        said = {question: items for question, items in answers.items() if question != LABEL_QUESTION}
        described = describe(kind, self.taxonomy, answers=said, codes=codes, strict=self.strict_questions)
        if isinstance(described, Fault):
            return Refused(where, described.code, described.message, described.came)
        shape, parts, mended = outline
        repairs += [*mended, *described.repairs]
        groups = _groups(properties.get("groups"))
        verbatim = self.text_marks == "keep"
        return Annotation(described.category, shape, parts, where, described.attributes, verbatim=verbatim), groups

    def _with_groups(self, found: Sequence[Members], repairs: list[str]) -> list[Annotation] | str:
        """Write the groups into the attributes; return the name of a group with one member if that is refused."""
        key = self.taxonomy.group_key
        if key is None:
            repairs += ["groups_ignored"] * sum(bool(groups) for _, groups in found)
            return [annotation for annotation, _ in found]
        sizes = Counter(group for _, groups in found for group in groups)
        lone = [group for group, count in sizes.items() if count == 1]
        if lone and self.lone_groups == "refuse":
            return lone[0]
        repairs += ["lone_group"] * len(lone)
        return [_in_groups(annotation, key, [one for one in groups if one not in lone]) for annotation, groups in found]


def _in_groups(annotation: Annotation, key: str, groups: Sequence[str]) -> Annotation:
    return replace(annotation, attributes={**annotation.attributes, key: tuple(groups)}) if groups else annotation


def _groups(value: object) -> tuple[str, ...]:
    """Return the groups of an object, each once: the id, or else the number in the name."""
    names = []
    for entry in map(mapping, value if isinstance(value, list) else []):
        name = _text(entry.get("id")) or _text(entry.get("name"))
        for prefix in GROUP_PREFIXES:
            name = name.removeprefix(prefix)
        names.append("".join(name.split()))
    return tuple(dict.fromkeys(name for name in names if name))


def _answers(content: Mapping[str, object]) -> dict[str, list[str]]:
    """Return the answers by question; those that are null or blank are left out."""
    told: dict[str, list[str]] = {}
    for question, value in content.items():
        items = (_text(item) for item in (value if isinstance(value, list) else [value]))
        told.setdefault(question.strip(), []).extend(text for text in items if text)
    return {question: items for question, items in told.items() if items}


def _text(value: object) -> str:
    """Return an answer as text; what is nested stays a value that no taxonomy knows."""
    match value:
        case str():
            return value.strip()
        case None:
            return ""
        case float():
            return f"{value:.15g}"
        case dict() | list():
            return "{...}" if isinstance(value, dict) else "[...]"
        case _:
            return str(value)


def _corners(entry: Mapping[str, object]) -> Outline | Fault:
    points = flat_points(entry.get("coordinates"))
    if points is None or len(points) != 4:
        return Fault("bad_shape", "`coordinates` has to be two points [[x, y], [x, y]]", entry.get("coordinates"))
    return "bbox_2d", (points,), ()


def _outline(geometry: Mapping[str, object]) -> Outline | Fault:
    """Return the shape of a feature, its points in the order of the file."""
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind not in SHAPES:
        return Fault("unknown_shape", f"shapes are {', '.join(SHAPES)}", kind)
    ring, holes = _ring(coordinates) if kind != "LineString" else (coordinates, 0)
    points = flat_points(ring)
    if points is None:
        return Fault("bad_shape", f"{kind} has to be a list of points [x, y]", coordinates)
    mended = ("holes_ignored",) * holes
    if kind == "ExtentPolygon":
        box = (min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2]))
        is_box = {*points[::2]} <= {box[0], box[2]} and {*points[1::2]} <= {box[1], box[3]}
        return "bbox_2d", (box,), (*mended, *(() if is_box else ("box_from_outline",)))
    kept = _without_repeats(points)
    repeated = ("point_repeated",) * ((len(points) - len(kept)) // 2)
    return "line" if kind == "LineString" else "poly", (kept,), (*mended, *repeated)


def _ring(coordinates: object) -> tuple[object, int]:
    """Return the outer ring and the number of further ones; rings may also come without a list around them."""
    if isinstance(coordinates, list) and coordinates and isinstance(coordinates[0], list):
        first = coordinates[0]
        if first and isinstance(first[0], list):
            return first, len(coordinates) - 1
    return coordinates, 0


def _without_repeats(points: tuple[float, ...]) -> tuple[float, ...]:
    """Leave out every point that equals the one before it."""
    pairs = list(zip(points[::2], points[1::2], strict=True))
    kept = [pair for number, pair in enumerate(pairs) if number == 0 or pair != pairs[number - 1]]
    return tuple(value for pair in kept for value in pair)
