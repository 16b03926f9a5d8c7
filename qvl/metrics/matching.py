"""Which predicted object is which true one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qvl.geometry import Shape


@dataclass(frozen=True, slots=True)
class Labelled:
    """An object as the metrics see it.

    Attributes:
        category: What must agree when categories count.
        shape: Where it is; truth and prediction in the same coordinates.
    """

    category: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Matching:
    """Pairs of truth and prediction, one to one.

    Attributes:
        pairs: (index of the truth, index of the prediction, overlap), the best overlap first.
    """

    pairs: tuple[tuple[int, int, float], ...]


def match(
    truth: Sequence[Labelled],
    predicted: Sequence[Labelled],
    *,
    threshold: float,
    overlap: Callable[[Shape, Shape], float],
    same_category: bool = True,
) -> Matching:
    """Pair true and predicted objects greedily, the best overlap first.

    Equal overlaps are taken in the order of the objects' values and only then of their indices, so neither list's order
    changes how many pairs there are.

    Args:
        truth: Annotated objects of one picture.
        predicted: Predicted objects of the same picture.
        threshold: Smallest overlap of a pair, in (0, 1].
        overlap: Agreement of two shapes in [0, 1], such as `geometry.overlap` with its tolerance bound.
        same_category: Whether a pair must have equal categories.

    Returns:
        The pairs; every index at most once on either side.

    Raises:
        ValueError: If `threshold` is not in (0, 1].
    """
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"threshold must lie in (0, 1], got {threshold}")
    candidates = [
        (i, j, score)
        for i, true in enumerate(truth)
        for j, guess in enumerate(predicted)
        if (not same_category or true.category == guess.category)
        and (score := overlap(true.shape, guess.shape)) >= threshold
    ]
    candidates.sort(key=lambda pair: (-pair[2], _value(truth[pair[0]]), _value(predicted[pair[1]]), pair))
    return Matching(_one_to_one(candidates))


def _value(labelled: Labelled) -> tuple[str, str, tuple[float, ...]]:
    return labelled.category, labelled.shape.key, labelled.shape.flat()


def _one_to_one(candidates: Sequence[tuple[int, int, float]]) -> tuple[tuple[int, int, float], ...]:
    """Take each candidate whose two sides are still free."""
    taken_truth: set[int] = set()
    taken_predicted: set[int] = set()
    pairs = []
    for i, j, score in candidates:
        if i not in taken_truth and j not in taken_predicted:
            taken_truth.add(i)
            taken_predicted.add(j)
            pairs.append((i, j, score))
    return tuple(pairs)
