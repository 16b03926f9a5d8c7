"""Reads marked boxes, `<|object_ref_start|>cup<|object_ref_end|><|box_start|>(1,2),(3,4)<|box_end|>`."""

from __future__ import annotations

import re
from typing import Final

from qvl.conversation.objects import to_integer
from qvl.conversation.reader import AnswerReader, Span
from qvl.records import shorten

_MARK: Final = re.compile(r"<\|(object_ref|box|quad|point)_(start|end)\|>|<(/?)(ref|box|quad|point)>")
_ONE: Final = r"(?>[+-]?[0-9]+(?:\.[0-9]+)?)"
_NUMBER: Final = re.compile(_ONE)
_NUMBERS: Final = re.compile(rf"[ (\[]*{_ONE}(?:[ ()\[\]]*,[ ()\[\]]*{_ONE})*[ )\]]*")
_START: Final = re.compile(r"<\|(?:object_ref|box|quad|point)_start\|>|<(?:ref|box|quad)>")
_KEYS: Final = {"box": "bbox_2d", "quad": "poly", "point": "point_2d"}


def has_marks(text: str) -> bool:
    """Tell whether a text marks an object; whether there is JSON as well is the caller's to look for."""
    return _START.search(text) is not None


def read_marks(reader: AnswerReader, text: str) -> None:
    """Read marked objects; all stand in the first picture, because marks say nothing about pictures."""
    reader.add("marked_form", 0, "marked boxes; the objects were to stand under keys")
    MarkReader(reader, text).read()


class MarkReader:
    """Goes from mark to mark; a description holds for all boxes up to the next description."""

    def __init__(self, reader: AnswerReader, text: str) -> None:
        """Prepare to read `text` into `reader`."""
        self._reader = reader
        self._text = text
        self._desc: str | None = None
        self._desc_start: int | None = None  # of a description that has no box yet
        self._has_words = False

    def read(self) -> None:
        """Read the whole text."""
        position, opened, start = 0, "", 0
        for found in _MARK.finditer(self._text):
            name = (found[1] or found[4]).removeprefix("object_")
            is_start = found[2] == "start" or (found[2] is None and not found[3])
            self._read_words(position, found.start(), is_inside=bool(opened))
            if is_start:
                if opened:
                    self._reader.add("malformed", start, f"<{opened}> is not closed before the next mark")
                opened, start = name, found.start()
            elif name == opened:
                self._take(opened, (start, found.end()), self._text[position : found.start()])
                opened = ""
            else:
                self._reader.add("malformed", found.start(), f"a mark closes {name}, which is not open")
                opened = ""
            position = found.end()
        self._finish(position, opened, start)

    def _finish(self, position: int, opened: str, start: int) -> None:
        if opened or self._text[position:].lstrip().startswith("<|"):
            self._reader.add("truncated", start if opened else position, "the answer ends inside a mark")
        else:
            self._read_words(position, len(self._text), is_inside=False)
            self._check_desc()

    def _read_words(self, start: int, end: int, *, is_inside: bool) -> None:
        words = self._text[start:end].strip(" \t\r\n,;.")
        if words and not is_inside and not self._has_words:
            self._has_words = True
            self._reader.add("text_around", start, f"text around the marks: {shorten(words)}")

    def _check_desc(self) -> None:
        if self._desc_start is not None:
            self._reader.add("geometry_count", self._desc_start, f"no box for {shorten(self._desc)}")
        self._desc_start = None

    def _take(self, name: str, span: Span, content: str) -> None:
        """Keep what stands between two marks: a description, or the numbers of an object."""
        if name == "ref":
            self._check_desc()
            self._desc, self._desc_start = content.strip(), span[0]
            return
        start = span[0] if self._desc_start is None else self._desc_start
        self._desc_start = None
        numbers: object = content
        if _NUMBERS.fullmatch(content.strip()):
            numbers = [float(one) if "." in one else to_integer(one) for one in _NUMBER.findall(content)]
        self._reader.take_item({"desc": self._desc, _KEYS[name]: numbers}, span=(start, span[1]))
