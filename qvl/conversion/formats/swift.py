"""Grounding data of ms-swift: rows with `messages`, `images` and `objects`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from qvl.conversion.annotated import Annotated, Annotation, Refused, ShapeKind
from qvl.conversion.formats.addresses import picture_path
from qvl.conversion.formats.chat_answers import Scale, read_json_answer
from qvl.conversion.formats.chat_rows import addresses, texts
from qvl.conversion.formats.documents import find_picture
from qvl.conversion.formats.json_values import as_text, flat_numbers, mapping
from qvl.conversion.formats.jsonl_source import JsonlSource

__all__ = ["SwiftSource"]

TYPES = ("real", "norm1")
_TAG = re.compile(r"<ref-object>|<bbox>")
_REF, _BBOX = "<ref-object>", "<bbox>"


class SwiftSource(JsonlSource):
    """Rows whose `objects` are `{"ref": [...], "bbox": [...], "bbox_type": "real", "image_id": [...]}`.

    A box has two or four numbers there; a longer even list is read as a polygon. Where there are as many names as boxes
    they belong together in their order. Else a box belongs to the last `<ref-object>` in front of its `<bbox>`, and
    without any names to the label beside it in an answer in JSON.
    """

    def pictures(self, row: Mapping[str, object], *, file: Path, where: str) -> Iterator[Annotated | Refused]:
        """Yield every picture of a row, with its own objects."""
        objects = row.get("objects")
        names, refused = addresses(row), _unusable(objects)
        if not names or refused:
            fault = refused or ("no_picture_named", "the row has no `images`")
            yield Refused(where, *fault, objects)
            return
        entries = mapping(objects)
        boxes, refs, numbers = _list(entries, "bbox"), _list(entries, "ref"), _list(entries, "image_id")
        labels = _labels(boxes, [as_text(ref) for ref in refs], row)
        if isinstance(labels, str):
            yield Refused(where, "ref_count", labels, objects)
            return
        pictures: list[list[Annotation | Refused]] = [[] for _ in names]
        lost: list[Refused] = []
        for index, (box, label) in enumerate(zip(boxes, labels, strict=True)):
            place = f"{where}: objects.bbox[{index}]"
            number = numbers[index] if index < len(numbers) else 0  # ms-swift takes the first picture too
            if isinstance(number, int) and 0 <= number < len(names):
                pictures[number].append(_object(box, label, place))
            else:
                message = f"image_id is a number from 0 to {len(names) - 1}"
                lost.append(Refused(place, "bad_image_id", message, number, kind="object"))
        for index, (name, found) in enumerate(zip(names, pictures, strict=True)):
            place = f"{where}: images[{index}]" if len(names) > 1 else where
            yield self._picture(file, name, found, place, as_text(entries.get("bbox_type")))
        yield from lost

    def _picture(
        self, file: Path, address: str, found: Sequence[Annotation | Refused], where: str, kind: str
    ) -> Annotated | Refused:
        named = picture_path(address)
        if named is None:
            return Refused(where, "no_picture_named", "the picture is part of the file, not a file of its own")
        return Annotated(
            image=find_picture(self, file, [named[0]]),
            where=where,
            objects=tuple(each for each in found if isinstance(each, Annotation)),
            refused=tuple(each for each in found if isinstance(each, Refused)),
            unit="share" if kind == "norm1" else "pixels",
            repairs=named[1],
            split=self.split(file),
        )


def _unusable(objects: object) -> tuple[str, str] | None:
    """Return code and message if the objects cannot be read."""
    if not isinstance(objects, dict) or not isinstance(objects.get("bbox"), list):
        return "no_grounding", "`objects` has lists `ref` and `bbox`; a list of objects is of ms-swift 2 and not read"
    kind = objects.get("bbox_type")
    if kind and kind not in TYPES:
        return "bbox_type", f"bbox_type is real or norm1, got {kind!r}"
    return None


def _list(entries: Mapping[str, object], key: str) -> Sequence[object]:
    value = entries.get(key)
    return value if isinstance(value, list) else []


def _labels(boxes: Sequence[object], refs: Sequence[str], row: Mapping[str, object]) -> list[str] | str:
    """Return a label for every box, or why they cannot be told."""
    if len(refs) == len(boxes):
        return list(refs)
    said = texts(row, everyone=True)
    if not refs:
        return _beside(boxes, said)
    taken = -1
    labels: list[str] = []
    for tag in _TAG.findall("".join(said)):
        taken += tag == _REF
        if tag == _BBOX:
            labels.append(refs[taken] if 0 <= taken < len(refs) else "")
    if taken + 1 == len(refs) and len(labels) == len(boxes):
        return labels
    return f"{len(refs)} names and {len(boxes)} boxes, but {taken + 1} {_REF} and {len(labels)} {_BBOX} in the messages"


def _beside(boxes: Sequence[object], said: Sequence[str]) -> list[str] | str:
    """Return the labels beside `<bbox>` in the answers; each box stands there as its own number."""
    labels: dict[int, str] = {}
    count = 0
    for text in said:
        pieces = text.split(_BBOX)
        filled = "".join(
            f"[{count + index}, 0]{piece}" if index >= 0 else piece for index, piece in enumerate(pieces, -1)
        )
        count += len(pieces) - 1
        answer = read_json_answer(filled, scale=Scale(), where="")
        labels |= {round(each.parts[0][0]): each.label for each in (answer.objects if answer else ())}
    if count == len(boxes) and sorted(labels) == list(range(count)):
        return [labels[index] for index in range(count)]
    return f"no names for {len(boxes)} boxes: neither in `ref` nor beside <bbox> in an answer in JSON"


def _object(box: object, label: str, where: str) -> Annotation | Refused:
    numbers = flat_numbers(box) if isinstance(box, list) else None
    if numbers is None:
        return Refused(where, "not_a_number", "a box is a list of numbers", box)
    if len(numbers) < 2 or len(numbers) % 2:
        return Refused(
            where, "odd_length", f"a box has 2 or 4 numbers, or a longer even count, got {len(numbers)}", box
        )
    if not label:
        return Refused(where, "no_label", "the box has no name", box)
    kinds: dict[int, ShapeKind] = {2: "point", 4: "bbox_2d"}
    return Annotation(label, kinds.get(len(numbers), "poly"), (numbers,), where)
