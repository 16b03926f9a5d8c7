"""Where the canvas looks at the source picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qvl.geometry import (
    Box,
    Matrix,
    Points,
    Polygon,
    Seen,
    Shape,
    apply,
    are_within,
    area,
    compose,
    cut_convex,
    identity,
    invert,
    rectangle,
    see,
    transform,
    transform_all,
)

__all__ = ["View", "is_in_front"]

_INVISIBLE = 0.5  # square pixels: less than this cannot be seen
_DUST = 1e-13  # what rounding leaves of a turn and its way back, as a share of the scale
_SAME_SHARE = 1e-9  # shares of an object that differ by less are the same


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The way from the source picture to the canvas, and what may be seen there.

    Attributes:
        matrix: (3, 3) float64, from pixel edges of the source picture to pixel edges of the canvas.
        width: Width of the canvas in pixels.
        height: Height of the canvas in pixels.
        region: (K, 2) convex polygon in pixel edges of the canvas: the part of the source picture that may be seen.
            What a canvas cut away once is outside it and stays grey. (0, 2): nothing is left.
        source: (width, height) of the source picture in pixels.
        deferred: False: every move cuts the region at the edges of its canvas. True: only `cut` does, so that a
            canvas that grows later shows what was pushed over an edge.
    """

    matrix: Matrix
    width: int
    height: int
    region: Points
    source: tuple[int, int]
    deferred: bool = False

    @classmethod
    def of(cls, width: int, height: int) -> View:
        """Return the view of a whole picture on a canvas of its own size.

        Args:
            width: Width of the picture in pixels, >= 1.
            height: Height of the picture in pixels, >= 1.
        """
        return cls(identity(), width, height, rectangle(width, height), (width, height))

    def moved(self, matrix: Matrix, *, width: int | None = None, height: int | None = None) -> View:
        """Return the view after one more move.

        Args:
            matrix: (3, 3), from the present canvas to the new one.
            width: Width of the new canvas in pixels; None keeps it.
            height: Height of the new canvas in pixels; None keeps it.

        Raises:
            ValueError: A canvas without pixels, or a matrix that sends a part of the source picture to infinity.
        """
        width = self.width if width is None else width
        height = self.height if height is None else height
        if width < 1 or height < 1:
            raise ValueError(f"a canvas needs at least one pixel, got {width} x {height}")
        total = _without_dust(compose(self.matrix, matrix))
        if not is_in_front(total, rectangle(*self.source)):
            raise ValueError(f"the matrix sends a part of the picture through the horizon: {matrix.tolist()}")
        region = apply(matrix, self.region) if len(self.region) else self.region
        view = replace(self, matrix=total, width=width, height=height, region=region)
        return view if self.deferred else view.cut()

    def cut(self) -> View:
        """Return the view whose region ends at the edges of the canvas."""
        sides = (self.width, self.height)
        if (self.region >= 0).all() and (self.region <= sides).all():
            return self
        return replace(self, region=cut_convex(self.region, rectangle(*sides)))

    def see(self, shapes: Sequence[Shape], *, min_coverage: float) -> tuple[Seen, ...]:
        """Return what the canvas shows of shapes of the source picture.

        Shares are measured in the source picture, where no later stretch of the canvas can change them.

        Args:
            shapes: Shapes in pixel edges of the source picture.
            min_coverage: Share of a shape, in [0, 1], below which nothing of it is returned.

        Returns:
            For each shape the part on the canvas, in its pixel edges, and the share that is seen.
        """
        region = self._region_of_source()
        whole = are_within(shapes, region)
        moved = transform_all([shape for shape, is_whole in zip(shapes, whole, strict=True) if is_whole], self.matrix)
        ready = map(self._clamped, moved)
        return tuple(
            Seen(next(ready), 1.0) if is_whole else self._see_part(shape, region, min_coverage)
            for shape, is_whole in zip(shapes, whole, strict=True)
        )

    def shows_any_whole(self, shapes: Sequence[Shape]) -> bool:
        """Tell quickly whether at least one shape of the source picture is certainly seen as a whole."""
        return any(are_within(shapes, self._region_of_source()))

    @property
    def is_source(self) -> bool:
        """Whether the canvas shows the source picture as it is."""
        same = (self.width, self.height) == self.source and np.array_equal(self.matrix, identity())
        return same and not self.hides_source

    @property
    def hides_source(self) -> bool:
        """Whether a part of the source picture lies on the canvas and may not be seen."""
        if not len(self.region):
            return True
        picture = apply(self.matrix, rectangle(*self.source))
        on_canvas = cut_convex(picture, rectangle(self.width, self.height))
        return len(on_canvas) > 0 and area(Polygon(on_canvas)) - area(Polygon(self.region)) > _INVISIBLE

    def _region_of_source(self) -> Points:
        return apply(invert(self.matrix), self.region) if len(self.region) else self.region

    def _see_part(self, shape: Shape, region: Points, min_coverage: float) -> Seen:
        if not len(region):
            return Seen(None, 0.0)
        seen = see(shape, region, min_coverage=max(min_coverage - _SAME_SHARE, 0.0))
        if seen.shape is None:
            return seen
        is_whole = seen.coverage >= 1 - _SAME_SHARE
        mapped = transform(shape if is_whole else seen.shape, self.matrix)
        return Seen(self._clamped(mapped), 1.0 if is_whole else seen.coverage)

    def _clamped(self, shape: Shape) -> Shape:
        """Take away what rounding put beyond an edge of the canvas, if it is one that cuts."""
        if self.deferred:
            return shape
        x1, y1, x2, y2 = shape.bounds()
        if x1 >= 0 and y1 >= 0 and x2 <= self.width and y2 <= self.height:
            return shape
        points = np.clip(shape.points, 0.0, (self.width, self.height))
        return Box(*points.ravel().tolist()) if isinstance(shape, Box) else type(shape)(points)


def is_in_front(matrix: Matrix, points: Points) -> bool:
    """Tell whether a matrix sends all points to finite places, none of them through infinity.

    Args:
        matrix: (3, 3).
        points: (P, 2).
    """
    return bool((points @ matrix[2, :2] + matrix[2, 2] > 1e-6).all())


def _without_dust(matrix: Matrix) -> Matrix:
    """Make a turn that was turned back exactly upright again."""
    linear = np.abs(matrix[:2, :2])
    clean = matrix.copy()
    clean[:2, :2][linear < _DUST * linear.max()] = 0.0
    return clean
