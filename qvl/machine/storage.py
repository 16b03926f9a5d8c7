"""What a run needs on the disk, and what is free there."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Checkpoints", "checkpoint_bytes", "room_bytes", "weights_bytes"]

_INDEX: Final = "model.safetensors.index.json"
_OPTIMISER: Final = 8  # bytes a trained number: two moments in float32
_ALIGNER: Final = 0.0039  # of all numbers, in the largest mixture of experts; 0.02 to 0.05 in the others
_WIDEST: Final = 4  # bytes of a number in the file of the weights


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """What the checkpoints of a run take on the disk.

    Attributes:
        size: Bytes of one, at least.
        fewest: How many there will be at one time, for sure.
        most: How many there may be.
        room: Bytes that can be written.
        folder: Where they will lie.
    """

    size: int
    fewest: int
    most: int
    room: int
    folder: str


def weights_bytes(folder: Path) -> int | None:
    """Return the bytes of whole weights in a folder; None where they are not all there."""
    index, whole = folder / _INDEX, folder / "model.safetensors"
    if index.is_file():
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        files = [folder / name for name in names]
    else:
        files = [whole]
    return sum(file.stat().st_size for file in files) if all(file.is_file() for file in files) else None


def checkpoint_bytes(weights: int, *, is_whole: bool, trains_all: bool, trains_aligner: bool, optimiser: bool) -> int:
    """Return how many bytes a checkpoint has at least, whatever the size of the model.

    It is a lower bound, so that what is refused by it cannot work; low-rank weights count for nothing here.

    Args:
        weights: Bytes of the whole weights.
        is_whole: Whether all weights are saved.
        trains_all: Whether the language model is trained as a whole.
        trains_aligner: Whether the aligner is trained as a whole.
        optimiser: Whether its state is saved too.
    """
    share = 1.0 if trains_all else _ALIGNER * trains_aligner
    saved = weights if is_whole else int(weights * share)
    return saved + int(weights / _WIDEST * share) * _OPTIMISER * optimiser


def room_bytes(folder: Path) -> int:
    """Return what may still be written where a folder lies or will lie, and what checkpoints there will give back."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    kept = sum(file.stat().st_size for file in folder.glob("**/checkpoint-*/*") if file.is_file())
    return shutil.disk_usage(there).free + kept
