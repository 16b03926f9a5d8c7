"""Where a YOLO data set keeps its names, pictures and labels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from qvl.conversion.files import Unreadable, find_files, read_text
from qvl.conversion.formats.fields import split_name
from qvl.errors import RecordError

__all__ = [
    "NAME_LISTS",
    "PICTURES",
    "Layout",
    "label_folders",
    "picture_folders",
    "pictures_of",
    "read_layout",
    "split_of",
]

PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
NAME_LISTS = ("classes.txt", "obj.names")
NOTHING = ("", "null", "~")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Layout:
    """What a YOLO data set says about itself.

    Attributes:
        names: Category by its number.
        parts: (split, folder of pictures or text file with a list of them); the split is None where none is named.
        keypoints: Whether boxes are followed by keypoints.
    """

    names: Mapping[int, str]
    parts: tuple[tuple[str | None, Path], ...]
    keypoints: bool = False


def read_layout(path: Path, images: Path, names: Sequence[str] | None) -> Layout:
    """Return what `data.yaml` says, or, where there is none, the names of `classes.txt` and all pictures of a folder.

    Args:
        path: The YAML file, or the folder that it lies in.
        images: Folder of the pictures where there is no YAML file or where it names none.
        names: Categories in place of those of the source; None for those.

    Raises:
        RecordError: There is no such path, the YAML file cannot be read, or nobody says the names.
    """
    if not path.exists():
        raise RecordError(f"source.path: there is no file or folder {path}")
    folder = path.parent if path.is_file() else _innermost(path)
    file = path if path.is_file() else _find_yaml(folder)
    data = _read_yaml(file) if file else {}
    known = dict(enumerate(names)) if names is not None else _names(data.get("names"), f"{file}: names")
    known = known or _listed_names(folder)
    if not known:
        raise RecordError(
            f"{path}: nobody says the names of the categories; write them into data.yaml (names: [cat, dog]), into "
            f"classes.txt (one a line), or give source.names=[cat,dog]"
        )
    parts = tuple(_parts(data, file)) if file else ()
    return Layout(known, parts or ((None, images),), keypoints=isinstance(data.get("kpt_shape"), list))


def pictures_of(part: Path) -> Iterator[Path | Unreadable]:
    """Yield the pictures of a folder, or those that a text file lists; what cannot be read is an `Unreadable`."""
    if part.is_dir():
        yield from find_files(part, PICTURES)
        return
    text = read_text(part)
    if isinstance(text, Unreadable):
        yield text
        return
    for line in filter(None, map(str.strip, text.splitlines())):
        places = [part.parent / line, part.parent / line.removeprefix("data/")]  # darknet lists data/obj_train_data/...
        yield next((place for place in places if place.is_file()), places[0])


def label_folders(pictures: Path) -> list[Path]:
    """Return where the labels of the pictures of a folder may lie: `images` becomes `labels`, or beside them."""
    return _with_other_name(pictures, "images", "labels")


def picture_folders(labels: Path) -> list[Path]:
    """Return where the pictures of the labels of a folder may lie; undoes `label_folders`."""
    return _with_other_name(labels, "labels", "images")


def _with_other_name(folder: Path, old: str, new: str) -> list[Path]:
    parts = list(folder.parts)
    if old not in parts:
        return [folder]
    last = len(parts) - 1 - parts[::-1].index(old)
    return [Path(*parts[:last], new, *parts[last + 1 :]), folder]


def split_of(path: Path, root: Path) -> str | None:
    """Return the split that the folders of a picture below `root` name, such as val for images/val/a.jpg."""
    folders = path.relative_to(root).parts[:-1] if path.is_relative_to(root) else ()
    return next((split for folder in folders if (split := split_name(folder))), None)


def _innermost(folder: Path) -> Path:
    """Return the folder that an archive was made of: the only entry of a folder, over and over."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__MACOSX"))]
    alone = len(entries) == 1 and entries[0].is_dir() and not entries[0].is_symlink()
    return _innermost(entries[0]) if alone else folder


def _find_yaml(folder: Path) -> Path | None:
    """Return data.yaml of a folder, or its only YAML file."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".yaml", ".yml"))
    named = [path for path in found if path.stem == "data"]
    if len(found) > 1 and not named:
        raise RecordError(f"source.path: {folder} holds {len(found)} YAML files, none is data.yaml; name one of them")
    return next(iter(named or found), None)


def _read_yaml(file: Path) -> Mapping[str, object]:
    text = read_text(file)
    if isinstance(text, Unreadable):
        raise RecordError(f"{file}: {text.message}")
    try:
        data = yaml.load(text, Loader=yaml.BaseLoader)  # texts only: a class may be called no, or 1e5
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise RecordError(f"{file}: not YAML: {error}") from error
    if not isinstance(data, dict):
        raise RecordError(f"{file}: a description of a YOLO data set is a mapping, got {type(data).__name__}")
    return data


def _names(value: object, where: str) -> dict[int, str]:
    """Return the categories by number, from a list or from a mapping of numbers."""
    entries = value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    found: dict[int, str] = {}
    for key, name in entries:
        number = str(key).strip()
        if not number.isdecimal() or not isinstance(name, str) or not name.strip():
            raise RecordError(
                f"{where}: must be a list of names or a mapping of numbers to names, got {key!r}: {name!r}"
            )
        found[int(number)] = name.strip()
    return found


def _listed_names(folder: Path) -> dict[int, str]:
    for place in (folder / name for name in NAME_LISTS):
        text = read_text(place) if place.is_file() else ""
        if isinstance(text, str) and text.strip():
            return dict(enumerate(line.strip() for line in text.rstrip().splitlines()))
    return {}


def _parts(data: Mapping[str, object], file: Path) -> Iterator[tuple[str, Path]]:
    """Yield (split, folder or list of pictures) of a description, in the order train, val, test."""
    base = file.parent
    root = data.get("path")
    if isinstance(root, str) and (base / root).is_dir():  # often a path of another machine
        base = base / root
    for split in SPLITS:
        value = data.get(split) or (data.get("valid") if split == "val" else None)
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, str) and entry.strip() not in NOTHING:
                yield split, _existing(base, file.parent, entry.strip())


def _existing(base: Path, folder: Path, entry: str) -> Path:
    """Return the path of an entry; some tools write `../train/images` for `train/images`."""
    inside = entry
    while inside.startswith(("../", "./")):
        inside = inside.partition("/")[2]
    places = [base / entry, folder / entry, base / inside, folder / inside]
    return Path(os.path.normpath(next((place for place in places if place.exists()), places[0])))
