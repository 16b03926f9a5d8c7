"""The text of an answer to objects; total, because a model may write anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from qvl.conversation.answer import Fault, TextObject
from qvl.conversation.damaged import DamagedReader, find_anchors
from qvl.conversation.marks import has_marks, read_marks
from qvl.conversation.objects import from_pairs, to_integer
from qvl.conversation.reader import AnswerReader, read_tree

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """What could be read.

    Attributes:
        images: Objects of each picture, in the order of the text; at least one entry, empty where nothing was read.
        faults: Everything that was wrong; empty only if the text is strict JSON of the form that was asked for.
    """

    images: tuple[tuple[TextObject, ...], ...]
    faults: tuple[Fault, ...]


def parse_answer(text: str, *, image_label: str) -> ParsedAnswer:
    """Read an answer, grouped by picture or not; the inverse of `render_answer`.

    Nothing is raised, and the time is linear in the text. An object is kept if it has a text, exactly one geometry and
    numbers that fit it; a cut-off answer keeps its complete objects; after a malformed object reading goes on at the
    next one. Code fences and words around the JSON, extra keys, equal keys, single quotes, commas and braces too many
    are faults that lose nothing; so are the forms that Qwen knows by itself, a list of objects and
    `<|box_start|>(x1,y1),(x2,y2)<|box_end|>`. All faults are in docs/reference/answer_faults.md.

    Numbers are returned as they are written: whether they are pixels or a grid is what the prompt asked for, the text
    does not tell. How the objects are numbered is not looked at, pictures count up to `MAX_IMAGES`.

    Args:
        text: What the model wrote.
        image_label: Word in front of a picture's number.
    """
    reader = AnswerReader(image_label)
    try:
        value = json.loads(text, object_pairs_hook=from_pairs, parse_int=to_integer)
    except (json.JSONDecodeError, RecursionError):
        read_by_place(reader, text, image_label)
    else:
        read_tree(reader, value)
    return ParsedAnswer(by_picture(reader.images, max(reader.images, default=1)), tuple(reader.faults))


def read_by_place(reader: AnswerReader, text: str, image_label: str) -> None:
    """Read what a decoder of JSON does not take, from place to place; the objects that are found have a span."""
    if has_marks(text) and next(find_anchors(text, 0, image_label), None) is None:
        read_marks(reader, text)
    else:
        DamagedReader(reader, text, image_label).read()


def by_picture(found: Mapping[int, Sequence[T]], count: int) -> tuple[tuple[T, ...], ...]:
    """Return what was found in the pictures 1 to `count`, at least 1; what belongs to no picture is left out."""
    return tuple(tuple(found.get(number, ())) for number in range(1, max(count, 1) + 1))
