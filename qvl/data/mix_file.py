"""One epoch of a mix as a file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from rich.progress import track

from qvl.data.dataset import TurnDataset
from qvl.records import image_path
from qvl.runtime.files import write_lines

__all__ = ["write_mix"]


def write_mix(dataset: TurnDataset, path: Path, *, epoch: int) -> dict[str, int]:
    """Write the rows of an epoch in the order in which training takes them.

    Every row is as it stands in its file, with absolute picture paths and `metadata.mix`: name of the source, its line,
    number of the turn and of the copy.

    Args:
        dataset: The mix, checked.
        path: JSONL file to write.
        epoch: Number of the epoch, from 0.

    Returns:
        Rows written, by source.
    """
    counts = {part.name: 0 for part in dataset.parts}

    def lines() -> Iterator[bytes]:
        plan = dataset.plan(epoch)
        for turn in track(range(len(plan)), f"writing {path.name}", transient=True):
            ticket = plan.ticket(turn)
            part = dataset.parts[ticket.source]
            for row, copy in zip(ticket.rows, ticket.copies, strict=True):
                number = part.rows.number(row)
                counts[part.name] += 1
                note = {"source": part.name, "line": part.rows.lines.line(number), "turn": turn, "copy": copy}
                noted = _noted(part.rows.mapping(number), part.rows.root, note)
                yield (json.dumps(noted, ensure_ascii=False) + "\n").encode()

    write_lines(path, lines())
    return counts


def _noted(row: dict[str, object], root: str, note: dict[str, object]) -> dict[str, object]:
    metadata = row.get("metadata")
    noted = row | {"metadata": {**(metadata if isinstance(metadata, dict) else {}), "mix": note}}
    images = row.get("images")
    if isinstance(images, list):
        noted["images"] = [image_path(os.fspath(image), root=root) for image in images]
    return noted
