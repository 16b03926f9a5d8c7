"""Collects the objects and faults of an answer, from the members of JSON that were decoded."""

from __future__ import annotations

import re
from typing import Final

from qvl.conversation.answer import Fault, TextObject
from qvl.conversation.objects import is_bare_object, is_whole_object, pairs_of, read_object
from qvl.conversation.render import OBJECT_WORD
from qvl.records import shorten

MAX_IMAGES: Final = 64
"""Highest picture number that is believed."""

Span = tuple[int, int]
"""Where an object stands in the text: its first character, and the one behind its last."""

_IN_IMAGE: Final = 2

BARE_OBJECT: Final = f"an object without the key {OBJECT_WORD}_<number>"
LIST_FORM: Final = "a list; the objects were to stand under keys"


class AnswerReader:
    """Takes the members of an answer one after the other and remembers which picture is open.

    Attributes:
        images: Objects by picture number; 0 collects those of pictures whose number is not believed.
        spans: Where each of these objects stands, None where that is not known.
        faults: What was wrong so far.
    """

    def __init__(self, image_label: str) -> None:
        """Prepare for an answer in which pictures are called `<image_label>_1`."""
        self.images: dict[int, list[TextObject]] = {}
        self.spans: dict[int, list[Span | None]] = {}
        self.faults: list[Fault] = []
        self._image: tuple[int, str] | None = None
        self._layouts: set[str] = set()
        self._seen: set[str] = set()
        self._num_items = 0
        self._image_key = re.compile(rf"{re.escape(image_label)}_([0-9]{{1,9}})")
        self._object_key = re.compile(rf"{OBJECT_WORD}_[0-9]+")

    def add(self, code: str, where: str | int, message: str) -> None:
        """Note a fault; `where` may be a position in the text, counted from 0."""
        self.faults.append(Fault(code, where if isinstance(where, str) else f"character {where + 1}", message))

    def has_image(self) -> bool:
        """Tell whether a picture is open."""
        return self._image is not None

    def has_seen(self, key: str) -> bool:
        """Tell whether a key stood at the top of the answer."""
        return key in self._seen

    def is_image(self, key: str) -> bool:
        """Tell whether a key is that of a picture."""
        return self._image_key.fullmatch(key) is not None

    def is_object(self, key: str) -> bool:
        """Tell whether a key is that of an object."""
        return self._object_key.fullmatch(key) is not None

    def open(self, key: str) -> None:
        """Enter the picture `key`."""
        self._note(key, "grouped")
        found = self._image_key.fullmatch(key)
        number = int(found[1]) if found else 0
        believed = 1 <= number <= MAX_IMAGES
        if not believed:
            self.add("bad_image_number", key, f"expected a number in 1..{MAX_IMAGES}; its objects are left out")
        self._image = (number if believed else 0, key)
        self.images.setdefault(self._image[0], [])

    def close(self) -> None:
        """Leave the picture."""
        self._image = None

    def take(self, key: str, value: object, *, span: Span | None = None) -> None:
        """Keep the object under `key`, if it is one; a key that is none of ours may hold one all the same."""
        where = key if self._image is None else f"{self._image[1]}.{key}"
        if self.is_image(key):
            self.add("not_an_object", where, f"expected the objects of a picture, got {shorten(value)}")
            return
        if not self.is_object(key):
            self.add("unknown_key", where, f"expected {OBJECT_WORD}_<number>, got {shorten(key)}")
            if not is_whole_object(value):
                return
        self._note(where, "flat" if self._image is None else "grouped")
        self._keep(where, value, is_native=False, span=span)

    def take_item(self, value: object, *, is_native: bool = True, span: Span | None = None) -> None:
        """Keep an object that has no key."""
        self._num_items += 1
        where = f"item {self._num_items}" if self._image is None else f"{self._image[1]}.item {self._num_items}"
        self._note(where, "flat" if self._image is None else "grouped")
        self._keep(where, value, is_native=is_native, span=span)

    def _keep(self, where: str, value: object, *, is_native: bool, span: Span | None) -> None:
        item, faults = read_object(where, value, is_native=is_native)
        self.faults += faults
        if item is not None:
            number = 1 if self._image is None else self._image[0]
            self.images.setdefault(number, []).append(item)
            self.spans.setdefault(number, []).append(span)

    def _note(self, where: str, layout: str) -> None:
        """Remember a key that was met, to notice equal keys and answers that are grouped only in part."""
        if where in self._seen:
            self.add("duplicate_key", where, "the key stands here more than once; both are read")
        self._seen.add(where)
        if self._layouts and layout not in self._layouts:
            self.add("mixed_grouping", where, "some objects stand in a picture, some do not")
        self._layouts.add(layout)


def read_tree(reader: AnswerReader, value: object, *, position: int = 0) -> None:
    """Read an answer that was decoded as a whole.

    Args:
        reader: Takes what is found.
        value: What the decoder returned.
        position: Where the value starts in the text.
    """
    match value:
        case dict():
            _read_group(reader, value, f"character {position + 1}", level=0)
        case list():
            _read_list(reader, value, f"character {position + 1}")
        case _:
            reader.add("not_json", position, f"no JSON object in {shorten(value)}")


def _read_group(reader: AnswerReader, value: dict[str, object], where: str, *, level: int) -> None:
    """Read objects that stand under their keys: at the top (level 0), in a wrapper (1) or in a picture (2)."""
    if is_bare_object(value):
        reader.add("bare_object", where, BARE_OBJECT)
        reader.take_item(value, is_native=False)
        return
    for key, inner in pairs_of(value):
        if level < _IN_IMAGE and reader.is_image(key) and isinstance(inner, dict | list):
            _read_image(reader, key, inner)
            continue
        reader.take(key, inner)
        if level == 0 and not reader.is_object(key):
            _read_wrapper(reader, key, inner)


def _read_wrapper(reader: AnswerReader, key: str, value: object) -> None:
    """Read what stands under a key that is none of ours, as in `{"objects": [...]}`, if it holds something of ours."""
    match value:
        case dict() if any(reader.is_object(inner) or reader.is_image(inner) for inner in value):
            _read_group(reader, value, key, level=1)
        case list() if any(is_bare_object(item) for item in value):
            _read_list(reader, value, key)


def _read_image(reader: AnswerReader, key: str, value: dict[str, object] | list[object]) -> None:
    reader.open(key)
    if isinstance(value, list):
        _read_list(reader, value, key)
    else:
        _read_group(reader, value, key, level=_IN_IMAGE)
    reader.close()


def _read_list(reader: AnswerReader, items: list[object], where: str) -> None:
    """Read the form that Qwen writes by itself; its items may also be groups."""
    reader.add("list_form", where, LIST_FORM)
    for item in items:
        if isinstance(item, dict) and item and not is_bare_object(item):
            for key, inner in pairs_of(item):
                reader.take(key, inner)
        else:
            reader.take_item(item)
