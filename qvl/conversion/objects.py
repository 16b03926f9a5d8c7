"""The annotations of one picture to objects of a row, and those that are left out on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from qvl.conversion.annotated import Annotated, Annotation, Refused
from qvl.conversion.description import DescriptionTemplate
from qvl.conversion.frame import Frame
from qvl.conversion.shapes import ShapeSettings, make_shapes
from qvl.geometry import Shape

__all__ = ["CROWD_CHOICES", "Item", "Items", "ObjectSettings", "make_items"]

CROWD_CHOICES = ("drop", "keep")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSettings:
    """What becomes of objects.

    Attributes:
        template: How a description is written.
        labels: Category of the source to the word that is written for it.
        drop: Categories of the source whose objects are left out.
        crowd: drop or keep, of objects that stand for many at once.
        shapes: What becomes of shapes.
    """

    template: DescriptionTemplate
    labels: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()
    crowd: str = "drop"
    shapes: ShapeSettings = field(default_factory=ShapeSettings)


@dataclass(frozen=True, slots=True)
class Item:
    """An object on its way into a row.

    Attributes:
        annotation: Where it comes from.
        desc: Its description.
        shape: In pixel edges of the upright picture.
    """

    annotation: Annotation
    desc: str
    shape: Shape


@dataclass(slots=True)
class Items:
    """The objects of one picture.

    Attributes:
        kept: Those that go into the row.
        refused: Those that cannot be used.
        dropped: Those that were left out on request, with the reason: crowd or label.
        repairs: What was set right.
        num_added: Pieces of objects that were split, beyond the first.
    """

    kept: list[Item] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    dropped: list[tuple[str, Annotation]] = field(default_factory=list)
    repairs: Counter[str] = field(default_factory=Counter)
    num_added: int = 0


def make_items(annotated: Annotated, frame: Frame, settings: ObjectSettings) -> Items:
    """Return the objects of a picture; those that the importer refused are among the refused.

    Args:
        annotated: What the source says.
        frame: The way of its numbers to upright pixels.
        settings: What is wanted.
    """
    items = Items(refused=[*annotated.refused])
    for annotation in annotated.objects:
        if annotation.crowd and settings.crowd == "drop":
            items.dropped.append(("crowd", annotation))
        elif annotation.label in settings.drop:
            items.dropped.append(("label", annotation))
        else:
            _make(items, annotation, frame, settings)
    return items


def _make(items: Items, annotation: Annotation, frame: Frame, settings: ObjectSettings) -> None:
    desc = settings.template.write(annotation, label=settings.labels.get(annotation.label, annotation.label))
    if not desc:
        message = "nothing is left of the description: the object has no field of the template"
        items.refused.append(Refused(annotation.where, "empty_desc", message, came=annotation.label))
        return
    shaped = make_shapes(annotation, frame, settings.shapes)
    if isinstance(shaped, Refused):
        items.refused.append(shaped)
        return
    items.repairs.update(shaped.repairs)
    items.num_added += len(shaped.shapes) - 1
    items.kept += [Item(annotation, desc, shape) for shape in shaped.shapes]
