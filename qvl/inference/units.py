"""What is asked about: pictures of a folder, rows of a JSONL file, or groups of a tree of missions."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from qvl.errors import RecordError, listed
from qvl.records import JsonlFile, Record, Source, image_path, make_record, shorten, validate_row

__all__ = ["SUFFIXES", "Unit", "find_units"]

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Endings of the pictures that are looked for in folders, in any case."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What one record of the answers is about.

    Attributes:
        source: Where it stands: `file:line`, or the path of the picture or of the group.
        pictures: Absolute paths.
        roots: Real folders that the pictures have to lie in.
        grouped: Whether the record is about a group, even of one picture.
        labels: `mission`, `label` and `group_id` of a group in a tree of missions, otherwise nothing.
        truth: The annotated row, for a picture whose row has objects.
        summary: The annotated line about the picture, if the row has one.
    """

    source: str
    pictures: tuple[str, ...]
    roots: tuple[str, ...]
    grouped: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    truth: Record | None = None
    summary: str | None = None


def find_units(path: Path, *, labels: Mapping[str, str], allowed_roots: Sequence[str] = ()) -> list[Unit]:
    """Return everything that is to be asked about, in a fixed order; no picture is opened.

    A folder with folders `<mission>/<label>/<group>/` is read as groups, those of one label after those of another in
    the order of `labels`; any other folder is searched for pictures, at any depth. Names are ordered as people do:
    `2.jpg` before `10.jpg`.

    Args:
        path: A folder, or a JSONL file whose rows name pictures.
        labels: What folders of a label are called, and the label that each stands for.
        allowed_roots: Folders besides that of the rows that their pictures may lie in.

    Raises:
        RecordError: There is nothing there, or a row cannot be used; every such row with file, line and field.
    """
    if path.is_dir():
        if units := list(_groups(path, labels)):
            _tell_others(path, units)
        else:
            units = list(_pictures(path))
    elif path.is_file():
        units = _rows(path, allowed_roots)
    else:
        raise RecordError(f"{path}: there is no such file or folder")
    if not units:
        raise RecordError(f"{path}: there are no pictures; looked for {', '.join(SUFFIXES)}")
    return units


def _groups(root: Path, labels: Mapping[str, str]) -> Iterator[Unit]:
    real = (os.path.realpath(root),)
    for mission in _folders(root):
        names = [folder.name for folder in _folders(mission)]
        known = [name for name in labels if name in names]
        for name in names if known else ():
            if name not in labels:
                _log.warning("%s: passed over: not one of the labels %s", mission / name, ", ".join(labels))
        for name in known:
            for group in _folders(mission / name):
                pictures = tuple(os.path.abspath(path) for path in _files(group))
                if not pictures:
                    _log.warning("%s: passed over: there are no pictures", group)
                    continue
                told = {"mission": mission.name, "label": labels[name], "group_id": group.name}
                source = group.relative_to(root).as_posix()
                yield Unit(source=source, pictures=pictures, roots=real, grouped=True, labels=told)


def _tell_others(root: Path, groups: Sequence[Unit]) -> None:
    """Warn of pictures that are in no group."""
    asked = {path for group in groups for path in group.pictures}
    others = [unit.source for unit in _pictures(root) if unit.pictures[0] not in asked]
    if others:
        _log.warning(
            "%s: %d pictures lie in no <mission>/<label>/<group>/ and were passed over, such as %s",
            *(root, len(others), others[0]),
        )


def _pictures(root: Path) -> Iterator[Unit]:
    real = (os.path.realpath(root),)
    waiting = [root]
    while waiting:
        folder = waiting.pop(0)
        waiting += _folders(folder)
        for path in _files(folder):
            yield Unit(source=path.relative_to(root).as_posix(), pictures=(os.path.abspath(path),), roots=real)


def _folders(folder: Path) -> list[Path]:
    found = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(found, key=lambda path: _natural(path.name))


def _files(folder: Path) -> list[Path]:
    found = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    return sorted((path for path in found if not path.is_dir()), key=lambda path: _natural(path.name))


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Return a key that orders numbers in names by their value."""
    parts = re.findall(r"([0-9]+)|([^0-9]+)", name)
    return [(0, int(digits), "") if digits else (1, 0, text.casefold()) for digits, text in parts], name


def _rows(path: Path, allowed_roots: Sequence[str]) -> list[Unit]:
    rows = JsonlFile(path)
    root = os.path.realpath(path.parent)
    roots = (root, *(os.path.realpath(folder) for folder in allowed_roots))
    units, problems = [], []
    for index in range(len(rows)):
        source = rows.source(index)
        value, findings = rows.decode(index)
        found = [str(finding) for finding in findings] or list(_row_problems(value, source))
        if found or not isinstance(value, dict):
            problems += found
        else:
            units.append(_unit(value, source, root, roots))
    if problems:
        raise RecordError(listed(problems))
    return units


def _row_problems(value: object, source: Source) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{source}: expected a JSON object, got {shorten(value)}"
        return
    images = value.get("images")
    if not isinstance(images, list) or not images or not all(isinstance(item, str) and item for item in images):
        yield f"{source}: images: expected a list of paths, got {shorten(images)}"
        return
    if value.get("objects"):
        yield from (str(finding) for finding in validate_row(value, source=source) if finding.fatal)
    if not isinstance(value.get("summary"), str | None):
        yield f"{source}: summary: expected one line of text, got {shorten(value['summary'])}"


def _unit(value: Mapping[str, object], source: Source, root: str, roots: tuple[str, ...]) -> Unit:
    names = [str(name) for name in value["images"]]  # type: ignore[attr-defined]
    return Unit(
        source=str(source),
        pictures=tuple(image_path(name, root=root) for name in names),
        roots=roots,
        grouped=len(names) > 1,
        truth=make_record(value, source=source, root=root) if value.get("objects") else None,
        summary=None if value.get("summary") is None else str(value["summary"]),
    )
