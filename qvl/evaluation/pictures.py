"""Which rows of two files are about the same picture."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple

__all__ = ["Row", "choose_name", "find_strangers", "find_twice"]

_log = logging.getLogger(__name__)


class Row(NamedTuple):
    """A row of a file: what it is known by, and where it stands, for messages."""

    key: Hashable
    where: str
    image: str


def choose_name(left: Sequence[str], right: Sequence[str]) -> Callable[[str], str]:
    """Return what pictures of two files are known by: their real paths.

    Where not one path is in both, as when a file comes from another machine, it is the names of the files, if each
    occurs once on either side and at least one occurs on both.

    Args:
        left: Paths of one file, each once.
        right: Paths of the other.
    """
    if {os.path.realpath(path) for path in left} & {os.path.realpath(path) for path in right}:
        return os.path.realpath
    names = [[os.path.basename(path) for path in side] for side in (left, right)]
    is_clear = all(len(set(side)) == len(side) for side in names)
    if not is_clear or not set(names[0]) & set(names[1]):
        return os.path.realpath
    _log.warning("no path of a picture is in both files: pictures are matched by the names of their files")
    return os.path.basename


def find_twice(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line for each row that is about the same as an earlier one."""
    first: dict[Hashable, Row] = {}
    for row in rows:
        earlier = first.setdefault(row.key, row)
        if earlier is not row:
            yield f"{row.where}: {row.image} stands in {earlier.where} already"


def find_strangers(rows: Sequence[Row], others: Sequence[Row], message: str) -> Iterator[str]:
    """Yield a line for each row that has no partner among others; `message` follows the name of its picture."""
    known = {row.key for row in others}
    yield from (f"{row.where}: {row.image} {message}" for row in rows if row.key not in known)
