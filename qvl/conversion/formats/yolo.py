"""YOLO: one text file a picture, one object a line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Literal

from qvl.conversion.annotated import Annotated, Annotation, Refused, ShapeKind
from qvl.conversion.files import Unreadable, find_files, read_text
from qvl.conversion.formats.fields import number
from qvl.conversion.formats.yolo_layout import (
    NAME_LISTS,
    PICTURES,
    Layout,
    label_folders,
    picture_folders,
    pictures_of,
    read_layout,
    split_of,
)
from qvl.conversion.source import BaseSource
from qvl.errors import RecordError

__all__ = ["YoloSource"]

Task = Literal["auto", "detect", "segment", "obb", "pose"]

COUNTS = {
    "auto": "4 numbers (a box) or an even count from 6 on (an outline)",
    "detect": "4 numbers: x and y of the centre, width, height",
    "segment": "an even count of numbers from 6 on: x and y of each vertex",
    "obb": "8 numbers: x and y of each corner",
    "pose": "at least 4 numbers: a box, then keypoints",
}


class YoloSource(BaseSource):
    """Annotations of YOLO: boxes, outlines and turned boxes, told apart by the count of their numbers.

    `data.yaml` says the names and the splits. Without one the names are those of `classes.txt` or `names`, and all
    pictures of the folder are taken. The label file of `images/a.jpg` is `labels/a.txt`, or `a.txt` beside the picture.
    A picture without one has no objects. A label file without a picture is refused, and so is a line that stands there
    twice.
    """

    suffixes = (".txt",)

    def __init__(
        self, *, path: str, images: str | None = None, task: Task = "auto", names: Sequence[str] | None = None
    ) -> None:
        """Say where the data set lies.

        Args:
            path: `data.yaml`, or the folder of the data set, or an archive of it.
            images: Folder of the pictures if it is another one than that of the data set.
            task: What the lines hold: detect, segment, obb or pose (keypoints are left out); auto tells boxes from
                outlines by the count of numbers, and takes pose where `data.yaml` has a `kpt_shape`.
            names: Categories by number, in place of those of the source.

        Raises:
            ValueError: `task` is none of these.
        """
        super().__init__(path=path, images=images)
        if task not in COUNTS:
            raise ValueError(f"task must be one of {', '.join(COUNTS)}, got {task!r}")
        self.task: Task = task
        self.names = names
        self._hint: int | None = None

    def read(self) -> Iterator[Annotated | Refused]:
        """Yield the pictures of each split, then the label files that have none."""
        layout = read_layout(self.path, self.images, self.names)
        splits: dict[str, str | None] = {}  # of each picture; texts, since paths take far more memory
        used: set[str] = set()
        for split, part in layout.parts:
            for picture in pictures_of(part):
                if isinstance(picture, Unreadable):
                    yield Refused(self._name(picture.path), picture.code, picture.message)
                    continue
                path = os.path.abspath(picture)
                if path in splits:
                    message = f"stands in {splits[path] or 'the data set'} already"
                    yield Refused(self._name(path), "picture_twice", message, split)
                    continue
                splits[path] = split or split_of(Path(path), Path(os.path.abspath(self.images)))
                label = self._label(Path(path))
                used.update([str(label)] if label else [])
                yield self._picture(Path(path), label, layout, splits[path])
        if not splits:
            raise RecordError(f"source.path: no picture lies in {', '.join(str(part) for _, part in layout.parts)}")
        yield from self._labels_alone([Path(os.path.abspath(part)) for _, part in layout.parts], used)

    def size_hint(self) -> int:
        """Return the number of pictures."""
        if self._hint is None:
            layout = read_layout(self.path, self.images, self.names)
            self._hint = sum(1 for _, part in layout.parts for _ in pictures_of(part))
        return self._hint

    def _name(self, path: Path | str) -> str:
        """Return a path relative to the folder of the pictures, or in full if it lies elsewhere."""
        full, base = Path(os.path.abspath(path)), Path(os.path.abspath(self.images))
        return full.relative_to(base).as_posix() if full.is_relative_to(base) else full.as_posix()

    def _folders(self, pictures: Path) -> list[Path]:
        """Return the folders in which the labels of the pictures of a folder may lie."""
        base = Path(os.path.abspath(self.images))
        if self._images is None or not pictures.is_relative_to(base):
            return label_folders(pictures)
        below = pictures.relative_to(base)
        return [*label_folders(pictures), *(root / below for root in self._roots())]

    def _roots(self) -> list[Path]:
        """Return the folders below which labels may lie as the pictures do in a folder of their own."""
        root = Path(os.path.abspath(self.path if self.path.is_dir() else self.path.parent))
        return [root / "labels", root]

    def _label(self, picture: Path) -> Path | None:
        """Return the label file of a picture, None if there is none."""
        places = (folder / f"{picture.stem}.txt" for folder in self._folders(picture.parent))
        return next((place for place in places if place.is_file()), None)

    def _picture(self, picture: Path, label: Path | None, layout: Layout, split: str | None) -> Annotated | Refused:
        name = self._name(picture)
        if label is None:
            return Annotated(image=name, where=f"{name} (no label file)", objects=(), split=split)
        where = self._name(label)
        text = read_text(label)
        if isinstance(text, Unreadable):
            return Refused(where, text.code, text.message)
        task: Task = "pose" if self.task == "auto" and layout.keypoints else self.task
        results = _read_lines(text, where, task, layout.names)
        objects = tuple(result for result in results if isinstance(result, Annotation))
        return Annotated(
            image=name,
            where=where,
            objects=objects,
            refused=tuple(result for result in results if isinstance(result, Refused)),
            unit="share",
            repairs=("keypoints_ignored",) * len(objects) if task == "pose" else (),
            split=split,
        )

    def _labels_alone(self, parts: Sequence[Path], used: Set[str]) -> Iterator[Refused]:
        """Yield the label files whose picture is nowhere; pictures that no list names are not meant to be read."""
        known = {Path(path).parent for path in used}
        folders = {folder for part in parts if not part.is_file() for folder in self._folders(part) if folder.is_dir()}
        stems: dict[Path, frozenset[str]] = {}
        for file in sorted({file for folder in folders | known for file in find_files(folder, self.suffixes)}, key=str):
            if not isinstance(file, Path) or str(file) in used or file in parts or _is_note(file):
                continue
            is_label = file.parent in known or "labels" in file.parent.parts
            if is_label and not any(file.stem in _stems(folder, stems) for folder in self._counterparts(file.parent)):
                yield Refused(self._name(file), "label_without_picture", "no picture has its name", file.name)

    def _counterparts(self, labels: Path) -> list[Path]:
        """Return the folders in which the pictures of a folder of labels may lie; undoes `_folders`."""
        roots = [root for root in self._roots() if self._images is not None and labels.is_relative_to(root)]
        return [*picture_folders(labels), *(self.images / labels.relative_to(root) for root in roots)]


def _is_note(file: Path) -> bool:
    return file.name in NAME_LISTS or file.stem.lower().startswith("readme")


def _stems(folder: Path, known: dict[Path, frozenset[str]]) -> frozenset[str]:
    """Return the names of the pictures in a folder without their endings, and remember them in `known`."""
    if folder not in known:
        names = os.listdir(folder) if folder.is_dir() else []
        known[folder] = frozenset(os.path.splitext(name)[0] for name in names if name.lower().endswith(PICTURES))
    return known[folder]


def _read_lines(text: str, where: str, task: Task, names: Mapping[int, str]) -> list[Annotation | Refused]:
    """Read all lines of a label file; what stands there twice is refused the second time."""
    results: list[Annotation | Refused] = []
    known: set[tuple[str, ...]] = set()
    for count, line in enumerate(text.splitlines(), start=1):
        words = tuple(line.split())
        if words in known:
            results.append(Refused(f"{where}:{count}", "line_twice", "the same line stands above", line))
        elif words:
            results.append(_read_line(words, f"{where}:{count}", task, names))
            known.add(words)
    return results


def _read_line(words: Sequence[str], where: str, task: Task, names: Mapping[int, str]) -> Annotation | Refused:
    """Read a category number and the numbers of a shape, all shares of the width and the height."""
    values = [number(word) for word in words]
    numbers = tuple(value for value in values if value is not None)
    line = " ".join(words)
    if len(numbers) < len(values):
        wrong = ", ".join(word for word, value in zip(words, values, strict=True) if value is None)
        return Refused(where, "not_a_number", f"a line holds numbers only, got {wrong}", line)
    label = names.get(int(numbers[0])) if numbers[0].is_integer() else None
    if label is None:
        return Refused(where, "unknown_class", f"the names go from 0 to {max(names)}, got {words[0]}", line)
    shape = _shape(numbers[1:], task)
    if shape is None:
        return Refused(where, "bad_count", f"after the class come {COUNTS[task]}, got {len(numbers) - 1}", line)
    kind, outline = shape
    if kind == "bbox_2d" and (numbers[3] < 0 or numbers[4] < 0):
        return Refused(where, "negative_size", "the width and the height of a box are not negative", line)
    return Annotation(label, kind, (outline,), where)


def _shape(numbers: Sequence[float], task: Task) -> tuple[ShapeKind, tuple[float, ...]] | None:
    count = len(numbers)
    is_box = count == 4 if task in ("auto", "detect") else count >= 4 and task == "pose"
    is_outline = {"obb": count == 8, "auto": count >= 6, "segment": count >= 6}.get(task, False) and count % 2 == 0
    if is_box:
        x, y, width, height = numbers[:4]
        return "bbox_2d", (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return ("poly", tuple(numbers)) if is_outline else None
