"""Axes of plots: where a value lies, where the ticks are, and fewer points where a line has too many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qvl.sweep.job import Point

__all__ = ["Axis", "make_axis", "thin"]

_LOG_FROM = 20.0  # largest to smallest value from which a logarithmic axis is easier to read
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Axis:
    """An interval of values on an interval of pixels.

    Attributes:
        low: Value at its start.
        high: Value at its end, more than low.
        start: Pixel of low.
        end: Pixel of high; less than start on an axis that goes up.
        is_log: Whether equal ratios are equally long.
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Return the pixel of a value."""
        low, high, at = (math.log10(x) if self.is_log else x for x in (self.low, self.high, value))
        return self.start + (self.end - self.start) * (at - low) / (high - low)

    def ticks(self, most: int = 6) -> list[float]:
        """Return round values on the axis, rising, at most `most` of them (at least 2)."""
        return self._powers(most) if self.is_log else _round_values(self.low, self.high, most)

    def _powers(self, most: int) -> list[float]:
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        count = last - first + 1
        if count < 2:
            return [self.low, self.high]
        return [10.0**power for power in range(first, last + 1, math.ceil(count / most))]


def make_axis(values: Sequence[float], start: float, end: float, *, may_be_log: bool = False) -> Axis:
    """Return an axis that holds all values, with some room at its ends.

    Args:
        values: Finite numbers; may be empty.
        start: Pixel at which it begins.
        end: Pixel at which it ends.
        may_be_log: Allows a logarithmic axis for positive values that are far apart.
    """
    low, high = min(values, default=0.0), max(values, default=1.0)
    if may_be_log and low > 0 and high / low >= _LOG_FROM:
        room = (high / low) ** 0.06
        return Axis(low / room, high * room, start, end, is_log=True)
    span = high - low
    room = span * 0.06 if span > abs(high) * 1e-9 else max(abs(high) * 0.1, 1e-6)
    return Axis(low - room, high + room, start, end)


def thin(points: Sequence[Point], most: int) -> list[Point]:
    """Return at most `most` (at least 4) points of a line: the ends, and the lowest and highest of every stretch."""
    if len(points) <= most:
        return list(points)
    num_parts = (most - 2) // 2
    inner = points[1:-1]
    kept = [points[0]]
    for part in range(num_parts):
        stretch = inner[part * len(inner) // num_parts : (part + 1) * len(inner) // num_parts]
        extremes = {min(stretch, key=lambda point: point.value), max(stretch, key=lambda point: point.value)}
        kept += sorted(extremes)
    return [*kept, points[-1]]


def _round_values(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in _STEPS if step * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return [(first + number) * step for number in range(max(0, count))]
