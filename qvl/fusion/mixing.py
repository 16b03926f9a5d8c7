"""How many rows each source gives to an epoch, and which."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from qvl.geometry import round_half_up

ROLES: Final = ("target", "auxiliary")
"""What a source is for: targets are evaluated on, auxiliary sources are measured by their total."""

Rows = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One source of a mix.

    Attributes:
        name: Its name; the draw is seeded by it.
        rows: Number of rows that it has.
        ratio: For a target: rows of an epoch as a multiple of its own rows. For an auxiliary source: as a multiple of
            the rows that all targets together give. 0 gives nothing.
        role: `target` or `auxiliary`.

    Raises:
        ValueError: A value is out of range, or the source has no rows to give.
    """

    name: str
    rows: int
    ratio: float = 1.0
    role: str = "target"

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a source needs a name")
        if self.role not in ROLES:
            raise ValueError(f"source {self.name}: role must be one of {', '.join(ROLES)}, got {self.role!r}")
        if not (math.isfinite(self.ratio) and self.ratio >= 0):
            raise ValueError(f"source {self.name}: ratio must be a finite number from 0, got {self.ratio}")
        if self.ratio > 0 and self.rows < 1:
            raise ValueError(f"source {self.name}: ratio is {self.ratio}, but there is no row to give")


def quotas(specs: Sequence[SourceSpec]) -> dict[str, int]:
    """Return the rows that each source gives to an epoch, by name; halves are rounded up.

    Raises:
        ValueError: A name stands twice, there is no target, or nothing is given at all.
    """
    doubled = [name for name, count in Counter(spec.name for spec in specs).items() if count > 1]
    if doubled:
        raise ValueError(f"sources need names of their own, got {', '.join(doubled)} more than once")
    targets = {spec.name: round_half_up(spec.ratio * spec.rows) for spec in specs if spec.role == "target"}
    total = sum(targets.values())
    if not total:
        raise ValueError(f"a mix needs rows of a target, got none of {', '.join(spec.name for spec in specs) or 'it'}")
    given = {spec.name: round_half_up(spec.ratio * total) for spec in specs if spec.role != "target"}
    return {spec.name: (targets | given)[spec.name] for spec in specs}


def draw_rows(spec: SourceSpec, quota: int, order: Callable[[int], np.random.Generator] | None) -> tuple[Rows, Rows]:
    """Choose the rows of one source for one epoch: a function of the arguments and of nothing else.

    Up to `spec.rows` rows are drawn without replacement. A greater quota is made of full copies, each in an order of
    its own, and a remainder drawn without replacement.

    Args:
        spec: The source; its ratio is not looked at.
        quota: Rows to draw.
        order: Number of a copy to the generator that permutes it, new for every epoch; None: as they come.

    Returns:
        (quota,) row numbers, and (quota,) how often each was given before in this epoch.
    """
    rows, copies = [], []
    for copy in range(-(-quota // spec.rows) if spec.rows else 0):
        count = min(spec.rows, quota - copy * spec.rows)
        permuted = np.arange(spec.rows) if order is None else order(copy).permutation(spec.rows)
        rows.append(permuted[:count].astype(np.int32))
        copies.append(np.full(count, copy, dtype=np.int32))
    none = [np.empty(0, np.int32)]
    return np.concatenate(rows or none), np.concatenate(copies or none)
