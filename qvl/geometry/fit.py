"""The size at which the model reads a picture."""

from __future__ import annotations

import math
from typing import Final

MAX_RATIO: Final = 200
"""Largest ratio of the long side to the short one that Qwen's image processor takes."""


def model_size(width: int, height: int, *, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """Return the size to which Qwen's `smart_resize` brings a picture.

    Both sides become multiples of `factor`, the area comes within the limits, the ratio of the sides stays about what
    it was. Where upstream would answer 0 for the short side of a long picture, it is one factor here and the long side
    is what then fits into `max_pixels`.

    Args:
        width: Pixels across, >= 1.
        height: Pixels down, >= 1.
        factor: Multiple of both sides: patch size times merge size, 32 for Qwen3-VL.
        min_pixels: Least area.
        max_pixels: Greatest area, at least `min_pixels` and one square of `factor`.

    Returns:
        (width, height). Of its own answer the function makes the same again if that lies within the limits; it does
        whenever `max_pixels` is at least 16 times `min_pixels`, while rounding to `factor` may overshoot closer limits.

    Raises:
        ValueError: If a number is too small, the limits are reversed, or the ratio of the sides is above 200, of those
            that come or of those that go: the image processor would refuse the picture.
    """
    if min(width, height, factor) < 1:
        raise ValueError(f"width, height and factor must be at least 1, got {width}, {height} and {factor}")
    if max_pixels < max(min_pixels, factor * factor):
        raise ValueError(
            f"max_pixels must be at least min_pixels ({min_pixels}) and {factor} x {factor}, got {max_pixels}"
        )
    _check_ratio(width, height)
    size = _rounded(width, height, factor, min_pixels, max_pixels)
    _check_ratio(*size)
    return size


def _rounded(width: int, height: int, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    columns, rows = max(round(width / factor), 1), max(round(height / factor), 1)
    pixels = columns * rows * factor * factor
    if pixels > max_pixels:
        shrink = math.sqrt((height * width) / max_pixels)
        most = max_pixels // (factor * factor)
        columns, rows = math.floor(width / shrink / factor), math.floor(height / shrink / factor)
        columns, rows = (columns, rows) if columns and rows else (min(max(columns, 1), most), min(max(rows, 1), most))
    elif pixels < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        columns, rows = math.ceil(width * grow / factor), math.ceil(height * grow / factor)
    return columns * factor, rows * factor


def _check_ratio(width: int, height: int) -> None:
    ratio = max(width, height) / min(width, height)
    if ratio > MAX_RATIO:
        raise ValueError(f"the ratio of the sides must be at most {MAX_RATIO}, got {ratio:g} ({width} x {height})")
