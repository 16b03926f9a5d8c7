"""Reads the JSON of an answer member by member, so that what is whole survives what is not."""

from __future__ import annotations

import json
import re
from typing import Final

from qvl.conversation.answer import Fault, TextObject
from qvl.conversation.render import OBJECT_WORD
from qvl.geometry import KEYS
from qvl.records import has_lone_surrogate, is_number, shorten

MAX_IMAGES: Final = 64
"""Highest picture number that is believed."""

_MAX_RECOVERIES: Final = 100
"""After so many malformed places reading stops; it bounds the time that nonsense can take."""

_BLANKS: Final = " \t\r\n"
_STRING_OR_BRACE: Final = re.compile(r'"(?:[^"\\]|\\.)*(")?|[{}]', re.DOTALL)


class _Repeated(dict[str, object]):
    """A JSON object in which a key stood more than once; the last value is kept."""


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else _Repeated(members)


def _integer(digits: str) -> int | float:
    """Read digits; `int` refuses thousands of them, `float` does not (and numbers that long are refused later)."""
    return int(digits) if len(digits) <= 18 else float(digits)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_pairs, parse_int=_integer)


def _is_strict(text: str) -> bool:
    try:
        json.loads(text, parse_int=_integer, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


class AnswerReader:
    """Reads members `"key": value` one after the other and remembers which picture is open.

    Attributes:
        images: Objects by picture number; 0 collects those of pictures whose number is not believed.
        faults: What was wrong so far.
    """

    def __init__(self, text: str, image_label: str) -> None:
        """Prepare to read `text`, in which pictures are called `<image_label>_1`."""
        self.images: dict[int, list[TextObject]] = {}
        self.faults: list[Fault] = []
        self._text = text
        self._position = 0
        self._recoveries = 0
        self._image: tuple[int, str] | None = None
        self._layouts: set[str] = set()
        self._seen: set[str] = set()
        word = re.escape(image_label)
        self._image_key = re.compile(rf"{word}_([0-9]{{1,9}})")
        self._object_key = re.compile(rf"{OBJECT_WORD}_[0-9]+")
        self._member_start = re.compile(rf'"(?:{OBJECT_WORD}|{word})_[0-9]+"[ \t\r\n]*:[ \t\r\n]*\{{')

    def read(self) -> None:
        """Read the whole text into `images` and `faults`."""
        start = self._find_start()
        if start is None:
            self._add_fault("not_json", "character 1", f"no JSON object in {shorten(self._text)}")
            return
        self._position = start + 1
        while self._read_member():
            pass
        if not self.faults and not _is_strict(self._text):
            self._add_fault("not_strict_json", "character 1", "the commas are not where JSON has them")

    def _add_fault(self, code: str, where: str, message: str) -> None:
        self.faults.append(Fault(code, where, message))

    def _find_start(self) -> int | None:
        """Return the position of the brace that opens the answer."""
        first = self._skip(0, _BLANKS)
        if self._text[first : first + 1] == "{":
            return first
        found = re.search(rf"\{{[ \t\r\n]*(?:{self._member_start.pattern}|\}})", self._text)
        if found is None:
            return None
        self._add_fault("text_around", f"character {first + 1}", f"text before the JSON: {shorten(self._text[first:])}")
        return found.start()

    def _skip(self, position: int, characters: str) -> int:
        while position < len(self._text) and self._text[position] in characters:
            position += 1
        return position

    def _read_member(self) -> bool:
        """Read the next member or closing brace; False when there is nothing left to read."""
        self._position = self._skip(self._position, _BLANKS + ",")
        if self._position == len(self._text):
            self._add_fault("truncated", f"character {self._position + 1}", "the answer ends inside the JSON")
            return False
        if self._text[self._position] == "}":
            return self._close()
        try:
            key, start = self._decode_key()
            image = self._image_key.fullmatch(key)
            if image and self._text[start : start + 1] == "{":
                self._position = start + 1
                self._open(key, int(image[1]))
                return True
            value, self._position = _DECODER.raw_decode(self._text, start)
        except (json.JSONDecodeError, RecursionError) as error:
            return self._recover(error)
        self._take(key, value)
        return True

    def _decode_key(self) -> tuple[str, int]:
        """Return the key at the position and where its value starts."""
        key, end = _DECODER.raw_decode(self._text, self._position)
        colon = self._skip(end, _BLANKS)
        if not isinstance(key, str) or self._text[colon : colon + 1] != ":":
            raise json.JSONDecodeError("Expecting a key and ':'", self._text, colon)
        return key, self._skip(colon + 1, _BLANKS)

    def _close(self) -> bool:
        self._position += 1
        if self._image is not None:
            self._image = None
            return True
        rest = self._skip(self._position, _BLANKS)
        if rest < len(self._text):
            self._add_fault(
                "text_around", f"character {rest + 1}", f"text after the JSON: {shorten(self._text[rest:])}"
            )
        return False

    def _recover(self, error: json.JSONDecodeError | RecursionError) -> bool:
        """Go on at the next member that looks like ours; inside a JSON string none can, its quotes are escaped."""
        self._recoveries += 1
        start = self._position + 1 if self._recoveries <= _MAX_RECOVERIES else len(self._text)
        found = self._member_start.search(self._text, start)
        where = f"character {self._position + 1}"
        if found is None and self._is_cut_off():
            self._add_fault("truncated", where, "the answer ends inside the JSON")
        else:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
            self._add_fault("malformed", where, f"not JSON: {reason}")
        self._position = found.start() if found else len(self._text)
        return found is not None

    def _is_cut_off(self) -> bool:
        """Tell whether braces or a string stay open from here to the end of the text."""
        depth = 1 if self._image is None else 2
        for token in _STRING_OR_BRACE.finditer(self._text, self._position):
            if token[0] in "{}":
                depth += 1 if token[0] == "{" else -1
            elif token[1] is None:
                return True
        return depth > 0

    def _open(self, key: str, number: int) -> None:
        """Enter the picture `key`."""
        self._note(key, "grouped")
        believed = 1 <= number <= MAX_IMAGES
        if not believed:
            self._add_fault("bad_image_number", key, f"expected a number in 1..{MAX_IMAGES}; its objects are left out")
        self._image = (number if believed else 0, key)
        self.images.setdefault(self._image[0], [])

    def _take(self, key: str, value: object) -> None:
        """Keep the object under `key`, if it is one."""
        number, where = (1, key) if self._image is None else (self._image[0], f"{self._image[1]}.{key}")
        if self._image_key.fullmatch(key):
            self._add_fault("not_an_object", where, f"expected the objects of a picture, got {shorten(value)}")
            return
        if not self._object_key.fullmatch(key):
            self._add_fault("unknown_key", where, f"expected {OBJECT_WORD}_<number>, got {shorten(key)}")
            return
        self._note(where, "flat" if self._image is None else "grouped")
        item, faults = _read_object(where, value)
        self.faults += faults
        if item is not None:
            self.images.setdefault(number, []).append(item)

    def _note(self, where: str, layout: str) -> None:
        """Remember a key that was met, to notice equal keys and answers that are grouped only in part."""
        if where in self._seen:
            self._add_fault("duplicate_key", where, "the key stands here more than once; both are read")
        self._seen.add(where)
        if self._layouts and layout not in self._layouts:
            self._add_fault("mixed_grouping", where, "some objects stand in a picture, some do not")
        self._layouts.add(layout)


def _read_object(where: str, value: object) -> tuple[TextObject | None, list[Fault]]:
    """Return the object that a decoded value stands for, if any, and what is wrong with it."""
    if not isinstance(value, dict):
        return None, [Fault("not_an_object", where, f"expected desc and one geometry, got {shorten(value)}")]
    faults = []
    if isinstance(value, _Repeated):
        faults.append(Fault("duplicate_key", where, "a key stands here more than once; the last is read"))
    if extra := [key for key in value if key != "desc" and key not in KEYS]:
        faults.append(Fault("unknown_key", where, f"expected desc and one geometry only, got {shorten(extra[0])} too"))
    desc, keys = value.get("desc"), [key for key in KEYS if key in value]
    if not isinstance(desc, str) or has_lone_surrogate(desc):
        return None, [*faults, Fault("bad_desc", where, f"expected a text, got {shorten(desc)}")]
    if len(keys) != 1:
        came = ", ".join(keys) or "none"
        return None, [*faults, Fault("geometry_count", where, f"expected one of {', '.join(KEYS)}, got {came}")]
    numbers = _read_numbers(value[keys[0]])
    if numbers is None:
        return None, [*faults, Fault("bad_numbers", where, f"{keys[0]}: expected a flat list of numbers")]
    try:
        return TextObject(desc, keys[0], numbers), faults
    except ValueError as error:
        return None, [*faults, Fault("bad_numbers", where, str(error))]


def _read_numbers(value: object) -> tuple[int | float, ...] | None:
    if not isinstance(value, list):
        return None
    numbers = tuple(number for number in value if is_number(number))
    return numbers if len(numbers) == len(value) else None
