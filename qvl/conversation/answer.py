"""What stands in an answer, and what can be wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from qvl.geometry import KEYS, Shape, shape_from_flat

NUMBER_LIMIT = 10**9
"""Largest magnitude of a number in an answer."""


@dataclass(frozen=True, slots=True)
class TextObject:
    """One object as it is written.

    Attributes:
        desc: Description; any text, `qvl.records` decides what is allowed.
        key: `bbox_2d`, `poly` or `line`.
        numbers: Flat list x1, y1, x2, y2, ... in the units of the text (grid or pixels): 4 for a box, an even count
            >= 6 for a polygon and >= 4 for a line. They need not make a shape: a small box may lie in one grid cell.
    """

    desc: str
    key: str
    numbers: tuple[int | float, ...]

    def __post_init__(self) -> None:
        """Check the geometry.

        Raises:
            ValueError: The key is unknown, the count does not fit, or a number is not finite or too large.
        """
        count = len(self.numbers)
        match self.key:
            case "bbox_2d":
                fits, wanted = count == 4, "4 numbers"
            case "poly":
                fits, wanted = count >= 6 and count % 2 == 0, "an even count of numbers >= 6"
            case "line":
                fits, wanted = count >= 4 and count % 2 == 0, "an even count of numbers >= 4"
            case _:
                raise ValueError(f"geometry must be one of {', '.join(KEYS)}, got {self.key!r}")
        if not fits:
            raise ValueError(f"{self.key} takes {wanted}, got {count}")
        if not all(-NUMBER_LIMIT <= number <= NUMBER_LIMIT for number in self.numbers):  # False for NaN too
            raise ValueError(f"{self.key}: numbers must be finite and at most {NUMBER_LIMIT:.0e}")

    def shape(self) -> Shape:
        """Return the shape, in the units of the text.

        Raises:
            ValueError: A box whose corners are swapped or that has no area.
        """
        return shape_from_flat(self.key, self.numbers)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which an answer is not what was asked for.

    Attributes:
        code: text_around, not_json, truncated, malformed, unknown_key, duplicate_key, mixed_grouping, bad_image_number,
            not_an_object, bad_desc, geometry_count, bad_numbers, not_strict_json.
        where: `图片_1.object_3`, or `character 17`.
        message: What came.
    """

    code: str
    where: str
    message: str
