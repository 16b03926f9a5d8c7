"""The truth of predictions from an annotated file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qvl.conversation import norm1000, text_objects
from qvl.errors import ConfigError, RecordError, listed
from qvl.evaluation.pictures import Row, choose_name, find_strangers, find_twice
from qvl.evaluation.prediction import Prediction
from qvl.records import JsonlFile, Source, image_path, record_as, validate_as
from qvl.runtime.images import leads_outside

__all__ = ["match_truth"]


@dataclass(frozen=True, slots=True)
class _Annotated:
    """A row of the annotated file."""

    image: str
    value: Mapping[str, Any]
    source: Source


def match_truth(
    predictions: Sequence[Prediction], path: Path, *, allowed_roots: Sequence[str] = ()
) -> list[Prediction]:
    """Return the predictions with the truth of an annotated file in the place of their own.

    Rows belong together if they are about the same picture, see `choose_name`.

    Args:
        predictions: Rows about objects, summaries or both.
        path: JSONL file; rows about objects need `objects`, those about summaries `summary`.
        allowed_roots: Folders besides that of the file that its pictures may lie in.

    Raises:
        RecordError: The file cannot be read.
        ConfigError: The files are not about the same pictures, or a row cannot be used: rows without a partner,
            pictures that occur twice, sizes that differ. The first 20, with file and line on both sides.
    """
    if not path.is_file():
        raise RecordError(f"{path}: there is no such file")
    rows = JsonlFile(path)
    values = [(rows.row(index), rows.source(index)) for index in range(len(rows))]
    if problems := [problem for value, source in values for problem in _picture_problems(value, source)]:
        raise ConfigError(listed(problems))
    root = os.path.dirname(os.path.abspath(path))
    annotated = [
        _Annotated(image_path(value["images"][0], root=root), value, source)
        for value, source in values
        if isinstance(value, dict)
    ]
    name = choose_name(sorted({one.image for one in predictions}), sorted({row.image for row in annotated}))
    if problems := [*_strangers(predictions, annotated, name_of=name, path=path)]:
        raise ConfigError(listed(problems))
    roots = [os.path.realpath(folder) for folder in (root, *allowed_roots)]
    partners = {name(row.image): row for row in annotated}
    pairs = [(one, partners[name(one.image)]) for one in predictions]
    if problems := [problem for pair in pairs for problem in _pair_problems(*pair, roots)]:
        raise ConfigError(listed(problems))
    return [_with_truth(one, row) for one, row in pairs]


def _picture_problems(value: object, source: Source) -> Iterator[str]:
    """Say why it is not known which picture a row is about."""
    findings = validate_as("summary", value, source=source)
    yield from (str(one) for one in findings if one.fatal and (one.field == "" or one.field.startswith("images")))


def _strangers(
    predictions: Sequence[Prediction], annotated: Sequence[_Annotated], *, name_of: Any, path: Path
) -> Iterator[str]:
    said = [Row((one.summary is None, name_of(one.image)), str(one.where), one.image) for one in predictions]
    true = [Row(name_of(row.image), str(row.source), row.image) for row in annotated]
    yield from find_twice(said)
    yield from find_twice(true)
    bare = [row._replace(key=name_of(row.image)) for row in said]
    yield from find_strangers(bare, true, f"is not in {path}")
    yield from find_strangers(true, bare, f"is not among the predictions of {predictions[0].where.file}")


def _pair_problems(one: Prediction, row: _Annotated, roots: Sequence[str]) -> Iterator[str]:
    """Say why a prediction cannot be compared with its row."""
    mode = "dense" if one.summary is None else "summary"
    if findings := [str(finding) for finding in validate_as(mode, row.value, source=row.source) if finding.fatal]:
        yield from findings
        return
    if outside := leads_outside(row.image, roots):
        yield f"{row.source}: {outside}"
    size = row.value["width"], row.value["height"]
    if one.width and size != (one.width, one.height):
        yield f"{one.where}: the picture has {one.width}x{one.height} pixels, {row.source} says {size[0]}x{size[1]}"


def _with_truth(one: Prediction, row: _Annotated) -> Prediction:
    if one.summary is not None:
        record = record_as("summary", row.value, source=row.source, root="/")
        return replace(one, source=str(row.source), summary=(str(record.summary), one.summary[1]))
    record = record_as("dense", row.value, source=row.source, root="/")
    width, height = record.width, record.height
    exact = text_objects(record, emit_norm="none")
    items = tuple(norm1000(item, width=width, height=height, emit_norm="none") for item in exact)
    return replace(one, source=str(row.source), truth=items, width=width, height=height)
