"""The file that an evaluation leaves behind: one picture a row, with its annotated and its predicted objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qvl.conversation import Fault, TextObject
from qvl.errors import RecordError
from qvl.records import JsonlFile, Source, is_number, shorten

__all__ = ["Prediction", "read_predictions"]

_KEYS = ("image", "source", "width", "height", "truth", "predicted", "faults", "completion", "finish_reason")


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model said about one picture.

    Attributes:
        where: The row of the predictions file.
        image: Path of the picture.
        source: Row of the annotated file, `file:line`.
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
        truth: Annotated objects, numbers on the 0..1000 grid, not rounded.
        predicted: Objects of the answer, on the same grid; not all of them need to make a shape.
        faults: What was wrong with the answer, which may be about several pictures.
        completion: The whole answer as the model wrote it.
        finish_reason: `stop`, or `length` if a limit cut the answer off.
    """

    where: Source
    image: str
    source: str
    width: int
    height: int
    truth: tuple[TextObject, ...]
    predicted: tuple[TextObject, ...]
    faults: tuple[Fault, ...]
    completion: str
    finish_reason: str


def read_predictions(path: Path) -> list[Prediction]:
    """Read a whole predictions file.

    Args:
        path: `predictions_<name>.jsonl` of a run folder.

    Raises:
        RecordError: The file is missing or empty, or a row is not what an evaluation writes; with file, line and key.
    """
    if not path.is_file():
        raise RecordError(f"{path}: there is no such file")
    rows = JsonlFile(path)
    if not len(rows):
        raise RecordError(f"{path}: the file has no rows")
    return [_prediction(rows.row(index), rows.source(index)) for index in range(len(rows))]


def _prediction(row: object, where: Source) -> Prediction:
    if not isinstance(row, dict):
        raise RecordError(f"{where}: a row is a JSON object, got {shorten(row)}")
    if missing := [key for key in _KEYS if key not in row]:
        raise RecordError(
            f"{where}: the row lacks {', '.join(missing)}; training writes such files as predictions_<name>.jsonl"
        )
    return Prediction(
        where=where,
        image=_text(row, "image", f"{where}: image"),
        source=_text(row, "source", f"{where}: source"),
        width=_pixels(row["width"], f"{where}: width"),
        height=_pixels(row["height"], f"{where}: height"),
        truth=tuple(_true(item, place) for item, place in _items(row, "truth", where)),
        predicted=tuple(_object(item, place) for item, place in _items(row, "predicted", where)),
        faults=tuple(_fault(item, place) for item, place in _items(row, "faults", where)),
        completion=_text(row, "completion", f"{where}: completion"),
        finish_reason=_text(row, "finish_reason", f"{where}: finish_reason"),
    )


def _items(row: Mapping[str, object], key: str, where: Source) -> Sequence[tuple[Mapping[str, object], str]]:
    """Return (item, its place for messages) of a list of JSON objects."""
    value = row[key]
    if not isinstance(value, list):
        raise RecordError(f"{where}: {key}: expected a list, got {shorten(value)}")
    found = []
    for number, item in enumerate(value):
        place = f"{where}: {key}[{number}]"
        if not isinstance(item, dict):
            raise RecordError(f"{place}: expected a JSON object, got {shorten(item)}")
        found.append((item, place))
    return found


def _true(item: Mapping[str, object], place: str) -> TextObject:
    """Read an annotated object; training has checked that it makes a shape."""
    found = _object(item, place)
    try:
        found.shape()
    except ValueError as error:
        raise RecordError(f"{place}: {error}") from error
    return found


def _object(item: Mapping[str, object], place: str) -> TextObject:
    numbers = item.get("numbers")
    if not isinstance(numbers, list):
        raise RecordError(f"{place}.numbers: expected a list of numbers, got {shorten(numbers)}")
    values = tuple(number for number in numbers if is_number(number))
    if len(values) != len(numbers):
        raise RecordError(f"{place}.numbers: expected a list of numbers, got {shorten(str(numbers))}")
    desc, key = _text(item, "desc", f"{place}.desc"), _text(item, "key", f"{place}.key")
    try:
        return TextObject(desc, key, values)
    except ValueError as error:
        raise RecordError(f"{place}: {error}") from error


def _fault(item: Mapping[str, object], place: str) -> Fault:
    code, where, message = (_text(item, key, f"{place}.{key}") for key in ("code", "where", "message"))
    return Fault(code, where, message)


def _text(item: Mapping[str, object], key: str, place: str) -> str:
    value = item.get(key)
    if not isinstance(value, str):
        raise RecordError(f"{place}: expected a text, got {shorten(value)}")
    return value


def _pixels(value: object, place: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise RecordError(f"{place}: expected a number of pixels, at least 1, got {shorten(value)}")
    return value
