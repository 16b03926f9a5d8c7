"""Which rows become training, validation and test rows: whole groups, by chance that depends on the group alone."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from qvl.errors import RecordError

__all__ = ["SPLITS", "SplitSettings", "assign_splits", "group_key"]

SPLITS = ("train", "val", "test")

_WAYS = ("picture", "folder", "source")
_SAID = {  # first letters of what sources call their splits, digits and signs behind it: val2017, valid, test-dev
    "train": "train",
    "val": "val",
    "dev": "val",
    "test": "test",
}
_NOTHING_SAID = ("", "default")  # CVAT calls the absence of a subset Default


@dataclass(frozen=True, slots=True)
class SplitSettings:
    """How rows are split.

    Attributes:
        val: Share of the rows for validation, 0 to 1.
        test: Share of the rows for the test, 0 to 1; together with `val` less than 1.
        by: What must not be torn apart: `picture`, `folder`, or a regular expression that is searched in the path of
            the picture and whose first group is the key. `source` takes the splits as the source names them.
        seed: Another seed chooses other groups.
    """

    val: float = 0.0
    test: float = 0.0
    by: str = "picture"
    seed: int = 17

    def __post_init__(self) -> None:
        if not (self.val >= 0 and self.test >= 0 and self.val + self.test < 1):
            raise ValueError(
                f"split.val and split.test must be shares from 0, together less than 1, got {self.val} and {self.test}"
            )
        if self.by == "source" and (self.val or self.test):
            raise ValueError(
                "split.by=source takes the splits of the source: set split.val and split.test to 0, "
                f"got {self.val} and {self.test}"
            )
        if self.by not in _WAYS:
            _expression(self.by)


def group_key(name: str, by: str, *, said: str | None = None) -> str:
    """Return the key of a picture's group: pictures with the same key come into the same split.

    Args:
        name: Path of the picture, as the source names it.
        by: See `SplitSettings`.
        said: The split that the source puts the picture in, if it says one.

    Raises:
        RecordError: `by` is a regular expression, and it is not found in the path.
        ValueError: `by` is none of the words and no regular expression with a group.
    """
    if by == "picture":
        return name
    if by == "folder":
        return str(PurePosixPath(name).parent)
    if by == "source":
        return said or ""
    found = _expression(by).search(name)
    if found is None or found.group(1) is None:
        raise RecordError(f"{name}: the regular expression of split.by is not found in this path: {by}")
    return found.group(1)


def assign_splits(keys: Sequence[str], settings: SplitSettings) -> list[str]:
    """Return `train`, `val` or `test` for every row.

    Groups are taken in the order of a hash of seed and key, for the test first: the answer for a row does not depend
    on the order of the rows. A group that would lead further away from the share is passed over.

    Args:
        keys: The `group_key` of every row.
        settings: Shares, seed, and whether the keys are the source's own splits.

    Raises:
        RecordError: The groups are too large for the shares, so that a split would be empty; or the source names
            a split that is not known.
    """
    split_of = _splits_said(Counter(keys)) if settings.by == "source" else _splits_by_chance(Counter(keys), settings)
    return [split_of[key] for key in keys]


def _splits_by_chance(sizes: Mapping[str, int], settings: SplitSettings) -> dict[str, str]:
    num_rows = sum(sizes.values())
    waiting = sorted(sizes, key=lambda key: _rank(key, settings.seed))
    split_of: dict[str, str] = {}
    for split, share in (("test", settings.test), ("val", settings.val)):
        if not share or not num_rows:
            continue
        chosen = _nearest(waiting, sizes, max(share * num_rows, 1.0))
        split_of |= dict.fromkeys(chosen, split)
        waiting = [key for key in waiting if key not in split_of]
        if not chosen or not waiting:
            raise RecordError(
                f"split.{split}={share:g} cannot be reached by whole groups (split.by={settings.by}): "
                f"{num_rows} rows are {len(sizes)} groups, the smallest with {min(sizes.values())} rows; "
                "choose another share or smaller groups"
            )
    return split_of | dict.fromkeys(waiting, "train")


def _nearest(keys: Sequence[str], sizes: Mapping[str, int], target: float) -> list[str]:
    """Return keys, in their order, each of which brings the number of rows nearer to the target."""
    chosen, missing = [], target
    for key in keys:
        if sizes[key] < 2 * missing:
            chosen.append(key)
            missing -= sizes[key]
        if missing <= 0:
            break
    return chosen


def _splits_said(sizes: Mapping[str, int]) -> dict[str, str]:
    split_of = {key: _said(key) for key in sizes}
    unknown = [f"{key!r} ({sizes[key]} rows)" for key, split in sorted(split_of.items()) if split is None]
    if unknown:
        raise RecordError(
            f"split.by=source: the source names splits that are not known: {', '.join(unknown)}; "
            f"known are names that begin with {', '.join(_SAID)}, and none"
        )
    return {key: split for key, split in split_of.items() if split is not None}


def _said(name: str) -> str | None:
    plain = name.strip().lower()
    if plain in _NOTHING_SAID:
        return "train"
    return next((split for word, split in _SAID.items() if plain.startswith(word)), None)


def _rank(key: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{key}".encode(errors="surrogatepass")).digest()


def _expression(by: str) -> re.Pattern[str]:
    try:
        expression = re.compile(by)
    except re.error as error:
        raise ValueError(f"split.by: not a regular expression: {by} ({error})") from error
    if not expression.groups:
        raise ValueError(
            f"split.by must be {', '.join(_WAYS)}, or a regular expression with a group in brackets, got {by!r}"
        )
    return expression
