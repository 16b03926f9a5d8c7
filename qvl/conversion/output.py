"""The files of a converted data set."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from qvl.conversion.finder import REJECTED
from qvl.conversion.outcome import Outcome, Rejected
from qvl.conversion.splits import SPLITS

__all__ = ["RowSink", "write_splits"]

_WAITING = ".rows.jsonl"


class RowSink:
    """Takes rows in their order and keeps them on the disk until it is known which split each belongs to.

    Attributes:
        folder: Where all files are written.
        keys: Group of each row.
        hashes: Hash of the picture of each row.
        sizes: Number of objects of each row.
    """

    def __init__(self, folder: Path) -> None:
        """Open the files.

        Args:
            folder: Where all files are written; it is there.
        """
        self.folder = folder
        self.keys: list[str] = []
        self.hashes: list[int] = []
        self.sizes: list[int] = []
        self._stack = ExitStack()
        self._rows = self._stack.enter_context(_created(folder / _WAITING))
        self._rejected = self._stack.enter_context(_created(folder / REJECTED))

    def __enter__(self) -> RowSink:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def take(self, outcome: Outcome, key: str) -> None:
        """Write a row and what was left out of it.

        Args:
            outcome: What became of a picture.
            key: Group of the picture; "" without a row.
        """
        for rejected in outcome.rejected:
            self._rejected.write(_line(_rejected(rejected)))
        if outcome.row is not None:
            self._rows.write(_line(outcome.row))
            self.keys.append(key)
            self.hashes.append(outcome.picture_hash)
            self.sizes.append(len(outcome.row["objects"]))

    def rows(self) -> Iterator[bytes]:
        """Yield the lines of all rows; none may be taken after that."""
        self._stack.close()
        with (self.folder / _WAITING).open("rb") as file:
            yield from file
        (self.folder / _WAITING).unlink()


def write_splits(
    sink: RowSink, splits: Sequence[str], *, tiny: Mapping[str, int], wanted: frozenset[int] = frozenset()
) -> tuple[dict[str, Counter[str]], dict[int, str]]:
    """Write `<split>.jsonl` and `<split>_tiny.jsonl`, rows evenly taken from all of the split.

    Args:
        sink: Holds the rows; its file is gone afterwards.
        splits: Split of each row.
        tiny: Most rows in the tiny file of a split; 0 or no entry writes none.
        wanted: Numbers of rows whose pictures are asked for.

    Returns:
        Per split its `rows` and `objects`, and the picture of each wanted row.
    """
    sizes = Counter(splits)
    counts: dict[str, Counter[str]] = {split: Counter() for split in SPLITS if sizes[split]}
    chosen = {split: _spread(sizes[split], tiny.get(split, 0)) for split in counts}
    pictures: dict[int, str] = {}
    with ExitStack() as stack:
        files = {split: stack.enter_context(_created(sink.folder / f"{split}.jsonl")) for split in counts}
        few = {
            split: stack.enter_context(_created(sink.folder / f"{split}_tiny.jsonl"))
            for split in counts
            if chosen[split]
        }
        for number, (line, split) in enumerate(zip(sink.rows(), splits, strict=True)):
            files[split].write(line)
            if counts[split]["rows"] in chosen[split]:
                few[split].write(line)
            counts[split].update(rows=1, objects=sink.sizes[number])
            if number in wanted:
                pictures[number] = json.loads(line)["images"][0]
    return counts, pictures


def _spread(size: int, count: int) -> frozenset[int]:
    """Return `count` of the numbers below `size`, evenly spread."""
    count = min(size, count)
    return frozenset(index * size // count for index in range(count))


@contextmanager
def _created(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file; it is on the disk when it is closed."""
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _line(value: Mapping[str, object]) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False)
    return f"{text}\n".encode(errors="backslashreplace")


def _finite(value: object) -> object:
    """Return the value with NaN and infinite numbers as text: JSON has none."""
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case Mapping():
            return {str(key): _finite(entry) for key, entry in value.items()}
        case list() | tuple():
            return [_finite(entry) for entry in value]
        case _:
            return value


def _rejected(rejected: Rejected) -> dict[str, object]:
    refused = rejected.refused
    return {
        "kind": rejected.kind,
        "where": refused.where,
        "image": rejected.image,
        "code": refused.code,
        "message": refused.message,
        "came": refused.came,
    }
