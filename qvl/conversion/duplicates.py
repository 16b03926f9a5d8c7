"""Pictures that look the same: a hash of 64 bits for each, and all pairs that differ in few of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from pathlib import Path

import imagehash
import numpy as np
import numpy.typing as npt

from qvl.runtime import open_preview

__all__ = ["MAX_DISTANCE", "across", "near_duplicates", "picture_hash"]

MAX_DISTANCE = 6
"""Greatest distance that `near_duplicates` takes: beyond it, pictures that have nothing in common are found."""

_BITS = 64
_SIDE = 36  # of the preview, pixels at least; the hash itself looks at 9 x 8
_EQUAL_BANDS = 3  # of the bands that a key joins: few others share it by chance

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Pairs = npt.NDArray[np.int64]


def picture_hash(path: str | Path) -> int:
    """Return 64 bits that say where the picture, seen upright, becomes brighter from left to right.

    Neither size nor compression changes much of it, and a picture of one colour has the hash 0. JPEG files are decoded
    at an eighth of their size where that is enough.

    Raises:
        RecordError: As `qvl.runtime.open_image`.
    """
    bits = imagehash.dhash(open_preview(path, side=_SIDE)).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_duplicates(hashes: Sequence[int], *, distance: int) -> Pairs:
    """Return all pairs of pictures whose hashes differ in at most `distance` bits; none is missed.

    Of pictures with the same hash the first one stands for all: it is paired with each of the others, and alone with
    those of another hash. So a million white pictures are a million pairs and not 500 billion.

    Args:
        hashes: The `picture_hash` of every picture.
        distance: Most bits that may differ, 0 to `MAX_DISTANCE`.

    Returns:
        (N, 2) int64: places in `hashes`, the smaller one first, sorted.

    Raises:
        ValueError: `distance` is out of its limits.
    """
    if not 0 <= distance <= MAX_DISTANCE:
        raise ValueError(f"distance must lie in 0..{MAX_DISTANCE}, got {distance}")
    values, first, group = np.unique(np.array(hashes, dtype=np.uint64), return_index=True, return_inverse=True)
    everyone = np.arange(len(hashes))
    others = np.flatnonzero(first[group] != everyone)
    found = [_codes(first[group[others]], others, len(hashes))]
    if distance:
        found += [_codes(first[one], first[other], len(hashes)) for one, other in _close(values, distance)]
    codes = np.concatenate(found)
    codes.sort()
    return np.stack(np.divmod(codes, max(len(hashes), 1)), axis=1)


def across(pairs: Pairs, splits: Sequence[str]) -> list[tuple[int, int]]:
    """Return the pairs whose two pictures lie in different splits.

    Args:
        pairs: (N, 2) places in `splits`.
        splits: The split of every picture.
    """
    numbers = {name: number for number, name in enumerate(set(splits))}
    split = np.array([numbers[name] for name in splits], dtype=np.int64)
    apart = split[pairs[:, 0]] != split[pairs[:, 1]]
    return [(one, other) for one, other in pairs[apart].tolist()]


def _codes(one: Numbers, other: Numbers, count: int) -> Numbers:
    """Return one number for each pair, which sorts like the pair: a tenth of the time and half the memory."""
    return np.minimum(one, other) * count + np.maximum(one, other)


def _close(values: Hashes, distance: int) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield pairs of places in different values at most `distance` bits apart, each pair once.

    The bits are cut into bands, three more than may differ: then at least three bands of such a pair are equal,
    whichever they are. For each choice of three the values are sorted by them, and only neighbours are compared.
    """
    edges = np.linspace(0, _BITS, distance + _EQUAL_BANDS + 1).round().astype(int).tolist()
    bands = [((1 << high) - 1) ^ ((1 << low) - 1) for low, high in pairwise(edges)]
    for chosen in combinations(bands, _EQUAL_BANDS):
        keys = values & np.uint64(sum(chosen))
        order = np.argsort(keys)
        earlier = [np.uint64(band) for band in bands[: bands.index(chosen[-1])] if band not in chosen]
        for one, other in _neighbours(keys[order], order):
            differing = values[one] ^ values[other]
            is_close = np.bitwise_count(differing) <= distance
            for band in earlier:  # a pair in which it is equal too was found by an earlier choice
                is_close &= (differing & band) != 0
            yield one[is_close], other[is_close]


def _neighbours(keys: Hashes, order: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
    """Pair each value with the next one of the same key, then with the one after that, until no key goes on."""
    starts, step = np.arange(len(keys)), 0
    while len(starts):
        step += 1
        starts = starts[starts + step < len(keys)]
        starts = starts[keys[starts] == keys[starts + step]]
        yield order[starts], order[starts + step]
