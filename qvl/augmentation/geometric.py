"""Mirrors, affine moves and perspective on a canvas that keeps its size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from qvl.augmentation.sample import Sample
from qvl.augmentation.transform import GeometricTransform, check_number
from qvl.augmentation.view import is_in_front
from qvl.geometry import (
    compose,
    mirror_x,
    mirror_y,
    perspective,
    rectangle,
    rotation,
    scaling,
    shearing,
    translation,
)
from qvl.records import Record

__all__ = ["HorizontalFlip", "Perspective", "Rotate", "Scale", "Shear", "Translate", "VerticalFlip"]

MAX_SHARE = 0.24
"""Corners that are displaced by less than a quarter of the sides always form a convex quadrangle."""


@dataclass(frozen=True, kw_only=True)
class _Flip(GeometricTransform):
    """A mirror that leaves samples alone whose words it would make wrong.

    Attributes:
        unless: Words that forbid the mirror where a description or the summary holds one. Words of ASCII letters count
            as whole words, upper or lower case; others, such as Chinese ones, wherever they stand.
    """

    unless: Sequence[str] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.unless, str) or not all(isinstance(word, str) and word.strip() for word in self.unless):
            raise ValueError(f"unless must be a list of words, got {self.unless!r}")
        object.__setattr__(self, "unless", tuple(self.unless))

    def refused(self, record: Record) -> bool:
        """Tell whether a description or the summary holds one of the words of `unless`."""
        if not self.unless:
            return False
        pattern = _any_word(tuple(self.unless))
        return any(pattern.search(text) for text in (*(item.desc for item in record.objects), record.summary or ""))


@dataclass(frozen=True, kw_only=True)
class HorizontalFlip(_Flip):
    """Mirrors left to right, to the pixel.

    Attributes:
        p: Share of the samples that are mirrored, in [0, 1].
        unless: Words of a description or summary that forbid it, see `_Flip`.
    """

    unless: Sequence[str] = ("left", "right", "左", "右")

    def _change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        return sample.moved(mirror_x(sample.view.width))


@dataclass(frozen=True, kw_only=True)
class VerticalFlip(_Flip):
    """Mirrors top to bottom, to the pixel.

    Attributes:
        p: Share of the samples that are mirrored, in [0, 1].
        unless: Words of a description or summary that forbid it, see `_Flip`.
    """

    p: float = 0.1
    unless: Sequence[str] = ("top", "bottom", "upper", "lower", "above", "below", "上", "下")

    def _change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        return sample.moved(mirror_y(sample.view.height))


@dataclass(frozen=True, kw_only=True)
class Rotate(GeometricTransform):
    """Turns about the centre of the canvas.

    Attributes:
        p: Share of the samples that are turned, in [0, 1].
        max_degrees: The angle is drawn from [-max_degrees, max_degrees]; in [0, 180].
    """

    crops: ClassVar[bool] = True

    max_degrees: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("max_degrees", self.max_degrees, 0.0, 180.0)

    def _change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        degrees = rng.uniform(-self.max_degrees, self.max_degrees)
        return sample.moved(rotation(degrees, about=_center(sample)))


@dataclass(frozen=True, kw_only=True)
class Scale(GeometricTransform):
    """Enlarges or shrinks about the centre; the canvas keeps its size.

    Attributes:
        p: Share of the samples that are scaled, in [0, 1].
        low: Smallest factor, in [0.05, high].
        high: Largest factor, at most 20; beyond 1 objects may leave at the edges.
    """

    crops: ClassVar[bool] = True

    low: float = 0.9
    high: float = 1.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("high", self.high, 0.05, 20.0)
        check_number("low", self.low, 0.05, self.high)

    def _change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        factor = rng.uniform(self.low, self.high)
        return sample.moved(scaling(factor, factor, about=_center(sample)))


@dataclass(frozen=True, kw_only=True)
class Translate(GeometricTransform):
    """Shifts by whole pixels, so that nothing is resampled.

    Attributes:
        p: Share of the samples that are shifted, in [0, 1].
        max_share: Largest shift as a share of each side, in [0, 0.9].
    """

    crops: ClassVar[bool] = True

    max_share: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("max_share", self.max_share, 0.0, 0.9)

    def _change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        across, down = rng.uniform(-self.max_share, self.max_share, size=2).tolist()
        return sample.moved(translation(round(across * sample.view.width), round(down * sample.view.height)))


@dataclass(frozen=True, kw_only=True)
class Shear(GeometricTransform):
    """Slants across and down, about the centre.

    Attributes:
        p: Share of the samples that are slanted, in [0, 1].
        max_degrees: Both angles are drawn from [-max_degrees, max_degrees]; in [0, 40].
    """

    crops: ClassVar[bool] = True

    max_degrees: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("max_degrees", self.max_degrees, 0.0, 40.0)

    def _change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        across, down = rng.uniform(-self.max_degrees, self.max_degrees, size=2).tolist()
        return sample.moved(shearing(across, down, about=_center(sample)))


@dataclass(frozen=True, kw_only=True)
class Perspective(GeometricTransform):
    """Moves the four corners of the canvas, each on its own; straight lines stay straight.

    A draw that would send a part of the source picture through the horizon does nothing; that takes a crop or a large
    zoom before it.

    Attributes:
        p: Share of the samples that are changed, in [0, 1].
        max_share: Largest displacement of a corner as a share of each side, in [0, 0.24].
    """

    crops: ClassVar[bool] = True

    max_share: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("max_share", self.max_share, 0.0, MAX_SHARE)

    def _change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        sides = (sample.view.width, sample.view.height)
        corners = rectangle(*sides)
        displacement = rng.uniform(-self.max_share, self.max_share, size=(4, 2)) * sides
        matrix = perspective(corners, corners + displacement)
        total = compose(sample.view.matrix, matrix)
        return sample.moved(matrix) if is_in_front(total, rectangle(*sample.view.source)) else sample


def _center(sample: Sample) -> tuple[float, float]:
    return sample.view.width / 2, sample.view.height / 2


@lru_cache(maxsize=64)
def _any_word(words: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern that finds any of the words; ASCII words only where no ASCII letter touches them."""
    parts = [rf"(?<![a-z]){re.escape(word)}(?![a-z])" if word.isascii() else re.escape(word) for word in words]
    return re.compile("|".join(parts), re.IGNORECASE)
