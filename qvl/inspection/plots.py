"""Plots of counts as inline SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Bar", "bars_of", "draw_bars", "draw_map", "escape", "fine_bars"]

WIDTH, HEIGHT = 460, 190
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 14, 30
MOST_BARS = 32
_WIDEST = 48.0
_STEPS = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes:
        label: What stands below it.
        count: How high it is.
        title: What is told when it is pointed at.
        is_marked: Whether it stands out.
    """

    label: str
    count: int
    title: str
    is_marked: bool = False


def escape(text: object) -> str:
    """Return text for HTML; what is not printable is written as its escape."""
    visible = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in str(text)
    )
    return html.escape(visible)


def bars_of(counts: dict[int, int], *, limit: int | None = None) -> list[Bar]:
    """Return bars of whole numbers, of equal and round width.

    Args:
        counts: Number to how often it came; not empty.
        limit: Bars that hold a greater number stand out.
    """
    low, high = min(counts), max(counts)
    step = _round_step((high - low + 1) / MOST_BARS)
    first = low // step
    heights = [0] * (high // step - first + 1)
    for value, count in counts.items():
        heights[value // step - first] += count
    return [
        _bar((first + place) * step, step, height, limit is not None and (first + place + 1) * step - 1 > limit)
        for place, height in enumerate(heights)
    ]


def fine_bars(counts: dict[int, int], *, upper: Callable[[int], float], tell: Callable[[float], str]) -> list[Bar]:
    """Return a bar for every bin from the least to the greatest one.

    Args:
        counts: Number of a bin to how much is in it; not empty.
        upper: Returns the upper bound of a bin.
        tell: Writes a bound.
    """
    places = range(min(counts), max(counts) + 1)
    return [
        Bar(tell(upper(place)), counts.get(place, 0), f"up to {tell(upper(place))}: {counts.get(place, 0):,}")
        for place in places
    ]


def draw_bars(name: str, bars: Sequence[Bar], *, unit: str) -> str:
    """Return a plot of bars beside each other.

    Args:
        name: What is counted.
        bars: At least one.
        unit: What stands below the plot.
    """
    most = max(max(bar.count for bar in bars), 1)
    wide = min((WIDTH - LEFT - RIGHT) / len(bars), _WIDEST)
    tall = HEIGHT - TOP - BOTTOM
    parts = list(_levels(most, tall))
    every = math.ceil(len(bars) * 44 / (WIDTH - LEFT - RIGHT))
    for place, bar in enumerate(bars):
        x, height = LEFT + place * wide, max(tall * bar.count / most, 1.0 if bar.count else 0.0)
        kind = ' class="over"' if bar.is_marked else ""
        parts.append(
            f'<rect{kind} x="{x + 0.5:.1f}" y="{HEIGHT - BOTTOM - height:.1f}" width="{max(wide - 1, 0.8):.1f}" '
            f'height="{height:.1f}"><title>{escape(bar.title)}</title></rect>'
        )
        if place % every == 0:
            parts.append(
                f'<text x="{x + wide / 2:.1f}" y="{HEIGHT - BOTTOM + 14}" class="middle">{escape(bar.label)}</text>'
            )
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 3}" class="middle name">{escape(unit)}</text>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)}">{"".join(parts)}</svg>'


def draw_map(name: str, cells: npt.NDArray[np.int64]) -> str:
    """Return a square map of counts.

    Args:
        name: What is counted.
        cells: (N, N) counts, rows from top to bottom.
    """
    most, count = max(int(cells.max()), 1), len(cells)
    side = HEIGHT - 2 * TOP
    parts = [f'<rect class="frame" x="{TOP}" y="{TOP}" width="{side}" height="{side}"/>']
    for (row, column), value in np.ndenumerate(cells):
        if value:
            place = f'x="{TOP + side * column / count:.2f}" y="{TOP + side * row / count:.2f}"'
            edge = f'width="{side / count + 0.05:.2f}" height="{side / count + 0.05:.2f}"'
            shade = 0.08 + 0.92 * math.sqrt(int(value) / most)
            parts.append(f'<rect {place} {edge} fill-opacity="{shade:.2f}"><title>{int(value):,}</title></rect>')
    head = f'<svg class="map" viewBox="0 0 {HEIGHT} {HEIGHT}" role="img" aria-label="{escape(name)}">'
    return f"{head}{''.join(parts)}</svg>"


def _bar(start: int, step: int, height: int, is_marked: bool) -> Bar:
    span = f"{start:,}" if step == 1 else f"{start:,} to {start + step - 1:,}"
    return Bar(_short(start), height, f"{span}: {height:,}", is_marked)


def _round_step(least: float) -> int:
    power = 1
    while 10 * power < least:
        power *= 10
    return next(step * power for step in _STEPS if step * power >= least)


def _levels(most: int, tall: int) -> Iterator[str]:
    """Yield three lines across with their counts."""
    step = _round_step(most / 3)
    for value in range(0, most + 1, step):
        y = HEIGHT - BOTTOM - tall * value / most
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" class="end">{_short(value)}</text>'


def _short(value: int) -> str:
    for size, letter in ((1_000_000, "M"), (10_000, "k")):
        if abs(value) >= size:
            return f"{value / (1000 if letter == 'k' else size):g}{letter}"
    return str(value)
