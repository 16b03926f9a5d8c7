"""What is said about objects that were found, and how many objects were named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from qvl.metrics.objects import Floats, Integers, Labelled, Objects
from qvl.metrics.overlaps import Overlaps
from qvl.records import attributes


@dataclass(frozen=True, slots=True)
class AttributeResult:
    """How often an attribute of an annotated object was said as it is.

    Attributes:
        accuracy: num_right / num_truth.
        num_right: Matched pairs in which both sides give it the same value.
        num_truth: Matched pairs whose annotated side has it.
    """

    accuracy: float
    num_right: int
    num_truth: int


@dataclass(frozen=True, slots=True)
class DescriptionResult:
    """How descriptions of matched pairs agree; pairs of which a description is not known are left out.

    Attributes:
        equality: Share of pairs whose descriptions are the same text; None without a pair.
        attribute_accuracy: Share of right ones among all attributes of annotated objects; None if they have none. The
            category is not an attribute. A missing attribute is wrong, one too many is not seen.
        num_pairs: Pairs that were compared.
        per_attribute: Every attribute of an annotated object in alphabetical order.
    """

    equality: float | None
    attribute_accuracy: float | None
    num_pairs: int
    per_attribute: Mapping[str, AttributeResult]


@dataclass(frozen=True, slots=True)
class CountResult:
    """How many objects were named, compared with how many there are.

    Attributes:
        error: Mean over the pictures of |predicted - true|, the malformed counted as predicted.
        bias: Mean over the pictures of predicted - true; above 0 too many were named.
        exact: Share of pictures with the right number.
        per_category: Mean of |predicted - true| over the pictures where either side has the category.
    """

    error: float
    bias: float
    exact: float
    per_category: Mapping[str, float]


def compare_descriptions(
    truth: Sequence[Labelled], predicted: Sequence[Labelled], pairs: Overlaps
) -> DescriptionResult:
    """Compare the descriptions of matched pairs.

    Args:
        truth: Left side of the pairs.
        predicted: Right side.
        pairs: The pairs.
    """
    both = zip(
        [truth[i].desc for i in pairs.left.tolist()], [predicted[j].desc for j in pairs.right.tolist()], strict=True
    )
    counts = Counter((true, said) for true, said in both if true and said)
    read = cache(_attributes)
    num_truth: Counter[str] = Counter()
    num_right: Counter[str] = Counter()
    for (true, said), count in counts.items():
        found = read(said)
        for key, value in read(true).items():
            num_truth[key] += count
            num_right[key] += count * (found.get(key) == value)
    total, equal = counts.total(), sum(count for (true, said), count in counts.items() if true == said)
    return DescriptionResult(
        equality=equal / total if total else None,
        attribute_accuracy=num_right.total() / num_truth.total() if num_truth else None,
        num_pairs=total,
        per_attribute={
            key: AttributeResult(num_right[key] / num_truth[key], num_right[key], num_truth[key])
            for key in sorted(num_truth)
        },
    )


def _attributes(desc: str) -> dict[str, str]:
    """Return the attributes of a description without the pair in front, which is the category."""
    first, _, rest = desc.partition(",")
    return attributes(rest if "=" in first else desc)


def compare_counts(
    truth: Objects, predicted: Objects, num_malformed: Integers, names: Mapping[str, int]
) -> CountResult:
    """Compare how many objects were named.

    Args:
        truth: Annotated objects.
        predicted: Predicted objects with a shape.
        num_malformed: (P,) predicted objects without one, of each picture; P >= 1.
        names: Number of each category.
    """
    num_pictures = len(num_malformed)
    said = np.bincount(predicted.picture, minlength=num_pictures) + num_malformed
    excess = said - np.bincount(truth.picture, minlength=num_pictures)
    return CountResult(
        error=float(np.abs(excess).mean()),
        bias=float(excess.mean()),
        exact=float((excess == 0).mean()),
        per_category=_per_category(truth, predicted, names),
    )


def _per_category(truth: Objects, predicted: Objects, names: Mapping[str, int]) -> dict[str, float]:
    size = len(names)
    places = np.concatenate([side.picture * size + side.category for side in (truth, predicted)])
    signs = np.repeat([-1.0, 1.0], [len(truth.items), len(predicted.items)])
    found, inverse = np.unique(places, return_inverse=True)
    excess: Floats = np.abs(np.bincount(inverse, weights=signs, minlength=len(found)))
    category = found % max(size, 1)
    sums = np.bincount(category, weights=excess, minlength=size)
    means = sums / np.maximum(np.bincount(category, minlength=size), 1)
    return {name: float(means[names[name]]) for name in sorted(names)}
