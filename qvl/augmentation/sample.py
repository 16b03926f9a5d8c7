"""A picture with its annotations, as transforms see it."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from qvl.records import Record

__all__ = ["Sample"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture and its record.

    Attributes:
        record: Shapes in pixel edges of `image`.
        image: RGB, upright, `record.width` x `record.height` pixels.
    """

    record: Record
    image: Image.Image
