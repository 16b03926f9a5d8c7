"""What is written of an answer: objects on the 0..1000 grid and in pixels, or a line of text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from qvl.conversation import IRRELEVANT, NUMBER_LIMIT, Fault, ParsedAnswer, TextObject, parse_answer, text_objects
from qvl.data import TurnFormat
from qvl.geometry import GRIDS
from qvl.records import Record

__all__ = ["norm1000", "picture_rows", "pixels", "truth_rows"]

_GRID: Final = 1000
_PIXEL_DIGITS: Final = 2


def norm1000(item: TextObject, *, width: int, height: int, emit_norm: str) -> TextObject:
    """Return an object with its numbers on the 0..1000 grid, not rounded.

    Args:
        item: Numbers in the units of the text.
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
        emit_norm: Units of the text, a key of `qvl.geometry.GRIDS`.
    """
    if GRIDS[emit_norm] == _GRID:
        return item
    grid = GRIDS[emit_norm]
    across, down = (width, height) if grid is None else (grid, grid)
    scaled = (number / (down if index % 2 else across) * _GRID for index, number in enumerate(item.numbers))
    return replace(item, numbers=tuple(min(max(number, -NUMBER_LIMIT), NUMBER_LIMIT) for number in scaled))


def pixels(item: TextObject, *, width: int, height: int) -> list[float]:
    """Return the numbers of an object on the 0..1000 grid in pixels, to a hundredth."""
    return [
        round(number / _GRID * (height if index % 2 else width), _PIXEL_DIGITS)
        for index, number in enumerate(item.numbers)
    ]


def truth_rows(record: Record, form: TurnFormat) -> list[dict[str, Any]]:
    """Return the annotated objects as predictions are written, not rounded: a thin box keeps its area."""
    exact = text_objects(record, emit_norm="none", order=form.order)
    return [asdict(norm1000(item, width=record.width, height=record.height, emit_norm="none")) for item in exact]


def picture_rows(text: str, sizes: Sequence[tuple[int, int]], *, mode: str, form: TurnFormat) -> list[dict[str, Any]]:
    """Read an answer and return `predicted` and `faults` for each picture of the turn.

    Args:
        text: What the model wrote.
        sizes: (width, height) of each picture in pixels.
        mode: `dense`: `predicted` is a list of objects, numbers on the 0..1000 grid with `pixels` beside them;
            `summary`: it is a text.
        form: How answers are written.

    Returns:
        One dict a picture; the faults are those of the whole answer, which may be about several pictures.
    """
    if mode == "summary":
        texts, faults = _read_summaries(text, len(sizes), form.image_label)
        return [{"predicted": text, "faults": [asdict(fault) for fault in faults]} for text in texts]
    parsed = parse_answer(text, image_label=form.image_label)
    wrong = [asdict(fault) for fault in (*parsed.faults, *_count_faults(parsed, len(sizes)))]
    rows = []
    for number, (width, height) in enumerate(sizes):
        answered = parsed.images[number] if number < len(parsed.images) else ()
        items = [norm1000(item, width=width, height=height, emit_norm=form.emit_norm) for item in answered]
        predicted = [{**asdict(item), "pixels": pixels(item, width=width, height=height)} for item in items]
        rows.append({"predicted": predicted, "faults": wrong})
    return rows


def _count_faults(parsed: ParsedAnswer, count: int) -> list[Fault]:
    if len(parsed.images) == count:
        return []
    return [Fault("image_count", "answer", f"{len(parsed.images)} pictures are answered, {count} were shown")]


def _read_summaries(text: str, count: int, image_label: str) -> tuple[list[str], list[Fault]]:
    """Return a text a picture, "" where there is none, and what is wrong; the inverse of `SummaryBuilder`."""
    if count == 1:
        return _one_summary(text.strip())
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return [""] * count, [Fault("not_json", "answer", "expected a JSON object with a text for each picture")]
    names = [f"{image_label}_{slot}" for slot in range(1, count + 1)]
    values = found if isinstance(found, Mapping) else {}
    texts = [value.strip() if isinstance(value := values.get(name), str) else "" for name in names]
    faults = [Fault("no_summary", name, "there is no text") for name, one in zip(names, texts, strict=True) if not one]
    faults += [Fault("unknown_key", str(name), "no such picture was shown") for name in values if name not in names]
    return texts, faults


def _one_summary(text: str) -> tuple[list[str], list[Fault]]:
    if text.startswith(IRRELEVANT) and text != IRRELEVANT:
        return [IRRELEVANT], [Fault("text_around", "answer", f"more than {IRRELEVANT}")]
    if not text:
        return [""], [Fault("no_summary", "answer", "there is no text")]
    faults = [Fault("many_lines", "answer", "expected one line")] if len(text.splitlines()) > 1 else []
    return [text], faults
