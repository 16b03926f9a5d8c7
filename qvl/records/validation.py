"""The contract of an annotation row: what is checked, and the record that a good row becomes."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator, Mapping
from typing import Any

from qvl.errors import RecordError
from qvl.geometry import Shape, shape_from_flat
from qvl.records.coordinates import GEOMETRY_KEYS, MAX_SIDE, check_coordinates, is_side
from qvl.records.finding import Finding, shorten
from qvl.records.record import ObjectRecord, Record, Source
from qvl.records.text import clean_text, has_line_break, has_lone_surrogate, special_tokens_in
from qvl.records.walk import walk

_URL = re.compile(r"[a-z][a-z0-9+.-]*://|data:", re.IGNORECASE)

Issue = tuple[str, str, str]
"""(code, field, message)."""


def validate_row(row: object, *, source: Source) -> list[Finding]:
    """Return everything that is wrong with a row, in the order of its fields; no file is opened.

    Codes: not_an_object; missing_images, many_images, image_not_str, image_url, bad_path; bad_size; no_objects,
    geometry_count, not_a_number, bad_length, odd_length, non_finite, bbox_unordered, out_of_bounds (by more than 1e-6
    pixels), degenerate (a polygon or line without extent); empty_desc, desc_whitespace, special_token, lone_surrogate;
    bad_summary, bad_metadata; and quad_legacy, the only one that is not fatal: `quad` is read as a polygon.

    Args:
        row: A decoded JSON value; keys that are not named in the contract are ignored.
        source: Where it comes from.
    """
    if not isinstance(row, Mapping):
        return [Finding("not_an_object", source, "", f"expected a JSON object, got {shorten(row)}")]
    issues = (*_check_images(row), *_check_size(row), *_check_objects(row), *_check_extras(row))
    return [Finding(code, source, field, text, fatal=code != "quad_legacy") for code, field, text in issues]


def parse_row(row: object, *, source: Source, root: str) -> Record:
    """Turn a row into a record.

    `desc` and `summary` are composed (NFC) and stripped; `quad` becomes a polygon; shapes keep the order of their
    points: `canonical` is applied where the answer is written.

    Args:
        row: A decoded JSON value.
        source: Where it comes from.
        root: Folder that relative image paths start from.

    Raises:
        RecordError: The row has fatal findings; the message lists all of them, one per line.
    """
    fatal = [finding for finding in validate_row(row, source=source) if finding.fatal]
    if fatal or not isinstance(row, Mapping):
        raise RecordError("\n".join(map(str, fatal)))
    return make_record(row, source=source, root=root)


def make_record(row: Mapping[str, Any], *, source: Source, root: str) -> Record:
    """Do what `parse_row` does, for a row that `validate_row` found nothing fatal in."""
    summary = row.get("summary")
    return Record(
        images=tuple(image_path(image, root=root) for image in row["images"]),
        objects=tuple(ObjectRecord(clean_text(item["desc"]), _shape(item)) for item in row["objects"]),
        width=row["width"],
        height=row["height"],
        source=source,
        summary=None if summary is None else clean_text(summary),
        metadata=dict(row.get("metadata") or {}),
    )


def image_path(image: str, *, root: str) -> str:
    """Return the absolute path of an image named in a row; `~` is not expanded, links are not followed."""
    return os.path.abspath(os.path.join(root, image))


def _shape(item: Mapping[str, list[float]]) -> Shape:
    key = next(key for key in GEOMETRY_KEYS if key in item)
    return shape_from_flat("poly" if key == "quad" else key, item[key])


def _check_images(row: Mapping[str, object]) -> Iterator[Issue]:
    images = row.get("images")
    if not isinstance(images, list) or not images:
        yield "missing_images", "images", f"expected a list with one image path, got {_came(row, 'images')}"
        return
    if len(images) > 1:
        yield (
            "many_images",
            "images",
            f"expected one image, got {len(images)}: its objects could belong to any of them. Write one row per image; "
            f"data.images_per_user_turn puts rows into one turn",
        )
    for index, image in enumerate(images):
        yield from _check_image(f"images[{index}]", image)


def _check_image(field: str, image: object) -> Iterator[Issue]:
    if not isinstance(image, str) or not image.strip():
        yield "image_not_str", field, f"expected a path, got {shorten(image)}"
    elif _URL.match(image.lstrip()):
        yield "image_url", field, f"expected a path of a file, got the address {shorten(image)}"
    elif "\0" in image or has_lone_surrogate(image):
        yield "bad_path", field, f"no file can have this name: {shorten(image)}"


def _check_size(row: Mapping[str, object]) -> Iterator[Issue]:
    for field in ("width", "height"):
        if not is_side(row.get(field)):
            yield "bad_size", field, f"expected a whole number of pixels in 1..{MAX_SIDE}, got {_came(row, field)}"


def _came(row: Mapping[str, object], field: str) -> str:
    if field not in row:
        return "nothing"
    return "an empty list" if row[field] == [] else shorten(row[field])


def _check_objects(row: Mapping[str, object]) -> Iterator[Issue]:
    objects = row.get("objects")
    if not isinstance(objects, list) or not objects:
        yield "no_objects", "objects", f"expected a list with at least one object, got {_came(row, 'objects')}"
        return
    width, height = (side if is_side(side := row.get(field)) else MAX_SIDE for field in ("width", "height"))
    for index, item in enumerate(objects):
        field = f"objects[{index}]"
        if isinstance(item, Mapping):
            yield from _check_desc(f"{field}.desc", item)
            yield from _check_geometry(field, item, width, height)
        else:
            yield "not_an_object", field, f"expected a JSON object with desc and one geometry, got {shorten(item)}"


def _check_desc(field: str, item: Mapping[str, object]) -> Iterator[Issue]:
    desc = item.get("desc")
    if not isinstance(desc, str) or not desc.strip():
        yield "empty_desc", field, f"expected a description that is not blank, got {_came(item, 'desc')}"
    else:
        yield from _check_line(field, desc, broken="desc_whitespace")


def _check_line(field: str, text: str, *, broken: str) -> Iterator[Issue]:
    if has_line_break(text):
        yield broken, field, f"expected one line without tabs and control characters, got {shorten(text)}"
    yield from check_text(field, text)


def check_text(field: str, text: str) -> Iterator[Issue]:
    """Yield what the tokenizer, the chat template or UTF-8 would not leave as it is."""
    if tokens := special_tokens_in(text):
        names = ", ".join(map(shorten, dict.fromkeys(tokens)))
        yield "special_token", field, f"the tokenizer or the chat template would act on {names}; reword the text"
    if has_lone_surrogate(text):
        yield "lone_surrogate", field, f"half of a surrogate pair cannot be written as UTF-8: {shorten(text)}"


def _check_geometry(field: str, item: Mapping[str, object], width: int, height: int) -> Iterator[Issue]:
    keys = [key for key in GEOMETRY_KEYS if key in item]
    if len(keys) != 1:
        came = ", ".join(keys) or f"none among the keys {', '.join(map(shorten, item)) or '(no keys)'}"
        yield "geometry_count", field, f"expected exactly one of bbox_2d, poly, line, got {came}"
    if keys == ["quad"]:
        yield "quad_legacy", f"{field}.quad", "quad is read as a polygon; write poly"
    for key in keys:
        for code, path, text in check_coordinates(key, item[key], width=width, height=height):
            yield code, f"{field}.{key}{path}", text


def _check_extras(row: Mapping[str, object]) -> Iterator[Issue]:
    summary, metadata = row.get("summary"), row.get("metadata")
    if isinstance(summary, str) and summary.strip():
        yield from _check_line("summary", summary, broken="bad_summary")
    elif summary is not None:
        yield "bad_summary", "summary", f"expected one line of text, got {shorten(summary)}"
    if metadata is not None and not isinstance(metadata, Mapping):
        yield "bad_metadata", "metadata", f"expected a JSON object, got {shorten(metadata)}"
    for field, value in walk(metadata, "metadata"):  # a builder may write metadata into the conversation
        if isinstance(value, str):
            yield from check_text(field, value)
