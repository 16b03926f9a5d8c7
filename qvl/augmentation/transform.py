"""What a transform is, and what all of them share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from qvl.augmentation.sample import Sample
from qvl.records import Record

__all__ = ["GeometricTransform", "RandomTransform", "Transform", "check_number"]


class Transform(Protocol):
    """Changes a sample; all that is random comes from `rng`.

    Attributes:
        crops: Whether it can take objects out of sight.
    """

    crops: ClassVar[bool]

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Return the changed sample; the input is left as it is."""


@dataclass(frozen=True, kw_only=True)
class RandomTransform(ABC):
    """Changes a sample with probability `p`.

    Attributes:
        p: Share of the samples that are changed, in [0, 1].
    """

    crops: ClassVar[bool] = False

    p: float

    def __post_init__(self) -> None:
        check_number("p", self.p, 0.0, 1.0)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Return the changed sample, or the sample itself.

        Args:
            sample: Stays as it is.
            rng: One number is drawn for `p`, then the parameters.
        """
        if rng.random() >= self.p or self.refused(sample.annotated):
            return sample
        return self._change(sample, rng)

    def refused(self, record: Record) -> bool:
        """Tell whether the words of a record forbid this transform; it then leaves the sample as it is.

        Args:
            record: Nothing but its texts is looked at, so a check before training can count such rows.
        """
        return False

    @abstractmethod
    def _change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Draw the parameters and return the changed sample."""


@dataclass(frozen=True, kw_only=True)
class GeometricTransform(RandomTransform):
    """Moves the canvas and the shapes of a sample with probability `p`.

    Attributes:
        p: Share of the samples that are moved, in [0, 1].
    """

    p: float = 0.5


def check_number(name: str, value: Any, low: float, high: float) -> None:
    """Raise a ValueError unless a parameter is a number in [low, high].

    Args:
        name: Name of the parameter, for the message.
        value: What came.
        low: Smallest number allowed.
        high: Largest number allowed.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not (is_number and low <= value <= high):
        raise ValueError(f"{name} must be a number in [{low:g}, {high:g}], got {value!r}")
