"""What the rows of a file are like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

from qvl.geometry import Box, Polyline, Shape
from qvl.inspection.lengths import Tokens
from qvl.inspection.tally import Numbers, Words
from qvl.records import Record, attributes, category

__all__ = ["CELLS", "Count", "Gatherer", "Map", "Statistics", "aspect_of", "extent_of"]

CELLS = 24
"""Cells of the map of object centres along each side of the picture."""

_FINE = 4  # bins for each doubling
_LEAST = 1e-6
_MOST_VALUES = 60  # longer values of attributes are texts, not categories
Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class Count:
    """One number that adds up."""

    value: int = 0

    def merge(self, other: Count) -> None:
        """Add what another part of the data counted."""
        self.value += other.value

    def as_json(self) -> int:
        """Return the number."""
        return self.value


@dataclass(slots=True)
class Map:
    """Where the centres of objects lie.

    Attributes:
        cells: (CELLS, CELLS) counts, rows from top to bottom.
    """

    cells: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((CELLS, CELLS), dtype=np.int64))

    def merge(self, other: Map) -> None:
        """Add what another part of the data counted."""
        self.cells += other.cells

    def as_json(self) -> list[list[int]]:
        """Return the counts, row by row."""
        rows: list[list[int]] = self.cells.tolist()
        return rows


@dataclass(slots=True)
class Statistics:
    """What the rows of a file, or of a part of it, are like; of rows that cannot be read only the number is known.

    Attributes:
        rows: Rows that were looked at.
        removed: Rows that the preprocessor removed.
        usable: Rows without a fatal finding.
        with_summary: Rows that have a summary.
        objects: Objects of a row.
        shapes: Keys of the shapes.
        categories: Categories of the objects.
        descs: Whole descriptions.
        pairs: `key=value` of the descriptions.
        desc_characters: Length of a description in characters.
        vertices: Vertices of a polygon or a line.
        extents: Longer side of an object relative to the same side of its picture, in bins, see `extent_of`.
        aspects: Width to height of an object, in bins, see `aspect_of`; not of lines.
        model_sides: Shorter side of an object, not of a line, in pixels of the picture as the model sees it.
        centers: Where the objects lie.
        sizes: `width x height` of the pictures.
        answer_tokens: Tokens of the answer of a row.
        picture_tokens: Tokens of the picture of a row.
        tokens: Tokens of a turn of this row alone, prompt included.
    """

    rows: Count = field(default_factory=Count)
    removed: Count = field(default_factory=Count)
    usable: Count = field(default_factory=Count)
    with_summary: Count = field(default_factory=Count)
    objects: Numbers = field(default_factory=Numbers)
    shapes: Words = field(default_factory=Words)
    categories: Words = field(default_factory=Words)
    descs: Words = field(default_factory=Words)
    pairs: Words = field(default_factory=Words)
    desc_characters: Numbers = field(default_factory=Numbers)
    vertices: Numbers = field(default_factory=Numbers)
    extents: Numbers = field(default_factory=Numbers)
    aspects: Numbers = field(default_factory=Numbers)
    model_sides: Numbers = field(default_factory=Numbers)
    centers: Map = field(default_factory=Map)
    sizes: Words = field(default_factory=Words)
    answer_tokens: Numbers = field(default_factory=Numbers)
    picture_tokens: Numbers = field(default_factory=Numbers)
    tokens: Numbers = field(default_factory=Numbers)

    def merge(self, other: Statistics) -> None:
        """Add the statistics of another part of the data."""
        for item in fields(self):
            getattr(self, item.name).merge(getattr(other, item.name))

    def as_json(self) -> dict[str, object]:
        """Return everything as plain values; of bins the upper bounds are written."""
        plain = {item.name: getattr(self, item.name).as_json() for item in fields(self)}
        for name, scale in (("extents", extent_of), ("aspects", aspect_of)):
            plain[name] = {
                key: value if key == "count" else round(scale(value), 4)
                for key, value in plain[name].items()
                if key != "mean"
            }
        return plain


class Gatherer:
    """Takes the rows of a block one by one and counts them all at once, which costs a fraction."""

    def __init__(self) -> None:
        """Begin without rows."""
        self._records: list[Record] = []
        self._tokens: list[Tokens] = []
        self._model_sizes: list[tuple[int, int]] = []

    def add(self, record: Record, tokens: Tokens | None, model_size: tuple[int, int] | None) -> None:
        """Take a row that can be read.

        Args:
            record: The row.
            tokens: Its length, or None if that is not known.
            model_size: (width, height) in pixels at which the model sees its picture; None where it sees none.
        """
        self._records.append(record)
        self._model_sizes.append(model_size or (record.width, record.height))
        if tokens is not None:
            self._tokens.append(tokens)

    def count_into(self, statistics: Statistics) -> None:
        """Count everything; `rows`, `removed` and `usable` are counted by the caller."""
        shown = [record for record in self._records if record.images]
        statistics.with_summary.value += sum(record.summary is not None for record in self._records)
        statistics.sizes.update(f"{record.width} x {record.height}" for record in shown)
        statistics.objects.update(len(record.objects) for record in shown)
        statistics.answer_tokens.update(one.answer for one in self._tokens)
        statistics.picture_tokens.update(one.picture for one in self._tokens)
        statistics.tokens.update(one.total for one in self._tokens)
        objects = [item for record in self._records for item in record.objects]
        if objects:
            _count_words(statistics, Counter(item.desc for item in objects))
            _count_shapes(statistics, [item.shape for item in objects])
            numbers = [len(record.objects) for record in self._records]
            sizes = np.repeat([(record.width, record.height) for record in self._records], numbers, axis=0)
            seen = np.repeat(self._model_sizes, numbers, axis=0)
            _count_places(statistics, [item.shape for item in objects], sizes.astype(float), seen / sizes)


def _count_words(statistics: Statistics, descs: Counter[str]) -> None:
    statistics.descs.add(descs)
    categories, pairs = Counter[str](), Counter[str]()
    for desc, count in descs.items():
        categories[category(desc)] += count
        statistics.desc_characters.counts[len(desc)] += count
        for key, value in attributes(desc).items():
            if len(value) <= _MOST_VALUES:
                pairs[f"{key}={value}"] += count
    statistics.categories.add(categories)
    statistics.pairs.add(pairs)


def _count_shapes(statistics: Statistics, shapes: Sequence[Shape]) -> None:
    statistics.shapes.update(shape.key for shape in shapes)
    statistics.vertices.update(len(shape.points) for shape in shapes if not isinstance(shape, Box))


def _count_places(statistics: Statistics, shapes: Sequence[Shape], sizes: Floats, scales: Floats) -> None:
    """Count where shapes lie.

    Args:
        statistics: Where they are counted.
        shapes: N shapes.
        sizes: (N, 2) width and height of the picture of each.
        scales: (N, 2) pixels that the model sees for a pixel of the picture.
    """
    bounds = np.array([shape.bounds() for shape in shapes])
    sides = bounds[:, 2:] - bounds[:, :2]
    shares = np.maximum((sides / sizes).max(axis=1), _LEAST)
    statistics.extents.update(np.ceil(np.log2(shares) * _FINE).astype(int).tolist())
    x, y = np.clip((bounds[:, :2] + bounds[:, 2:]) / (2 * sizes) * CELLS, 0, CELLS - 1).astype(int).T
    np.add.at(statistics.centers.cells, (y, x), 1)
    has_area = np.array([not isinstance(shape, Polyline) for shape in shapes])
    width, height = np.maximum(sides[has_area], _LEAST).T
    statistics.aspects.update(np.ceil(np.log2(width / height) * _FINE).astype(int).tolist())
    statistics.model_sides.update((sides * scales)[has_area].min(axis=1, initial=np.inf).astype(int).tolist())


def extent_of(place: int) -> float:
    """Return the greatest relative side of the objects in a bin of `Statistics.extents`."""
    return float(2.0 ** (place / _FINE))


def aspect_of(place: int) -> float:
    """Return the greatest ratio of width to height of the objects in a bin of `Statistics.aspects`."""
    return float(2.0 ** (place / _FINE))
