"""Where a picture of a source lies on the disk."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath

from qvl.conversion.files import find_files
from qvl.errors import RecordError

__all__ = ["REJECTED", "Found", "PictureFinder", "Sought"]

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")

REJECTED = "rejected.jsonl"
"""Lies in the folder of an earlier result: its pictures are copies, not those of the source."""


@dataclass(frozen=True, slots=True)
class Found:
    """A picture that is there.

    Attributes:
        path: The file.
        name: What to call it: its path below the folder of the pictures, or its bare name.
        by_name: Whether only its name led to it.
    """

    path: Path
    name: str
    by_name: bool = False


Sought = Found | tuple[str, str]
"""What was found, or (code, message) of why nothing was: path_outside, no_picture, many_pictures."""


class PictureFinder:
    """Finds pictures below one folder: by path, and where the path does not fit by the bare name.

    Tools write paths of the machine they ran on, with the separators of its system; names come composed or decomposed
    and in any case of letters.
    """

    def __init__(self, folder: Path) -> None:
        """Take the folder; nothing is listed until a path does not fit.

        Raises:
            RecordError: There is no such folder.
        """
        if not folder.is_dir():
            raise RecordError(f"source.images: there is no folder {folder}")
        self._folder = Path(os.path.abspath(folder))

    def find(self, image: str) -> Sought:
        """Return the picture that a source means.

        Args:
            image: Path below the folder, or absolute, as the source gives it.
        """
        if "\0" in image or not image.strip():
            return "no_picture", f"no file can have this name: {image!r}"
        windows = PureWindowsPath(image)
        if not Path(image).is_absolute() and not windows.is_absolute():
            for text in dict.fromkeys((image, windows.as_posix())):
                path = Path(os.path.normpath(self._folder / text))
                if not path.is_relative_to(self._folder):
                    return "path_outside", f"{image} leads out of {self._folder}; set source.images to a folder above"
                if _is_file(path):
                    return Found(path, path.relative_to(self._folder).as_posix())
        elif _is_file(path := Path(image)):
            below = Path(os.path.abspath(path))
            inside = below.is_relative_to(self._folder)
            return Found(path, below.relative_to(self._folder).as_posix() if inside else path.name)
        return self._by_name(image, windows.name or PurePosixPath(image).name)

    def _by_name(self, image: str, name: str) -> Sought:
        paths = self._names.get(_key(name), [])
        if len(paths) == 1:
            return Found(paths[0], paths[0].relative_to(self._folder).as_posix(), by_name=True)
        if not paths:
            return "no_picture", f"there is no picture {image}, nor one of this name anywhere below source.images"
        shown = ", ".join(path.relative_to(self._folder).as_posix() for path in paths[:3])
        return "many_pictures", f"{image} is not there, and {len(paths)} pictures have its name: {shown}"

    @cached_property
    def _names(self) -> dict[str, list[Path]]:
        files = [path for path in find_files(self._folder, (*SUFFIXES, REJECTED)) if isinstance(path, Path)]
        results = {path.parent for path in files if path.name == REJECTED}
        names: dict[str, list[Path]] = {}
        for path in files:
            if results.isdisjoint(path.parents):
                names.setdefault(_key(path.name), []).append(path)
        return names


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for the file system
        return False


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
