"""Predictions of two runs about the same pictures, row beside row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from qvl.errors import ConfigError, listed
from qvl.evaluation.pictures import Row, choose_name, find_strangers, find_twice
from qvl.evaluation.prediction import Prediction

__all__ = ["align_pictures"]


def align_pictures(predictions: Sequence[Prediction], others: Sequence[Prediction]) -> list[Prediction]:
    """Return the rows of another run in the order of the first one.

    Raises:
        ConfigError: Both are not about the same pictures with the same truth, or a picture occurs twice: a line for
            each row, the first 20, with file and line.
    """
    name = choose_name(*(sorted({one.image for one in side}) for side in (predictions, others)))
    rows, theirs = (
        [Row((one.summary is None, name(one.image)), str(one.where), one.image) for one in side]
        for side in (predictions, others)
    )
    files = [side[0].where.file for side in (predictions, others)]
    problems = [*find_twice(rows), *find_twice(theirs)]
    problems += find_strangers(rows, theirs, f"has no such row in {files[1]}")
    problems += find_strangers(theirs, rows, f"has no such row in {files[0]}")
    if problems:
        raise ConfigError(listed(problems))
    partners = {row.key: other for row, other in zip(theirs, others, strict=True)}
    found = [partners[row.key] for row in rows]
    pairs = zip(predictions, found, strict=True)
    if problems := [
        f"{two.where}: its truth is not that of {one.where}" for one, two in pairs if _truth_differs(one, two)
    ]:
        raise ConfigError(listed(problems))
    return found


def _truth_differs(one: Prediction, two: Prediction) -> bool:
    if one.summary is not None and two.summary is not None:
        return one.summary[0] != two.summary[0]
    return Counter(one.truth) != Counter(two.truth)
