"""The three shapes an object may have: box, polygon, line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

import numpy as np
import numpy.typing as npt

Points: TypeAlias = npt.NDArray[np.float64]

COORDINATE_LIMIT: Final = 1e9
"""Largest magnitude of a coordinate; beyond it areas lose their meaning in float64."""


@dataclass(frozen=True, slots=True)
class Box:
    """Axis-aligned rectangle with a positive area.

    Attributes:
        x1: Left edge, pixel edges: x in [0, width].
        y1: Top edge, pixel edges: y in [0, height].
        x2: Right edge, > x1.
        y2: Bottom edge, > y1.

    Raises:
        ValueError: If a coordinate is not finite or too large, or the box is reversed or has no area.
    """

    key: ClassVar[str] = "bbox_2d"

    x1: float
    y1: float
    x2: float
    y2: float

    def __post_init__(self) -> None:
        if not all(abs(value) <= COORDINATE_LIMIT for value in self.flat()):
            raise ValueError(f"coordinates must be finite and at most {COORDINATE_LIMIT:g}, got {self.flat()}")
        if not (self.x1 < self.x2 and self.y1 < self.y2):
            raise ValueError(f"a box needs x1 < x2 and y1 < y2, got {self.flat()}")

    @property
    def points(self) -> Points:
        """(2, 2) float64: the top left and the bottom right corner, read-only."""
        points = np.array([[self.x1, self.y1], [self.x2, self.y2]], dtype=np.float64)
        points.setflags(write=False)
        return points

    def flat(self) -> tuple[float, ...]:
        """Return (x1, y1, x2, y2)."""
        return (self.x1, self.y1, self.x2, self.y2)

    def bounds(self) -> tuple[float, float, float, float]:
        """Return (x1, y1, x2, y2), the box itself."""
        return (self.x1, self.y1, self.x2, self.y2)


@dataclass(frozen=True, slots=True, eq=False)
class _Chain:
    """Vertices in order; what polygon and polyline share."""

    key: ClassVar[str]
    min_points: ClassVar[int]

    points: Points

    def __post_init__(self) -> None:
        points = np.array(self.points, dtype=np.float64) + 0.0  # a copy, and -0.0 becomes 0.0: equal values, equal hash
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < self.min_points:
            raise ValueError(f"points must have shape (P >= {self.min_points}, 2), got {points.shape}")
        if not (np.abs(points) <= COORDINATE_LIMIT).all():
            raise ValueError(f"coordinates must be finite and at most {COORDINATE_LIMIT:g}, got {points.tolist()}")
        points.setflags(write=False)
        object.__setattr__(self, "points", points)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Chain) or type(self) is not type(other):
            return NotImplemented
        return np.array_equal(self.points, other.points)

    def __hash__(self) -> int:
        return hash((self.key, self.points.tobytes()))

    def __reduce__(self) -> tuple[type[_Chain], tuple[Points]]:
        return type(self), (self.points,)  # through the constructor: pickled arrays come back writable

    def flat(self) -> tuple[float, ...]:
        """Return (x1, y1, x2, y2, ...)."""
        return tuple(self.points.ravel().tolist())

    def bounds(self) -> tuple[float, float, float, float]:
        """Return (x1, y1, x2, y2) of the smallest box around the points; its sides may be 0."""
        (x1, y1), (x2, y2) = self.points.min(axis=0).tolist(), self.points.max(axis=0).tolist()
        return (x1, y1, x2, y2)


@dataclass(frozen=True, slots=True, eq=False)
class Polygon(_Chain):
    """Closed ring of vertices; the last one is joined to the first.

    Any ring is held as it came: `canonical` orients it, `measures` states what a ring that crosses itself covers.
    Equal by value, usable as a key.

    Attributes:
        points: (P, 2) float64, read-only, pixel edges: x in [0, width], y in [0, height]; P >= 3.

    Raises:
        ValueError: If the shape of `points` is another, or a coordinate is not finite or too large.
    """

    key: ClassVar[str] = "poly"
    min_points: ClassVar[int] = 3


@dataclass(frozen=True, slots=True, eq=False)
class Polyline(_Chain):
    """Open chain of vertices.

    Points may coincide: a short line can shrink to one point of the grid. Equal by value, usable as a key.

    Attributes:
        points: (P, 2) float64, read-only, pixel edges: x in [0, width], y in [0, height]; P >= 2.

    Raises:
        ValueError: If the shape of `points` is another, or a coordinate is not finite or too large.
    """

    key: ClassVar[str] = "line"
    min_points: ClassVar[int] = 2


Shape: TypeAlias = Box | Polygon | Polyline

KEYS: Final[Mapping[str, type[Box] | type[Polygon] | type[Polyline]]] = {
    kind.key: kind for kind in (Box, Polygon, Polyline)
}
"""The key of each shape in records and answers."""


def shape_from_flat(key: str, numbers: Sequence[float]) -> Shape:
    """Build a shape from the flat list that stands in records and answers.

    Args:
        key: One of `KEYS`: "bbox_2d", "poly", "line".
        numbers: x1, y1, x2, y2, ...: 4 for a box with x1 < x2 and y1 < y2, an even count >= 6 for a polygon and
            >= 4 for a line.

    Returns:
        The shape, its numbers as float64.

    Raises:
        ValueError: If the key is unknown, the count does not fit, a number is not finite or too large, or a box is
            reversed or has no area.
    """
    if key not in KEYS:
        raise ValueError(f"unknown geometry {key!r}, allowed are {', '.join(KEYS)}")
    kind = KEYS[key]
    values = [_to_float(key, number) for number in numbers]
    if issubclass(kind, Box):
        if len(values) != 4:
            raise ValueError(f"{key} needs 4 numbers, got {len(values)}")
        return Box(*values)
    if len(values) % 2 or len(values) < 2 * kind.min_points:
        raise ValueError(f"{key} needs an even count of numbers >= {2 * kind.min_points}, got {len(values)}")
    return kind(np.array(values).reshape(-1, 2))


def _to_float(key: str, number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # an integer of hundreds of digits, which a model may well write
        raise ValueError(f"{key}: coordinates must be at most {COORDINATE_LIMIT:g}") from None
