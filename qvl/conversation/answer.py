"""What stands in an answer, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

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


FAULT_CODES: Final[Mapping[str, str]] = {
    "not_json": "there is no JSON and no mark in the text",
    "truncated": "the text ends inside the answer",
    "malformed": "a part cannot be read; it is left out up to the next object",
    "text_around": "words, a code fence, thoughts or a second answer stand around the answer",
    "stray_brace": "a brace or bracket opens or closes nothing",
    "single_quotes": "single quotes stand where JSON has double ones",
    "not_strict_json": "commas, brackets, numbers, words or characters are not as JSON has them",
    "list_form": "the objects stand in a list, not under keys",
    "bare_object": "an object stands alone, without a key and without a list",
    "marked_form": "the objects are marked boxes, not JSON",
    "mixed_grouping": "some objects stand in a picture, some do not",
    "bad_image_number": "the number of a picture is not believed; its objects are left out",
    "unknown_key": "a key has no meaning here; it is left out, but an object under it is read",
    "duplicate_key": "a key stands more than once; objects are all read, of other values the last",
    "not_an_object": "a value stands where an object belongs; it is left out",
    "other_key": "a key is another word for one of ours and is read as that",
    "bad_desc": "an object has no text, it is left out",
    "geometry_count": "an object has no geometry or several, it is left out",
    "unknown_geometry": "an object has a geometry that is no box, polygon or line, it is left out",
    "nested_numbers": "the numbers stand in pairs and are read as a flat list",
    "bad_numbers": "the numbers are not finite numbers in the count of the geometry; the object is left out",
    "image_count": "other than as many pictures are answered as were shown",
    "no_summary": "there is no text about a picture",
    "many_lines": "a summary has more than one line",
    "not_answered": "the picture could not be opened or shown, the model was not asked",
}
"""What can be wrong with an answer, by code. Codes are stable: metrics count them.

`parse_answer` finds all but the last four; they are noted by what knows the pictures that were shown.
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which an answer is not what was asked for.

    Attributes:
        code: One of `FAULT_CODES`.
        where: `图片_1.object_3`, `item 3` in a list, or `character 17`, counted from 1.
        message: What came.
    """

    code: str
    where: str
    message: str
