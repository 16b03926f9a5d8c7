"""Transforms that give the canvas another size without taking anything away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qvl.augmentation.sample import Sample
from qvl.augmentation.transform import GeometricTransform, check_number
from qvl.geometry import compose, round_half_up, scaling, translation

__all__ = ["ExpandToFit", "ResizeByScale", "fitted_size"]

_ROUNDING = 1e-6  # pixels


@dataclass(frozen=True, kw_only=True)
class ResizeByScale(GeometricTransform):
    """Stretches the canvas and all on it by one factor; the sides are rounded to whole pixels.

    Attributes:
        p: Share of the samples that are resized, in [0, 1].
        low: Smallest factor, in [0.05, high].
        high: Largest factor, at most 20.
        scales: Factors to choose from, instead of the range.
    """

    p: float = 1.0
    low: float = 0.8
    high: float = 1.2
    scales: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("high", self.high, 0.05, 20.0)
        check_number("low", self.low, 0.05, self.high)
        if self.scales is not None:
            if not len(self.scales):
                raise ValueError("scales must name a factor, or be null")
            for factor in self.scales:
                check_number("scales", factor, 0.05, 20.0)
            object.__setattr__(self, "scales", tuple(self.scales))

    def _change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if self.scales is None:
            factor = rng.uniform(self.low, self.high)
        else:
            factor = self.scales[int(rng.integers(len(self.scales)))]
        old_width, old_height = sample.view.width, sample.view.height
        width, height = max(round_half_up(old_width * factor), 1), max(round_half_up(old_height * factor), 1)
        return sample.moved(scaling(width / old_width, height / old_height), width=width, height=height)


@dataclass(frozen=True, kw_only=True)
class ExpandToFit(GeometricTransform):
    """Gives the canvas the size that shows everything: no corner of a turned picture is lost.

    It has to be the last geometric transform. `Compose` defers all cuts until then, so that what a turn or a shift
    pushed over an edge is still there; what a crop cut away is gone. The canvas is aligned by grey at the right and at
    the bottom.

    Attributes:
        p: Share of the samples that are fitted, in [0, 1].
        multiple: Both sides become multiples of this number of pixels; 1 aligns nothing.
        max_pixels: A larger canvas is shrunk, both sides by the same factor; null: no limit.
    """

    p: float = 1.0
    multiple: int = 32
    max_pixels: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("multiple", self.multiple, 1, 4096)
        if self.max_pixels is not None:
            check_number("max_pixels", self.max_pixels, self.multiple**2, math.inf)

    def _change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        region = sample.view.region
        if not len(region):
            return sample
        (x1, y1), (x2, y2) = region.min(axis=0).tolist(), region.max(axis=0).tolist()
        width, height, factor = fitted_size(x2 - x1, y2 - y1, multiple=self.multiple, max_pixels=self.max_pixels)
        matrix = compose(translation(-x1, -y1), scaling(factor, factor))
        return sample.moved(matrix, width=width, height=height)


def fitted_size(width: float, height: float, *, multiple: int, max_pixels: int | None = None) -> tuple[int, int, float]:
    """Return the smallest aligned canvas that holds a rectangle, shrunk if need be.

    Args:
        width: Width of the rectangle in pixels, > 0.
        height: Height of the rectangle in pixels, > 0.
        multiple: Both sides of the canvas are multiples of this.
        max_pixels: Largest area of the canvas, at least `multiple` squared; None: no limit.

    Returns:
        Width and height of the canvas, and the factor in (0, 1] by which the rectangle is shrunk to fit in:
        the largest that needs no more than `max_pixels`.
    """
    columns, rows, factor = _blocks(width, multiple), _blocks(height, multiple), 1.0
    if max_pixels is not None and columns * rows * multiple**2 > max_pixels:
        factor = _largest_factor(width / multiple, height / multiple, max_pixels // multiple**2)
        columns, rows = _blocks(width * factor, multiple), _blocks(height * factor, multiple)
    return columns * multiple, rows * multiple, factor


def _largest_factor(width: float, height: float, most: int) -> float:
    """Return the largest factor by which a rectangle of width x height blocks fits into `most` whole blocks."""
    columns = np.arange(1, min(most, math.ceil(width)) + 1)
    return float(np.minimum(columns / width, (most // columns) / height).max())


def _blocks(side: float, multiple: int) -> int:
    return max(math.ceil((side - _ROUNDING) / multiple), 1)
