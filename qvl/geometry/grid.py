"""Pixels to the integer grid of the answers, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

GRIDS: Final[Mapping[str, int | None]] = {"none": None, "norm100": 100, "norm1000": 1000}
"""Number of grid cells along each side for every `emit_norm`; None: coordinates stay pixels."""


def round_half_up(value: float) -> int:
    """Round to the nearest integer, halves upwards: 0.5 -> 1, 1.5 -> 2, -0.5 -> 0.

    Unlike `floor(value + 0.5)` it is right for the largest float below 0.5 too.
    """
    whole = math.floor(value)
    return whole + (value - whole >= 0.5)


def to_grid(numbers: Sequence[float], *, width: float, height: float, grid: int) -> tuple[int, ...]:
    """Write pixel coordinates as grid numbers: round half up of x / width * grid, clamped to [0, grid].

    Args:
        numbers: x1, y1, x2, y2, ... in pixel edges.
        width: Width of the picture in pixels, > 0.
        height: Height of the picture in pixels, > 0.
        grid: Number of cells along each side, 100 or 1000.

    Returns:
        As many integers in [0, grid].

    Raises:
        ValueError: If the count is odd, or a size or the grid is not positive.
    """
    _check(numbers, width, height, grid)
    scaled = np.asarray(numbers, dtype=np.float64).reshape(-1, 2) / (width, height) * grid
    whole = np.floor(scaled)
    whole += scaled - whole >= 0.5  # as `round_half_up`
    return tuple(whole.clip(0, grid).astype(np.int64).ravel().tolist())


def from_grid(numbers: Sequence[float], *, width: float, height: float, grid: int) -> tuple[float, ...]:
    """Read grid numbers as pixel coordinates: x / grid * width.

    Args:
        numbers: x1, y1, x2, y2, ... in grid units.
        width: Width of the picture in pixels, > 0.
        height: Height of the picture in pixels, > 0.
        grid: Number of cells along each side, 100 or 1000.

    Returns:
        As many floats in pixel edges; `to_grid` of them gives whole `numbers` within [0, grid] back.

    Raises:
        ValueError: If the count is odd, or a size or the grid is not positive.
    """
    _check(numbers, width, height, grid)
    sides = (width, height) * (len(numbers) // 2)
    return tuple(number / grid * side for number, side in zip(numbers, sides, strict=True))


def _check(numbers: Sequence[float], width: float, height: float, grid: int) -> None:
    if len(numbers) % 2:
        raise ValueError(f"coordinates come in pairs, got {len(numbers)} numbers")
    if not (width > 0 and height > 0 and grid > 0):
        raise ValueError(f"width, height and grid must be positive, got {width}, {height} and {grid}")
