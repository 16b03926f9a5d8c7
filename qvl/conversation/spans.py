"""Where the objects of an answer stand in its text."""

from __future__ import annotations

from qvl.conversation.parse import ParsedAnswer, by_picture, read_by_place
from qvl.conversation.reader import AnswerReader, Span

__all__ = ["find_spans"]


def find_spans(text: str, parsed: ParsedAnswer, *, image_label: str) -> tuple[tuple[Span | None, ...], ...]:
    """Return where each object stands that was read from an answer, in time linear in the text.

    A span is the braces of an object with what is between them, without its key. A marked box begins with its
    description; one that shares the description of the box before it is its own marks only.

    Args:
        text: What the model wrote.
        parsed: What `parse_answer` read in it.
        image_label: Word in front of a picture's number.

    Returns:
        (first character, the one behind the last) of each object, parallel to `parsed.images`; None where that is not
        known: in JSON that is nested in a way of its own.
    """
    reader = AnswerReader(image_label)
    read_by_place(reader, text, image_label)
    count = len(parsed.images)
    if by_picture(reader.images, count) != parsed.images:
        return tuple((None,) * len(items) for items in parsed.images)
    return by_picture(reader.spans, count)
