"""A picture with its annotations, as transforms see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np

from qvl.augmentation.view import View
from qvl.geometry import Matrix, Seen, scaling
from qvl.records import ObjectRecord, Record

__all__ = ["MIN_COVERAGE", "PixelOp", "Sample"]

PixelOp: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""(H, W, 3) uint8 RGB to a new one of the same size; can be pickled."""

MIN_COVERAGE = 0.3


@dataclass(frozen=True, eq=False)
class Sample:
    """A record on a canvas. A transform moves the view of the canvas; shapes and pixels follow when they are asked for.

    Shapes always start from the annotation and go through one matrix, so rounding does not add up, and a box that is
    turned and turned back is a box again. The region that may be seen only ever loses parts, so an object that has left
    never comes back.

    Attributes:
        annotated: All objects in pixel edges of the source picture, also those that are no longer seen.
        view: Where the canvas looks at the source picture.
        pixel_ops: Applied to the rendered pixels, the first one first.
        min_coverage: An object of which a smaller share is seen is not in `record`.
    """

    annotated: Record
    view: View
    pixel_ops: tuple[PixelOp, ...] = ()
    min_coverage: float = MIN_COVERAGE

    @classmethod
    def of(cls, record: Record, *, min_coverage: float = MIN_COVERAGE) -> Sample:
        """Return the sample of a record as it was annotated.

        Args:
            record: Width and height are those of its picture.
            min_coverage: See the attribute; `Compose` sets its own.
        """
        return cls(record, View.of(record.width, record.height), min_coverage=min_coverage)

    @cached_property
    def seen(self) -> tuple[Seen, ...]:
        """What the canvas shows of each annotated object; shape None where that is too little."""
        return self.view.see([item.shape for item in self.annotated.objects], min_coverage=self.min_coverage)

    @cached_property
    def record(self) -> Record:
        """The objects that are seen, in pixel edges of the canvas; width and height are those of the canvas."""
        if self.view.is_source:
            return self.annotated
        pairs = zip(self.annotated.objects, self.seen, strict=True)
        objects = tuple(ObjectRecord(item.desc, seen.shape) for item, seen in pairs if seen.shape is not None)
        return replace(self.annotated, objects=objects, width=self.view.width, height=self.view.height)

    @property
    def changed(self) -> bool:
        """Whether rendering gives anything but the source picture."""
        return bool(self.pixel_ops) or not self.view.is_source

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the picture is left, or none of the annotated objects."""
        if not len(self.view.region):
            return True
        shapes = [item.shape for item in self.annotated.objects]
        if not shapes or self.view.shows_any_whole(shapes):
            return False
        return all(item.shape is None for item in self.seen)

    def moved(self, matrix: Matrix, *, width: int | None = None, height: int | None = None) -> Sample:
        """Return the sample after one more move.

        Args:
            matrix: (3, 3), from pixel edges of the present canvas to those of the new one.
            width: Width of the new canvas in pixels; None keeps it.
            height: Height of the new canvas in pixels; None keeps it.

        Raises:
            ValueError: A canvas without pixels, or a matrix that sends a part of the picture to infinity.
        """
        return replace(self, view=self.view.moved(matrix, width=width, height=height))

    def resized(self, width: int, height: int) -> Sample:
        """Return the sample stretched to another size of the canvas; no object leaves.

        Args:
            width: Width of the new canvas in pixels, >= 1.
            height: Height of the new canvas in pixels, >= 1.
        """
        matrix = scaling(width / self.view.width, height / self.view.height)
        return self.moved(matrix, width=width, height=height)

    def with_pixels(self, op: PixelOp) -> Sample:
        """Return the sample with one more operation on its rendered pixels."""
        return replace(self, pixel_ops=(*self.pixel_ops, op))

    def deferred(self) -> Sample:
        """Return the sample whose moves cut nothing away until `cut` or `settled`."""
        return replace(self, view=replace(self.view, deferred=True))

    def cut(self) -> Sample:
        """Return the sample cut at the edges of its canvas."""
        return replace(self, view=self.view.cut())

    def settled(self) -> Sample:
        """Return the sample cut at the edges of its canvas, whose moves cut from now on."""
        return replace(self, view=replace(self.view.cut(), deferred=False))
