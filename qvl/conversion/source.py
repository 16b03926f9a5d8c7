"""The base of all importers."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from qvl.conversion.annotated import Annotated, Refused
from qvl.conversion.files import Unreadable, find_files
from qvl.errors import RecordError

__all__ = ["BaseSource"]


class BaseSource(ABC):
    """Extension point: how the annotations of one tool are read.

    An importer says what stands in the source: it yields every picture once, sets right what only it can know (numbers
    that count from 1, turned boxes, percent) and counts that in `Annotated.repairs`. It opens no picture. What all
    sources have in common (sizes, EXIF, clipping, descriptions, refusals) is the pipeline's.

    Attributes:
        suffixes: Endings of the annotation files, lower case.
        template: How a description is written if the user does not say, see `DescriptionTemplate`.
        path: The annotation file, or a folder with any number of them.
        images: Folder that relative paths of pictures start from.
    """

    suffixes: tuple[str, ...] = (".json",)
    template: str = "{category}"

    def __init__(self, *, path: str, images: str | None = None) -> None:
        """Say where the annotations lie; nothing is read yet.

        Args:
            path: The annotation file, a folder with any number of them, or an archive (zip, tar) of such a folder.
            images: Folder of the pictures; None for the folder of the annotations.
        """
        self.path = Path(path)
        self._images = None if images is None else Path(images)

    @property
    def images(self) -> Path:
        """Folder that relative paths of pictures start from."""
        if self._images is not None:
            return self._images
        return self.path if self.path.is_dir() else self.path.parent

    def at(self, folder: Path) -> Self:
        """Return the same source, unpacked into a folder."""
        moved = copy.copy(self)
        moved.path = folder
        return moved

    @abstractmethod
    def read(self) -> Iterator[Annotated | Refused]:
        """Yield every picture of the source, or why it cannot be used, in a fixed order.

        A file that cannot be read at all is one `Refused`. A `Refused` here counts as one row, one inside an
        `Annotated` as one object.

        Raises:
            RecordError: There is no such file or folder, or the source as a whole cannot be understood.
        """

    def size_hint(self) -> int | None:
        """Return about how many pictures `read` will yield, for a progress bar; None if that is not known cheaply."""
        return None

    def files(self) -> list[Path | Unreadable]:
        """Return the annotation files, sorted by path; loops of links among the folders are told as `Unreadable`.

        Raises:
            RecordError: There is no such file or folder, or no file with one of the `suffixes` in it.
        """
        if self.path.is_file():
            return [self.path]
        if not self.path.is_dir():
            raise RecordError(f"source.path: there is no file or folder {self.path}")
        found = find_files(self.path, self.suffixes)
        if not any(isinstance(entry, Path) for entry in found):
            raise RecordError(f"source.path: no file ending with {' or '.join(self.suffixes)} lies below {self.path}")
        return found

    def place(self, file: Path, inside: str = "") -> str:
        """Return `file` relative to the source, with a place inside it, for messages."""
        name = file.relative_to(self.path).as_posix() if self.path in file.parents else file.name
        return f"{name}: {inside}" if inside else name
