"""The objects of many pictures as columns, so that one step of numpy serves all pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from qvl.geometry import Box, Polygon, Polyline, Shape

Integers: TypeAlias = npt.NDArray[np.intp]
Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]

BOX, POLYGON, LINE = 0, 1, 2
_KINDS: Final[dict[type[Shape], int]] = {Box: BOX, Polygon: POLYGON, Polyline: LINE}


@dataclass(frozen=True, slots=True)
class Labelled:
    """An object as the metrics see it.

    Attributes:
        category: What must agree when categories count.
        shape: Where it is; truth and prediction in the same coordinates.
        desc: The whole description, "" if it is not known; what attributes are read from.
        score: How sure the model was, such as the mean log-probability of the object's tokens; higher is surer. It is
            used where pairs are taken by score and in average precision.
    """

    category: str
    shape: Shape
    desc: str = ""
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Objects:
    """One side, truth or prediction, of many pictures.

    Attributes:
        items: The N objects, picture after picture.
        picture: (N,) number of the picture, never falling.
        category: (N,) number of the category.
        kind: (N,) `BOX`, `POLYGON` or `LINE`.
        bounds: (N, 4) float64, x1, y1, x2, y2 of the smallest box around each.
    """

    items: Sequence[Labelled]
    picture: Integers
    category: Integers
    kind: Integers
    bounds: Floats


def pack(pictures: Iterable[Sequence[Labelled]], numbers: dict[str, int]) -> Objects:
    """Return the objects of pictures as columns.

    Args:
        pictures: The objects of each picture.
        numbers: Number of each category; categories that are new are added.
    """
    sides = list(pictures)
    items = list(chain.from_iterable(sides))
    shapes = [item.shape for item in items]
    for name in dict.fromkeys(item.category for item in items):
        numbers.setdefault(name, len(numbers))
    count = len(items)
    bounds = np.fromiter(chain.from_iterable([shape.bounds() for shape in shapes]), np.float64, 4 * count)
    return Objects(
        items=items,
        picture=np.repeat(np.arange(len(sides)), [len(side) for side in sides]).astype(np.intp),
        category=np.fromiter((numbers[item.category] for item in items), np.intp, count),
        kind=np.fromiter((_KINDS[type(shape)] for shape in shapes), np.intp, count),
        bounds=bounds.reshape(-1, 4),
    )
