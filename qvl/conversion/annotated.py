"""What an importer makes of one picture of a source, before anything is repaired or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Annotated", "Annotation", "Refused", "ShapeKind", "Unit"]

ShapeKind = Literal["bbox_2d", "poly", "line", "point"]

Unit = Literal["pixels", "share"]
"""`pixels`: of the declared size, or of the file where none is declared. `share`: x of the width, y of the height."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A picture or an object that cannot be used.

    Attributes:
        where: Its place in the source, such as `instances.json: annotations[12]`.
        code: Short stable name, to count and to filter by.
        message: What came and what was allowed.
        came: The value itself, as JSON, for whoever mends it.
        kind: What is lost, where that is not what its place says (`BaseSource.read` yields rows, an `Annotated` holds
            objects): `object` for one whose picture is not in the source, `archive_member`.
    """

    where: str
    code: str
    message: str
    came: object = None
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Annotation:
    """One object as it was annotated.

    Attributes:
        label: Its category in the words of the source.
        kind: Which shape `parts` describe. A point is no shape of a row; what becomes of it is a setting.
        parts: One flat list x1, y1, x2, y2, ... a part; several where an object is seen in pieces. Numbers may lie
            outside the picture, boxes may be reversed or empty: the pipeline repairs or refuses them.
        where: Its place in the source.
        attributes: Further words, in the order in which they are to be written; several values of one attribute are
            joined by `|`.
        supercategory: The group of the category, "" without one.
        crowd: Whether it stands for many objects at once.
        verbatim: Whether the values of `attributes` stand in the description as they are: `,`, `|` and `=` inside
            printed text too, which part a description.
    """

    label: str
    kind: ShapeKind
    parts: tuple[tuple[float, ...], ...]
    where: str
    attributes: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    supercategory: str = ""
    crowd: bool = False
    verbatim: bool = False


@dataclass(frozen=True, slots=True)
class Annotated:
    """One picture of a source.

    Attributes:
        image: Path of the picture as the source names it: below the folder of the pictures, or absolute.
        where: Its place in the source.
        objects: The objects that could be read.
        refused: The objects that could not.
        width: Width in pixels that the source declares; None if it declares none, or no height.
        height: Height in pixels that the source declares; None if it declares none, or no width.
        unit: Of the numbers in `objects`.
        repairs: A code for everything that the importer set right, once per occurrence.
        metadata: Goes into the row as it is.
        split: The split that the source puts it in, such as `val`; None if it says nothing.
        summary: One line about the picture, if the source has one.
    """

    image: str
    where: str
    objects: tuple[Annotation, ...]
    refused: tuple[Refused, ...] = ()
    width: int | None = None
    height: int | None = None
    unit: Unit = "pixels"
    repairs: tuple[str, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    split: str | None = None
    summary: str | None = None

    def __post_init__(self) -> None:
        """Take one side without the other for no size at all."""
        if self.width is None or self.height is None:
            object.__setattr__(self, "width", None)
            object.__setattr__(self, "height", None)
