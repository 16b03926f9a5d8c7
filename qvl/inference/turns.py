"""Which pictures are asked about together: turns of a few pictures, and batches of turns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from qvl.inference.units import Unit

__all__ = ["Place", "cut_turns", "first_turn"]


class Place(NamedTuple):
    """One picture of one unit, both counted from 0."""

    unit: int
    picture: int


def cut_turns(units: Sequence[Unit], *, images_per_turn: int) -> list[tuple[Place, ...]]:
    """Return every picture once, in order, in turns of at most `images_per_turn`.

    A turn never holds pictures of two groups. Where it is cut depends on the units only, so that every start of the
    same work asks the same.
    """
    turns = []
    for _, block in groupby(range(len(units)), key=lambda unit: unit if units[unit].grouped else -1):
        places = [Place(unit, picture) for unit in block for picture in range(len(units[unit].pictures))]
        turns += [tuple(places[start : start + images_per_turn]) for start in range(0, len(places), images_per_turn)]
    return turns


def first_turn(turns: Sequence[Sequence[Place]], unit: int, *, batch_size: int) -> int:
    """Return the turn to start from so that `unit` and all behind it are answered in the batches of a first start."""
    found = next((number for number, turn in enumerate(turns) if turn[-1].unit >= unit), len(turns))
    return found // batch_size * batch_size
