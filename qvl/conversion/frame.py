"""In which frame a source gives its numbers, and the way from there to upright pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qvl.conversion.annotated import Annotated, Refused, Unit
from qvl.geometry import Matrix, Points, compose, identity, scaling
from qvl.runtime import ImageHeader

__all__ = ["EXIF_CHOICES", "Frame", "settle_frame", "upright_matrix"]

EXIF_CHOICES = ("auto", "upright", "raw")

_SIDEWAYS = (5, 6, 7, 8)
_SAME_ASPECT = 0.01
"""Largest relative difference of two aspect ratios that rounding of the sides explains."""

_SLACK = 1.0
"""Pixels that shapes may stand out of a picture before it counts as the wrong frame."""

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Frame:
    """The upright picture, and how the numbers of its source get there.

    Attributes:
        width: Pixels across of the upright picture.
        height: Pixels down of it.
        matrix: Takes the numbers of the source to upright pixel edges.
        repairs: Codes of what had to be set right.
        unit: Of the numbers of the source.
    """

    width: int
    height: int
    matrix: Matrix
    repairs: tuple[str, ...] = ()
    unit: Unit = "pixels"


def settle_frame(annotated: Annotated, header: ImageHeader, *, exif: str = "auto") -> Frame | Refused:
    """Find out whether the numbers are of the upright picture or of the one that is stored, and of which size.

    Repairs: exif_rotated (turned from the stored frame), exif_assumed_upright (the sizes cannot tell), size_missing,
    size_swapped (width and height exchanged), size_rescaled (another size of the same aspect).

    Args:
        annotated: What the source says.
        header: What the file says.
        exif: auto decides by the sizes; upright and raw say in which frame pictures with an EXIF orientation were
            annotated.

    Returns:
        The frame, or why there is none (size_mismatch).
    """
    upright, raw = header.upright, (header.width, header.height)
    declared = _declared(annotated)
    chosen = _choose(annotated, header, exif)
    if isinstance(chosen, Refused):
        return chosen
    size, stored, repairs = chosen
    steps: list[Matrix] = []
    if annotated.unit == "share":
        steps.append(scaling(*size))
    if size != (raw if stored else upright):
        steps.append(_between(size, raw if stored else upright))
        repairs = (*repairs, "size_rescaled")
    if stored and header.orientation != 1:
        steps.append(upright_matrix(header.orientation, *raw))
        repairs = (*repairs, "exif_rotated")
    if declared is None:
        repairs = (*repairs, "size_missing")
    return Frame(*upright, compose(*steps) if steps else identity(), repairs, annotated.unit)


def upright_matrix(orientation: int, width: int, height: int) -> Matrix:
    """Return the map from a stored picture to the upright one.

    Args:
        orientation: EXIF orientation, 1 to 8.
        width: Pixels across of the stored picture.
        height: Pixels down of it.
    """
    rows: dict[int, tuple[list[float], list[float]]] = {
        1: ([1, 0, 0], [0, 1, 0]),
        2: ([-1, 0, width], [0, 1, 0]),
        3: ([-1, 0, width], [0, -1, height]),
        4: ([1, 0, 0], [0, -1, height]),
        5: ([0, 1, 0], [1, 0, 0]),
        6: ([0, -1, height], [1, 0, 0]),
        7: ([0, -1, height], [-1, 0, width]),
        8: ([0, 1, 0], [-1, 0, width]),
    }
    return np.array([*rows[orientation], [0, 0, 1]], dtype=np.float64)


def _declared(annotated: Annotated) -> Size | None:
    if annotated.width is None or annotated.height is None:
        return None
    return (annotated.width, annotated.height)


def _choose(annotated: Annotated, header: ImageHeader, exif: str) -> tuple[Size, bool, tuple[str, ...]] | Refused:
    """Return (size that the numbers are of, whether of the stored frame, repairs)."""
    upright, raw = header.upright, (header.width, header.height)
    declared = _declared(annotated)
    turned = header.orientation != 1
    if turned and exif != "auto":
        own = raw if exif == "raw" else upright
        if declared is None or _same_aspect(declared, own):
            return declared or own, exif == "raw", ()
        return _mismatch(annotated, header)
    if declared is None:
        sideways = header.orientation in _SIDEWAYS and annotated.unit == "pixels"
        if sideways and not _fits(annotated, upright) and _fits(annotated, raw):
            return raw, True, ()
        return upright, False, ("exif_assumed_upright",) * turned
    if declared == upright or (declared != raw and _same_aspect(declared, upright)):
        return declared, False, ("exif_assumed_upright",) * (turned and _same_aspect(upright, raw))
    if turned and _same_aspect(declared, raw):
        return declared, True, ()
    if not turned and declared == upright[::-1] and (annotated.unit == "share" or _fits(annotated, upright)):
        return upright, False, ("size_swapped",)
    return _mismatch(annotated, header)


def _same_aspect(one: Size, other: Size) -> bool:
    return abs(one[0] * other[1] / (one[1] * other[0]) - 1) <= _SAME_ASPECT


def _between(size: Size, other: Size) -> Matrix:
    return scaling(other[0] / size[0], other[1] / size[1])


def _fits(annotated: Annotated, size: Size) -> bool:
    """Tell whether all shapes lie in a picture of this size."""
    points = _points([part for annotation in annotated.objects for part in annotation.parts])
    return bool((points >= -_SLACK).all() and (points <= np.array(size) + _SLACK).all())


def _points(parts: Sequence[tuple[float, ...]]) -> Points:
    flat = [value for part in parts if len(part) % 2 == 0 for value in part]
    return np.array(flat, dtype=np.float64).reshape(-1, 2)


def _mismatch(annotated: Annotated, header: ImageHeader) -> Refused:
    declared = f"{annotated.width} x {annotated.height}"
    stored = f", stored as {header.width} x {header.height}" if header.orientation != 1 else ""
    size = " x ".join(map(str, header.upright))
    message = f"the source says {declared} pixels, the picture has {size}{stored}: another picture, or a cut one"
    return Refused(annotated.where, "size_mismatch", message, came=[annotated.width, annotated.height])
