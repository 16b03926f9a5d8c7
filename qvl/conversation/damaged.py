"""Reads answers that are no JSON: cut off, wrapped in words, with slips. What is whole survives what is not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from qvl.conversation.loose import LooseError, LooseReader
from qvl.conversation.objects import DECODER, OBJECT_KEYS
from qvl.conversation.reader import BARE_OBJECT, LIST_FORM, AnswerReader, Span, read_tree
from qvl.conversation.render import OBJECT_WORD
from qvl.records import shorten

_BLANK: Final = r"[ \t\r\n]*"
_BLANKS: Final = re.compile(_BLANK)
_SURPLUS: Final = re.compile(r"[}\],][}\], \t\r\n]*")
_WRAPPER: Final = re.compile(rf"[{{\[]{_BLANK}[\"']\w{{1,40}}[\"']{_BLANK}:{_BLANK}\Z")
_ROOT: Final = re.compile(rf"[{{\[]{_BLANK}(?:[\"'}}\]{{\[]|\Z)")
_BARE: Final = re.compile(rf"\{{{_BLANK}[\"'](?:{'|'.join(OBJECT_KEYS)})[\"']{_BLANK}:")
_OPENED: Final = re.compile(rf"{_BLANK}([{{\[]){_BLANK}\Z")
_THOUGHT: Final = "</think>"
_OPENERS: Final = {"}": "{", "]": "["}
_COMMAS: Final = "the commas or brackets are not where JSON has them"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A place where something of ours certainly starts; inside a JSON string none can, its quotes are escaped.

    Attributes:
        kind: `image`, `object` (under its key) or `item` (without a key).
        key: The key; empty for an item.
        start: Position of the key's quote, or of the item's brace.
        value: Position of the brace or bracket.
    """

    kind: str
    key: str
    start: int
    value: int


def find_anchors(text: str, begin: int, image_label: str) -> Iterator[Anchor]:
    """Yield the anchors from `begin` on, all with the same kind of quotes as the first."""
    first = _anchor_pattern(image_label, "\"'").search(text, begin)
    if first is None:
        return
    quote = first["quote"] or first["inner"]
    for found in _anchor_pattern(image_label, quote).finditer(text, first.start()):
        if found["item"] is not None:
            yield Anchor("item", "", found.start(), found.start())
        elif found["image"] is not None:
            yield Anchor("image", json.loads(f'"{found["image"]}"'), found.start(), found.end() - 1)
        elif found["value"] == "{":
            yield Anchor("object", found["object"], found.start(), found.end() - 1)


def _anchor_pattern(image_label: str, quotes: str) -> re.Pattern[str]:
    """Return the pattern of an anchor; the word may be written with or without escapes."""
    words = "|".join(sorted({re.escape(json.dumps(image_label, ensure_ascii=flag)[1:-1]) for flag in (True, False)}))
    image, item = rf"(?P<image>(?:{words})_[0-9]{{1,9}})", "|".join(OBJECT_KEYS)
    key = rf"(?P<quote>[{quotes}])(?:{image}|(?P<object>{OBJECT_WORD}_[0-9]+))(?P=quote)"
    return re.compile(
        rf"{key}{_BLANK}:{_BLANK}(?P<value>[{{\[])|(?P<item>\{{){_BLANK}(?P<inner>[{quotes}])(?:{item})(?P=inner){_BLANK}:"
    )


