"""The order in which objects are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qvl.geometry import Box, Polygon, Polyline
from qvl.records.record import ObjectRecord


def _top_left(item: ObjectRecord) -> tuple[float, ...]:
    """Return (y, x) of the point that the shape starts with in its canonical form."""
    match item.shape:
        case Box(x1, y1):
            return y1, x1
        case Polygon(points):
            return min((y, x) for x, y in points.tolist())
        case Polyline(points):
            x, y = min(points[0].tolist(), points[-1].tolist())
            return y, x


def _center(item: ObjectRecord) -> tuple[float, ...]:
    x1, y1, x2, y2 = item.shape.bounds()
    return (y1 + y2) / 2, (x1 + x2) / 2


def _as_given(item: ObjectRecord) -> tuple[float, ...]:
    return ()


_POLICIES: dict[str, Callable[[ObjectRecord], tuple[float, ...]]] = {
    "tlbr": _top_left,
    "center": _center,
    "none": _as_given,
}

ORDER_POLICIES = tuple(_POLICIES)
"""Names that `order_objects` takes."""


def order_objects(objects: Sequence[ObjectRecord], policy: str = "tlbr") -> tuple[ObjectRecord, ...]:
    """Return the objects in reading order; equal keys keep the given order.

    Args:
        objects: Objects of one picture, shapes in any form.
        policy: `tlbr`: top to bottom, then left to right, by the first canonical point (a box's top left corner, a
            polygon's smallest (y, x) vertex, a line's start). `center`: by the centre of the bounds. `none`: as given.

    Raises:
        ValueError: `policy` is not one of `ORDER_POLICIES`.
    """
    if policy not in _POLICIES:
        raise ValueError(f"order must be one of {', '.join(ORDER_POLICIES)}, got {policy!r}")
    return tuple(sorted(objects, key=_POLICIES[policy]))
