"""The rows that training and `qvl.infer` write: what a model said about a picture, beside what is annotated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from qvl.conversation import Fault, TextObject
from qvl.errors import ConfigError, RecordError
from qvl.records import MAX_SIDE, JsonlFile, Source, has_lone_surrogate, is_number, is_side, shorten

__all__ = ["Prediction", "make_prediction", "read_predictions"]

_KEYS: Final = ("image", "source", "width", "height", "truth", "predicted", "faults", "completion", "finish_reason")
_MOST: Final = 20  # lines that are named


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model said about one picture.

    Attributes:
        where: The row of the predictions file.
        image: Path of the picture.
        source: Row of the annotated file, `file:line`, or the path of the picture or of its group.
        width: Of the picture, in pixels; 0 for a picture that was not answered and whose size is not known.
        height: Of the picture, in pixels; 0 as above.
        truth: Annotated objects, numbers on the 0..1000 grid, not rounded.
        predicted: Objects of the answer, on the same grid; not all of them need to make a shape.
        faults: What was wrong with the answer, which may be about several pictures.
        completion: The whole answer as the model wrote it.
        finish_reason: `stop`, `length` if a limit cut the answer off, or `error`.
        scores: How sure the model was of each predicted object, None where that is not known; () for none of them.
        summary: (annotated, said), each one line, if the row is about a summary; there are no objects then.
        error: Why the picture was not answered, None if it was.
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
    scores: tuple[float | None, ...] = ()
    summary: tuple[str, str] | None = None
    error: str | None = None


def read_predictions(path: Path, *, need_truth: bool = True) -> list[Prediction]:
    """Read a whole predictions file; the pictures of a group become rows of their own.

    Args:
        path: `predictions_<name>.jsonl` of a run folder, or what `qvl.infer` has written.
        need_truth: Whether a row without `truth` is refused; otherwise it counts as one without annotated objects, for
            `match_truth` to fill in.

    Raises:
        RecordError: The file is missing or empty, or a row is not what training and `qvl.infer` write; with file, line
            and key.
        ConfigError: Rows have no truth; with their lines.
    """
    if not path.is_file():
        raise RecordError(f"{path}: there is no such file")
    rows = JsonlFile(path)
    if not len(rows):
        raise RecordError(f"{path}: the file has no rows")
    found = [pair for index in range(len(rows)) for pair in _pictures(rows.row(index), rows.source(index))]
    if need_truth and (bare := [where for row, where in found if _lacks_only_truth(row)]):
        raise ConfigError(_no_truth(path, bare, len(found)))
    return [make_prediction(row, where, need_truth=need_truth) for row, where in found]


def make_prediction(row: Mapping[str, object], where: Source, *, need_truth: bool = True) -> Prediction:
    """Turn the decoded row of one picture into a prediction.

    Args:
        row: What the row holds; further keys are ignored.
        where: Where it stands, for messages.
        need_truth: Whether a row without `truth` is refused.

    Raises:
        RecordError: A key is missing or its value is of another form; with the key.
    """
    if missing := [key for key in _KEYS if key not in row and (need_truth or key != "truth")]:
        raise RecordError(
            f"{where}: the row lacks {', '.join(missing)}; training writes such files as predictions_<name>.jsonl, "
            f"and qvl.infer does"
        )
    error = None if row.get("error") is None else _text(row, "error", f"{where}: error")
    is_summary = isinstance(row["predicted"], str)
    predicted = [] if is_summary else _items(row, "predicted", where)
    truth = [] if is_summary or "truth" not in row else _items(row, "truth", where)
    return Prediction(
        where=where,
        image=_text(row, "image", f"{where}: image"),
        source=_text(row, "source", f"{where}: source"),
        width=_pixels(row["width"], f"{where}: width", is_known=error is None),
        height=_pixels(row["height"], f"{where}: height", is_known=error is None),
        truth=tuple(_true(item, place) for item, place in truth),
        predicted=tuple(_object(item, place) for item, place in predicted),
        faults=tuple(_fault(item, place) for item, place in _items(row, "faults", where)),
        completion=_text(row, "completion", f"{where}: completion"),
        finish_reason=_text(row, "finish_reason", f"{where}: finish_reason"),
        scores=tuple(_score(item, f"{place}.score") for item, place in predicted),
        summary=_summary(row, where) if is_summary else None,
        error=error,
    )


def _pictures(record: object, where: Source) -> Iterator[tuple[dict[str, Any], Source]]:
    """Yield the rows of a record, which is one itself or has them under `pictures`."""
    if not isinstance(record, dict):
        raise RecordError(f"{where}: a row is a JSON object, got {shorten(record)}")
    if "pictures" not in record:
        yield record, where
        return
    for row, _ in _items(record, "pictures", where):
        yield {"source": record.get("source"), **row}, where


def _lacks_only_truth(row: Mapping[str, object]) -> bool:
    return [key for key in _KEYS if key not in row] == ["truth"]


def _no_truth(path: Path, bare: Sequence[Source], count: int) -> str:
    lines = list(dict.fromkeys(str(where.line) for where in bare))
    rest = f" and {len(lines) - _MOST} more" if len(lines) > _MOST else ""
    return (
        f"{path}: {len(bare)} of {count} pictures have no truth (lines {', '.join(lines[:_MOST])}{rest}); "
        f"qvl.evaluate takes it from an annotated file, truth=FILE"
    )


def _summary(row: Mapping[str, object], where: Source) -> tuple[str, str]:
    annotated = _text(row, "truth", f"{where}: truth") if "truth" in row else ""
    return annotated, _text(row, "predicted", f"{where}: predicted")


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


def _score(item: Mapping[str, object], place: str) -> float | None:
    value = item.get("score")
    if value is not None and not is_number(value):
        raise RecordError(f"{place}: expected a number, got {shorten(value)}")
    return value


def _fault(item: Mapping[str, object], place: str) -> Fault:
    code, where, message = (_text(item, key, f"{place}.{key}") for key in ("code", "where", "message"))
    return Fault(code, where, message)


def _text(item: Mapping[str, object], key: str, place: str) -> str:
    value = item.get(key)
    if not isinstance(value, str):
        raise RecordError(f"{place}: expected a text, got {shorten(value)}")
    if has_lone_surrogate(value):
        raise RecordError(f"{place}: expected a text without half a character, got {shorten(value)}")
    return value


def _pixels(value: object, place: str, *, is_known: bool) -> int:
    if value is None and not is_known:
        return 0
    if not is_side(value):
        raise RecordError(f"{place}: expected a whole number of pixels in 1..{MAX_SIDE}, got {shorten(value)}")
    return value