class DamagedReader:
    """Goes from anchor to anchor; a value that cannot be read costs nothing behind the next anchor.

    The time is linear in the text: values are read up to the next anchor only.
    """

    def __init__(self, reader: AnswerReader, text: str, image_label: str) -> None:
        """Prepare to read `text` into `reader`."""
        self._reader = reader
        self._text = text
        self._begin = text.rfind(_THOUGHT) + len(_THOUGHT) if _THOUGHT in text else 0
        self._anchors = tuple(find_anchors(text, self._begin, image_label))
        self._position = self._begin
        self._stack: list[str] = []  # the brackets that are open
        self._image_depth = 0  # how many of them, with that of the picture
        self._last = "open"  # what came last: open, value or comma
        self._is_closed = False  # the answer has ended, as far as brackets say
        self._is_over = False  # nothing more is read
        self._is_lost = False  # which brackets are open is not known, because something was not readable
        self._slips: set[str] = set()

    def read(self) -> None:
        """Read the whole text."""
        if self._anchors:
            self._read_from_anchors()
        else:
            self._read_without_anchors()
        if not self._reader.faults:
            self._reader.add("not_strict_json", 0, "the text is no JSON")

    def _read_from_anchors(self) -> None:
        self._start(self._root_start())
        limits = [anchor.start for anchor in self._anchors[1:]] + [len(self._text)]
        self._read_between(self._anchors[0].start, self._anchors[0])
        for number, (anchor, limit) in enumerate(zip(self._anchors, limits, strict=True), 1):
            self._read_anchor(anchor, limit)
            self._read_between(limit, self._anchors[number] if number < len(self._anchors) else None)
            if self._is_over:
                return
        if self._stack and not self._is_lost:
            self._reader.add("truncated", len(self._text), "the answer ends inside the JSON")

    def _root_start(self) -> int:
        """Return where the brackets begin in front of the first anchor."""
        first = self._skip(self._begin)
        if self._text[first] in "{[":
            return first
        position = self._anchors[0].start
        wrapper = _WRAPPER.search(self._text, max(first, position - 60), self._before(position))
        return self._before(wrapper.start() if wrapper else position)

    def _before(self, position: int) -> int:
        """Return where the brackets and blanks in front of a position begin."""
        while position > self._begin and self._text[position - 1] in " \t\r\n[{":
            position -= 1
        return position

    def _start(self, position: int) -> None:
        around = self._text[:position].strip()
        if around:
            self._reader.add("text_around", 0, f"text before the JSON: {shorten(around)}")
        self._position = position

    def _skip(self, position: int) -> int:
        found = _BLANKS.match(self._text, position)
        return found.end() if found else position

    def _slip(self, position: int, message: str, code: str = "not_strict_json") -> None:
        """Note once what is not strict; after something unreadable, brackets and commas tell nothing."""
        if code not in self._slips and not (self._is_lost and code == "not_strict_json"):
            self._slips.add(code)
            self._reader.add(code, position, message)

    def _read_anchor(self, anchor: Anchor, limit: int) -> None:
        """Read a picture's opening, or an object."""
        if self._is_over:
            return
        self._enter(anchor)
        if anchor.kind == "image":
            self._open_image(anchor)
            if not _BARE.match(self._text, anchor.value):
                return
            self._stack.pop()  # the brace is that of an object
            self._image_depth = 0
        try:
            value, self._position = self._decode(anchor.value, limit)
        except LooseError as error:
            self._give_up(anchor.start, error, limit)
            return
        span = (anchor.value, self._position)
        if anchor.kind == "object":
            self._reader.take(anchor.key, value, span=span)
        else:
            self._take_item(anchor, value, span)
        if anchor.kind == "image":
            self._reader.close()
        self._last = "value"

    def _enter(self, anchor: Anchor) -> None:
        """Check what stands open in front of an anchor."""
        if self._is_closed and not self._stack and anchor.kind != "item":
            self._reader.add("stray_brace", anchor.start, "the answer goes on behind its last brace")
            self._push("{")
        elif self._stack and self._last == "value":
            self._slip(anchor.start, _COMMAS)
        elif not self._stack and anchor.kind != "item":
            self._slip(anchor.start, "the opening brace is missing")
            self._push("{")
        self._is_lost = False
        if self._text[anchor.start] == "'":
            self._slip(anchor.start, "single quotes stand where JSON has double ones", "single_quotes")

    def _open_image(self, anchor: Anchor) -> None:
        if self._reader.has_image():
            self._slip(anchor.start, "a picture is not closed before the next")
            del self._stack[self._image_depth - 1 :]
        self._reader.open(anchor.key)
        bracket = self._text[anchor.value]
        self._push(bracket)
        self._image_depth = len(self._stack)
        if bracket == "[":
            self._reader.add("list_form", anchor.key, LIST_FORM)
        self._position = anchor.value + 1

    def _push(self, bracket: str) -> None:
        self._stack.append(bracket)
        self._last = "open"

    def _decode(self, start: int, limit: int) -> tuple[object, int]:
        """Return the value at `start` and where it ends, at most `limit`.

        Raises:
            LooseError: There is none.
        """
        try:
            value, size = DECODER.raw_decode(self._text[start:limit])
        except (json.JSONDecodeError, RecursionError):
            loose = LooseReader(self._text, start, limit)
            value = loose.read()
            for code, message in loose.slips.items():
                self._slip(start, message, code)
            return value, loose.position
        return value, start + size

    def _take_item(self, anchor: Anchor, value: object, span: Span) -> None:
        is_listed = bool(self._stack) and self._stack[-1] == "["
        if not is_listed:
            self._reader.add("bare_object", anchor.start, BARE_OBJECT)
        self._reader.take_item(value, is_native=is_listed, span=span)

    def _give_up(self, position: int, error: LooseError, limit: int) -> None:
        """Leave out what stands before `limit`."""
        self._reader.add("truncated" if error.is_cut else "malformed", position, str(error))
        self._position, self._last, self._is_lost = limit, "open", True

    def _read_between(self, limit: int, following: Anchor | None) -> None:
        """Read brackets, commas and members that are none of ours, up to `limit`."""
        while not self._is_over:
            self._position = position = self._skip(self._position)
            if position >= limit:
                return
            character = self._text[position]
            if character in "}],":
                self._close(position, character)
            elif character in "{[":
                self._open(position, character, following)
            elif not self._stack:
                self._reader.add(
                    "text_around", position, f"text around the JSON: {shorten(self._text[position:limit])}"
                )
                self._position = limit
            else:
                self._read_member(position, limit)

    def _close(self, position: int, character: str) -> None:
        """Read a comma or a closing bracket."""
        self._position = position + 1
        if not self._stack:
            self._close_surplus(position)
        elif character == ",":
            if self._last != "value":
                self._slip(position, _COMMAS)
            self._last = "comma"
        else:
            if self._last == "comma" or self._stack[-1] != _OPENERS[character]:
                self._slip(position, _COMMAS)
            self._stack.pop()
            self._last = "value"
            self._is_closed = not self._stack
            if len(self._stack) < self._image_depth:
                self._reader.close()
                self._image_depth = 0

    def _close_surplus(self, position: int) -> None:
        """Read brackets and commas behind the end; bare objects may have commas between them."""
        found = _SURPLUS.match(self._text, position)
        if found is None:
            return
        self._position = found.end()
        if found[0].strip(" \t\r\n,"):
            self._reader.add("stray_brace", position, "a bracket that closes nothing")

    def _open(self, position: int, bracket: str, following: Anchor | None) -> None:
        """Read an opening bracket in front of an anchor."""
        if self._is_closed and not self._stack:
            is_new = following is not None and following.key and not self._reader.has_seen(following.key)
            if not is_new:
                self._reader.add("text_around", position, f"text after the JSON: {shorten(self._text[position:])}")
                self._is_over = True
                return
            self._slip(position, "the answer begins once more", "stray_brace")
        elif bracket == "[":
            self._slip(position, LIST_FORM, "list_form")
        elif self._stack and self._stack[-1] != "[":
            self._slip(position, "a brace that opens nothing", "stray_brace")
        self._position = position + 1
        self._push(bracket)

    def _read_member(self, position: int, limit: int) -> None:
        """Read `"key": value`, or the key only of a list that goes on behind the next anchor."""
        loose = LooseReader(self._text, position, limit)
        try:
            key = loose.read_key()
            opened = _OPENED.match(self._text, loose.position, limit)
            if limit < len(self._text) and opened:
                self._open_wrapper(key, opened[1], limit)
                return
            start = loose.position
            value = loose.read()
        except LooseError as error:
            self._give_up(position, error, limit)
            return
        for code, message in loose.slips.items():
            self._slip(position, message, code)
        self._reader.take(key, value, span=(self._skip(start), loose.position))
        self._position, self._last = loose.position, "value"

    def _open_wrapper(self, key: str, bracket: str, limit: int) -> None:
        """Enter `"objects": [`, in which the next anchor stands."""
        self._reader.take(key, [])
        if bracket == "[":
            self._slip(self._position, LIST_FORM, "list_form")
        self._push(bracket)
        self._position = limit

    def _read_without_anchors(self) -> None:
        """Read a text without objects: nothing, words, or JSON of another form."""
        start = self._skip(self._begin)
        found = _ROOT.search(self._text, start)
        if self._text[start : start + 1] not in ("{", "[") and found is None:
            self._reader.add("not_json", 0, f"no JSON object in {shorten(self._text)}")
            return
        self._start(found.start() if found and self._text[start] not in "{[" else start)
        start = self._position
        try:
            value, self._position = self._decode(start, len(self._text))
        except LooseError as error:
            self._reader.add("truncated" if error.is_cut else "malformed", start, str(error))
            return
        read_tree(self._reader, value, position=start)
        self._is_closed = True
        self._read_between(len(self._text), None)
