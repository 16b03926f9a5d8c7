"""What is written of an answer: objects on the 0..1000 grid and in pixels, or a line of text."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from statistics import fmean
from typing import Any, Final

from qvl.conversation import (
    IRRELEVANT,
    Fault,
    ParsedAnswer,
    TextObject,
    find_spans,
    norm1000,
    parse_answer,
    text_objects,
)
from qvl.data import TurnFormat
from qvl.inference.engine import Completion
from qvl.records import Record

__all__ = ["object_scores", "picture_rows", "pixels", "truth_rows"]

_GRID: Final = 1000
_PIXEL_DIGITS: Final = 2
_SCORE_DIGITS: Final = 4


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


def picture_rows(
    completion: Completion, sizes: Sequence[tuple[int, int]], *, mode: str, form: TurnFormat
) -> list[dict[str, Any]]:
    """Read an answer and return what is written of each picture of the turn.

    Args:
        completion: What the model wrote.
        sizes: (width, height) of each picture in pixels.
        mode: `dense`: `predicted` is a list of objects, numbers on the 0..1000 grid with `pixels`
            and a `score` (see `object_scores`) beside them; `summary`: it is a text.
        form: How answers are written.

    Returns:
        One dict a picture: `predicted`, `faults`, `completion` and what else is known of it, `error` None. The faults
        are those of the whole answer, which may be about several pictures.
    """
    told = {
        "completion": completion.text,
        "finish_reason": completion.finish_reason,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "error": None,
    }
    read = _summary_rows if mode == "summary" else _object_rows
    return [{**row, **told} for row in read(completion, sizes, form)]


def _object_rows(completion: Completion, sizes: Sequence[tuple[int, int]], form: TurnFormat) -> list[dict[str, Any]]:
    parsed = parse_answer(completion.text, image_label=form.image_label)
    scores = object_scores(completion, parsed, image_label=form.image_label)
    wrong = [asdict(fault) for fault in (*parsed.faults, *_count_faults(parsed, len(sizes)))]
    rows = []
    for number, (width, height) in enumerate(sizes):
        answered = parsed.images[number] if number < len(parsed.images) else ()
        items = [norm1000(item, width=width, height=height, emit_norm=form.emit_norm) for item in answered]
        known = scores[number] if number < len(scores) else ()
        predicted = [
            {**asdict(item), "pixels": pixels(item, width=width, height=height), "score": score}
            for item, score in zip(items, known, strict=True)
        ]
        rows.append({"predicted": predicted, "faults": wrong})
    return rows


def _summary_rows(completion: Completion, sizes: Sequence[tuple[int, int]], form: TurnFormat) -> list[dict[str, Any]]:
    texts, faults = _read_summaries(completion.text, len(sizes), form.image_label)
    return [{"predicted": text, "faults": [asdict(fault) for fault in faults]} for text in texts]


def object_scores(
    completion: Completion, parsed: ParsedAnswer, *, image_label: str
) -> tuple[tuple[float | None, ...], ...]:
    """Return how sure a model was of each object: the mean log-probability of the tokens that it is written with.

    Args:
        completion: What the model wrote.
        parsed: What was read in it.
        image_label: Word in front of a picture's number.

    Returns:
        Natural logarithms, at most 0, to four digits, parallel to `parsed.images`; None where it is not known.
    """
    if not completion.token_ends:
        return tuple((None,) * len(items) for items in parsed.images)
    spans = find_spans(completion.text, parsed, image_label=image_label)
    return tuple(tuple(_mean_logprob(completion, span) for span in items) for items in spans)


def _mean_logprob(completion: Completion, span: tuple[int, int] | None) -> float | None:
    """Return the mean of the tokens that have a character in a span."""
    if span is None:
        return None
    first = bisect_right(completion.token_ends, span[0])
    last = bisect_left(completion.token_ends, span[1])
    mean = fmean(completion.token_logprobs[first : last + 1])
    return round(mean, _SCORE_DIGITS) + 0.0 if isfinite(mean) else None  # 0.0 makes no zero negative


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
