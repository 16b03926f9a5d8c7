"""The text of an answer to objects; total, because a model may write anything."""

from __future__ import annotations

from dataclasses import dataclass

from qvl.conversation.answer import Fault, TextObject
from qvl.conversation.reader import AnswerReader


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

    Nothing is raised. An object is kept if it has a text, exactly one geometry and numbers that fit it; a cut-off
    answer keeps its complete objects; after a malformed object reading goes on at the next one. Code fences and words
    around the JSON, extra keys and equal keys are faults that lose nothing. How the objects are numbered is not looked
    at, pictures count up to `MAX_IMAGES`.

    Args:
        text: What the model wrote.
        image_label: Word in front of a picture's number.
    """
    reader = AnswerReader(text, image_label)
    reader.read()
    images = tuple(tuple(reader.images.get(number, ())) for number in range(1, max(reader.images, default=1) + 1))
    return ParsedAnswer(images or ((),), tuple(reader.faults))
